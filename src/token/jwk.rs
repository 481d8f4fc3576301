//! One JWK (RFC 7517) to [`VerificationKey`], or the reason why it is skipped.

/// A key's identity: its RFC 7638 thumbprint (SHA-256). Two keys with one `kid` have two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 32]);

/// A public key of an issuer, parsed once, ready to verify.
#[derive(Debug)]
pub struct VerificationKey {}

/// Why a JWK is not used. An operator sees it by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Key type, curve or algorithm that the gateway does not know.
    Unsupported,
}

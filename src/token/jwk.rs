//! One JWK (RFC 7517) to [`VerificationKey`], or the reason why it is skipped.

use jsonwebtoken::Algorithm;

use crate::token::Rejection;

/// A key's identity: its RFC 7638 thumbprint (SHA-256). Two keys with one `kid` have two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 32]);

/// A public key of an issuer, parsed once, ready to verify.
#[derive(Debug)]
pub struct VerificationKey {
    id: KeyId,
}

impl VerificationKey {
    /// Its identity.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The `kid` it was published under.
    pub fn kid(&self) -> Option<&str> {
        todo!()
    }

    /// The per-key `issuer` (Microsoft): exact, or a template with `{tenantid}`.
    pub fn issuer(&self) -> Option<&str> {
        todo!()
    }

    /// The per-key `cloud_instance_name` (Microsoft).
    pub fn cloud_instance(&self) -> Option<&str> {
        todo!()
    }

    /// Whether type, curve and the JWK's own `alg` permit this algorithm.
    pub fn permits(&self, _algorithm: Algorithm) -> bool {
        todo!()
    }

    /// Verifies a signature. Refuses an algorithm that the key does not permit.
    pub fn verify(&self, _algorithm: Algorithm, _message: &[u8], _signature: &Vec<u8>) -> Result<(), Rejection> {
        todo!()
    }
}

/// Why a JWK is not used. An operator sees it by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Key type, curve or algorithm that the gateway does not know.
    Unsupported,
}

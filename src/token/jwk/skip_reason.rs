//! [`SkipReason`]: why a JWK is not used.

/// Why a JWK is not used. An operator sees it by its [`label`](Self::label).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// `alg` does not go with the key's type or curve.
    AlgorithmMismatch,
    /// `x5c` is all there is, and holds no certificate whose key can be read.
    CertificateMalformed,
    /// The certificate in `x5c` has another key than the members say (RFC 7517 section 4.7).
    CertificateMismatch,
    /// Another key of the same type has the same `kid`. Neither is used.
    DuplicateKid,
    /// A member appears twice (RFC 7517 section 4).
    DuplicateMember,
    /// The point does not lie on its curve.
    EcPointInvalid,
    /// A coordinate is shorter or longer than the curve's (RFC 7518 section 6.2.1.2).
    EcPointLength,
    /// An Ed25519 key is not 32 bytes long.
    Ed25519Length,
    /// The `y` of an Ed25519 key is not below the prime: the key has another spelling too (RFC 8032 section 5.1.3).
    Ed25519NotCanonical,
    /// The Ed25519 key is a point of small order: anybody can sign with it.
    Ed25519SmallOrder,
    /// `kid` is longer than any token may name: 4 KiB.
    KidTooLong,
    /// Not a JSON object, or one nested too deeply, or with a number out of range.
    Malformed,
    /// A key member is not base64.
    MemberEncoding,
    /// `kty` or a member of the key is missing.
    MemberMissing,
    /// A member has the wrong JSON type.
    MemberType,
    /// `key_ops` is there without `verify` (RFC 7517 section 4.3).
    NotForVerifying,
    /// The private half was published with it: anybody can sign with this key.
    PrivateKey,
    /// The RSA exponent is even, below 65537 or longer than 33 bits.
    RsaExponent,
    /// The RSA modulus is even.
    RsaModulusEven,
    /// The RSA modulus has the mark of a generator whose keys can be factored (ROCA, CVE-2017-15361).
    RsaModulusWeak,
    /// The RSA modulus has more than 8192 bits.
    RsaTooLarge,
    /// The RSA modulus has fewer than 2048 bits (RFC 7518 section 3.3).
    RsaTooSmall,
    /// A symmetric key: anyone who can read it could sign with it.
    Symmetric,
    /// `alg` is none that the gateway verifies: encryption, HMAC, ES512, ES256K or unknown.
    UnsupportedAlgorithm,
    /// `crv` is none of P-256, P-384, Ed25519.
    UnsupportedCurve,
    /// `kty` is none of RSA, EC, OKP.
    UnsupportedKeyType,
    /// `use` and `key_ops` say different things (RFC 7517 section 4.3).
    UseConflict,
    /// `use` is not `sig`.
    UseNotSig,
}

impl SkipReason {
    /// The word for it in logs, metrics and `check`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::CertificateMalformed => "certificate_malformed",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::DuplicateKid => "duplicate_kid",
            Self::DuplicateMember => "duplicate_member",
            Self::EcPointInvalid => "ec_point_invalid",
            Self::EcPointLength => "ec_point_length",
            Self::Ed25519Length => "ed25519_length",
            Self::Ed25519NotCanonical => "ed25519_not_canonical",
            Self::Ed25519SmallOrder => "ed25519_small_order",
            Self::KidTooLong => "kid_too_long",
            Self::Malformed => "malformed",
            Self::MemberEncoding => "member_encoding",
            Self::MemberMissing => "member_missing",
            Self::MemberType => "member_type",
            Self::NotForVerifying => "not_for_verifying",
            Self::PrivateKey => "private_key",
            Self::RsaExponent => "rsa_exponent",
            Self::RsaModulusEven => "rsa_modulus_even",
            Self::RsaModulusWeak => "rsa_modulus_weak",
            Self::RsaTooLarge => "rsa_too_large",
            Self::RsaTooSmall => "rsa_too_small",
            Self::Symmetric => "symmetric",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnsupportedCurve => "unsupported_curve",
            Self::UnsupportedKeyType => "unsupported_key_type",
            Self::UseConflict => "use_conflict",
            Self::UseNotSig => "use_not_sig",
        }
    }

    /// Every reason, in the order of the declaration.
    pub const ALL: &'static [Self] = &[
        Self::AlgorithmMismatch,
        Self::CertificateMalformed,
        Self::CertificateMismatch,
        Self::DuplicateKid,
        Self::DuplicateMember,
        Self::EcPointInvalid,
        Self::EcPointLength,
        Self::Ed25519Length,
        Self::Ed25519NotCanonical,
        Self::Ed25519SmallOrder,
        Self::KidTooLong,
        Self::Malformed,
        Self::MemberEncoding,
        Self::MemberMissing,
        Self::MemberType,
        Self::NotForVerifying,
        Self::PrivateKey,
        Self::RsaExponent,
        Self::RsaModulusEven,
        Self::RsaModulusWeak,
        Self::RsaTooLarge,
        Self::RsaTooSmall,
        Self::Symmetric,
        Self::UnsupportedAlgorithm,
        Self::UnsupportedCurve,
        Self::UnsupportedKeyType,
        Self::UseConflict,
        Self::UseNotSig,
    ];
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_is_listed_once_and_has_its_own_label() {
        let labels: HashSet<_> = SkipReason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), SkipReason::ALL.len());
        assert!(SkipReason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
        assert_eq!(SkipReason::ALL.last(), Some(&SkipReason::UseNotSig));
    }
}

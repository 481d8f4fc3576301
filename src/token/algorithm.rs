//! Signature algorithms: their registered names, and what each signs with.

use jsonwebtoken::Algorithm;

/// What an algorithm signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1,
    /// RSASSA-PSS.
    RsaPss,
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// EdDSA on Ed25519.
    Ed25519,
    /// HMAC: a secret that both sides have.
    Hmac,
}

/// Every algorithm that is known here, by its name (RFC 7518 section 3.1, RFC 8037 section 3.1); all lists of them are made of this one.
/// Where a key fits several, the first is the usual one. `ES512` is not among them, since [`Algorithm`] does not know it, and of HMAC only
/// what the config must ask for.
const TABLE: [(&str, Algorithm, Scheme); 10] = [
    ("RS256", Algorithm::RS256, Scheme::RsaPkcs1),
    ("RS384", Algorithm::RS384, Scheme::RsaPkcs1),
    ("RS512", Algorithm::RS512, Scheme::RsaPkcs1),
    ("PS256", Algorithm::PS256, Scheme::RsaPss),
    ("PS384", Algorithm::PS384, Scheme::RsaPss),
    ("PS512", Algorithm::PS512, Scheme::RsaPss),
    ("ES256", Algorithm::ES256, Scheme::P256),
    ("ES384", Algorithm::ES384, Scheme::P384),
    ("EdDSA", Algorithm::EdDSA, Scheme::Ed25519),
    ("HS256", Algorithm::HS256, Scheme::Hmac),
];

/// The other name of `EdDSA` (RFC 9864), which means the same here, since Ed25519 is the one curve.
const ED25519: &str = "Ed25519";

/// The algorithm of this name in tokens and published keys, spelled exactly so.
///
/// HMAC is not among them: the keys come from published documents, and a published key authenticates nobody.
pub fn algorithm_from_name(name: &str) -> Option<Algorithm> {
    let name = if name == ED25519 { "EdDSA" } else { name };
    public_key_rows().find(|(known, _)| *known == name).map(|(_, algorithm)| algorithm)
}

/// What user tokens may be signed with, by name.
pub(crate) fn signing_algorithms() -> Vec<(&'static str, Algorithm)> {
    rows().collect()
}

/// What clients' tokens may be signed with, by name.
pub(crate) fn public_key_algorithms() -> Vec<(&'static str, Algorithm)> {
    public_key_rows().collect()
}

/// The algorithms of these schemes.
pub(crate) fn algorithms_of(schemes: &[Scheme]) -> Vec<Algorithm> {
    TABLE.iter().filter(|(_, _, scheme)| schemes.contains(scheme)).map(|(_, algorithm, _)| *algorithm).collect()
}

/// Whether user tokens may be signed with it.
pub(in crate::token) fn may_sign(algorithm: Algorithm) -> bool {
    rows().any(|(_, known)| known == algorithm)
}

fn rows() -> impl Iterator<Item = (&'static str, Algorithm)> {
    TABLE.iter().map(|(name, algorithm, _)| (*name, *algorithm))
}

fn public_key_rows() -> impl Iterator<Item = (&'static str, Algorithm)> {
    TABLE.iter().filter(|(_, _, scheme)| *scheme != Scheme::Hmac).map(|(name, algorithm, _)| (*name, *algorithm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        assert_eq!(algorithm_from_name("RS256"), Some(Algorithm::RS256));
        assert_eq!(algorithm_from_name("Ed25519"), algorithm_from_name("EdDSA"));
        for name in ["none", "None", "nOnE", "", "rs256", "RS256 ", " RS256", "RS256\0", "RS1", "ES512", "ES256K", "Ed448", "EDDSA"]
        {
            assert_eq!(algorithm_from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn hmac_has_no_name() {
        for name in ["HS256", "HS384", "HS512"] {
            assert_eq!(algorithm_from_name(name), None);
        }
    }

    #[test]
    fn a_name_is_the_one_that_goes_into_headers_of_tokens() {
        for (name, algorithm) in signing_algorithms() {
            assert_eq!(serde_json::json!(algorithm), name);
        }
    }

    #[test]
    fn clients_tokens_are_signed_with_what_has_a_public_key() {
        let names = |rows: Vec<(&'static str, Algorithm)>| rows.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ");
        assert_eq!(names(public_key_algorithms()), "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA");
        assert_eq!(names(signing_algorithms()), names(public_key_algorithms()) + " HS256");
        assert_eq!(algorithms_of(&[Scheme::P384, Scheme::P256]), [Algorithm::ES256, Algorithm::ES384]);
        assert_eq!(algorithms_of(&[Scheme::Hmac]), [Algorithm::HS256]);
    }

    #[test]
    fn a_secret_may_sign_and_only_with_hs256() {
        for algorithm in [Algorithm::RS256, Algorithm::PS512, Algorithm::EdDSA, Algorithm::HS256] {
            assert!(may_sign(algorithm), "{algorithm:?}");
        }
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            assert!(!may_sign(algorithm), "{algorithm:?}");
        }
    }
}

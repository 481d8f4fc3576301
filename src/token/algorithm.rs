//! Signature algorithms by their registered names.

use jsonwebtoken::Algorithm;

/// The algorithm of this name (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864), spelled exactly so.
///
/// `Ed25519` and `EdDSA` mean the same here, since Ed25519 is the one curve. HMAC is not among them: the keys come from published
/// documents, and a published key authenticates nobody. Neither is `ES512`, which `Algorithm` does not know.
pub fn algorithm_from_name(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" | "Ed25519" => Algorithm::EdDSA,
        _ => return None,
    })
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
}

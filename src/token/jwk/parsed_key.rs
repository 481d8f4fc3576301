//! [`ParsedKey`]: a public key bound to one algorithm, parsed once.

use aws_lc_rs::signature::ParsedPublicKey;
use jsonwebtoken::{
    Algorithm,
    crypto::JwtVerifier,
    signature::{self, Verifier},
};

/// A public key bound to one algorithm. It cannot verify under another one.
#[derive(Debug)]
pub(super) struct ParsedKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl ParsedKey {
    pub(super) fn new(algorithm: Algorithm, key: ParsedPublicKey) -> Self {
        Self { algorithm, key }
    }
}

impl Verifier<Vec<u8>> for ParsedKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key.verify_sig(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for ParsedKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

//! Encrypted private keys (RFC 5208 section 6).

use der::{Decode, Sequence, asn1::OctetStringRef};
use pkcs8::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem, ber, content::Opening, effort::TooMuch, encryption::Scheme, passphrase::Passphrase, structure::Kind,
};

/// `EncryptedPrivateKeyInfo` (RFC 5208 section 6).
#[derive(Sequence)]
pub(super) struct EncryptedKey<'a> {
    pub(super) algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) data: &'a OctetStringRef,
}

/// PKCS#8, encrypted, to PKCS#8. `form` is the openssl option for it in a remedy.
pub(super) fn decrypt(der: &[u8], form: &str, opening: &Opening<'_>) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let encrypted = EncryptedKey::from_der(der).map_err(|error| KeyProblem::Damaged(error.to_string()))?;
    let scheme = Scheme::read(&encrypted.algorithm).map_err(|problem| problem.in_pkcs8(form))?;
    if opening.passphrase.is_none() {
        return Err(KeyProblem::PassphraseMissing);
    }
    for passphrase in Passphrase::readings(opening.passphrase) {
        let plain = scheme.decrypt(&passphrase, encrypted.data.as_bytes(), &opening.effort);
        let plain = plain
            .map_err(|TooMuch { most }| KeyProblem::TooManyRounds { most, command: "openssl pkcs8 -topk8 -in OLD -out NEW" })?;
        // One time in 256 it decrypts to something that is not a key.
        if let Some(key) = plain.and_then(|plain| private_key(&plain)) {
            return Ok(key);
        }
    }
    Err(KeyProblem::PassphraseWrong)
}

/// What was decrypted, in DER, if it is a private key in PKCS#8.
pub(super) fn private_key(plain: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    ber::to_der(plain).ok().filter(|der| Kind::of(der) == Some(Kind::Pkcs8))
}

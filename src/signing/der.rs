//! Key files in DER or BER.

use crate::signing::{
    KeyProblem, ber,
    content::{Content, Opening, PrivateKeyDer},
    encrypted_pkcs8, pkcs12,
    structure::Kind,
};

/// The content of a file in DER or BER.
pub(super) fn parse(data: &[u8], opening: &Opening<'_>) -> Result<Content, KeyProblem> {
    let der = ber::to_der(data)?;
    let key = |key| Ok(Content { keys: vec![key], ..Content::default() });
    match Kind::of(&der) {
        Some(Kind::Pkcs8) => key(PrivateKeyDer::Pkcs8(der)),
        Some(Kind::Pkcs1) => key(PrivateKeyDer::Pkcs1(der)),
        Some(Kind::Sec1) => key(PrivateKeyDer::Sec1(der)),
        Some(Kind::Dsa) => Err(KeyProblem::KeyType("DSA".to_owned())),
        Some(Kind::EncryptedPkcs8) => key(PrivateKeyDer::Pkcs8(encrypted_pkcs8::decrypt(&der, "-inform DER ", opening)?)),
        Some(Kind::Pkcs12) => pkcs12::parse(&der, opening),
        Some(Kind::PublicKey) => Err(KeyProblem::NotThePrivateKey("a public key")),
        Some(Kind::Certificate) => Err(KeyProblem::NotThePrivateKey("a certificate, or a certificate request")),
        Some(Kind::Cms) => Err(KeyProblem::NotThePrivateKey("certificates (PKCS#7)")),
        None => Err(KeyProblem::Damaged("it is neither a key nor a container of one".to_owned())),
    }
}

//! Key files in DER or BER: which structure it is shows in its first members.

use ::der::{AnyRef, Decode, Reader, Sequence, SliceReader, Tag, Tagged, asn1::OctetStringRef};
use pkcs8::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem, ber,
    content::{Content, Opening, PrivateKeyDer},
    effort::TooMuch,
    encryption::{Openssl, ParameterProblem, Scheme, Unsupported},
    passphrase::Passphrase,
    pkcs12,
};

/// What a structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `PrivateKeyInfo` (RFC 5208) or `OneAsymmetricKey` (RFC 5958).
    Pkcs8,
    /// `EncryptedPrivateKeyInfo` (RFC 5208).
    EncryptedPkcs8,
    /// `RSAPrivateKey` (RFC 8017 appendix A.1.2).
    Pkcs1,
    /// `ECPrivateKey` (RFC 5915).
    Sec1,
    /// The DSA keys of OpenSSL.
    Dsa,
    /// `PFX` (RFC 7292).
    Pkcs12,
    /// `SubjectPublicKeyInfo` (RFC 5280) or `RSAPublicKey` (RFC 8017 appendix A.1.1).
    PublicKey,
    /// A certificate, a request for one, or a list of revoked ones.
    Certificate,
    /// `ContentInfo` (RFC 5652): certificates, signed data.
    Cms,
}

impl Kind {
    /// Of `der`, a structure in DER; none: something else.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let mut members = Vec::new();
        let mut reader = SliceReader::new(der).ok()?;
        let whole = AnyRef::decode(&mut reader).ok().filter(|whole| whole.tag() == Tag::Sequence)?;
        let mut reader = SliceReader::new(whole.value()).ok()?;
        // The longest that is looked at is that of a DSA key.
        while !reader.is_finished() && members.len() < 7 {
            members.push(AnyRef::decode(&mut reader).ok()?);
        }
        let tags: Vec<Tag> = members.iter().map(Tagged::tag).collect();
        Some(match *tags.as_slice() {
            [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => Self::Pkcs8,
            [Tag::Integer, Tag::Sequence, ..] => Self::Pkcs12,
            [Tag::Integer, Tag::OctetString, ..] => Self::Sec1,
            [Tag::Integer, Tag::Integer, Tag::Integer, Tag::Integer, Tag::Integer, Tag::Integer] => Self::Dsa,
            [Tag::Integer, Tag::Integer, Tag::Integer, Tag::Integer, ..] => Self::Pkcs1,
            [Tag::Sequence, Tag::OctetString] => Self::EncryptedPkcs8,
            [Tag::Sequence, Tag::BitString] | [Tag::Integer, Tag::Integer] => Self::PublicKey,
            [Tag::Sequence, Tag::Sequence, ..] => Self::Certificate,
            [Tag::ObjectIdentifier, ..] => Self::Cms,
            _ => return None,
        })
    }
}

/// The content of a file in DER or BER.
pub(super) fn parse(data: &[u8], opening: &Opening<'_>) -> Result<Content, KeyProblem> {
    let der = ber::to_der(data)?;
    let key = |key| Ok(Content { keys: vec![key], ..Content::default() });
    match Kind::of(&der) {
        Some(Kind::Pkcs8) => key(PrivateKeyDer::Pkcs8(der)),
        Some(Kind::Pkcs1) => key(PrivateKeyDer::Pkcs1(der)),
        Some(Kind::Sec1) => key(PrivateKeyDer::Sec1(der)),
        Some(Kind::Dsa) => Err(KeyProblem::KeyType("DSA".to_owned())),
        Some(Kind::EncryptedPkcs8) => key(PrivateKeyDer::Pkcs8(decrypt(&der, "-inform DER ", opening)?)),
        Some(Kind::Pkcs12) => pkcs12::parse(&der, opening),
        Some(Kind::PublicKey) => Err(KeyProblem::NotThePrivateKey("a public key")),
        Some(Kind::Certificate) => Err(KeyProblem::NotThePrivateKey("a certificate, or a request for one")),
        Some(Kind::Cms) => Err(KeyProblem::NotThePrivateKey("certificates (PKCS#7)")),
        None => Err(KeyProblem::Damaged("it is no key, and nothing that holds one".to_owned())),
    }
}

/// `EncryptedPrivateKeyInfo` (RFC 5208 section 6).
#[derive(Sequence)]
pub(super) struct EncryptedKey<'a> {
    pub(super) algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) data: &'a OctetStringRef,
}

/// PKCS#8, encrypted, to PKCS#8. `form` is what openssl is told of it in a remedy.
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
        // One time in 256 it decrypts to something that is no key.
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

impl ParameterProblem {
    /// Of a key in PKCS#8.
    pub(super) fn in_pkcs8(self, form: &str) -> KeyProblem {
        self.with(|openssl| match openssl {
            Openssl::Default => Some(format!("openssl pkcs8 -topk8 {form}-in OLD -out NEW")),
            Openssl::Legacy => Some(format!("openssl pkcs8 -provider legacy -provider default -topk8 {form}-in OLD -out NEW")),
            Openssl::Never => None,
        })
    }

    pub(super) fn in_pkcs12(self) -> KeyProblem {
        self.with(|openssl| match openssl {
            Openssl::Default => Some("openssl pkcs12 -in OLD -out NEW".to_owned()),
            Openssl::Legacy => Some("openssl pkcs12 -legacy -in OLD -out NEW".to_owned()),
            Openssl::Never => None,
        })
    }

    fn with(self, command: impl Fn(Openssl) -> Option<String>) -> KeyProblem {
        match self {
            Self::Damaged(what) => KeyProblem::Damaged(what),
            Self::Unsupported(Unsupported { what, openssl }) => KeyProblem::not_supported(what, command(openssl)),
        }
    }
}

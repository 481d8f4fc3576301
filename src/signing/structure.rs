//! [`Kind`]: the kind of a DER structure, recognised by its first members.

use der::{AnyRef, Decode, Reader, SliceReader, Tag, Tagged};

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
        // The longest that is checked is that of a DSA key.
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

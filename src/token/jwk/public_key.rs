//! [`PublicKey`]: the parameters of a key, from members or a certificate.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;

use super::{KeyId, SkipReason, ec::EcKey, members, okp::Ed25519Key, parsed_key::ParsedKey, rsa::RsaKey};
use crate::token::json::Object;

/// The types of key that can verify (RFC 7517 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::token) enum KeyType {
    Rsa,
    Ec,
    Okp,
}

impl KeyType {
    pub(super) fn from_jwk(jwk: &Object<'_>) -> Result<Self, SkipReason> {
        match members::string(jwk, "kty")?.ok_or(SkipReason::MemberMissing)? {
            "RSA" => Ok(Self::Rsa),
            "EC" => Ok(Self::Ec),
            "OKP" => Ok(Self::Okp),
            "oct" => Err(SkipReason::Symmetric),
            _ => Err(SkipReason::UnsupportedKeyType),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Ec => "EC",
            Self::Okp => "OKP",
        }
    }
}

/// The numbers of a public key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa(RsaKey),
    Ec(EcKey),
    Ed25519(Ed25519Key),
}

impl PublicKey {
    /// From the members; none if those of a public key are not there.
    pub(super) fn from_members(jwk: &Object<'_>, key_type: KeyType) -> Result<Option<Self>, SkipReason> {
        Ok(match key_type {
            KeyType::Rsa => RsaKey::from_members(jwk)?.map(Self::Rsa),
            KeyType::Ec => EcKey::from_members(jwk)?.map(Self::Ec),
            KeyType::Okp => Ed25519Key::from_members(jwk)?.map(Self::Ed25519),
        })
    }

    /// This key from a certificate, if it is what `kty` and `crv` announce.
    pub(super) fn matching(self, jwk: &Object<'_>, key_type: KeyType) -> Result<Self, SkipReason> {
        let (certified_type, certified_curve) = match &self {
            Self::Rsa(_) => (KeyType::Rsa, None),
            Self::Ec(key) => (KeyType::Ec, Some(key.curve.name())),
            Self::Ed25519(_) => (KeyType::Okp, Some("Ed25519")),
        };
        let announced_curve = members::string(jwk, "crv")?;
        let fits = certified_type == key_type && (announced_curve.is_none() || announced_curve == certified_curve);
        if fits { Ok(self) } else { Err(SkipReason::CertificateMismatch) }
    }

    /// The key, parsed once for each algorithm that it can verify and that is wanted. Weak and impossible keys are refused.
    pub(super) fn parse(&self, wanted: impl Fn(Algorithm) -> bool) -> Result<Vec<ParsedKey>, SkipReason> {
        match self {
            Self::Rsa(key) => key.parse(wanted),
            Self::Ec(key) => key.parse(wanted),
            Self::Ed25519(key) => key.parse(wanted),
        }
    }

    /// RFC 7638 section 3: the required members in lexical order. Nothing in them needs an escape.
    pub(super) fn thumbprint(&self) -> KeyId {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let canonical = match self {
            Self::Rsa(key) => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(&key.exponent), encode(&key.modulus)),
            Self::Ec(key) => {
                let (curve, x, y) = (key.curve.name(), encode(&key.x), encode(&key.y));
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Ed25519(key) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(&key.x)),
        };
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        KeyId(id)
    }
}

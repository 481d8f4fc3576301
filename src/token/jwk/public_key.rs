//! [`PublicKey`]: the parameters of a key, from members or a certificate.

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

    pub(super) fn id(&self) -> KeyId {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let members = match self {
            Self::Rsa(key) => {
                vec![("kty", "RSA".to_owned()), ("n", encode(&key.modulus)), ("e", encode(&key.exponent))]
            }
            Self::Ec(key) => {
                let curve = key.curve.name().to_owned();
                vec![("kty", "EC".to_owned()), ("crv", curve), ("x", encode(&key.x)), ("y", encode(&key.y))]
            }
            Self::Ed25519(key) => {
                vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", encode(&key.x))]
            }
        };
        KeyId::of_members(&members.into_iter().collect())
    }
}

//! [`Family`]: the type of a private key, and the algorithms it can sign with.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm};
use jsonwebtoken::Algorithm;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};

use crate::{
    signing::{KeyProblem, content::PrivateKeyDer, pss},
    token::{Scheme, algorithms_of},
};

/// A kind of private key that signs tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// RSA, with PKCS#1 version 1.5 or PSS.
    Rsa,
    /// RSA restricted to PSS; with one algorithm of it, if the key is for one hash function.
    RsaPss(Option<Algorithm>),
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

impl Family {
    /// Finds out the kind.
    pub(super) fn of(key: &PrivateKeyDer) -> Result<Self, KeyProblem> {
        match key {
            PrivateKeyDer::Pkcs8(der) => of_pkcs8(der),
            PrivateKeyDer::Pkcs1(_) => Ok(Self::Rsa),
            PrivateKeyDer::Sec1(der) => curve_of_sec1(der),
        }
    }

    /// Its algorithms; the first is the usual one.
    fn algorithms(self) -> Vec<Algorithm> {
        match self {
            Self::Rsa => algorithms_of(&[Scheme::RsaPkcs1, Scheme::RsaPss]),
            Self::RsaPss(Some(algorithm)) => vec![algorithm],
            Self::RsaPss(None) => algorithms_of(&[Scheme::RsaPss]),
            Self::P256 => algorithms_of(&[Scheme::P256]),
            Self::P384 => algorithms_of(&[Scheme::P384]),
            Self::Ed25519 => algorithms_of(&[Scheme::Ed25519]),
        }
    }

    /// The algorithm to sign with; none asked for: the usual one.
    pub(super) fn choose(self, asked: Option<Algorithm>) -> Result<Algorithm, KeyProblem> {
        let algorithms = self.algorithms();
        match asked {
            Some(algorithm) if algorithms.contains(&algorithm) => Ok(algorithm),
            Some(algorithm) => Err(KeyProblem::AlgorithmDoesNotFit { key: self.name(), algorithm, fits: algorithms }),
            None => algorithms.first().copied().ok_or_else(|| KeyProblem::KeyType(self.name().to_owned())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::RsaPss(_) => "RSA-PSS",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// The library would say no more than that it is not the kind that was expected.
fn of_pkcs8(der: &[u8]) -> Result<Family, KeyProblem> {
    let damaged = |error: &dyn std::fmt::Display| KeyProblem::Damaged(error.to_string());
    let key = PrivateKeyInfoRef::try_from(der).map_err(|error| damaged(&error))?;
    let name = match key.algorithm.oid {
        RSA_ENCRYPTION => return Ok(Family::Rsa),
        ED25519 => return Ok(Family::Ed25519),
        pss::RSASSA_PSS => return pss::algorithms(&key.algorithm).map(Family::RsaPss),
        EC_PUBLIC_KEY => match key.algorithm.parameters_oid() {
            Ok(P256) => return Ok(Family::P256),
            Ok(P384) => return Ok(Family::P384),
            Ok(curve) => format!("EC on the curve {}", curve_name(curve)),
            // All numbers of the curve instead of its name.
            Err(_) if key.algorithm.parameters.is_some() => return curve_of_pkcs8(der),
            Err(error) => return Err(damaged(&error)),
        },
        DSA => "DSA".to_owned(),
        ED448 => "Ed448".to_owned(),
        other => other.to_string(),
    };
    Err(KeyProblem::KeyType(name))
}

/// The curve of an `ECPrivateKey` (RFC 5915), which need not name it: the one that the key is on.
fn curve_of_sec1(der: &[u8]) -> Result<Family, KeyProblem> {
    curve(|curve| EcdsaKeyPair::from_private_key_der(curve, der).is_ok())
}

/// The curve of a key in PKCS#8 that does not name it, but has its numbers.
fn curve_of_pkcs8(der: &[u8]) -> Result<Family, KeyProblem> {
    curve(|curve| EcdsaKeyPair::from_pkcs8(curve, der).is_ok())
}

fn curve(is_on: impl Fn(&'static EcdsaSigningAlgorithm) -> bool) -> Result<Family, KeyProblem> {
    if is_on(&ECDSA_P256_SHA256_FIXED_SIGNING) {
        Ok(Family::P256)
    } else if is_on(&ECDSA_P384_SHA384_FIXED_SIGNING) {
        Ok(Family::P384)
    } else {
        Err(KeyProblem::KeyType("EC on a curve that is neither P-256 nor P-384, or damaged".to_owned()))
    }
}

fn curve_name(curve: ObjectIdentifier) -> String {
    match curve {
        P521 => "P-521".to_owned(),
        SECP256K1 => "secp256k1".to_owned(),
        other => other.to_string(),
    }
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const DSA: ObjectIdentifier = oid("1.2.840.10040.4.1");
const EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");
const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = oid("1.3.132.0.34");
const P521: ObjectIdentifier = oid("1.3.132.0.35");
const SECP256K1: ObjectIdentifier = oid("1.3.132.0.10");
const ED25519: ObjectIdentifier = oid("1.3.101.112");
const ED448: ObjectIdentifier = oid("1.3.101.113");

//! The key in `x5c` (RFC 7517 section 4.7).

use x509_parser::{
    certificate::X509CertificateParser,
    der_parser::{Oid, oid},
    nom::Parser,
    public_key::PublicKey as CertificateKey,
    x509::SubjectPublicKeyInfo,
};

use super::{
    SkipReason,
    ec::{Curve, EcKey},
    members,
    okp::Ed25519Key,
    public_key::PublicKey,
    rsa::RsaKey,
};
use crate::token::json::Object;

/// The key of the first certificate; `None` if there is no `x5c`.
///
/// The document vouches for the key, not the certificate: neither its dates (a third of those that providers publish have passed) nor
/// its signature count.
pub(super) fn leaf_key(jwk: &Object<'_>) -> Option<Result<PublicKey, SkipReason>> {
    jwk.get("x5c")?.elements().is_none_or(|mut elements| elements.next().is_some()).then_some(())?;
    Some(read_leaf(jwk))
}

fn read_leaf(jwk: &Object<'_>) -> Result<PublicKey, SkipReason> {
    let chain = members::strings(jwk, "x5c")?.unwrap_or_default();
    let leaf = chain.first().ok_or(SkipReason::CertificateMalformed)?;
    let der = members::decode(leaf).ok_or(SkipReason::CertificateMalformed)?;
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    match parser.parse(&der) {
        Ok((&[], certificate)) => public_key(certificate.public_key()),
        _ => Err(SkipReason::CertificateMalformed),
    }
}

fn public_key(info: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey, SkipReason> {
    match info.parsed().map_err(|_| SkipReason::CertificateMalformed)? {
        CertificateKey::RSA(key) => Ok(PublicKey::Rsa(RsaKey::new(key.modulus, key.exponent))),
        CertificateKey::EC(point) => EcKey::from_point(curve(info)?, point.data()).map(PublicKey::Ec),
        CertificateKey::Unknown(x) if info.algorithm.algorithm == ED25519 => Ed25519Key::new(x).map(PublicKey::Ed25519),
        _ => Err(SkipReason::UnsupportedKeyType),
    }
}

fn curve(info: &SubjectPublicKeyInfo<'_>) -> Result<Curve, SkipReason> {
    let parameters = info.algorithm.parameters.as_ref().ok_or(SkipReason::CertificateMalformed)?;
    match parameters.as_oid().map_err(|_| SkipReason::UnsupportedCurve)? {
        curve if curve == PRIME256V1 => Ok(Curve::P256),
        curve if curve == SECP384R1 => Ok(Curve::P384),
        _ => Err(SkipReason::UnsupportedCurve),
    }
}

const ED25519: Oid<'_> = oid!(1.3.101.112);
const PRIME256V1: Oid<'_> = oid!(1.2.840.10045.3.1.7);
const SECP384R1: Oid<'_> = oid!(1.3.132.0.34);

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

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::json;

    use super::*;
    use crate::token::{
        VerificationKey, json,
        jwk::test_keys::{TestKey, ed25519, p384},
    };

    /// What is said of the certificate of a key when all that name one algorithm name another of the same length.
    fn renamed(pair: &TestKey, from: &[u8], to: &[u8]) -> Option<SkipReason> {
        let mut der = STANDARD.decode(&pair.certificate).unwrap();
        let places: Vec<usize> = (0..der.len() - from.len()).filter(|at| der[*at..].starts_with(from)).collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| der[at..at + to.len()].copy_from_slice(to));
        let jwk = json!({ "kty": pair.jwk["kty"], "x5c": [STANDARD.encode(der)] }).to_string();
        VerificationKey::from_jwk(&json::parse_object(jwk.as_bytes()).unwrap()).err()
    }

    #[test]
    fn a_key_of_another_algorithm_is_not_taken_for_one_that_is_as_long() {
        let (ed25519_name, x25519_name) = ([0x2b, 0x65, 0x70], [0x2b, 0x65, 0x6e]);
        assert_eq!(renamed(ed25519(), &ed25519_name, &ed25519_name), None);
        assert_eq!(renamed(ed25519(), &ed25519_name, &x25519_name), Some(SkipReason::UnsupportedKeyType));
        let (p384_name, p521_name) = ([0x2b, 0x81, 0x04, 0x00, 0x22], [0x2b, 0x81, 0x04, 0x00, 0x23]);
        assert_eq!(renamed(p384(), &p384_name, &p384_name), None);
        assert_eq!(renamed(p384(), &p384_name, &p521_name), Some(SkipReason::UnsupportedCurve));
    }
}

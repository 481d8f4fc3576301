//! Keys for tests, each made once in a test run.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self as aws, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use x509_parser::{prelude::FromDer, public_key::RSAPublicKey};

/// A key pair that can sign and show its public half.
pub(in crate::token) struct TestKey {
    /// The public JWK: `kty` and the key members, nothing else.
    pub(in crate::token) jwk: Value,
    /// A certificate for it as `x5c` holds it. Its dates have passed.
    pub(in crate::token) certificate: String,
    signer: Signer,
}

enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl TestKey {
    /// The public JWK with more members.
    pub(in crate::token) fn jwk_with(&self, members: Value) -> Value {
        let mut jwk = self.jwk.clone();
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    }

    pub(in crate::token) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.signer {
            Signer::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::RS256 => &aws::RSA_PKCS1_SHA256,
                    Algorithm::RS384 => &aws::RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &aws::RSA_PKCS1_SHA512,
                    Algorithm::PS256 => &aws::RSA_PSS_SHA256,
                    Algorithm::PS384 => &aws::RSA_PSS_SHA384,
                    Algorithm::PS512 => &aws::RSA_PSS_SHA512,
                    other => panic!("{other:?} is not for RSA"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Signer::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

pub(in crate::token) fn rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(new_rsa)
}

pub(in crate::token) fn other_rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(new_rsa)
}

pub(in crate::token) fn p256() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| new_ec("P-256", &aws::ECDSA_P256_SHA256_FIXED_SIGNING, &rcgen::PKCS_ECDSA_P256_SHA256))
}

pub(in crate::token) fn p384() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| new_ec("P-384", &aws::ECDSA_P384_SHA384_FIXED_SIGNING, &rcgen::PKCS_ECDSA_P384_SHA384))
}

pub(in crate::token) fn ed25519() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        TestKey {
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())}),
            certificate: certificate(pkcs8.as_ref(), &rcgen::PKCS_ED25519),
            signer: Signer::Ed25519(pair),
        }
    })
}

pub(in crate::token) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 65537 to the power of 128: it has the mark of the ROCA generator and 2049 bits, though nobody could sign with it.
pub(in crate::token) fn roca_modulus() -> Vec<u8> {
    let mut power = vec![1u8];
    for _ in 0..128 {
        let mut carry = 0u32;
        for digit in power.iter_mut().rev() {
            carry += u32::from(*digit) * 65537;
            *digit = carry as u8;
            carry >>= 8;
        }
        power.splice(0..0, carry.to_be_bytes().into_iter().skip_while(|digit| *digit == 0));
    }
    power
}

fn new_rsa() -> TestKey {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let (_, public) = RSAPublicKey::from_der(pair.public_key().as_ref()).unwrap();
    let modulus = public.modulus.strip_prefix(&[0]).unwrap_or(public.modulus);
    TestKey {
        jwk: json!({"kty": "RSA", "n": encode(modulus), "e": encode(public.exponent)}),
        certificate: certificate(AsDer::as_der(&pair).unwrap().as_ref(), &rcgen::PKCS_RSA_SHA256),
        signer: Signer::Rsa(pair),
    }
}

fn new_ec(curve: &str, signing: &'static EcdsaSigningAlgorithm, certifying: &'static rcgen::SignatureAlgorithm) -> TestKey {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(signing, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8.as_ref()).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    TestKey {
        jwk: json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}),
        certificate: certificate(pkcs8.as_ref(), certifying),
        signer: Signer::Ec(pair),
    }
}

fn certificate(pkcs8: &[u8], algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), algorithm).unwrap();
    let mut parameters = rcgen::CertificateParams::new(["keys.contoso.example".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2015, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2016, 1, 1);
    STANDARD.encode(parameters.self_signed(&pair).unwrap().der())
}

//! RSA keys for the demo: made in the process, never stored.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{
    digest,
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RsaEncoding},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use x509_parser::{prelude::FromDer, public_key::RSAPublicKey};
use zeroize::Zeroizing;

use crate::token::Timestamp;

/// Keys that [`DemoKey::shared`] keeps. Further ones are generated each time.
const SHARED: usize = 8;

/// An RSA key of 2048 bits. Cloning is cheap.
#[derive(Clone)]
pub struct DemoKey(Arc<Inner>);

struct Inner {
    pair: KeyPair,
    kid: String,
    modulus: String,
    exponent: String,
    made: Timestamp,
}

impl DemoKey {
    /// A new key. Takes 50 to 200 ms of one core.
    pub fn generate() -> io::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| io::Error::other("cannot generate an RSA key"))?;
        let (_, public) = RSAPublicKey::from_der(pair.public_key().as_ref()).map_err(io::Error::other)?;
        // DER puts a zero before a number whose first bit is set; JWK (RFC 7518 section 6.3.1) does not.
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number.strip_prefix(&[0]).unwrap_or(number));
        let (modulus, exponent) = (encode(public.modulus), encode(public.exponent));
        let thumbprint = digest::digest(&digest::SHA256, format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#).as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        Ok(Self(Arc::new(Inner { pair, kid, modulus, exponent, made: std::time::SystemTime::now().into() })))
    }

    /// The `index`-th key of this process, made at first use, so that many tests in one process share a few keys.
    ///
    /// All issuers publish the same series from 0 on, much as Microsoft's tenants share their keys. A forger takes
    /// [`generate`](Self::generate).
    pub fn shared(index: usize) -> io::Result<Self> {
        static KEYS: Mutex<Vec<DemoKey>> = Mutex::new(Vec::new());
        if index >= SHARED {
            return Self::generate();
        }
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        while keys.len() <= index {
            keys.push(Self::generate()?);
        }
        Ok(keys[index].clone())
    }

    /// The key id: the RFC 7638 thumbprint in base64url, 43 characters, as long as B2C's own.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// `n` of the JWK.
    pub fn modulus(&self) -> &str {
        &self.0.modulus
    }

    /// `e` of the JWK.
    pub fn exponent(&self) -> &str {
        &self.0.exponent
    }

    /// When the key was made: `nbf` of the JWK.
    pub fn made(&self) -> Timestamp {
        self.0.made
    }

    /// The public half: SubjectPublicKeyInfo in PEM.
    pub fn public_key_pem(&self) -> io::Result<String> {
        Ok(self.certificate_key()?.public_key_pem())
    }

    /// The private half: PKCS#8 in PEM.
    pub fn private_key_pem(&self) -> io::Result<Zeroizing<String>> {
        Ok(Zeroizing::new(self.certificate_key()?.serialize_pem()))
    }

    /// A self-signed certificate of the key in DER, for the `x5c` member of a JWK.
    pub fn certificate(&self) -> io::Result<Vec<u8>> {
        let params = rcgen::CertificateParams::new(["demo.invalid".to_owned()]).map_err(io::Error::other)?;
        let certificate = params.self_signed(&self.certificate_key()?).map_err(io::Error::other)?;
        Ok(certificate.der().to_vec())
    }

    /// A signature. Empty, hence refused by everybody, where signing fails.
    pub(in crate::demo) fn sign(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.pair.public_modulus_len()];
        match self.0.pair.sign(encoding, &SystemRandom::new(), message, &mut signature) {
            Ok(()) => signature,
            Err(_) => Vec::new(),
        }
    }

    fn certificate_key(&self) -> io::Result<rcgen::KeyPair> {
        let der: Pkcs8V1Der<'_> = self.0.pair.as_der().map_err(io::Error::other)?;
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_ref().into(), &rcgen::PKCS_RSA_SHA256).map_err(io::Error::other)
    }
}

impl fmt::Debug for DemoKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DemoKey").field("kid", &self.0.kid).finish_non_exhaustive()
    }
}

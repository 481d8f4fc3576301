//! [`Authorities`]: the certificates that are trusted.

use std::{fmt, fs, io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject},
    },
};

use crate::tls::{own_certificate::OwnCertificate, verifier::Verifier};

/// Some editors on Windows put it before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Certificates that are trusted: authorities', or servers' own.
#[derive(Clone)]
pub struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    store: Arc<RootCertStore>,
}

/// Why a file of authorities cannot be used. Each text goes on from the file's name and a colon.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not PEM.
    #[error("holds no certificate; accepted: PEM{0}")]
    None(&'static str),
    /// One section of it is damaged.
    #[error("certificate {number} {what}")]
    Damaged {
        /// Which one, from 1 on.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The cryptographic library does not take them.
    #[error("cannot be used: {0}")]
    Unusable(String),
}

impl Authorities {
    /// Reads a file of certificates in PEM.
    pub fn read(path: &Path) -> Result<Self, AuthoritiesProblem> {
        Self::parse(&fs::read(path)?)
    }

    /// The content of such a file.
    pub fn parse(data: &[u8]) -> Result<Self, AuthoritiesProblem> {
        Self::of(certificates_of(data)?)
    }

    /// These certificates.
    pub fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Self, AuthoritiesProblem> {
        let mut store = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let number = index + 1;
            store
                .add(certificate.clone())
                .map_err(|error| AuthoritiesProblem::Damaged { number, what: format!("cannot be used: {error}") })?;
        }
        Ok(Self { certificates, store: Arc::new(store) })
    }

    /// Those whose signatures are trusted.
    pub fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
    }

    /// For connections on which these certificates, and no others, are trusted. TLS 1.2 and 1.3, HTTP/1.1.
    pub fn client_config(&self) -> Result<ClientConfig, AuthoritiesProblem> {
        self.client_config_with(None)
    }

    /// The same, showing this certificate to servers that ask for one.
    pub fn client_config_with(&self, own: Option<&OwnCertificate>) -> Result<ClientConfig, AuthoritiesProblem> {
        let unusable = |error: &dyn fmt::Display| AuthoritiesProblem::Unusable(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(self.verifier(Arc::clone(&provider))?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match own.cloned() {
            Some(OwnCertificate { chain, key }) => builder.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    pub(super) fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier, AuthoritiesProblem> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.store), provider).build();
        let webpki = webpki.map_err(|error| AuthoritiesProblem::Unusable(error.to_string()))?;
        Ok(Verifier::new(webpki, self.certificates.clone()))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authorities").field("count", &self.certificates.len()).finish_non_exhaustive()
    }
}

/// The certificates in PEM, at least one, in their order. Each can be read as X.509; nothing else of them is checked.
pub fn certificates_of(data: &[u8]) -> Result<Vec<CertificateDer<'static>>, AuthoritiesProblem> {
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    let damaged = |number: usize, what: &dyn fmt::Display| AuthoritiesProblem::Damaged { number, what: what.to_string() };
    let mut certificates = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(data).enumerate() {
        certificates.push(certificate.map_err(|error| damaged(index + 1, &pem_words(&error)))?);
    }
    if certificates.is_empty() {
        return Err(AuthoritiesProblem::None(hint(data)));
    }
    for (index, certificate) in certificates.iter().enumerate() {
        x509_parser::parse_x509_certificate(certificate).map_err(|_| damaged(index + 1, &"is damaged"))?;
    }
    Ok(certificates)
}

fn pem_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "has no end: its line -----END CERTIFICATE----- is missing, or line breaks have become spaces".to_owned()
        }
        pem::Error::IllegalSectionStart { .. } => "begins with a damaged line, or its line breaks have become spaces".to_owned(),
        pem::Error::Base64Decode(_) => "is not base64".to_owned(),
        other => format!("is damaged: {other}"),
    }
}

/// What came instead of certificates, where that is easily seen.
fn hint(data: &[u8]) -> &'static str {
    let contains = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
    if data.first() == Some(&0x30) {
        ". This is DER: convert it with `openssl x509 -inform DER -in OLD -out NEW`"
    } else if data.starts_with(b"\xff\xfe") || data.starts_with(b"\xfe\xff") {
        ". This is text in UTF-16: convert it with `iconv -f UTF-16 -t UTF-8 OLD > NEW`"
    } else if contains(b"-----BEGIN PKCS7-----") {
        ". This is PKCS#7: convert it with `openssl pkcs7 -print_certs -in OLD -out NEW`"
    } else if contains(b"PRIVATE KEY-----") {
        ". This is a private key"
    } else {
        ""
    }
}

//! [`Challenges`]: what an authority is answered that asks whether a name is ours.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, NoServerSessionStorage},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::super::names::canonical;

/// The protocol of a question in a handshake (RFC 8737 section 3).
const ACME_TLS: &[u8] = b"acme-tls/1";
/// Where a question over plain HTTP is asked (RFC 8555 section 8.3).
const ACME_HTTP: &str = "/.well-known/acme-challenge/";

/// What an authority is answered. It asks several times, from several places.
#[derive(Default)]
pub(in crate::certificate) struct Challenges {
    answers: Mutex<Answers>,
    /// Whether there are any: most of the time there are none.
    are_open: AtomicBool,
}

#[derive(Default)]
struct Answers {
    /// By name.
    tls: HashMap<String, Arc<ServerConfig>>,
    /// By token.
    http: HashMap<String, String>,
}

impl Challenges {
    /// With what to answer a hello that is such a question: it offers this protocol and no other.
    pub(in crate::certificate) fn config_for(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        if !self.are_open.load(Ordering::Acquire) {
            return None;
        }
        let mut protocols = hello.alpn()?;
        let is_question = protocols.next() == Some(ACME_TLS) && protocols.next().is_none();
        let name = hello.server_name().filter(|_| is_question)?;
        self.answers().tls.get(&canonical(name)).cloned()
    }

    /// The answer to a request for this path over plain HTTP.
    pub(in crate::certificate) fn answer(&self, path: &[u8]) -> Option<String> {
        if !self.are_open.load(Ordering::Acquire) {
            return None;
        }
        let token = std::str::from_utf8(path).ok()?.strip_prefix(ACME_HTTP)?;
        self.answers().http.get(token).cloned()
    }

    /// Answers handshakes for this name with this hash of the key authorization.
    pub(super) fn open_tls(&self, name: &str, hash: &[u8]) -> Result<(), Unanswerable> {
        let config = Arc::new(config(name, hash)?);
        self.answers().tls.insert(canonical(name), config);
        self.are_open.store(true, Ordering::Release);
        Ok(())
    }

    /// Answers requests for this token with this key authorization.
    pub(super) fn open_http(&self, token: &str, authorization: &str) {
        self.answers().http.insert(token.to_owned(), authorization.to_owned());
        self.are_open.store(true, Ordering::Release);
    }

    /// Answers none any more.
    pub(super) fn close(&self) {
        *self.answers() = Answers::default();
        self.are_open.store(false, Ordering::Release);
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The certificate of an answer cannot be made.
#[derive(Debug, thiserror::Error)]
pub(in crate::certificate) enum Unanswerable {
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

/// A handshake that says nothing but that the key authorization is known. It asks for no certificate and begins no session.
fn config(name: &str, hash: &[u8]) -> Result<ServerConfig, Unanswerable> {
    let mut parameters = CertificateParams::new([name.to_owned()])?;
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(hash)];
    let pair = KeyPair::generate()?;
    let certificate = parameters.self_signed(&pair)?.der().clone();
    let key = any_supported_type(&PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der())))?;
    // Not checked, as others are: its extension is critical and known to nobody else.
    let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

//! A TLS server for tests.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The settings of a server that shows these certificates. It takes such as rustls itself would not load: of version 1, for example.
pub(crate) fn shows(certificates: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> ServerConfig {
    let key = any_supported_type(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    config.with_no_client_auth().with_cert_resolver(Arc::new(Fixed(Arc::new(CertifiedKey::new(certificates, key)))))
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

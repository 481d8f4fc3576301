//! [`Verifier`]: verifies that a server is the expected one.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension};

/// Verifies by authorities as rustls does. A certificate that an operator has named itself needs no authority: its signature would be
/// its own. That the server has its key is proven by the handshake, as always.
#[derive(Debug)]
pub(super) struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(authorities: Arc<WebPkiServerVerifier>, named: Vec<CertificateDer<'static>>) -> Self {
        Self { authorities, named }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match self.authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(refused) if self.named.iter().any(|named| named == certificate) => refused,
            outcome => return outcome,
        };
        check_named(certificate, name, now).unwrap_or(Err(refused)).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// What else must be so of a certificate that is trusted itself: its dates, what it is for, its name. None: it cannot be parsed.
fn check_named(der: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Option<Result<(), Error>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let parsed = ParsedCertificate::try_from(der).ok()?;
    Some(check_dates(&certificate, now).and_then(|()| check_purpose(&certificate)).and_then(|()| {
        match verify_server_name(&parsed, name) {
            // A certificate that lists no names has one in its subject, of old (RFC 2818 section 3.1), and so has that of a plain
            // `openssl req -x509 -subj /CN=backend`.
            Err(_) if has_no_list_of_names(&certificate) && is_common_name(&certificate, &name.to_str()) => Ok(()),
            outcome => outcome,
        }
    }))
}

fn check_dates(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let time =
        |seconds: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    let validity = certificate.validity();
    if seconds < validity.not_before.timestamp() {
        let not_before = time(validity.not_before.timestamp());
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if seconds > validity.not_after.timestamp() {
        return Err(CertificateError::ExpiredContext { time: now, not_after: time(validity.not_after.timestamp()) }.into());
    }
    Ok(())
}

/// If it says what it is for, then for servers.
fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    match certificate.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.any || usage.value.server_auth => Ok(()),
        _ => Err(CertificateError::InvalidPurpose.into()),
    }
}

fn has_no_list_of_names(certificate: &X509Certificate<'_>) -> bool {
    !certificate.extensions().iter().any(|extension| {
        let oid_is_list = extension.oid == x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
        oid_is_list || matches!(extension.parsed_extension(), ParsedExtension::SubjectAlternativeName(_))
    })
}

fn is_common_name(certificate: &X509Certificate<'_>, name: &str) -> bool {
    let mut names = certificate.subject().iter_common_name().map(|common| common.as_str());
    matches!((names.next(), names.next()), (Some(Ok(only)), None) if only.eq_ignore_ascii_case(name))
}

//! [`ClientCertificate`]: what a handshake has told of the client.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

use super::life::Life;

/// The certificate that a client has shown, and proved to have the key of. Made once for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of the certificate in DER, as in `x5t#S256` (RFC 8705 section 3.1).
    pub thumbprint: [u8; 32],
    /// When it ends, and with it what rests on it.
    pub not_after: SystemTime,
    /// The certificate, then those that the client has sent with it. DER.
    pub chain: Vec<Vec<u8>>,
    /// Its subject, as text (RFC 4514 in its order).
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, in lower-case hexadecimal digits.
    pub serial: String,
}

impl ClientCertificate {
    /// What a handshake's certificates say, the client's own first. None: there are none, or it cannot be read.
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let leaf = chain.first()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest(&SHA256, leaf).as_ref());
        Some(Self {
            thumbprint,
            not_after: Life::of(&parsed).not_after,
            chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

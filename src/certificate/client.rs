//! [`ClientCertificate`]: what a handshake has told of the client.

use std::{sync::OnceLock, time::SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use super::life::Life;

/// The certificate that a client has shown, and proved to have the key of. Made once for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of the certificate in DER, as in `x5t#S256` (RFC 8705 section 3.1).
    pub thumbprint: [u8; 32],
    /// When it ends, and with it what rests on it.
    pub not_after: SystemTime,
    /// Its alternative names, as they are: of hosts, URIs (such as SPIFFE's) and e-mail addresses.
    pub names: Vec<String>,
    /// Its subject, as text (RFC 4514 in its order).
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, in lower-case hexadecimal digits.
    pub serial: String,
    /// The certificate, then those that the client has sent with it. DER.
    chain: Vec<Vec<u8>>,
    /// For upstreams, made when one is told of it.
    client_cert: OnceLock<HeaderValue>,
    client_cert_chain: OnceLock<Option<HeaderValue>>,
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
            names: names(&parsed),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
            client_cert: OnceLock::new(),
            client_cert_chain: OnceLock::new(),
        })
    }

    /// The value of `Client-Cert` (RFC 9440 section 2.2).
    pub fn client_cert(&self) -> &HeaderValue {
        let value = || list(self.chain.get(..1)).unwrap_or(HeaderValue::from_static(""));
        self.client_cert.get_or_init(value)
    }

    /// The value of `Client-Cert-Chain` (section 2.3); None if the client has sent its own certificate alone.
    pub fn client_cert_chain(&self) -> Option<&HeaderValue> {
        self.client_cert_chain.get_or_init(|| list(self.chain.get(1..).filter(|rest| !rest.is_empty()))).as_ref()
    }
}

/// A list of byte sequences (RFC 8941 section 3.3.5).
fn list(certificates: Option<&[Vec<u8>]>) -> Option<HeaderValue> {
    let items: Vec<_> = certificates?.iter().map(|der| format!(":{}:", STANDARD.encode(der))).collect();
    HeaderValue::from_str(&items.join(", ")).ok()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => Some((*text).to_owned()),
        _ => None,
    };
    alternative.value.general_names.iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut parameters = CertificateParams::new(["device-1.contoso.com".to_owned()]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "device 1");
        parameters.serial_number = Some(SerialNumber::from_slice(&[0x01, 0xab]));
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 1);
        change(&mut parameters);
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn what_a_certificate_says_is_read_once() {
        let uri = SanType::URI("spiffe://contoso.com/device/1".try_into().unwrap());
        let mail = SanType::Rfc822Name("device@contoso.com".try_into().unwrap());
        let der = certificate(|it| it.subject_alt_names.extend([uri, mail]));
        let client = ClientCertificate::of(std::slice::from_ref(&der)).unwrap();
        assert_eq!(client.thumbprint, <[u8; 32]>::from(Sha256::digest(&der)));
        assert_eq!(client.not_after, SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_893_456_000));
        assert_eq!((client.subject.as_str(), client.serial.as_str()), ("CN=device 1", "01ab"));
        assert_eq!(client.names, ["device-1.contoso.com", "spiffe://contoso.com/device/1", "device@contoso.com"]);
        assert!(ClientCertificate::of(&[]).is_none() && ClientCertificate::of(&[vec![0x30, 0].into()]).is_none());
    }

    #[test]
    fn upstreams_are_told_in_byte_sequences() {
        let (leaf, one, two) = (certificate(|_| {}), certificate(|_| {}), certificate(|_| {}));
        let alone = ClientCertificate::of(std::slice::from_ref(&leaf)).unwrap();
        let of = |der: &CertificateDer<'_>| format!(":{}:", STANDARD.encode(der));
        assert_eq!(alone.client_cert(), &of(&leaf));
        assert_eq!(alone.client_cert_chain(), None);
        let chain = ClientCertificate::of(&[leaf.clone(), one.clone(), two.clone()]).unwrap();
        assert_eq!(chain.client_cert(), &of(&leaf));
        assert_eq!(chain.client_cert_chain().unwrap(), &format!("{}, {}", of(&one), of(&two)));
    }
}

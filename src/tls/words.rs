//! [`explain`]: what is wrong with a server's certificate, and how to fix it.

use std::{error::Error, io, path::Path};

use rustls::{AlertDescription, CertificateError};

/// What an error, or what caused it, says of TLS; none: it is about something else.
///
/// `ca_file` is the setting by which the authorities are named, if they are.
pub fn explain(error: &(dyn Error + 'static), ca_file: Option<&Path>) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = cause.downcast_ref::<rustls::Error>().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        if let Some(tls) = tls {
            return Some(words(tls, ca_file));
        }
        // What an I/O error holds is not what caused it, but it is, for whoever looks for the cause.
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    None
}

fn words(error: &rustls::Error, ca_file: Option<&Path>) -> String {
    match error {
        rustls::Error::InvalidCertificate(refused) => format!("the server's certificate {}", certificate(refused, ca_file)),
        rustls::Error::NoCertificatesPresented => "the server presented no certificate".to_owned(),
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port: is it `http://`, or a different port?".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => {
            format!("the server shares no TLS version or cipher suite with the gateway, which supports TLS 1.2 and 1.3 ({error})")
        }
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the server does not serve the host name in the URL".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
            format!(
                "the server aborted the handshake: it may require a client certificate (upstream.tls.certificate and key), or another \
                 one ({error})"
            )
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn certificate(refused: &CertificateError, ca_file: Option<&Path>) -> String {
    match refused {
        // The second: one of the same name, with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match ca_file {
            Some(path) => format!(
                "was issued by an authority that is not in ca_file ({}): add that authority's certificate, or the server's own",
                path.display()
            ),
            None => "was issued by an authority that this system does not trust: set ca_file to a file with that authority's certificate, \
                     or the server's own"
                .to_owned(),
        },
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            let kind = if expected.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", ") };
            format!(
                "is for {names}, not for {expected}: use one of its names in the URL, or create a certificate with \
                 `-addext subjectAltName={kind}:{expected}`"
            )
        }
        CertificateError::NotValidForName => "is for a different name than the one in the URL".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("expired at {}: renew it", date(not_after.as_secs())),
        CertificateError::Expired => "has expired: renew it".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}: is the clock of this machine right?", date(not_before.as_secs()))
        }
        CertificateError::NotValidYet => "is not valid yet: is the clock of this machine right?".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers: create one with `-addext extendedKeyUsage=serverAuth`".to_owned()
        }
        CertificateError::BadEncoding => "is damaged".to_owned(),
        CertificateError::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => match ca_file {
                Some(path) => format!(
                    "is marked as an authority's (CA:TRUE), as `openssl req -x509` does: put this certificate into ca_file ({})",
                    path.display()
                ),
                None => "is marked as an authority's (CA:TRUE), as `openssl req -x509` does: set ca_file to a file with this \
                         certificate"
                    .to_owned(),
            },
            "UnsupportedCertVersion" => "is X.509 version 1, which has no host names: create one of version 3 with \
                                         `-addext subjectAltName=DNS:NAME`"
                .to_owned(),
            other => format!("cannot be used ({other})"),
        },
        other => format!("cannot be used ({other})"),
    }
}

/// The library writes `DnsName("localhost")` and `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"').escape_default().take(100).collect()
}

/// In UTC, RFC 3339.
pub(super) fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let text = at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok());
    text.unwrap_or_else(|| format!("{seconds} s after 1970"))
}

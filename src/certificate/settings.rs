//! The settings of a TLS listener.

use std::{path::PathBuf, time::Duration};

/// What a TLS listener shows and demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificates, each found by the names in it. Several may have the same name, such as P-256 beside RSA: the client's
    /// signature schemes decide.
    pub certificates: Vec<PairFiles>,
    /// A certificate that an authority issues by itself. Default: none.
    pub acme: Option<AcmeSettings>,
    /// What a client gets that names no host, or one without a certificate. Default: the first certificate.
    pub default: DefaultCertificate,
    /// The oldest version of TLS. Default 1.2.
    pub min_version: MinVersion,
    /// Whether clients show certificates. Default: they are not asked for one.
    pub client_certificates: ClientCertificateSettings,
    /// For a handshake as a whole, from the accepted connection on. Default 10 s; 1 s to 60 s.
    pub handshake_timeout: Duration,
    /// Whether HTTP/2 is offered beside HTTP/1.1. Default yes.
    pub http2: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            acme: None,
            default: DefaultCertificate::First,
            min_version: MinVersion::Tls12,
            client_certificates: ClientCertificateSettings::default(),
            handshake_timeout: Duration::from_secs(10),
            http2: true,
        }
    }
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The server's certificate, then its intermediates, each issued by the next one.
    pub chain: PathBuf,
    /// The key, not encrypted; a private file. It may be the same file as the chain.
    pub key: PathBuf,
}

/// A certificate that an authority issues by itself (ACME, RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The names that it is for; never empty. Its file has the first one's name.
    pub domains: Vec<String>,
    /// Whom the authority may write to. Default: nobody.
    pub email: Option<String>,
    /// Where the authority is. Default: Let's Encrypt.
    pub directory: String,
    /// Where account and certificate are kept, readable by nobody else. Default: `acme` beside the config.
    pub folder: PathBuf,
    /// How the authority finds out that the names are ours.
    pub challenge: AcmeChallenge,
    /// The authorities that the ACME server's own certificate may be from, PEM. Default: the system's.
    pub ca_file: Option<PathBuf>,
}

impl AcmeSettings {
    /// Let's Encrypt.
    pub const DIRECTORY: &'static str = "https://acme-v02.api.letsencrypt.org/directory";
    /// The name of the folder.
    pub const FOLDER: &'static str = "acme";
}

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            email: None,
            directory: Self::DIRECTORY.to_owned(),
            folder: Self::FOLDER.into(),
            challenge: AcmeChallenge::default(),
            ca_file: None,
        }
    }
}

/// How an authority finds out that a name is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// By a handshake with this listener, which it has to reach on port 443 (RFC 8737).
    #[default]
    TlsAlpn,
    /// By a request to a plain listener, which it has to reach on port 80 (RFC 8555 section 8.3).
    Http,
}

/// What a client gets that names no host, or one without a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultCertificate {
    /// The first certificate, and others that share a name with it.
    #[default]
    First,
    /// The certificates of this name.
    Of(String),
    /// None: the handshake is refused with `unrecognized_name`.
    Refused,
}

/// The oldest version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// 1.2, and 1.3 for clients that have it.
    #[default]
    Tls12,
    /// 1.3 alone.
    Tls13,
}

/// Whether clients show certificates, by the name that they ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificateSettings {
    /// For all names without rules of their own, and for clients that ask for none.
    pub rules: ClientRules,
    /// For these names, which may begin with `*.`; each has rules of its own. Default: none.
    pub names: Vec<(String, ClientRules)>,
}

/// Which certificates clients show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientRules {
    /// Whether they show one. Default: they are not asked.
    pub mode: ClientMode,
    /// The authorities that issue them, in PEM. Needed if clients are asked.
    pub ca_file: Option<PathBuf>,
    /// Lists of revoked certificates, in PEM or DER. Default none: nothing is revoked. With one, each certificate between the client's
    /// and an authority of `ca_file` must be covered by a list that has not expired.
    pub crl_files: Vec<PathBuf>,
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientMode {
    /// They are not asked.
    #[default]
    None,
    /// They are asked; without one they are served too, with one that is not valid not.
    Optional,
    /// They are not served without.
    Required,
}

//! [`Target`]: where requests go, and connections to it.

use std::{io, net::SocketAddr, sync::Arc};

use hyper::{
    Uri,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use crate::{Failure, args::TargetArgs};

/// A connection, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A resolved URL, and what each request to it has.
pub struct Target {
    addresses: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Path and query.
    pub path: Uri,
    /// `Host` and what the command line asks for.
    pub headers: HeaderMap,
}

impl Target {
    /// Looks up the host. The command line wants a URL.
    pub async fn resolve(args: &TargetArgs, url: Uri) -> Result<Self, Failure> {
        let trouble = |what: &str| Failure::Trouble(format!("{url}: {what}"));
        let is_tls = match url.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(trouble("give a URL with http:// or https://")),
        };
        let authority = url.authority().ok_or_else(|| trouble("there is no host in it"))?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses: Vec<_> =
            lookup_host((host, port)).await.map_err(|error| trouble(&format!("cannot find the host: {error}")))?.collect();
        let tls = match is_tls {
            true => {
                let name = ServerName::try_from(host.to_owned()).map_err(|error| trouble(&error.to_string()))?;
                Some((TlsConnector::from(Arc::new(tls_config(args)?)), name))
            }
            false => None,
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let path = path.parse().map_err(|error| trouble(&format!("{error}")))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| trouble(&error.to_string()))?;
        let mut headers = HeaderMap::from_iter([(hyper::header::HOST, host)]);
        for line in &args.header {
            let (name, value) = header(line)?;
            headers.append(name, value);
        }
        Ok(Self { addresses, tls, path, headers })
    }

    /// A new connection.
    pub async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(&self.addresses[..]).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await?),
            None => Box::new(stream),
        })
    }
}

/// `Name: value`.
pub fn header(line: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let parsed = line.split_once(':').and_then(|(name, value)| Some((name.trim().parse().ok()?, value.trim().parse().ok()?)));
    parsed.ok_or_else(|| Failure::Trouble(format!("not a header, \"Name: value\": {line:?}")))
}

fn tls_config(args: &TargetArgs) -> Result<ClientConfig, Failure> {
    let Some(path) = &args.ca_file else {
        return ClientConfig::with_platform_verifier()
            .map_err(|error| Failure::Trouble(format!("the system's certificates cannot be used: {error}; try --ca-file")));
    };
    let trouble = |error: &dyn std::fmt::Display| Failure::Trouble(format!("{}: {error}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| trouble(&error))? {
        roots.add(certificate.map_err(|error| trouble(&error))?).map_err(|error| trouble(&error))?;
    }
    if roots.is_empty() {
        return Err(trouble(&"there is no certificate in it"));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

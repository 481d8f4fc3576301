//! [`Target`]: where requests go, and connections to it.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

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

use super::Trouble;

/// A connection, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A resolved URL, and what each request to it has.
pub struct Target {
    addresses: Vec<SocketAddr>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Path and query.
    pub path: Uri,
    /// With `ws` or `wss`.
    pub socket_url: Uri,
    /// `Host` and what else was asked for.
    pub headers: HeaderMap,
}

impl Target {
    /// Looks up the host. Each request will have these headers, `Name: value`. Over TLS, the certificates in this PEM file are trusted
    /// instead of the system's.
    pub async fn resolve(url: &Uri, headers: &[String], ca_file: Option<&Path>) -> Result<Self, Trouble> {
        let is_tls = match url.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(Trouble::with(url, "must begin with http:// or https://")),
        };
        let authority = url.authority().ok_or_else(|| Trouble::with(url, "has no host"))?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses = lookup_host((host, port)).await.map_err(|error| Trouble::with(url, error))?.collect();
        let tls = match is_tls {
            true => {
                let name = ServerName::try_from(host.to_owned()).map_err(|error| Trouble::with(url, error))?;
                Some((TlsConnector::from(Arc::new(tls_config(ca_file)?)), name))
            }
            false => None,
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let scheme = if is_tls { "wss" } else { "ws" };
        let socket_url = format!("{scheme}://{authority}{path}").parse().map_err(|error| Trouble::with(url, error))?;
        let path = path.parse().map_err(|error| Trouble::with(url, error))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| Trouble::with(url, error))?;
        let mut all = HeaderMap::from_iter([(hyper::header::HOST, host)]);
        for line in headers {
            let (name, value) = header(line)?;
            all.append(name, value);
        }
        Ok(Self { addresses, tls, path, socket_url, headers: all })
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
pub fn header(line: &str) -> Result<(HeaderName, HeaderValue), Trouble> {
    let parsed = line.split_once(':').and_then(|(name, value)| Some((name.trim().parse().ok()?, value.trim().parse().ok()?)));
    parsed.ok_or_else(|| Trouble::with(line, "not a header, \"Name: value\""))
}

fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, Trouble> {
    let Some(path) = ca_file else {
        return ClientConfig::with_platform_verifier()
            .map_err(|error| Trouble::with("the system's certificates cannot be used; set --ca-file", error));
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| Trouble::with(path.display(), error))? {
        let certificate = certificate.map_err(|error| Trouble::with(path.display(), error))?;
        roots.add(certificate).map_err(|error| Trouble::with(path.display(), error))?;
    }
    if roots.is_empty() {
        return Err(Trouble::with(path.display(), "contains no certificate"));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

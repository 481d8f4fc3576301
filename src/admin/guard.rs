//! Who may make changes through the listener.
//!
//! A request needs the credential, and must not come from a browser: one with an `Origin` comes from a page, and one with a
//! foreign `Host` comes from a page whose own name points to this listener (DNS rebinding). If the listener is for this machine
//! only, such a page cannot read anything either.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::net::TcpStream;

use super::{Admin, credential::Credential};

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    local: Option<SocketAddr>,
    peer: SocketAddr,
}

impl Connection {
    pub(super) fn new(stream: &TcpStream, peer: SocketAddr) -> Self {
        Self { local: stream.local_addr().ok(), peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()) }
    }
}

/// Proof that a request may change something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    pub(super) peer: SocketAddr,
}

/// Why a request may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    FromAPage,
    ForeignHost,
    NoCredentialConfigured,
    CredentialUnusable,
    NoCredential,
}

impl Refusal {
    const fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::FromAPage => (StatusCode::FORBIDDEN, "origin", "requests from web pages (with an Origin) are not accepted here"),
            Self::ForeignHost => {
                (StatusCode::FORBIDDEN, "host", "the Host is not that of this listener: use localhost or its address")
            }
            Self::NoCredentialConfigured => (
                StatusCode::FORBIDDEN,
                "no_credential_file",
                "no credential is configured, so nothing can be changed: set admin.credential_file, create the file with `syncgate admin \
                 credential --config FILE`, and reload",
            ),
            Self::CredentialUnusable => {
                (StatusCode::FORBIDDEN, "credential_file", "the gateway cannot read its admin.credential_file; its log says why")
            }
            Self::NoCredential => (
                StatusCode::UNAUTHORIZED,
                "credential",
                "the credential in admin.credential_file is required: Authorization: Bearer ..., or use `syncgate admin`",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error, description) = self.row();
        let body = Json(serde_json::json!({ "error": error, "error_description": description }));
        let mut answer = (status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if self == Self::NoCredential {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"syncgate admin\""));
        }
        answer
    }
}

impl FromRequestParts<Arc<Admin>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Refusal> {
        let connection = ConnectInfo::<Connection>::from_request_parts(parts, admin).await.map_err(|_| Refusal::ForeignHost)?.0;
        check(&parts.headers, connection, admin).inspect_err(|refusal| {
            tracing::warn!(peer = %connection.peer, reason = refusal.row().1, "a change through the admin listener was refused");
        })?;
        Ok(Self { peer: connection.peer })
    }
}

/// Refuses a page whose own name points to a listener for this machine only: there is no honest way to another
/// `Host` there. A listener that others can reach may have any name.
pub(super) async fn show_to_no_page(request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<ConnectInfo<Connection>>().map(|ConnectInfo(connection)| *connection);
    let local = connection.and_then(|connection| connection.local).filter(|local| local.ip().to_canonical().is_loopback());
    let is_foreign = |local| {
        request.headers().contains_key(header::HOST)
            && !one(request.headers(), header::HOST).is_some_and(|host| is_own(host, Some(local)))
    };
    if local.is_some_and(is_foreign) { Refusal::ForeignHost.into_response() } else { next.run(request).await }
}

fn check(headers: &HeaderMap, connection: Connection, admin: &Admin) -> Result<(), Refusal> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Refusal::FromAPage);
    }
    if !one(headers, header::HOST).is_some_and(|host| is_own(host, connection.local)) {
        return Err(Refusal::ForeignHost);
    }
    let path = admin.shown.load().credential_file.clone().ok_or(Refusal::NoCredentialConfigured)?;
    // Read for each call, which is rare: so the credential can be changed without a restart.
    let credential = Credential::read(&path).map_err(|error| {
        tracing::error!(%error, "the credential of the admin listener cannot be used");
        Refusal::CredentialUnusable
    })?;
    let said = one(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refusal::NoCredential)?;
    if credential.is(said.as_bytes()) { Ok(()) } else { Err(Refusal::NoCredential) }
}

/// The value of a header that must be there exactly once.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Whether a `Host` names this listener: this machine, or the address that the connection came to. Never another name, since names can
/// be pointed anywhere.
fn is_own(host: &str, local: Option<SocketAddr>) -> bool {
    let unbracketed = |host: &str| host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let has_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if has_port(port) && (name.ends_with(']') || !name.contains(':')) => name,
        _ => host,
    };
    let address = unbracketed(name);
    name.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|address| address.is_loopback() || local.is_some_and(|local| local.ip().to_canonical() == address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_own_if_no_name_can_be_pointed_at_it() {
        let local = Some(SocketAddr::from(([10, 1, 2, 3], 9090)));
        for own in
            ["localhost", "LOCALHOST:9090", "127.0.0.1:9090", "127.9.9.9", "[::1]:9090", "[::1]", "10.1.2.3:9090", "10.1.2.3"]
        {
            assert!(is_own(own, local), "{own}");
        }
        for foreign in [
            "",
            ":9090",
            "contoso.com",
            "localhost.contoso.com:9090",
            "contoso.com:9090",
            "10.1.2.4:9090",
            "127.0.0.1.contoso.com",
            "localhost:x",
            "127.0.0.1@contoso.com",
            "2130706433",
        ] {
            assert!(!is_own(foreign, local), "{foreign}");
        }
        assert!(!is_own("10.1.2.3", None));
    }
}

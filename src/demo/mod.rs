//! A whole world in one process: an issuer like Azure AD B2C, a sync backend with one pinned key, the gateway between them.
//!
//! `syncgate demo` is for people; tests and benches are built on it. Everything uses real HTTP on loopback, on a free port
//! unless configured, and can be stopped and restarted.
//!
//! ```text
//! DemoIssuer   tokens of any kind, key rotation, a hostile provider on command
//! DemoBackend  verifies with the pinned key by itself, remembers what it received
//! World        both, with the gateway between them, and its endpoints if wanted
//! story        plays a client of the world and checks what everybody saw
//! ```

pub mod backend;
mod certificate;
mod endpoints;
pub mod guide;
mod http;
pub mod issuer;
mod key;
mod metrics_text;
pub mod story;
pub mod world;

use std::{io, net::SocketAddr};

pub use backend::DemoBackend;
pub use certificate::DemoCertificate;
pub use issuer::DemoIssuer;
pub use key::DemoKey;
pub use metrics_text::MetricsText;
pub use world::World;

/// A free port of the loopback interface.
pub const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// An HTTP client for the demo and for tests: no redirects, no proxy.
///
/// reqwest is built without a TLS provider of its own and panics where the process has none, even for plain http. The command
/// line installs one at start; a test process has this place only.
pub fn http_client() -> io::Result<reqwest::Client> {
    // Fails where one is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().map_err(io::Error::other)
}

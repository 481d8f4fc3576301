//! Who the client is: what the connection shows, what trusted proxies say of it, and what upstreams are told. Nothing else reads or writes
//! the fields that tell it.
//!
//! A proxy is trusted by its address. Lists are read from the right, the end that the nearest proxy has written, so what a client has put
//! there itself is never reached.

mod client;
mod element;
#[cfg(feature = "fuzzing")]
pub(in crate::proxy) mod fuzzing;
mod host;
mod names;
mod peer;
mod proxy_header;
mod settings;
mod told;
mod trust;
mod walk;

pub(in crate::proxy) use self::{
    client::Client,
    names::TELLING,
    peer::{Peer, Scheme},
    proxy_header::{ProxyHeader, ProxyHeaderFault, read_proxy_header},
    told::told,
};
pub use self::{
    settings::{ClientField, ForwardedFor, TellSettings, TrustSettings},
    trust::TrustedProxies,
};

//! Settings: which proxies are believed, and what upstreams are told.

use http::HeaderName;

use crate::proxy::address::trust::TrustedProxies;

/// Whom to believe about who the client is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustSettings {
    /// The proxies in front. Default: none.
    pub proxies: TrustedProxies,
    /// Where they say who the client is. Default: `X-Forwarded-For`.
    pub client_field: ClientField,
}

/// Where trusted proxies say who the client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientField {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`, `-Host` and `-Port`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), with its `proto` and `host`.
    Forwarded,
    /// Another field, such as `cf-connecting-ip`; for the rest, `X-Forwarded-Proto`, `-Host` and `-Port`.
    Named(HeaderName),
}

/// What upstreams are told of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TellSettings {
    /// The value of `X-Forwarded-For`. Default: the client alone.
    pub forwarded_for: ForwardedFor,
    /// Whether `Forwarded` (RFC 7239) is written too. Default: no.
    pub forwarded: bool,
}

/// What an upstream gets as `X-Forwarded-For`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedFor {
    /// The address of the client.
    #[default]
    Client,
    /// The address of the client, and of each trusted proxy behind it.
    Chain,
}

//! The edge: connections, routes, where tokens sit, headers, answers, the access log. Built on Pingora.

mod settings;

pub use settings::{HeaderSettings, HostHeader, ListenSettings, ProxySettings, RouteSettings, UpstreamSettings};

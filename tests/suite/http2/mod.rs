//! HTTP/2 with clients: over TLS, by ALPN, with the client of the h2 crate.

pub mod client;
mod streams;

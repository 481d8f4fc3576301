//! HTTP/2 with clients: over TLS, by ALPN, with the client of the h2 crate.

mod client;
mod streams;

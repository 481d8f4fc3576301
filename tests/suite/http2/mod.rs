//! HTTP/2 with clients: over TLS, by ALPN, with the client of the h2 crate, and with frames written by hand.

pub mod client;
mod ends;
mod floods;
mod headers;
mod streams;

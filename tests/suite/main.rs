//! The integration tests: a real gateway over real sockets, in process, on port 0. One binary, since each links the whole gateway.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

mod answers;
mod architecture;
mod bounds;
mod browsers;
mod check;
mod client_paths;
mod conformance;
mod corpus;
mod corpus_keys;
mod corpus_tokens;
mod demo_backend;
mod demo_issuer;
mod differential;
mod duplex;
mod ends;
mod every_rejection;
mod explain;
mod forwarding;
mod fuzz_seeds;
mod header_bounds;
mod hop_by_hop;
mod hostile;
mod hostile_provider;
mod installed;
mod interop;
mod key_admin;
mod kit;
mod leaks;
mod lifecycle;
mod load;
mod minting;
#[path = "../oracle/mod.rs"]
mod oracle;
mod own_trouble;
mod places;
mod process;
mod readme;
mod realm;
mod recorder;
mod refusal_docs;
mod refusals;
mod relay;
mod reload;
mod revocation;
mod rotation;
mod routes;
mod secrets;
mod seeds;
mod story;
mod streams;
mod tenants;
mod upstream_tls;
mod upstreams;
mod zero;

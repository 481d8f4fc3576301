//! The integration tests: a real gateway over real sockets, in process, on port 0. One binary, since each links the whole gateway.

mod architecture;
mod conformance;
mod corpus;
mod corpus_keys;
mod demo_backend;
mod demo_issuer;
mod explain;
mod hostile;
mod kit;
mod lifecycle;
mod refusals;
mod story;
mod streams;
mod upstreams;

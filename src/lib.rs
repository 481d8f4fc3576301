//! syncgate: an authentication gateway.
//!
//! Clients log in with Microsoft or any OpenID provider. The backend behind the gateway trusts one pinned public key. On each
//! request the gateway verifies the client's token, exchanges it for its own small JWT, and forwards.
//!
//! # Life of a request
//!
//! ```text
//! client
//!   proxy::client       accept; a deadline for the header
//!   proxy::policy       target and Host well formed?        400
//!     route             by host, path and method            404, 400 if servers may read it in two ways
//!     token_place       exactly one token, where it belongs 401, 400; public routes ask for none
//!     exchange.identify digest -> cached identity           hot: no cryptography but the digest
//!       token::verify   or: parse, claims, key, signature   401, 503 while there are no keys
//!     permission.check  scopes, roles, claims, nonce        403; on every request, before anything is minted
//!     exchange.admit    cached user token                   hot: a prepared header value
//!       token::mint     or: signed on a thread of its own   503 if too many wait
//!   proxy::upstream     an address, a connection            502, 504
//!   proxy::relay        both ways at once
//!   upstream            sees the user token where it looks for it, never the client's
//! ```
//!
//! Everything that rests on a token ends at its **end** (`exp` plus leeway): the cached identity, the user token, a socket, a feed.
//!
//! # Rooms
//!
//! | room | what it is for | may use |
//! |---|---|---|
//! | [`token`] | the core, pure: bytes to verified token, verified token to user token; every reason to refuse | nothing |
//! | [`metrics`] | every series, declared once | nothing |
//! | [`priority`] | threads that give way to others | nothing |
//! | [`private_file`] | files that only their owner may read | nothing |
//! | [`terminal`] | text for people | nothing |
//! | [`tls`] | TLS to others: whom we trust, and the words for whom we do not | nothing |
//! | [`certificate`] | TLS to clients: which certificate, which policy, and who the client is by its own | metrics, private_file, tls |
//! | [`limits`] | how often, and how many at a time: by address, by user | nothing |
//! | [`jwks`] | how an issuer's keys arrive and stay | metrics, private_file, tls, token |
//! | [`signing`] | how our own key arrives | private_file, token |
//! | [`exchange`] | bearer token in, user token out, at full speed | jwks, metrics, priority, signing, token |
//! | [`endpoint`] | what the gateway answers itself: minted tokens, our public key, metadata | certificate, exchange, private_file, token |
//! | [`proxy`] | the edge, on Pingora | certificate, endpoint, exchange, limits, metrics, priority, private_file, tls, token |
//! | [`admin`] | what operators see and do | exchange, jwks, metrics, private_file, signing, token |
//! | [`config`] | one YAML file to the settings of each room | admin, certificate, endpoint, exchange, jwks, limits, private_file, proxy, signing, tls, token |
//! | [`server`] | puts the rooms together | admin, certificate, config, exchange, jwks, metrics, proxy, signing, token |
//! | [`demo`] | a whole world in one process; tests and benches stand on it | admin, certificate, config, endpoint, exchange, jwks, limits, private_file, proxy, server, signing, terminal, token |
//! | [`cli`] | one file for each sub-command | admin, certificate, config, demo, endpoint, jwks, metrics, proxy, server, signing, terminal, token |
//!
//! A test reads the sources and fails on an arrow that points back.

pub mod admin;
pub mod certificate;
pub mod cli;
pub mod config;
#[cfg(test)]
#[path = "../tests/corpus/mod.rs"]
mod corpus;
#[cfg(feature = "demo")]
pub mod demo;
pub mod endpoint;
pub mod exchange;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod jwks;
pub mod limits;
pub mod metrics;
pub mod priority;
pub mod private_file;
pub mod proxy;
pub mod server;
pub mod signing;
pub mod terminal;
pub mod tls;
pub mod token;

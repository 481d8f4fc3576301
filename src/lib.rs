//! syncgate: an authentication gateway.
//!
//! Clients log in with Microsoft or any OpenID provider. The backend behind the gateway trusts one pinned public key.
//! On each request the gateway verifies the client's token, exchanges it for a small JWT of its own and forwards.

pub mod admin;
pub mod cli;
pub mod config;
pub mod demo;
pub mod exchange;
pub mod jwks;
pub mod metrics;
pub mod proxy;
pub mod server;
pub mod signing;
pub mod token;

//! One reader for each part of the file: a plain list of its keys, with their ranges and defaults.

pub(super) mod addresses;
pub(super) mod backends;
pub(super) mod basics;
pub(super) mod browsers;
pub(super) mod conflicts;
pub(super) mod doubtful;
pub(super) mod endpoints;
pub(super) mod exposure;
pub(super) mod headers;
pub(super) mod identity;
pub(super) mod issuer_keys;
pub(super) mod issuer_rule;
pub(super) mod issuers;
pub(super) mod listen;
pub(super) mod metadata;
pub(super) mod mint;
pub(super) mod mint_presets;
pub(super) mod parties;
pub(super) mod permission;
pub(super) mod places;
pub(super) mod presets;
pub(super) mod routes;
pub(super) mod signing;
pub(super) mod tls;
pub(super) mod trust;
mod upstream_url;
pub(super) mod upstreams;

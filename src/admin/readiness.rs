//! Whether the gateway should be sent users.
//!
//! Ready once one issuer has keys, and until the gateway is told to stop. Never unready while keys serve: in an outage of the provider a load balancer must not empty itself.

use serde::Serialize;

use crate::{admin::Issuer, token::Timestamp};

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    draining: bool,
    issuers: Vec<IssuerReadiness>,
}

#[derive(Debug, Serialize)]
struct IssuerReadiness {
    name: String,
    ready: bool,
    keys: usize,
    /// Seconds since the key set was last fetched; absent before the first success.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
}

impl Readiness {
    pub(super) fn of(issuers: &[Issuer], draining: bool, now: Timestamp) -> Self {
        let issuers: Vec<_> = issuers
            .iter()
            .map(|issuer| IssuerReadiness {
                name: issuer.name.clone(),
                ready: issuer.keys.is_ready(now),
                keys: issuer.keys.load(now).keys().len(),
                age_seconds: issuer.keys.age(now).map(|age| age.as_secs()),
            })
            .collect();
        Self { ready: !draining && issuers.iter().any(|issuer| issuer.ready), draining, issuers }
    }
}

//! Whether the gateway is ready for users.
//!
//! Ready once every issuer was tried and one has keys, and until the gateway is told to stop. Never unready while there are
//! keys: in an outage of the provider a load balancer must not remove all gateways.

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
    /// Whether each of its sources has been asked, with whatever outcome.
    tried: bool,
    keys: usize,
    /// Seconds since the key set was last fetched; absent before the first success.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
}

impl Readiness {
    pub(super) fn of(issuers: &[Issuer], was_ready: bool, draining: bool, now: Timestamp) -> Self {
        let issuers: Vec<_> = issuers
            .iter()
            .map(|issuer| IssuerReadiness {
                name: issuer.name.clone(),
                ready: issuer.keys.is_ready(now),
                tried: issuer.keys.was_tried(),
                keys: issuer.keys.load(now).distinct(),
                age_seconds: issuer.keys.age(now).map(|age| age.as_secs()),
            })
            .collect();
        let all_tried = was_ready || issuers.iter().all(|issuer| issuer.tried);
        let ready = !draining && all_tried && issuers.iter().any(|issuer| issuer.ready);
        Self { ready, draining, issuers }
    }
}

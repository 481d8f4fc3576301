//! The series of who clients are, and of what they may do no more.

use super::{Declare, IntCounter, IntCounterVec, MetricsError};

/// Who clients are.
#[derive(Debug)]
pub struct ClientMetrics {
    /// `syncgate_proxy_header_errors_total{kind}`: connections that were closed for want of a header of the PROXY protocol.
    pub proxy_header_errors: IntCounterVec,
    /// `syncgate_forwarded_ignored_total`.
    pub forwarded_ignored: IntCounter,
    /// `syncgate_limited_total{limit}`.
    pub limited: IntCounterVec,
}

impl ClientMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            proxy_header_errors: declare.counters(
                "proxy_header_errors_total",
                "Connections closed because their PROXY protocol header was missing, not valid or from an untrusted peer, by kind.",
                &["kind"],
            )?,
            forwarded_ignored: declare.counter(
                "forwarded_ignored_total",
                "Requests whose X-Forwarded-For, X-Forwarded-Proto or Forwarded was ignored, because their peer is not a trusted proxy.",
            )?,
            limited: declare.counters(
                "limited_total",
                "Connections closed and requests refused because a limit was reached, by limit.",
                &["limit"],
            )?,
        })
    }
}

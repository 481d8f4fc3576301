//! The series of the issuers' key sets.

use super::{Declare, GaugeVec, IntCounterVec, IntGaugeVec, MetricsError};

/// Key sets of the issuers.
#[derive(Debug)]
pub struct JwksMetrics {
    /// `syncgate_jwks_refresh_total{issuer,trigger,result}`: trigger `start`, `timer`, `retry`, `unknown_kid`, `admin`; result
    /// `changed`, `unchanged`, `error`.
    pub refreshes: IntCounterVec,
    /// `syncgate_jwks_refresh_suppressed_total{issuer}`: tokens with an unknown `kid` for which the budget allowed no refresh.
    pub suppressed: IntCounterVec,
    /// `syncgate_jwks_keys{issuer}`.
    pub keys: IntGaugeVec,
    /// `syncgate_jwks_skipped_keys{issuer,reason}`.
    pub skipped: IntGaugeVec,
    /// `syncgate_jwks_conflicts_total{issuer}`: a provider published another key under a known `kid`. Never normal.
    pub conflicts: IntCounterVec,
    /// `syncgate_jwks_issuer_changes_total{issuer}`: a discovery document named another issuer than before. Never normal.
    pub issuer_changes: IntCounterVec,
    /// `syncgate_jwks_issuer_mismatch{issuer}`: 1 if a discovery document names another issuer than the config.
    pub issuer_mismatch: IntGaugeVec,
    /// `syncgate_clock_skew_seconds{issuer}`: how far our clock is ahead of the provider's, by the date of its last answer; behind:
    /// negative.
    pub clock_skew: GaugeVec,
    /// `syncgate_jwks_snapshot_last_success{issuer}`: 1 if the snapshot was last written, 0 if that failed; absent without a snapshot.
    pub snapshot: IntGaugeVec,
    /// `syncgate_jwks_last_success_timestamp_seconds{issuer}`: of several sources the one fetched longest ago; 0 before the first.
    pub last_success: GaugeVec,
    /// `syncgate_jwks_age_seconds{issuer}`: since the last success; absent before the first. Brought up to date at each scrape.
    pub age: GaugeVec,
}

impl JwksMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            refreshes: declare.counters(
                "jwks_refresh_total",
                "Refreshes of a key set, by trigger and result.",
                &["issuer", "trigger", "result"],
            )?,
            suppressed: declare.counters(
                "jwks_refresh_suppressed_total",
                "Unknown kids for which the budget allowed no refresh.",
                &["issuer"],
            )?,
            keys: declare.gauges("jwks_keys", "Keys that verify tokens of the issuer.", &["issuer"])?,
            skipped: declare.gauges(
                "jwks_skipped_keys",
                "Keys of the last key set that are not used, by reason.",
                &["issuer", "reason"],
            )?,
            conflicts: declare.counters("jwks_conflicts_total", "Keys published under the kid of another key.", &["issuer"])?,
            issuer_changes: declare.counters(
                "jwks_issuer_changes_total",
                "Discovery documents that named another issuer than before.",
                &["issuer"],
            )?,
            issuer_mismatch: declare.gauges(
                "jwks_issuer_mismatch",
                "Whether a discovery document names another issuer than the config.",
                &["issuer"],
            )?,
            snapshot: declare.gauges(
                "jwks_snapshot_last_success",
                "Whether the last write of the snapshot succeeded.",
                &["issuer"],
            )?,
            clock_skew: declare.float_gauges(
                "clock_skew_seconds",
                "How far the clock is ahead of the provider's, by the date of its last response.",
                &["issuer"],
            )?,
            last_success: declare.float_gauges(
                "jwks_last_success_timestamp_seconds",
                "When the key set was last fetched; 0: never.",
                &["issuer"],
            )?,
            age: declare.float_gauges("jwks_age_seconds", "Time since the key set was last fetched.", &["issuer"])?,
        })
    }
}

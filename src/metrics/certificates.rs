//! Certificates of the listeners for clients.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{Declare, MetricsError};

/// Certificates shown to clients, and by which clients are verified. `file` is as in the config, `certificate` the number within it, from
/// 1 on: 1 is the server's own, the others are its intermediates. Those by which clients are verified have `authority-` before it.
#[derive(Debug)]
pub struct CertificateMetrics {
    /// `syncgate_certificate_not_before_timestamp_seconds{file,certificate}`.
    pub not_before: IntGaugeVec,
    /// `syncgate_certificate_not_after_timestamp_seconds{file,certificate}`.
    pub not_after: IntGaugeVec,
    /// `syncgate_certificate_last_reload_success{file}`: 0 if the file has changed, cannot be used, and what it held before serves on.
    pub last_reload_success: IntGaugeVec,
    /// `syncgate_revocation_list_next_update_timestamp_seconds{file}`: from then on clients with certificates are refused.
    pub next_update: IntGaugeVec,
    /// `syncgate_certificate_orders_total{result}`: `issued` or `failed`.
    pub orders: IntCounterVec,
}

impl CertificateMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            not_before: declare.gauges(
                "certificate_not_before_timestamp_seconds",
                "From when a certificate in use is valid, in seconds since the epoch.",
                &["file", "certificate"],
            )?,
            not_after: declare.gauges(
                "certificate_not_after_timestamp_seconds",
                "Until when a certificate in use is valid, in seconds since the epoch.",
                &["file", "certificate"],
            )?,
            last_reload_success: declare.gauges(
                "certificate_last_reload_success",
                "Whether what a file of certificates holds now is in use.",
                &["file"],
            )?,
            next_update: declare.gauges(
                "revocation_list_next_update_timestamp_seconds",
                "Until when a list of revoked certificates is valid, in seconds since the epoch.",
                &["file"],
            )?,
            orders: declare.counters(
                "certificate_orders_total",
                "Certificates ordered from an ACME authority, by result.",
                &["result"],
            )?,
        })
    }
}

//! TLS and HTTP/2 with clients.

use super::{Declare, IntCounterVec, IntGauge, MetricsError};

/// TLS and HTTP/2 with clients.
#[derive(Debug)]
pub struct SecureMetrics {
    /// `syncgate_tls_handshakes_total{version,kind}`: version `1.2` or `1.3`, kind `full` or `resumed`.
    pub handshakes: IntCounterVec,
    /// `syncgate_tls_handshake_failures_total{reason}`.
    pub handshake_failures: IntCounterVec,
    /// `syncgate_tls_unfinished_handshakes`.
    pub unfinished: IntGauge,
    /// `syncgate_http2_connections_ended_total{reason}`: `no_error`, `disconnected`, or what the client did wrong.
    pub http2_ended: IntCounterVec,
}

impl SecureMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            handshakes: declare.counters(
                "tls_handshakes_total",
                "TLS handshakes with clients, by version and whether a session was resumed.",
                &["version", "kind"],
            )?,
            handshake_failures: declare.counters(
                "tls_handshake_failures_total",
                "TLS handshakes with clients that failed, by reason.",
                &["reason"],
            )?,
            unfinished: declare.gauge("tls_unfinished_handshakes", "TLS handshakes with clients in progress.")?,
            http2_ended: declare.counters(
                "http2_connections_ended_total",
                "Ended HTTP/2 connections of clients, by reason.",
                &["reason"],
            )?,
        })
    }
}

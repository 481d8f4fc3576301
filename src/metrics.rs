//! Every series the gateway exports, declared in one place. Handles are resolved at start, not per request.
//!
//! Label values come from closed lists: names in the config, addresses of upstreams, enums, numbers that we choose. Never a path, a user, a `kid` or
//! other client input.

mod certificates;
mod clients;
mod jwks;
mod listening;
mod panics;
mod prune;
mod route;
mod secure;
mod upstreams;

pub use certificates::CertificateMetrics;
pub use clients::ClientMetrics;
pub use jwks::JwksMetrics;
pub use listening::Listening;
pub use panics::count_panic;
use prometheus::{Encoder, GaugeVec, HistogramOpts, HistogramVec, IntGaugeVec, Opts, Registry, TextEncoder, core::Collector};
pub use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
pub use route::RouteMetrics;
pub use secure::SecureMetrics;
pub use upstreams::{AddressSample, MAX_ADDRESS_SERIES, UpstreamMetrics, UpstreamSample};

/// From 10 microseconds: a cached exchange costs about one, a verification fifty, an RSA-4096 signature several thousand.
const EXCHANGE_BUCKETS: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];
/// Whole requests, long-polls and sockets included.
const REQUEST_BUCKETS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// A series could not be declared: two of one name, or an invalid one.
#[derive(Debug, thiserror::Error)]
#[error("metric cannot be declared: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All series. One instance for each gateway, so that two in one process (tests) do not mix.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests and connections.
    pub proxy: ProxyMetrics,
    /// Who clients are.
    pub clients: ClientMetrics,
    /// TLS and HTTP/2 with clients.
    pub secure: SecureMetrics,
    /// The addresses of upstreams.
    pub upstreams: UpstreamMetrics,
    /// Tokens verified and minted.
    pub exchange: ExchangeMetrics,
    /// Key sets of the issuers.
    pub jwks: JwksMetrics,
    /// The config in use.
    pub config: ConfigMetrics,
    /// Certificates shown to clients, and by which clients are verified.
    pub certificates: CertificateMetrics,
    /// `syncgate_accept_errors_total{listener,kind}`.
    accept_errors: IntCounterVec,
}

/// The config in use.
#[derive(Debug)]
pub struct ConfigMetrics {
    /// `syncgate_config_last_reload_success`: 1 if the last reload, or the start, was good; 0 if the last good config serves on.
    pub last_reload_success: IntGauge,
    /// `syncgate_config_last_reload_success_timestamp_seconds`: when the config in use was loaded.
    pub last_reload_success_timestamp: IntGauge,
}

/// Requests and connections.
#[derive(Debug)]
pub struct ProxyMetrics {
    /// `syncgate_requests_total{route,method,code,source}`: `source` is `gateway` or `upstream`.
    pub requests: IntCounterVec,
    /// `syncgate_request_duration_seconds{route}`.
    pub duration: HistogramVec,
    /// `syncgate_requests_in_flight`.
    pub in_flight: IntGauge,
    /// `syncgate_rejections_total{reason}`: the labels of [`Rejection`](crate::token::Rejection).
    pub rejections: IntCounterVec,
    /// `syncgate_left_to_backend_total{reason}`: WebSockets with an invalid token that were opened with a placeholder, so that the
    /// backend refuses them; not among the rejections.
    pub left_to_backend: IntCounterVec,
    /// `syncgate_upstream_errors_total{upstream,kind}`.
    pub upstream_errors: IntCounterVec,
    /// `syncgate_upstream_unauthorized_total{route}`: the upstream refused our own token, so pin and key do not match.
    pub upstream_unauthorized: IntCounterVec,
    /// `syncgate_connections`.
    pub connections: IntGauge,
    /// `syncgate_connections_total`.
    pub connections_accepted: IntCounter,
    /// `syncgate_connections_cut_total{cause}`: connections that the gateway ended.
    pub connections_cut: IntCounterVec,
    /// `syncgate_connections_limit`: most connections at a time.
    pub connections_limit: IntGauge,
    /// `syncgate_connections_full_total`: how often a client came when every connection was taken.
    pub connections_full: IntCounter,
    /// `syncgate_unreadable_requests_total{kind}`: what clients sent that is not a request, answered 400, 405, 431 or 505.
    pub unreadable: IntCounterVec,
    /// `syncgate_unfinished_header_bytes`: bytes held of headers that are not whole yet.
    pub unfinished_header_bytes: IntGauge,
    /// `syncgate_websocket_connections`.
    pub websockets: IntGauge,
    /// `syncgate_websockets_ended_total{cause}`: by whom and why: a cut of the gateway's, or `client_` or `upstream_` with `closed`
    /// (it was the first to say Close), `ended` (it left without one) or `reset` (its connection broke).
    pub websockets_ended: IntCounterVec,
    /// `syncgate_access_log_dropped_total`: lines that nobody took fast enough, or that could not be written.
    pub access_log_dropped: IntCounter,
    /// `syncgate_access_log_left_out_total`: refusals beyond the rate, which are summed up in lines of their own.
    pub access_log_left_out: IntCounter,
    /// `syncgate_log_dropped_total`: lines of the other log, likewise.
    pub log_dropped: IntCounter,
    /// `syncgate_clock_steps_total{direction}`: how often the system's clock was set, `forward` or `back`.
    pub clock_steps: IntCounterVec,
}

/// Tokens verified and minted.
#[derive(Debug)]
pub struct ExchangeMetrics {
    /// `syncgate_exchange_duration_seconds{stage}`: `verify`, `mint` (the wait for a thread included). A hit takes about a microsecond
    /// and is counted, not timed.
    pub duration: HistogramVec,
    /// `syncgate_cache_requests_total{cache,result}`: cache `identity` or `minted`, result `hit` or `miss`. A miss is a token
    /// that had to be verified, or minted; garbage that is refused before that is neither.
    pub cache_requests: IntCounterVec,
    /// `syncgate_cache_entries`.
    pub cache_entries: IntGauge,
    /// `syncgate_cache_bytes`: what the identities in the cache and their user tokens take, estimated.
    pub cache_bytes: IntGauge,
    /// `syncgate_signing_queue`: signatures waiting or in progress.
    pub signing_queue: IntGauge,
    /// `syncgate_group_overage_total{issuer}`.
    pub group_overage: IntCounterVec,
    /// `syncgate_minted_without_groups_total{profile}`.
    pub minted_without_groups: IntCounterVec,
    /// `syncgate_signing_key_info{algorithm,thumbprint}` = 1.
    pub signing_key: IntGaugeVec,
}

impl Metrics {
    /// Declares every series.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new_custom(Some("syncgate".into()), None)?;
        let declare = Declare(&registry);
        let metrics = Self {
            proxy: ProxyMetrics::new(&declare)?,
            clients: ClientMetrics::new(&declare)?,
            secure: SecureMetrics::new(&declare)?,
            upstreams: UpstreamMetrics::new(&declare)?,
            exchange: ExchangeMetrics::new(&declare)?,
            jwks: JwksMetrics::new(&declare)?,
            accept_errors: declare.counters(
                "accept_errors_total",
                "Connections that could not be accepted, by listener and cause.",
                &["listener", "kind"],
            )?,
            config: ConfigMetrics {
                last_reload_success: declare.gauge("config_last_reload_success", "Whether the last reload succeeded.")?,
                last_reload_success_timestamp: declare.gauge(
                    "config_last_reload_success_timestamp_seconds",
                    "When the config in use was loaded, in seconds since the epoch.",
                )?,
            },
            certificates: CertificateMetrics::new(&declare)?,
            registry: registry.clone(),
        };
        declare.panics("panics_total", "Panics of the process, each a bug in the gateway.")?;
        let build = declare.gauges("build_info", "The running version.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(metrics)
    }

    /// Every series in the Prometheus text format.
    pub fn render(&self) -> Result<String, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl ProxyMetrics {
    fn new(declare: &Declare<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            requests: declare.counters("requests_total", "Requests answered.", &["route", "method", "code", "source"])?,
            duration: declare.histograms(
                "request_duration_seconds",
                "Time from the request's header to the end of the response.",
                REQUEST_BUCKETS,
                &["route"],
            )?,
            in_flight: declare.gauge("requests_in_flight", "Requests in progress, WebSockets included.")?,
            rejections: declare.counters("rejections_total", "Requests refused, by reason.", &["reason"])?,
            left_to_backend: declare.counters(
                "left_to_backend_total",
                "WebSockets with an invalid token whose refusal was left to the backend, by reason.",
                &["reason"],
            )?,
            upstream_errors: declare.counters(
                "upstream_errors_total",
                "Requests that the upstream did not answer, or only in part, by kind.",
                &["upstream", "kind"],
            )?,
            upstream_unauthorized: declare.counters(
                "upstream_unauthorized_total",
                "401 responses of the upstream to minted tokens: its pinned key may differ from the signing key.",
                &["route"],
            )?,
            connections: declare.gauge("connections", "Open downstream connections.")?,
            connections_accepted: declare.counter("connections_total", "Downstream connections accepted.")?,
            connections_cut: declare.counters(
                "connections_cut_total",
                "Downstream connections that the gateway ended, by cause.",
                &["cause"],
            )?,
            connections_limit: declare.gauge("connections_limit", "Limit of concurrent downstream connections.")?,
            connections_full: declare.counter(
                "connections_full_total",
                "Clients that arrived when the limit of downstream connections was reached: idle ones were closed for them, or they waited.",
            )?,
            unreadable: declare.counters(
                "unreadable_requests_total",
                "Input of clients that is not a valid request, by kind.",
                &["kind"],
            )?,
            unfinished_header_bytes: declare
                .gauge("unfinished_header_bytes", "Bytes buffered of incomplete request headers.")?,
            websockets: declare.gauge("websocket_connections", "Open WebSockets.")?,
            websockets_ended: declare.counters(
                "websockets_ended_total",
                "Closed WebSockets, by side and cause.",
                &["cause"],
            )?,
            access_log_dropped: declare.counter(
                "access_log_dropped_total",
                "Access log lines lost because they were not read fast enough or could not be written.",
            )?,
            access_log_left_out: declare
                .counter("access_log_left_out_total", "Refusals without an access log line because of the rate limit.")?,
            log_dropped: declare.counter(
                "log_dropped_total",
                "Log lines lost because they were not read fast enough or could not be written.",
            )?,
            clock_steps: declare.counters("clock_steps_total", "Steps of the system's clock, by direction.", &["direction"])?,
        })
    }
}

impl ExchangeMetrics {
    fn new(declare: &Declare<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            duration: declare.histograms(
                "exchange_duration_seconds",
                "Time to identify a token or to mint one.",
                EXCHANGE_BUCKETS,
                &["stage"],
            )?,
            cache_requests: declare.counters("cache_requests_total", "Look-ups in the token cache.", &["cache", "result"])?,
            cache_entries: declare.gauge("cache_entries", "Identities in the token cache.")?,
            cache_bytes: declare.gauge("cache_bytes", "Memory of the identities in the token cache, estimated.")?,
            signing_queue: declare.gauge("signing_queue", "Signatures waiting or in progress.")?,
            group_overage: declare.counters(
                "group_overage_total",
                "Verified tokens without a claim that the config uses, because the user has too many groups.",
                &["issuer"],
            )?,
            minted_without_groups: declare.counters(
                "minted_without_groups_total",
                "Tokens minted with a default or without a claim, because the client's token omitted the groups.",
                &["profile"],
            )?,
            signing_key: declare.gauges("signing_key_info", "The active signing key.", &["algorithm", "thumbprint"])?,
        })
    }
}

struct Declare<'a>(&'a Registry);

impl Declare<'_> {
    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, MetricsError> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.register(IntCounter::new(name, help)?)
    }

    fn panics(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.register(panics::counter(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricsError> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.register(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricsError> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricsError> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> Result<HistogramVec, MetricsError> {
        self.register(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered_with_the_prefix() {
        let metrics = Metrics::new().unwrap();
        metrics.proxy.connections_accepted.inc();
        let text = metrics.render().unwrap();
        assert!(text.contains("syncgate_connections_total 1"), "{text}");
        assert!(text.contains("syncgate_build_info{version="), "{text}");
    }
}

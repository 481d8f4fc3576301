//! Removes the series of names that are no longer in the config, so that reloads leave none behind.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};

use super::{JwksMetrics, ProxyMetrics};

impl ProxyMetrics {
    /// Ends the series of routes and upstreams that are not among these. What is in progress counts on unseen.
    pub fn keep_only(&self, routes: &[&str], upstreams: &[&str]) {
        let is_route = |route: &str| route == "none" || routes.contains(&route);
        prune(&self.requests, "route", is_route);
        prune(&self.duration, "route", is_route);
        prune(&self.upstream_unauthorized, "route", is_route);
        prune(&self.upstream_errors, "upstream", |upstream| upstreams.contains(&upstream));
    }
}

impl JwksMetrics {
    /// Ends the series of issuers that are not among these.
    pub fn keep_only(&self, issuers: &[&str]) {
        let is_issuer = |issuer: &str| issuers.contains(&issuer);
        prune(&self.refreshes, "issuer", is_issuer);
        prune(&self.suppressed, "issuer", is_issuer);
        prune(&self.keys, "issuer", is_issuer);
        prune(&self.skipped, "issuer", is_issuer);
        prune(&self.conflicts, "issuer", is_issuer);
        prune(&self.issuer_changes, "issuer", is_issuer);
        prune(&self.issuer_mismatch, "issuer", is_issuer);
        prune(&self.clock_skew, "issuer", is_issuer);
        prune(&self.snapshot, "issuer", is_issuer);
        prune(&self.last_success, "issuer", is_issuer);
        prune(&self.age, "issuer", is_issuer);
    }
}

/// Ends the series whose label has a value that is not to be kept.
pub(super) fn prune<B: MetricVecBuilder>(series: &MetricVec<B>, label: &str, is_kept: impl Fn(&str) -> bool)
where
    MetricVec<B>: Collector,
{
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            if labels.get(label).is_some_and(|value| !is_kept(value)) {
                // Fails only where it is gone already.
                let _ = series.remove(&labels);
            }
        }
    }
}

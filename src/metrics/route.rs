//! The series of one route, resolved once, so that requests need no lookup by name.

use std::sync::OnceLock;

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::ProxyMetrics;

/// The series of one route, resolved.
#[derive(Debug)]
pub struct RouteMetrics {
    route: String,
    requests: IntCounterVec,
    /// Of each method, and of its answers from 100 to 199, to 299 and so on. There from the first such answer on.
    upstream_answers: [[OnceLock<Hundred>; CLASSES]; METHODS.len()],
    /// `syncgate_request_duration_seconds` of this route.
    pub duration: Histogram,
    /// `syncgate_upstream_unauthorized_total` of this route.
    pub upstream_unauthorized: IntCounter,
}

/// The methods with their own label; all others are `other`.
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "COPY", "other"];
/// Statuses from 100 to 599.
const CLASSES: usize = 5;

/// The counters of a hundred statuses. There from the first such answer on: most statuses are never answered.
type Hundred = Box<[OnceLock<IntCounter>]>;

impl ProxyMetrics {
    /// The series of one route.
    pub fn route(&self, name: &str) -> RouteMetrics {
        RouteMetrics {
            route: name.to_owned(),
            requests: self.requests.clone(),
            upstream_answers: Default::default(),
            duration: self.duration.with_label_values(&[name]),
            upstream_unauthorized: self.upstream_unauthorized.with_label_values(&[name]),
        }
    }

    /// Counts an answer that the gateway wrote; `route` is `none` where no route was found.
    pub fn answered_by_gateway(&self, route: &str, method: &str, status: u16) {
        self.requests.with_label_values(&[route, METHODS[method_index(method)], &status.to_string(), "gateway"]).inc();
    }
}

impl RouteMetrics {
    /// Counts an answer of the upstream.
    pub fn answered_by_upstream(&self, method: &str, status: u16) {
        let method = method_index(method);
        let resolve = || {
            let code = status.to_string();
            self.requests.with_label_values(&[self.route.as_str(), METHODS[method], &code, "upstream"])
        };
        let status = usize::from(status);
        let class = self
            .upstream_answers
            .get(method)
            .zip((status / 100).checked_sub(1))
            .and_then(|(of_method, class)| of_method.get(class));
        let hundred = class.map(|class| class.get_or_init(|| std::iter::repeat_with(OnceLock::new).take(100).collect()));
        match hundred.and_then(|hundred| hundred.get(status % 100)) {
            Some(counter) => counter.get_or_init(resolve).inc(),
            None => resolve().inc(),
        }
    }
}

fn method_index(method: &str) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn every_answer_is_counted_under_its_method_and_status() {
        let metrics = Metrics::new().unwrap();
        let route = metrics.proxy.route("docs");
        for status in [100, 199, 200, 204, 404, 599, 600, 999, 0] {
            route.answered_by_upstream("GET", status);
            route.answered_by_upstream("PURGE", status);
        }
        route.answered_by_upstream("GET", 204);
        let text = metrics.render().unwrap();
        for (method, status, count) in
            [("GET", 199, 1), ("GET", 204, 2), ("other", 204, 1), ("GET", 599, 1), ("GET", 600, 1), ("GET", 0, 1)]
        {
            let series = format!(
                "syncgate_requests_total{{code=\"{status}\",method=\"{method}\",route=\"docs\",source=\"upstream\"}} {count}\n"
            );
            assert!(text.contains(&series), "{series}{text}");
        }
    }

    #[test]
    fn a_route_that_was_never_asked_for_takes_little() {
        assert!(size_of::<RouteMetrics>() < 2 * 1_024, "{}", size_of::<RouteMetrics>());
    }
}

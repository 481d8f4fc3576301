//! The addresses of upstreams. They are read at each scrape, rather than counted.

use std::collections::HashMap;

use super::{Declare, IntCounterVec, IntGaugeVec, MetricsError, prune::prune};
use prometheus::core::Collector as _;

/// So many addresses of an upstream have series of their own; of names that lead to more, the others have none.
pub const MAX_ADDRESS_SERIES: usize = 64;

/// The addresses of upstreams.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// `syncgate_upstream_requests_in_flight{upstream,address}`.
    in_flight: IntGaugeVec,
    /// `syncgate_upstream_address_serving{upstream,address}`: 0 if requests pass it by.
    serving: IntGaugeVec,
    /// `syncgate_upstream_taken_out_total{upstream}`.
    taken_out: IntCounterVec,
    /// `syncgate_upstream_retries_total{upstream,result}`: `granted`, `refused`.
    retries: IntCounterVec,
}

/// What is known of an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamSample {
    /// Its name in the config.
    pub upstream: String,
    /// Its addresses.
    pub addresses: Vec<AddressSample>,
    /// How often one of them was taken out, since the start.
    pub taken_out: u64,
    /// How often a request was tried once more, since the start.
    pub retries: u64,
    /// How often one was not, since too many were.
    pub retries_refused: u64,
}

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSample {
    /// As the config or DNS has it, with its port.
    pub address: String,
    /// Requests in progress, WebSockets included.
    pub in_flight: usize,
    /// Whether it is chosen for requests.
    pub is_serving: bool,
}

impl UpstreamMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<Self, MetricsError> {
        Ok(Self {
            in_flight: declare.gauges(
                "upstream_requests_in_flight",
                "Requests in progress at an address of an upstream, WebSockets included.",
                &["upstream", "address"],
            )?,
            serving: declare.gauges(
                "upstream_address_serving",
                "Whether an address of an upstream is chosen for requests.",
                &["upstream", "address"],
            )?,
            taken_out: declare.counters(
                "upstream_taken_out_total",
                "Addresses of an upstream that were taken out after failures in a row.",
                &["upstream"],
            )?,
            retries: declare.counters(
                "upstream_retries_total",
                "Second attempts of requests, and those that too many others did not allow.",
                &["upstream", "result"],
            )?,
        })
    }

    /// Shows these, and no others.
    pub fn show(&self, samples: &[UpstreamSample]) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for sample in samples {
            let name = sample.upstream.as_str();
            for address in sample.addresses.iter().take(MAX_ADDRESS_SERIES) {
                let labels = [name, address.address.as_str()];
                self.in_flight.with_label_values(&labels).set(number(address.in_flight));
                self.serving.with_label_values(&labels).set(i64::from(address.is_serving));
            }
            raise(&self.taken_out, &[name], sample.taken_out);
            raise(&self.retries, &[name, "granted"], sample.retries);
            raise(&self.retries, &[name, "refused"], sample.retries_refused);
        }
        let is_known = |upstream: &str| samples.iter().any(|sample| sample.upstream == upstream);
        prune(&self.taken_out, "upstream", is_known);
        prune(&self.retries, "upstream", is_known);
        for gauges in [&self.in_flight, &self.serving] {
            keep_addresses(gauges, samples);
        }
    }
}

/// Raises a counter to what was counted elsewhere.
fn raise(counters: &IntCounterVec, labels: &[&str], to: u64) {
    let counter = counters.with_label_values(labels);
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// Ends the series of addresses that are not among these.
fn keep_addresses(gauges: &IntGaugeVec, samples: &[UpstreamSample]) {
    for family in gauges.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            let is = |label: &str, value: &str| labels.get(label) == Some(&value);
            let has = |sample: &UpstreamSample| {
                let mut shown = sample.addresses.iter().take(MAX_ADDRESS_SERIES);
                is("upstream", &sample.upstream) && shown.any(|known| is("address", &known.address))
            };
            if !samples.iter().any(has) {
                // Fails only where it is gone already.
                let _ = gauges.remove(&labels);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_is_gone_has_no_series_and_of_many_addresses_some_have_none() {
        let metrics = Metrics::new().unwrap();
        let lines = |samples: &[UpstreamSample]| {
            metrics.upstreams.show(samples);
            let text = metrics.render().unwrap();
            text.lines().filter(|line| line.starts_with("syncgate_upstream_")).map(str::to_owned).collect::<Vec<_>>()
        };
        let address = |address: &str| AddressSample { address: address.to_owned(), in_flight: 3, is_serving: false };
        let couch = UpstreamSample {
            upstream: "couch".to_owned(),
            addresses: vec![address("a:1"), address("b:1")],
            taken_out: 1,
            retries: 2,
            retries_refused: 0,
        };
        let first = lines(std::slice::from_ref(&couch));
        assert_eq!(first.len(), 7, "{first:#?}");
        assert!(first.contains(&"syncgate_upstream_requests_in_flight{address=\"a:1\",upstream=\"couch\"} 3".to_owned()));
        assert!(first.contains(&"syncgate_upstream_retries_total{result=\"granted\",upstream=\"couch\"} 2".to_owned()));
        let fewer = UpstreamSample { addresses: vec![address("b:1")], retries: 5, ..couch };
        let second = lines(std::slice::from_ref(&fewer));
        assert_eq!(second.len(), 5, "{second:#?}");
        assert!(second.contains(&"syncgate_upstream_retries_total{result=\"granted\",upstream=\"couch\"} 5".to_owned()));
        let many = UpstreamSample { addresses: (0..100).map(|number| address(&number.to_string())).collect(), ..fewer };
        assert_eq!(lines(&[many]).len(), 2 * MAX_ADDRESS_SERIES + 3);
        assert!(lines(&[]).is_empty());
    }
}

//! Parses a scrape of `/metrics`.

/// The Prometheus text format, as far as assertions on it need it.
#[derive(Clone, Debug)]
pub struct MetricsText(String);

impl MetricsText {
    /// Wraps the body of a scrape.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The sum of all samples of a series that carry these labels. A series without samples sums to 0.
    pub fn sum(&self, series: &str, labels: &[(&str, &str)]) -> f64 {
        self.0.lines().filter_map(|line| sample(line, series, labels)).sum()
    }

    /// The text as scraped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn sample(line: &str, series: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rest = line.strip_prefix(series)?;
    let (found, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let has = |(name, value): &(&str, &str)| found.split(',').any(|label| label == format!(r#"{name}="{value}""#));
    if labels.iter().all(has) { value.trim().parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_series_and_labels() {
        let text = MetricsText::new(
            "# HELP a_total a\na_total{code=\"200\",route=\"x\"} 2\na_total{code=\"401\",route=\"x\"} 3\na_total_b 9\nb 4\n",
        );
        assert_eq!(text.sum("a_total", &[]), 5.0);
        assert_eq!(text.sum("a_total", &[("code", "401")]), 3.0);
        assert_eq!(text.sum("a_total", &[("code", "401"), ("route", "y")]), 0.0);
        assert_eq!(text.sum("b", &[]), 4.0);
    }
}

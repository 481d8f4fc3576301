//! An axis: from values to places, and the values that are written beside it.

use super::number;

/// One axis of a plot.
pub struct Axis {
    label: String,
    is_log: bool,
    from: f64,
    to: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to at least the largest value, in equal steps.
    pub fn linear(label: &str, largest: f64) -> Self {
        let rough = largest.max(f64::MIN_POSITIVE) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = power * [1.0, 2.0, 2.5, 5.0].into_iter().find(|step| power * step >= rough).unwrap_or(10.0);
        let count = (largest / step).ceil().max(1.0) as u32;
        let ticks = (0..=count).map(|tick| f64::from(tick) * step).map(|value| (value, number(value))).collect();
        Self { label: label.to_owned(), is_log: false, from: 0.0, to: f64::from(count) * step, ticks }
    }

    /// In powers of ten, with steps between them where there are few. Values are above 0.
    pub fn log(label: &str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let smallest = values.clone().fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE);
        let largest = values.fold(smallest, f64::max);
        let steps: &[f64] = if (largest / smallest).log10() > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let (first, last) = (smallest.log10().floor() as i32, largest.log10().ceil() as i32);
        let mut ticks: Vec<f64> =
            (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power))).collect();
        // No further than one tick beyond the values on each side.
        let begin = ticks.iter().rposition(|tick| *tick <= smallest * 1.001).unwrap_or(0);
        let end = ticks.iter().position(|tick| *tick >= largest * 0.999).unwrap_or(ticks.len() - 1).max(begin + 1);
        ticks = ticks.get(begin..=end).unwrap_or(&ticks).to_vec();
        let (from, to) = (ticks.first().copied().unwrap_or(smallest), ticks.last().copied().unwrap_or(largest));
        Self {
            label: label.to_owned(),
            is_log: true,
            from,
            to,
            ticks: ticks.into_iter().map(|tick| (tick, number(tick))).collect(),
        }
    }

    /// Of percentiles, as far apart as the requests beyond them are rare. Values are `1 / (1 - p)`.
    pub fn percentiles(label: &str) -> Self {
        let ticks = [(2.0, "p50"), (10.0, "p90"), (100.0, "p99"), (1000.0, "p99.9")].map(|(value, text)| (value, text.to_owned()));
        Self { label: label.to_owned(), is_log: true, from: 2.0, to: 1000.0, ticks: ticks.to_vec() }
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    /// Values to be written, and how.
    pub fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// Where a value is: 0 at the beginning of the axis, 1 at its end.
    pub fn place(&self, value: f64) -> f64 {
        let measure = |value: f64| if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        (measure(value) - measure(self.from)) / (measure(self.to) - measure(self.from))
    }
}

//! [`Report`]: the outcome of a run, for people and for programs.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use crate::load::tally::{Counts, Latencies};

/// The outcome. Its fields are those of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `http` and so on.
    pub mode: &'static str,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Requests that were sent.
    pub sent: u64,
    /// Those that were answered.
    pub completed: u64,
    /// Those that were due before a connection was free.
    pub waited_for_connection: u64,
    /// Requests without an answer, by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers a second.
    pub rate: f64,
    /// What was asked for; none in a closed loop.
    pub wanted_rate: Option<f64>,
    pub latency_us: Percentiles,
    /// Of the handshakes; for sockets only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_us: Option<Percentiles>,
    /// Requests that the generator itself sent more than a millisecond late.
    pub behind_schedule: u64,
    /// How busy its threads were: 1 is as busy as they can be.
    pub generator_load: f64,
}

/// Of latencies in microseconds.
#[derive(Debug, Serialize)]
pub struct Percentiles {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Percentiles {
    pub fn of(latencies: &Latencies) -> Self {
        let at = |quantile| latencies.value_at_quantile(quantile);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: latencies.max() }
    }
}

impl Report {
    /// What is to be said of a run of this length.
    pub fn new(mode: &'static str, counts: &Counts, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            mode,
            seconds,
            sent: counts.sent,
            completed: counts.completed,
            waited_for_connection: counts.waited,
            errors: counts.problems.iter().map(|(problem, count)| (problem.name(), *count)).collect(),
            statuses: counts.statuses.clone(),
            rate: counts.completed as f64 / seconds,
            wanted_rate: None,
            latency_us: Percentiles::of(&counts.latencies),
            open_us: (!counts.openings.is_empty()).then(|| Percentiles::of(&counts.openings)),
            behind_schedule: 0,
            generator_load: 0.0,
        }
    }

    /// How many answers had another status.
    pub fn statuses_other_than(&self, expected: u16) -> u64 {
        self.statuses.iter().filter(|(status, _)| **status != expected).map(|(_, count)| count).sum()
    }

    /// What makes the figures doubtful.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.behind_schedule > self.sent / 100 {
            doubts.push(format!(
                "The generator was late with {} requests, by more than 1 ms: give it more --threads, or its own machine.",
                self.behind_schedule
            ));
        }
        if self.generator_load > 0.9 {
            doubts.push("The generator was as busy as it can be: give it more --threads, or its own machine.".into());
        }
        if self.waited_for_connection > self.sent / 100 {
            doubts.push(format!(
                "{} requests waited for a free connection: the target is too slow for this rate, or --connections too few.",
                self.waited_for_connection
            ));
        }
        doubts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted_rate.map_or_else(String::new, |rate| format!(", {rate:.0} asked for"));
        writeln!(out, "{:<12} {:.1} s, {} requests, {} answers", self.mode, self.seconds, self.sent, self.completed)?;
        writeln!(out, "{:<12} {:.0} answers/s{wanted}", "throughput", self.rate)?;
        let statuses: Vec<_> = self.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        writeln!(out, "{:<12} {}", "statuses", or_none(&statuses))?;
        let errors: Vec<_> = self.errors.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        writeln!(out, "{:<12} {}", "errors", or_none(&errors))?;
        writeln!(out, "{:<12} {}", "latency", self.latency_us)?;
        if let Some(openings) = &self.open_us {
            writeln!(out, "{:<12} {openings}", "handshakes")?;
        }
        self.doubts().iter().try_for_each(|doubt| writeln!(out, "{doubt}"))
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(|latency| milliseconds(*latency));
        write!(out, "p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max}  (ms)")
    }
}

/// Three digits that matter.
pub fn milliseconds(microseconds: u64) -> String {
    let milliseconds = microseconds as f64 / 1e3;
    match milliseconds {
        short if short < 10.0 => format!("{short:.2}"),
        middle if middle < 100.0 => format!("{middle:.1}"),
        long => format!("{long:.0}"),
    }
}

fn or_none(parts: &[String]) -> String {
    if parts.is_empty() { "none".into() } else { parts.join("  ") }
}

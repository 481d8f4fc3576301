//! Cases measured side by side: by criterion one after the other, then interleaved for the ratios.
//!
//! All times are CPU times of the process. Other work on the machine slows a process down by keeping it waiting, which CPU time does
//! not count, and by heating up caches and clock, which hits all cases of one round alike.

#[allow(dead_code, reason = "not every bench verifies")]
pub mod gate;
mod short_token;
pub mod tokens;

use std::time::{Duration, Instant};

use criterion::{
    Criterion,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use rustix::time::{ClockId, clock_gettime};

/// CPU time of all threads of the process.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Whether each bench is to run once only, as CI wants it.
pub fn is_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Work to be measured beside other work.
struct Case<'a> {
    name: &'static str,
    /// The largest ratio to the first case that is meant to be.
    bound: Option<f64>,
    work: Box<dyn FnMut() + 'a>,
}

/// Cases, of which the first is the yardstick of the others.
#[derive(Default)]
pub struct Comparison<'a> {
    cases: Vec<Case<'a>>,
}

impl<'a> Comparison<'a> {
    /// A case without a bound.
    pub fn case(mut self, name: &'static str, work: impl FnMut() + 'a) -> Self {
        self.cases.push(Case { name, bound: None, work: Box::new(work) });
        self
    }

    /// A case that may cost at most `bound` times the yardstick.
    pub fn bounded(mut self, name: &'static str, bound: f64, work: impl FnMut() + 'a) -> Self {
        self.cases.push(Case { name, bound: Some(bound), work: Box::new(work) });
        self
    }

    /// Runs everything and prints the table.
    pub fn run(mut self, group: &str) {
        let mut criterion = Criterion::default()
            .with_measurement(CpuTime)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .configure_from_args();
        for case in &mut self.cases {
            criterion.bench_function(&format!("{group}/{}", case.name), |bencher| bencher.iter(|| (case.work)()));
        }
        criterion.final_summary();
        self.interleave();
    }

    fn interleave(&mut self) {
        /// What one case runs for in one round.
        const TURN: Duration = Duration::from_millis(4);
        let rounds = if is_test() { 1 } else { 101 };
        let repeats: Vec<_> = self.cases.iter_mut().map(|case| repeats_within(TURN, &mut case.work)).collect();
        let mut times = vec![Vec::with_capacity(rounds); self.cases.len()];
        let mut last_word = Instant::now();
        for round in 0..rounds {
            for ((case, repeats), times) in self.cases.iter_mut().zip(&repeats).zip(&mut times) {
                times.push(time(*repeats, &mut case.work) / f64::from(*repeats));
            }
            if last_word.elapsed() > Duration::from_secs(2) {
                eprintln!("round {} of {rounds}", round + 1);
                last_word = Instant::now();
            }
        }
        println!("\n{:<36} {:>12} {:>8} {:>8}", "interleaved, medians", "CPU us", "ratio", "bound");
        for (case, own) in self.cases.iter().zip(&times) {
            let ratio = median(own.iter().zip(&times[0]).map(|(own, yardstick)| own / yardstick));
            let bound = case.bound.map_or(String::new(), |bound| format!("{bound:.2}"));
            let verdict = case.bound.filter(|bound| ratio > *bound && !is_test()).map_or("", |_| "  over");
            println!("{:<36} {:>12.3} {ratio:>8.3} {bound:>8}{verdict}", case.name, median(own.iter().copied()) * 1e6);
        }
        println!();
    }
}

fn repeats_within(turn: Duration, work: &mut dyn FnMut()) -> u32 {
    if is_test() {
        return 1;
    }
    let mut repeats = 1;
    while time(repeats, work) < turn.as_secs_f64() {
        repeats *= 2;
    }
    repeats
}

/// Seconds of CPU time.
fn time(repeats: u32, work: &mut dyn FnMut()) -> f64 {
    let before = cpu_time();
    for _ in 0..repeats {
        work();
    }
    cpu_time().saturating_sub(before).as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// CPU time instead of criterion's clock.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu_time()
    }

    fn end(&self, before: Duration) -> Duration {
        cpu_time().saturating_sub(before)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_secs_f64() * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

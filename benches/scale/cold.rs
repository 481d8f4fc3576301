//! Whether people who log in slow down those who work: latency of hot users, quiet and while new tokens come.
//!
//! Clients' tokens and user tokens are RS256 with keys of 2,048 bits, so that each new token costs a signature of a third of a millisecond.
//! Rounds without and with new tokens take turns; the ratio is that of a round to the quiet one before it.

use std::{error::Error, time::Duration};

use serde::Serialize;
use syncgate::signing::NewKey;

use crate::{
    gateway::Settings,
    harness::{
        process::RoleProcess,
        role::{Part, Role},
    },
    load::schedule::Pace,
    rounds::{Crowd, Round, median_of, median_ratio, one_round},
    stage::Stage,
};

/// Requests of hot users per second, and new tokens a second.
const RATES: [f64; 2] = [2_000.0, 1_000.0];
/// The same for a test, which runs without optimisation.
const TEST_RATES: [f64; 2] = [200.0, 100.0];
const HOT_USERS: u64 = 500;

/// What came of it. Latencies are those of hot users.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub hot_rate: f64,
    pub cold_rate: f64,
    /// Medians of the rounds.
    pub quiet_p99_us: f64,
    pub cold_p99_us: f64,
    pub ratio: f64,
    /// The same for the median latency.
    pub p50_ratio: f64,
    /// Hot users that were not answered 200.
    pub hot_refused: u64,
    pub cold_served: u64,
    /// Cold users that were not answered 200.
    pub cold_refused: u64,
    /// Of all cores of the gateway; 1 is all of them.
    pub quiet_busy: f64,
    pub cold_busy: f64,
    /// Median latency of cold users.
    pub cold_users_p50_us: f64,
}

/// With so many threads that sign; 0 for the gateway's default.
pub fn measure(stage: &Stage, signing_threads: usize) -> Result<Outcome, Box<dyn Error>> {
    let (rounds, turn) = if stage.is_test { (1, Duration::from_millis(200)) } else { (7, Duration::from_secs(4)) };
    let rates = if stage.is_test { TEST_RATES } else { RATES };
    let (cores, load_core) = match stage.cores[..] {
        [first, .., before_last, last] if stage.cores.len() > 3 => (vec![before_last, last], first),
        _ => {
            eprintln!("cold: with fewer than four cores, load and upstream have none of their own");
            (stage.cores.clone(), stage.own_core())
        }
    };
    let (mint, key_set) = stage.issuer(NewKey::Rsa(2048))?;
    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: load_core, upstream: None })?;
    let key = stage.key_file(NewKey::Rsa(2048))?;
    let settings = Settings {
        cores,
        upstream: upstream.address(),
        key_set,
        key,
        signs_es256: false,
        signing_threads,
        users: 100_000,
        callers: None,
    };
    let gateway = settings.start()?;

    let mut hot = Crowd::gather(stage, &gateway, &mint, HOT_USERS, 0)?;
    let logins = Pace::Rate(rates[1]).requests(turn) * rounds;
    eprintln!("cold: {logins} tokens are being made");
    let mut cold = Crowd::gather(stage, &gateway, &mint, 0, logins)?;
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        quiet.push(one_round(stage, &gateway, turn, (&mut hot, rates[0]), None)?);
        busy.push(one_round(stage, &gateway, turn, (&mut hot, rates[0]), Some((&mut cold, rates[1])))?);
        eprintln!("cold: round {} of {rounds}", round + 1);
    }
    outcome(rates, &quiet, &busy, &hot, &cold)
}

fn outcome(
    [hot_rate, cold_rate]: [f64; 2],
    quiet: &[Round],
    busy: &[Round],
    hot: &Crowd,
    cold: &Crowd,
) -> Result<Outcome, Box<dyn Error>> {
    let ((hot_served, hot_refused), (cold_served, cold_refused)) = (hot.served(), cold.served());
    let cold = cold.shared.tally.so_far();
    if hot_served == 0 || cold_served == 0 {
        return Err(format!("nobody was served: {:?}, {:?}", hot.shared.tally.so_far().statuses, cold.statuses).into());
    }
    Ok(Outcome {
        hot_rate,
        cold_rate,
        quiet_p99_us: median_of(quiet, |round| round.own.p99),
        cold_p99_us: median_of(busy, |round| round.own.p99),
        ratio: median_ratio(quiet, busy, |round| round.own.p99),
        p50_ratio: median_ratio(quiet, busy, |round| round.own.p50),
        hot_refused,
        cold_served,
        cold_refused,
        quiet_busy: median_of(quiet, |round| round.busy),
        cold_busy: median_of(busy, |round| round.busy),
        cold_users_p50_us: cold.latencies.value_at_quantile(0.5) as f64,
    })
}

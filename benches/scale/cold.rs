//! Whether people who log in slow down those who work: latency of hot users, quiet and while new tokens come.
//!
//! Clients' tokens and user tokens are RS256 with keys of 2,048 bits, so that each new token costs a signature of a third of a millisecond.
//! Rounds without and with new tokens take turns; the ratio is that of a round to the quiet one before it.

use std::{error::Error, sync::Arc, time::Duration};

use serde::Serialize;
use syncgate::signing::NewKey;

use crate::{
    gateway::Settings,
    harness::{
        median,
        process::RoleProcess,
        role::{Part, Role},
    },
    load::{
        client::{Shared, load, open, warm_up},
        http::HttpClient,
        mint::Mint,
        schedule::{Pace, Schedule},
        tokens::Tokens,
    },
    stage::Stage,
};

/// Requests of hot users per second, and new tokens a second.
const RATES: [f64; 2] = [2_000.0, 1_000.0];
/// The same for a test, which runs without optimisation.
const TEST_RATES: [f64; 2] = [200.0, 100.0];
const HOT_USERS: u64 = 500;
const CONNECTIONS: usize = 64;

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

struct Round {
    p50: f64,
    p99: f64,
    busy: f64,
}

/// Clients and what becomes of their requests.
struct Crowd {
    shared: Arc<Shared>,
    clients: Vec<HttpClient>,
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
    let settings =
        Settings { cores, upstream: upstream.address(), key_set, key, signs_es256: false, signing_threads, users: 100_000 };
    let gateway = settings.start()?;

    let mut hot = crowd(stage, &gateway, &mint, HOT_USERS, 0)?;
    let logins = Pace::Rate(rates[1]).requests(turn) * rounds;
    eprintln!("cold: {logins} tokens are being made");
    let mut cold = crowd(stage, &gateway, &mint, 0, logins)?;
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        quiet.push(one_round(stage, &gateway, turn, rates, &mut hot, None)?);
        busy.push(one_round(stage, &gateway, turn, rates, &mut hot, Some(&mut cold))?);
        eprintln!("cold: round {} of {rounds}", round + 1);
    }
    outcome(rates, &quiet, &busy, &hot, &cold)
}

/// Clients with connections. Hot users are known to the gateway then.
fn crowd(stage: &Stage, gateway: &RoleProcess, mint: &Mint, hot: u64, cold: u64) -> Result<Crowd, Box<dyn Error>> {
    let share = if hot == 0 { 1.0 } else { 0.0 };
    let (hot, cold) = (mint.tokens("hot", 0..hot)?, mint.tokens("cold", 0..cold)?);
    let shared = stage.shared(Tokens::new("Authorization: Bearer {token}", &hot, &cold, share)?)?;
    let clients = stage.clients(gateway, &shared, CONNECTIONS)?;
    let clients = stage.runtime.block_on(async {
        let clients = open(clients.into_iter(), &shared).await?;
        Ok::<_, crate::load::Trouble>(if hot.is_empty() { clients } else { warm_up(clients, &shared).await })
    })?;
    Ok(Crowd { shared, clients })
}

/// Latencies of the hot users in microseconds, alone or with the cold ones.
fn one_round(
    stage: &Stage,
    gateway: &RoleProcess,
    turn: Duration,
    [hot_rate, cold_rate]: [f64; 2],
    hot: &mut Crowd,
    cold: Option<&mut Crowd>,
) -> Result<Round, Box<dyn Error>> {
    let mut empty = hot.shared.tally.so_far().recent;
    empty.reset();
    hot.shared.tally.take_recent(empty.clone());
    let before = gateway.cpu_time()?;
    stage.runtime.block_on(async {
        let work = work(hot, hot_rate, turn);
        match cold {
            Some(cold) => tokio::try_join!(work, self::work(cold, cold_rate, turn)).map(|_| ()),
            None => work.await,
        }
    })?;
    let cpu = gateway.cpu_time()?.saturating_sub(before);
    gateway.empty_log()?;
    let (_, _, latencies) = hot.shared.tally.take_recent(empty);
    let at = |quantile| latencies.value_at_quantile(quantile) as f64;
    Ok(Round { p50: at(0.5), p99: at(0.99), busy: cpu.as_secs_f64() / turn.as_secs_f64() })
}

async fn work(crowd: &mut Crowd, rate: f64, turn: Duration) -> std::io::Result<()> {
    let schedule = Arc::new(Schedule::start_now(Pace::Rate(rate), turn));
    crowd.clients = load(std::mem::take(&mut crowd.clients), &crowd.shared, &schedule).await?;
    Ok(())
}

fn outcome(
    [hot_rate, cold_rate]: [f64; 2],
    quiet: &[Round],
    busy: &[Round],
    hot: &Crowd,
    cold: &Crowd,
) -> Result<Outcome, Box<dyn Error>> {
    let of = |rounds: &[Round], what: fn(&Round) -> f64| median(&rounds.iter().map(what).collect::<Vec<_>>());
    let ratio =
        |what: fn(&Round) -> f64| median(&quiet.iter().zip(busy).map(|(quiet, busy)| what(busy) / what(quiet)).collect::<Vec<_>>());
    let (hot, cold) = (hot.shared.tally.so_far(), cold.shared.tally.so_far());
    let served = |counts: &crate::load::tally::Counts| counts.statuses.get(&200).copied().unwrap_or(0);
    if served(&hot) == 0 || served(&cold) == 0 {
        return Err(format!("nobody was served: {:?}, {:?}", hot.statuses, cold.statuses).into());
    }
    Ok(Outcome {
        hot_rate,
        cold_rate,
        quiet_p99_us: of(quiet, |round| round.p99),
        cold_p99_us: of(busy, |round| round.p99),
        ratio: ratio(|round| round.p99),
        p50_ratio: ratio(|round| round.p50),
        hot_refused: hot.sent - served(&hot),
        cold_served: served(&cold),
        cold_refused: cold.sent - served(&cold),
        quiet_busy: of(quiet, |round| round.busy),
        cold_busy: of(busy, |round| round.busy),
        cold_users_p50_us: cold.latencies.value_at_quantile(0.5) as f64,
    })
}

//! Rounds of an open loop: some requests at a steady rate, alone or beside others.

use std::{error::Error, sync::Arc, time::Duration};

use crate::{
    harness::{median, process::RoleProcess},
    load::{
        Trouble,
        client::{Shared, load, open, warm_up},
        http::HttpClient,
        mint::Mint,
        schedule::{Pace, Schedule},
        tally::Counts,
        tokens::Tokens,
    },
    stage::{Ask, Stage},
};

const CONNECTIONS: usize = 64;

/// Clients and what becomes of their requests.
pub struct Crowd {
    pub shared: Arc<Shared>,
    clients: Vec<HttpClient>,
}

/// What came of one round.
pub struct Round {
    /// Latencies of those who are there in each round.
    pub own: Latency,
    /// Those of the others; none where they were alone.
    pub beside: Option<Latency>,
    /// Cores that the gateway used.
    pub busy: f64,
}

/// In microseconds.
#[derive(Clone, Copy)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
}

impl Crowd {
    /// Clients with connections, of users that come again and again and whom the gateway knows then, or that each come once.
    pub fn gather(stage: &Stage, gateway: &RoleProcess, mint: &Mint, hot: u64, cold: u64) -> Result<Self, Box<dyn Error>> {
        let share = if hot == 0 { 1.0 } else { 0.0 };
        let (hot, cold) = (mint.tokens("hot", 0..hot)?, mint.tokens("cold", 0..cold)?);
        Self::asking(stage, gateway, &Ask::default(), Tokens::new("Authorization: Bearer {token}", &hot, &cold, share)?)
    }

    /// Clients with connections that ask for this. Those of hot users have been answered once.
    pub fn asking(stage: &Stage, gateway: &RoleProcess, ask: &Ask, tokens: Tokens) -> Result<Self, Box<dyn Error>> {
        let is_cold = tokens.hot_users() == 0;
        let shared = stage.shared(tokens)?;
        let clients = stage.clients_that(gateway, &shared, CONNECTIONS, ask)?;
        let clients = stage.runtime.block_on(async {
            let clients = open(clients.into_iter(), &shared).await?;
            Ok::<_, Trouble>(if is_cold { clients } else { warm_up(clients, &shared).await })
        })?;
        Ok(Self { shared, clients })
    }

    /// Requests that were answered 200, and the others.
    pub fn served(&self) -> (u64, u64) {
        let counts: Counts = self.shared.tally.so_far();
        let served = counts.statuses.get(&200).copied().unwrap_or(0);
        (served, counts.sent - served)
    }

    /// The latencies since the last time.
    fn latency(&self) -> Latency {
        let mut empty = self.shared.tally.so_far().recent;
        empty.reset();
        let (_, _, latencies) = self.shared.tally.take_recent(empty);
        let at = |quantile| latencies.value_at_quantile(quantile) as f64;
        Latency { p50: at(0.5), p99: at(0.99) }
    }

    async fn work(&mut self, rate: f64, turn: Duration) -> std::io::Result<()> {
        let schedule = Arc::new(Schedule::start_now(Pace::Rate(rate), turn));
        self.clients = load(std::mem::take(&mut self.clients), &self.shared, &schedule).await?;
        Ok(())
    }
}

/// A crowd at its rate, alone or beside another one at its own.
pub fn one_round(
    stage: &Stage,
    gateway: &RoleProcess,
    turn: Duration,
    (own, rate): (&mut Crowd, f64),
    mut beside: Option<(&mut Crowd, f64)>,
) -> Result<Round, Box<dyn Error>> {
    // What was before is not of this round.
    own.latency();
    let before = gateway.cpu_time()?;
    stage.runtime.block_on(async {
        let work = own.work(rate, turn);
        match &mut beside {
            Some((crowd, rate)) => tokio::try_join!(work, crowd.work(*rate, turn)).map(|_| ()),
            None => work.await,
        }
    })?;
    let cpu = gateway.cpu_time()?.saturating_sub(before);
    gateway.empty_log()?;
    let beside = beside.map(|(crowd, _)| crowd.latency());
    Ok(Round { own: own.latency(), beside, busy: cpu.as_secs_f64() / turn.as_secs_f64() })
}

/// The median of one figure of the rounds.
pub fn median_of(rounds: &[Round], what: impl Fn(&Round) -> f64) -> f64 {
    median(&rounds.iter().map(what).collect::<Vec<_>>())
}

/// The median of the ratios of each round to the quiet one before it.
pub fn median_ratio(quiet: &[Round], busy: &[Round], what: impl Fn(&Round) -> f64) -> f64 {
    median(&quiet.iter().zip(busy).map(|(quiet, busy)| what(busy) / what(quiet)).collect::<Vec<_>>())
}

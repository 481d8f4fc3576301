//! CPU time of a request, by the number of users in the cache.
//!
//! A gateway for each number, filled before. Each turn goes through that gateway's users one after the other, so that the next request is
//! always that of the user who has been away longest. Clients' tokens and user tokens are ES256: a million RSA signatures would take
//! six minutes of a core. What is measured are hits, which cost the same with any algorithm.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

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
        schedule::{Pace, Schedule},
        tokens::Tokens,
    },
    stage::{Stage, all_good},
};

const NUMBERS: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const CONNECTIONS: usize = 64;

/// Users, CPU microseconds of a request, and the ratio to that with one user.
pub type Point = (usize, f64, f64);

struct Case {
    users: usize,
    gateway: RoleProcess,
    shared: Arc<Shared>,
    clients: Vec<HttpClient>,
    costs: Vec<f64>,
}

pub fn measure(stage: &Stage) -> Result<Vec<Point>, Box<dyn Error>> {
    let numbers = if stage.is_test { &NUMBERS[..3] } else { &NUMBERS };
    let (rounds, turn) = if stage.is_test { (1, Duration::from_millis(50)) } else { (9, Duration::from_millis(600)) };
    let most = numbers.last().copied().unwrap_or(1);

    let began = Instant::now();
    let (mint, key_set) = stage.issuer(NewKey::Ec(256))?;
    let all = mint.tokens("user", 0..u64::try_from(most)?)?;
    let length = all.first().map_or(0, String::len);
    eprintln!("users: {most} tokens of {length} bytes made in {:.0} s", began.elapsed().as_secs_f64());

    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: stage.own_core(), upstream: None })?;
    let settings = Settings {
        cores: vec![stage.gateway_core()],
        upstream: upstream.address(),
        key_set,
        key: stage.key_file(NewKey::Ec(256))?,
        signs_es256: true,
        signing_threads: 0,
        users: 2 * most,
        callers: None,
    };
    let mut cases = Vec::new();
    for users in numbers {
        cases.push(filled(stage, &settings, &all[..*users])?);
    }
    for round in 0..rounds {
        for place in 0..cases.len() {
            let place = (place + round) % cases.len();
            let case = &mut cases[place];
            let cost = cost(stage, case, turn)?;
            case.costs.push(cost);
        }
        eprintln!("users: round {} of {rounds}", round + 1);
    }
    let one: Vec<_> = cases[0].costs.clone();
    let ratio = |costs: &[f64]| median(&costs.iter().zip(&one).map(|(own, one)| own / one).collect::<Vec<_>>());
    Ok(cases.iter().map(|case| (case.users, median(&case.costs) * 1e6, ratio(&case.costs))).collect())
}

/// A gateway with these users in its cache.
fn filled(stage: &Stage, settings: &Settings, tokens: &[String]) -> Result<Case, Box<dyn Error>> {
    let gateway = settings.start()?;
    let users = tokens.len();
    let shared = stage.shared(Tokens::new("Authorization: Bearer {token}", tokens, &[], 0.0)?)?;
    let clients = stage.clients(&gateway, &shared, CONNECTIONS)?;
    let began = Instant::now();
    let clients = stage.runtime.block_on(async {
        let clients = open(clients.into_iter(), &shared).await?;
        let mut word = tokio::time::interval(Duration::from_secs(5));
        let mut warming = std::pin::pin!(warm_up(clients, &shared));
        loop {
            tokio::select! {
                clients = &mut warming => return Ok::<_, crate::load::Trouble>(clients),
                _ = word.tick(), if users > 10_000 => eprintln!("users: {users} are coming, for {:.0} s", began.elapsed().as_secs_f64()),
            }
        }
    })?;
    gateway.empty_log()?;
    let cached = stage.metric(&gateway, "syncgate_cache_entries")?;
    if cached != users as f64 {
        return Err(format!("{cached} of {users} users are cached").into());
    }
    Ok(Case { users, gateway, shared, clients, costs: Vec::new() })
}

/// CPU seconds of one request, in a closed loop of so long.
fn cost(stage: &Stage, case: &mut Case, turn: Duration) -> Result<f64, Box<dyn Error>> {
    let clients = std::mem::take(&mut case.clients);
    let before = (case.gateway.cpu_time()?, case.shared.tally.so_far().completed);
    case.clients = stage.runtime.block_on(async {
        let schedule = Arc::new(Schedule::start_now(Pace::Answers, turn));
        load(clients, &case.shared, &schedule).await
    })?;
    let cpu = case.gateway.cpu_time()?.saturating_sub(before.0);
    let requests = case.shared.tally.so_far().completed - before.1;
    all_good(&case.shared)?;
    case.gateway.empty_log()?;
    Ok(cpu.as_secs_f64() / requests as f64)
}

//! CPU time of a request, by the number of connections that are open.
//!
//! A gateway for each number. Requests come at the same rate to all, each over the connection that has been idle longest.

use std::{error::Error, sync::Arc, time::Duration};

use syncgate::signing::NewKey;

use crate::{
    gateway::Settings,
    harness::{
        median,
        process::RoleProcess,
        role::{Part, Role},
    },
    load::{
        client::{load, open, warm_up},
        schedule::{Pace, Schedule},
        tokens::Tokens,
    },
    stage::{Stage, all_good},
};

const NUMBERS: [usize; 6] = [10, 100, 1_000, 2_000, 4_000, 8_000];
/// Requests a second, about a third of what a core can do.
const RATE: f64 = 5_000.0;
const USERS: u64 = 100;

/// Connections and CPU microseconds of a request.
pub type Point = (usize, f64);

pub fn measure(stage: &Stage) -> Result<Vec<Point>, Box<dyn Error>> {
    let (rounds, turn) = if stage.is_test { (1, Duration::from_millis(50)) } else { (7, Duration::from_millis(1000)) };
    let mut numbers = if stage.is_test { vec![10, 100] } else { NUMBERS.to_vec() };
    // This process has all of them open at the same time, a gateway twice its own.
    while numbers.iter().sum::<usize>() > stage.descriptors || numbers.iter().any(|number| 2 * number > stage.descriptors) {
        let left_out = numbers.pop().unwrap_or_default();
        eprintln!("connections: {left_out} are too many for the descriptor limit of this machine");
    }
    let (mint, key_set) = stage.issuer(NewKey::Ec(256))?;
    let tokens = mint.tokens("user", 0..USERS)?;
    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: stage.own_core(), upstream: None })?;
    let settings = Settings {
        cores: vec![stage.gateway_core()],
        upstream: upstream.address(),
        key_set,
        key: stage.key_file(NewKey::Ec(256))?,
        signs_es256: true,
        signing_threads: 0,
        users: 100_000,
        callers: None,
    };
    let mut cases = Vec::new();
    for number in &numbers {
        let gateway = settings.start()?;
        let shared = stage.shared(Tokens::new("Authorization: Bearer {token}", &tokens, &[], 0.0)?)?;
        let clients = stage.clients(&gateway, &shared, *number)?;
        let clients = stage.runtime.block_on(async {
            let clients = open(clients.into_iter(), &shared).await?;
            Ok::<_, crate::load::Trouble>(warm_up(clients, &shared).await)
        })?;
        eprintln!("connections: {number} are open");
        cases.push((gateway, shared, clients, Vec::new()));
    }
    for round in 0..rounds {
        for place in 0..cases.len() {
            let place = (place + round) % cases.len();
            let (gateway, shared, clients, costs) = &mut cases[place];
            let before = (gateway.cpu_time()?, shared.tally.so_far().completed);
            let resting = std::mem::take(clients);
            *clients = stage.runtime.block_on(async {
                let schedule = Arc::new(Schedule::start_now(Pace::Rate(RATE), turn));
                load(resting, shared, &schedule).await
            })?;
            let cpu = gateway.cpu_time()?.saturating_sub(before.0);
            let requests = shared.tally.so_far().completed - before.1;
            all_good(shared)?;
            gateway.empty_log()?;
            costs.push(cpu.as_secs_f64() * 1e6 / requests as f64);
        }
        eprintln!("connections: round {} of {rounds}", round + 1);
    }
    Ok(numbers.into_iter().zip(&cases).map(|(number, (.., costs))| (number, median(costs))).collect())
}

//! One trial: every spelling to every server, first without the gateway, then through it in every shape.

use std::sync::Arc;

use tokio::{sync::Mutex, task::JoinSet};

use super::{
    connection::Connection,
    fork::{Fork, MASK},
    program::Setup,
    request::{Handler, Request, Seen},
    shape::{Credential, Shape},
    spellings::Spelling,
};
use crate::recorder::gateway_of;

/// Connections to one server at a time.
const CONNECTIONS: usize = 4;

/// What each server made of each spelling, when it was asked without the gateway: by server, then by spelling.
pub struct Readings {
    pub seen: Vec<Vec<Seen>>,
}

/// A guarded handler that was reached.
#[derive(Clone, Debug)]
pub struct Hit {
    pub shape: &'static str,
    pub setup: &'static str,
    pub request: Request,
    pub handler: Handler,
}

/// What came of one shape.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests that the gateway decided about.
    pub decisions: usize,
    /// Those that it forwarded.
    pub forwarded: usize,
    /// Requests that a server was then asked, beyond the gateway.
    pub asked: usize,
    pub hits: Vec<Hit>,
    /// Targets that did not arrive as they were sent, though they hold nothing that has no place in one.
    pub changed: Vec<Vec<u8>>,
}

/// Asks each server for each spelling.
pub async fn read(setups: &[Setup], spellings: &Arc<Vec<Spelling>>, told: impl Fn(&Setup, &[Seen])) -> Readings {
    let mut tasks = JoinSet::new();
    for (index, setup) in setups.iter().enumerate() {
        let (setup, spellings) = (*setup, Arc::clone(spellings));
        tasks.spawn(async move { (index, read_by(setup, &spellings).await) });
    }
    let mut seen = vec![Vec::new(); setups.len()];
    while let Some(done) = tasks.join_next().await {
        let (index, of_setup) = done.unwrap();
        told(&setups[index], &of_setup);
        seen[index] = of_setup;
    }
    Readings { seen }
}

async fn read_by(setup: Setup, spellings: &Arc<Vec<Spelling>>) -> Vec<Seen> {
    let mut tasks = JoinSet::new();
    for first in 0..CONNECTIONS {
        let spellings = Arc::clone(spellings);
        tasks.spawn(async move {
            let mut connection = setup.connect();
            let mut seen = Vec::new();
            for index in (first..spellings.len()).step_by(CONNECTIONS) {
                seen.push((index, Seen::of(connection.ask(&spellings[index].request.bytes("")).await.as_ref())));
            }
            seen
        });
    }
    let mut seen = vec![Seen::NOTHING; spellings.len()];
    while let Some(done) = tasks.join_next().await {
        for (index, of_spelling) in done.unwrap() {
            seen[index] = of_spelling;
        }
    }
    seen
}

/// Sends each spelling of a shape through a gateway of that shape, to every server that would let it reach what is guarded.
pub async fn run(shape: &Shape, setups: &[Setup], spellings: &[Spelling], readings: &Readings) -> Outcome {
    let fork = Fork::start(setups.to_vec()).await;
    let kit = gateway_of(fork.address, serde_json::json!({ "routes": shape.routes })).await;
    let credential = match shape.credential {
        Credential::Nothing => String::new(),
        Credential::TokenWithoutRole => format!("Authorization: Bearer {}\r\n", kit.issuer.token("alice").sign()),
    };
    let tried = spellings.iter().enumerate().filter(|(_, spelling)| shape.families.contains(&spelling.family));
    let work: Vec<(Request, u64)> = tried
        .map(|(index, spelling)| {
            let dangerous = |server: &usize| shape.is_dangerous(readings.seen[*server][index].handler);
            let mask = (0..setups.len()).filter(dangerous).fold(0, |mask, server| mask | 1_u64 << server);
            (shape.request(&spelling.request), mask)
        })
        .collect();
    let outcome = Mutex::new(Outcome { decisions: work.len(), ..Outcome::default() });
    let address = kit.gateway.address();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || async {
        let mut gateway = Connection::new(address, true);
        while let Some((request, mask)) = work.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            let mut mask = *mask;
            loop {
                let more = format!("{credential}{MASK}: {mask:x}\r\n");
                let Some(answer) = gateway.ask(&request.bytes(&more)).await else { break };
                if answer.header("x-fork").is_none() {
                    break;
                }
                let mut outcome = outcome.lock().await;
                outcome.asked += mask.count_ones() as usize;
                let all = u64::MAX >> (64 - setups.len());
                let is_changed = arrived(&answer.body) != request.target;
                if is_changed && mask != all {
                    // Another target than the servers were asked for: ask all of them.
                    if request.target.iter().all(|byte| byte.is_ascii_graphic() && !ENCODED.contains(byte)) {
                        outcome.changed.push(request.target.clone());
                    }
                    mask = all;
                    continue;
                }
                outcome.forwarded += 1;
                outcome.hits.extend(hits(shape, setups, request, &answer.body));
                break;
            }
        }
    };
    futures_util::future::join_all((0..CONNECTIONS * 2).map(|_| worker())).await;
    kit.stop().await;
    outcome.into_inner()
}

/// What no URL holds as it is (RFC 3986 section 2): the gateway encodes it where it has to, before it decides.
const ENCODED: &[u8] = b"<>\"`";

/// The target that the fork saw: what stands before the handlers, each of which is one line of three words.
fn arrived(body: &[u8]) -> &[u8] {
    body.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

fn hits(shape: &Shape, setups: &[Setup], request: &Request, body: &[u8]) -> Vec<Hit> {
    let lines = body.split(|byte| *byte == b'\n').skip(1);
    lines
        .filter_map(|line| {
            let mut words = str::from_utf8(line).ok()?.split(' ');
            let (setup, name) = (words.next()?.parse::<usize>().ok()?, words.next()?);
            let seen = Seen { handler: Handler::of(name.as_bytes()), method: words.next().map(str::to_owned), path: None };
            shape.is_breached(request, &seen).then(|| Hit {
                shape: shape.name,
                setup: setups[setup].name,
                request: request.clone(),
                handler: seen.handler,
            })
        })
        .collect()
}

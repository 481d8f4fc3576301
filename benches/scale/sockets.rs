//! Memory of the gateway, by the number of idle WebSockets.

use std::{error::Error, fs, sync::Arc};

use futures_util::StreamExt as _;
use syncgate::{demo::FREE_PORT, signing::NewKey};
use tokio::net::TcpListener;

use crate::{
    gateway::Settings,
    harness::{process::RoleProcess, role},
    load::{client::open, target::Target, tokens::Tokens, websocket::SocketClient},
    stage::Stage,
};

const NUMBERS: [usize; 4] = [0, 1_000, 4_000, 8_000];
const USERS: u64 = 100;
const FLAG: &str = "--socket-upstream";

/// Sockets and memory of the gateway in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub sockets: usize,
    /// Resident.
    pub rss: u64,
    /// Resident, pages that are shared with other processes in part.
    pub pss: u64,
}

pub fn measure(stage: &Stage) -> Result<Vec<Point>, Box<dyn Error>> {
    let numbers = if stage.is_test { vec![0, 20] } else { NUMBERS.to_vec() };
    let (mint, key_set) = stage.issuer(NewKey::Ec(256))?;
    let tokens = Tokens::new("Authorization: Bearer {token}", &mint.tokens("user", 0..USERS)?, &[], 0.0)?;
    let upstream = RoleProcess::spawn(&[FLAG.to_owned(), stage.own_core().to_string()])?;
    let key = stage.key_file(NewKey::Ec(256))?;
    let cores = vec![stage.gateway_core()];
    let settings = Settings {
        cores,
        upstream: upstream.address(),
        key_set,
        key,
        signs_es256: true,
        signing_threads: 0,
        users: 100_000,
        callers: None,
    };
    let gateway = settings.start()?;
    let shared = stage.shared(tokens)?;
    let url = format!("http://{}/live", gateway.address()).parse()?;
    let target = Arc::new(stage.runtime.block_on(Target::resolve(&url, &[], None))?);
    let client = |user| SocketClient::new(&target, &shared, user, None);

    // What the first sockets cost once is not theirs.
    drop(stage.runtime.block_on(open((0..USERS).map(client), &shared))?);
    stage.await_metric(&gateway, "syncgate_websocket_connections", 0)?;
    let mut points = Vec::new();
    let mut clients = Vec::new();
    for sockets in numbers {
        // The gateway has two for each.
        if 2 * sockets > stage.descriptors {
            eprintln!("sockets: {sockets} are too many for the descriptor limit of this machine");
            break;
        }
        let more = (clients.len()..sockets).map(|user| client(user as u64));
        if more.len() > 0 {
            clients.extend(stage.runtime.block_on(open(more, &shared))?);
        }
        stage.await_metric(&gateway, "syncgate_websocket_connections", sockets)?;
        eprintln!("sockets: {sockets} are open");
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", gateway.id()))?;
        points.push(Point { sockets, rss: memory(&rollup, "Rss:")?, pss: memory(&rollup, "Pss:")? });
    }
    Ok(points)
}

/// One line of `smaps_rollup`, in bytes.
fn memory(rollup: &str, name: &str) -> Result<u64, Box<dyn Error>> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name)).ok_or("a line is missing in smaps_rollup")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// Whether this process is to be the upstream.
pub fn is_upstream() -> bool {
    std::env::args().any(|argument| argument == FLAG)
}

/// An upstream that takes sockets and listens to them.
pub fn serve() -> Result<(), Box<dyn Error>> {
    role::end_with_parent();
    role::pin_to(std::env::args().next_back().ok_or("which core?")?.parse()?)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(FREE_PORT).await?;
        role::announce(listener.local_addr()?, "", "")?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // A client that goes away ends its socket, and nothing else.
                if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                    while let Some(Ok(_)) = socket.next().await {}
                }
            });
        }
    })
}

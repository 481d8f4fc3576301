//! [`Client`]: what one connection does, and how it is led through a run.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{StatusCode, header::HeaderValue};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{timeout, timeout_at},
};

use crate::{
    Failure,
    schedule::Schedule,
    tally::{Problem, Tally},
    tokens::Tokens,
};

/// Connections that are opened at the same time; more would overflow the queue of a server's listener.
const OPENING: usize = 128;

/// One connection of any mode.
pub trait Client: Send + 'static {
    /// Connects, unless there is a connection. What the handshake was answered, where there is one.
    fn connect(&mut self) -> impl Future<Output = io::Result<Option<StatusCode>>> + Send;

    /// Asks for something and waits for the answer, and for its status where it has one. A caller that stops waiting disconnects.
    fn ask(&mut self, token: Option<&HeaderValue>) -> impl Future<Output = Result<Option<StatusCode>, Problem>> + Send;

    /// Gives the connection up.
    fn disconnect(&mut self);

    /// Does what a connection needs while nothing is asked. Returns when it has ended.
    fn idle(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Ends the connection as is proper.
    fn close(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        std::future::ready(())
    }
}

/// What all connections of a run share.
pub struct Shared {
    pub tokens: Tokens,
    pub tally: Tally,
    /// Until a request counts as lost.
    pub timeout: Duration,
    /// How long an answer may be held back on purpose; its latency is what comes on top.
    pub hold: Duration,
    /// Whether answers that are still open at the end are waited for, and count as lost if they do not come in time.
    pub waits_at_end: bool,
}

/// Connects all of them. Fails if none can be connected.
pub async fn open<C: Client>(clients: impl Iterator<Item = C>, shared: &Arc<Shared>) -> Result<Vec<C>, Failure> {
    let turns = Arc::new(Semaphore::new(OPENING));
    let mut opening = JoinSet::new();
    for mut client in clients {
        let (turns, shared) = (Arc::clone(&turns), Arc::clone(shared));
        opening.spawn(async move {
            let _turn = turns.acquire().await;
            let began = Instant::now();
            let opened = timeout(shared.timeout, client.connect()).await;
            let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            if let Ok(Some(status)) = opened {
                shared.tally.opened(status, began.elapsed());
            }
            (client, opened.map(|_| ()))
        });
    }
    let opened = opening.join_all().await;
    let last_error = opened.iter().find_map(|(_, opened)| opened.as_ref().err().map(ToString::to_string));
    match last_error {
        Some(error) if opened.iter().all(|(_, opened)| opened.is_err()) => {
            Err(Failure::Trouble(format!("the target cannot be reached: {error}")))
        }
        _ => Ok(opened.into_iter().map(|(client, _)| client).collect()),
    }
}

/// Has each hot user known to the gateway. Nothing of it is counted.
pub async fn warm_up<C: Client>(clients: Vec<C>, shared: &Arc<Shared>) -> Vec<C> {
    let turn = Arc::new(AtomicU64::new(0));
    let mut warming = JoinSet::new();
    for mut client in clients {
        let (turn, shared) = (Arc::clone(&turn), Arc::clone(shared));
        warming.spawn(async move {
            loop {
                let user = turn.fetch_add(1, Ordering::Relaxed);
                if user >= shared.tokens.hot_users() {
                    return client;
                }
                // What is wrong will be counted when it happens again.
                if timeout(shared.timeout, client.ask(shared.tokens.hot(user))).await.is_err() {
                    client.disconnect();
                }
            }
        });
    }
    warming.join_all().await
}

/// Sends requests as the schedule says, until its end and until all are answered or lost.
pub async fn load<C: Client>(mut client: C, shared: &Shared, schedule: &Schedule) {
    let tally = &shared.tally;
    let last = schedule.end() + if shared.waits_at_end { shared.timeout } else { Duration::ZERO };
    loop {
        let ticket = tokio::select! {
            ticket = schedule.next() => ticket,
            () = client.idle() => {
                client.disconnect();
                tally.failed(Problem::Closed, None);
                // Once only: the next request connects again.
                schedule.next().await
            }
        };
        let Some(ticket) = ticket.filter(|_| Instant::now() < last) else { break };
        let token = shared.tokens.of(ticket.number);
        tally.sent(ticket.has_waited);
        let deadline = Instant::now() + shared.timeout;
        match timeout_at(deadline.min(last).into(), client.ask(token)).await {
            Ok(Ok(status)) => tally.answered(status, ticket.due.elapsed().saturating_sub(shared.hold)),
            Ok(Err(problem)) => tally.failed(problem, Some(ticket.due)),
            Err(_) => {
                client.disconnect();
                if shared.waits_at_end || deadline <= last {
                    tally.failed(Problem::Timeout, Some(ticket.due));
                }
            }
        }
    }
    // A server that does not answer a farewell is left without one.
    let _ = timeout(Duration::from_secs(1), client.close()).await;
}

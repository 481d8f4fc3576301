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
use tokio_util::task::AbortOnDropHandle;

use super::{
    Trouble,
    schedule::Schedule,
    tally::{Problem, Tally},
    tokens::Tokens,
};

/// Connections that are opened at the same time; more would overflow the queue of a server's listener.
const OPENING: usize = 128;

/// One connection of any mode.
pub trait Client: Send + 'static {
    /// Connects, unless there is a connection.
    fn connect(&mut self) -> impl Future<Output = io::Result<()>> + Send;

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

/// Connects all of them. Fails if none can be connected; those that cannot count as errors, and try again when they have a request.
pub async fn open<C: Client>(clients: impl Iterator<Item = C>, shared: &Shared) -> Result<Vec<C>, Trouble> {
    let turns = Arc::new(Semaphore::new(OPENING));
    let patience = shared.timeout;
    let mut opening = JoinSet::new();
    for mut client in clients {
        let turns = Arc::clone(&turns);
        opening.spawn(async move {
            let _turn = turns.acquire().await;
            let opened = timeout(patience, client.connect()).await;
            (client, opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
        });
    }
    let (clients, opened): (Vec<_>, Vec<_>) = opening.join_all().await.into_iter().unzip();
    let failures: Vec<_> = opened.into_iter().filter_map(Result::err).collect();
    match failures.first() {
        Some(error) if failures.len() == clients.len() => Err(Trouble::with("the target cannot be reached", error)),
        _ => {
            failures.iter().for_each(|_| shared.tally.failed(Problem::Connect, None));
            Ok(clients)
        }
    }
}

/// Has each hot user known to the gateway, and a request sent over each connection. Nothing of it is counted.
pub async fn warm_up<C: Client>(clients: Vec<C>, shared: &Arc<Shared>) -> Vec<C> {
    let turn = Arc::new(AtomicU64::new(0));
    let mut warming = JoinSet::new();
    for mut client in clients {
        let (turn, shared) = (Arc::clone(&turn), Arc::clone(shared));
        warming.spawn(async move {
            let mut user = turn.fetch_add(1, Ordering::Relaxed);
            loop {
                // What is wrong will be counted when it happens again.
                if timeout(shared.timeout, client.ask(shared.tokens.hot(user))).await.is_err() {
                    client.disconnect();
                }
                user = turn.fetch_add(1, Ordering::Relaxed);
                if user >= shared.tokens.hot_users() {
                    return client;
                }
            }
        });
    }
    warming.join_all().await
}

/// Lets all of them work as the schedule says, until its end and until all requests are answered or lost. Gives them back.
pub async fn load<C: Client>(clients: Vec<C>, shared: &Arc<Shared>, schedule: &Arc<Schedule>) -> io::Result<Vec<C>> {
    let mut working = JoinSet::new();
    let connections = clients.len();
    for mut client in clients {
        let (shared, schedule) = (Arc::clone(shared), Arc::clone(schedule));
        working.spawn(async move {
            work(&mut client, &shared, &schedule).await;
            client
        });
    }
    let pacer = Arc::clone(schedule);
    let pacing = AbortOnDropHandle::new(tokio::spawn(async move { pacer.pace(connections).await }));
    let clients = working.join_all().await;
    pacing.await??;
    schedule.unsent().for_each(|due| shared.tally.failed(Problem::NotSent, Some(due)));
    Ok(clients)
}

/// Ends all connections. A server that does not answer a farewell in time is left without one.
pub async fn close<C: Client>(clients: Vec<C>) {
    let mut closing = JoinSet::new();
    clients.into_iter().for_each(|client| {
        closing.spawn(timeout(Duration::from_secs(1), client.close()));
    });
    closing.join_all().await;
}

async fn work<C: Client>(client: &mut C, shared: &Shared, schedule: &Schedule) {
    let tally = &shared.tally;
    let last = schedule.end() + if shared.waits_at_end { shared.timeout } else { Duration::ZERO };
    loop {
        let ticket = tokio::select! {
            ticket = schedule.next() => ticket,
            () = client.idle() => {
                client.disconnect();
                tally.failed(Problem::Closed, None);
                continue;
            }
        };
        let Some(ticket) = ticket.filter(|_| Instant::now() < last) else { return };
        tally.sent(ticket.has_waited);
        let deadline = Instant::now() + shared.timeout;
        match timeout_at(deadline.min(last).into(), client.ask(shared.tokens.next())).await {
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
}

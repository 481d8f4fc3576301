//! Which connections are closed when the connection limit is reached: the longest idle ones.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pingora::protocols::UniqueIDType;

use crate::proxy::client::connection::Connection;

/// How long a connection may say nothing before it counts as idle.
const IDLE_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum number of connections that give way at once: to find them is a look at every connection.
const MAX_DISPLACED: usize = 32;

/// How many give way to one newcomer: those who come next are not to cause another look.
pub(super) fn at_once(max_connections: usize) -> usize {
    (max_connections / 256).clamp(1, MAX_DISPLACED)
}

/// The open connections of one event loop.
#[derive(Debug, Default)]
pub(super) struct OpenConnections(Mutex<HashMap<UniqueIDType, Arc<Connection>>>);

impl OpenConnections {
    /// Keeps the connection for as long as what is returned lives.
    pub(super) fn keep(self: &Arc<Self>, connection: &Arc<Connection>) -> Option<KeptOpen> {
        let key = connection.stream()?.id();
        self.lock().insert(key, Arc::clone(connection));
        Some(KeptOpen { open: Arc::clone(self), key })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UniqueIDType, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection among its kind.
#[derive(Debug)]
pub(super) struct KeptOpen {
    open: Arc<OpenConnections>,
    key: UniqueIDType,
}

impl Drop for KeptOpen {
    fn drop(&mut self) {
        // Dropped when the lock is free again.
        let _connection = self.open.lock().remove(&self.key);
    }
}

/// The connections that have been idle the longest, `most` of them, for each of the event loops in order.
pub(super) fn idle_longest<'o>(loops: impl Iterator<Item = &'o OpenConnections>, most: usize) -> Vec<Vec<Arc<Connection>>> {
    let now = Instant::now();
    let mut idle = Vec::new();
    let mut count = 0;
    for (index, open) in loops.enumerate() {
        let is_silent = |since: &Instant| now.saturating_duration_since(*since) >= IDLE_TIMEOUT;
        let since = |connection: &Arc<Connection>| connection.request().idle_since(is_silent);
        idle.extend(open.lock().values().filter_map(|connection| Some((since(connection)?, index, Arc::clone(connection)))));
        count = index + 1;
        shorten(&mut idle, most);
    }
    let mut chosen = vec![Vec::new(); count];
    for (_, index, connection) in idle {
        if let Some(of_loop) = chosen.get_mut(index) {
            of_loop.push(connection);
        }
    }
    chosen
}

fn shorten(idle: &mut Vec<(Instant, usize, Arc<Connection>)>, most: usize) {
    if idle.len() > most {
        idle.select_nth_unstable_by_key(most, |(since, ..)| *since);
        idle.truncate(most);
    }
}

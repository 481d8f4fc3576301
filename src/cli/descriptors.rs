//! File descriptors: each client takes one, and its upstream another.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// For operators, and for what the process has open for itself: listeners, log, snapshots, names being resolved.
const OF_PROCESS: u64 = 128;
/// For what an event loop waits with, and for the fetches of an issuer's keys.
const OF_EACH: u64 = 4;

/// Raises the soft limit to the hard one, as servers do.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // Where it fails the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// How many clients the limit of descriptors carries. Told at the start, since the limit stays what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried(usize);

impl Carried {
    /// By a gateway with this config; warns if it asks for more.
    pub(super) fn by(config: &Config) -> Self {
        // No limit at all is `None`.
        let Some(limit) = getrlimit(Resource::Nofile).current else { return Self(usize::MAX) };
        let loops = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let reserve = reserve(loops, config.issuers.len());
        let max_connections = config.proxy.listen.max_connections;
        let carried = carried(limit, reserve);
        if carried < max_connections {
            let needed = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(reserve);
            tracing::warn!(
                limit,
                max_connections,
                lowered_to = carried,
                needed,
                "listen.max_connections is lowered to fit the limit of file descriptors; raise that limit \
                 (systemd: LimitNOFILE={needed}; a shell: ulimit -n {needed}), or lower the setting"
            );
        }
        Self(carried)
    }

    /// Lowers `listen.max_connections` to that.
    pub(super) fn bound(self, config: &mut Config) {
        let max_connections = &mut config.proxy.listen.max_connections;
        *max_connections = self.0.min(*max_connections);
    }
}

/// What is left to others than clients and their upstreams.
fn reserve(loops: usize, issuers: usize) -> u64 {
    let each = u64::try_from(loops.saturating_add(issuers)).unwrap_or(u64::MAX);
    OF_PROCESS.saturating_add(each.saturating_mul(OF_EACH))
}

/// How many clients the limit carries: at least one. Of a small limit half is kept back.
fn carried(limit: u64, reserve: u64) -> usize {
    let for_clients = limit.saturating_sub(reserve.min(limit / 2));
    usize::try_from(for_clients / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_two_and_the_rest_is_kept_back() {
        let reserve = reserve(2, 1);
        assert_eq!(reserve, 140);
        assert_eq!([1_u64, 64, 256, 1_024, 20_140].map(|limit| carried(limit, reserve)), [1, 16, 64, 442, 10_000]);
    }
}

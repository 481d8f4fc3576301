//! File descriptors: each client takes one, and its upstream another.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as servers do, and warns if that is too low for this many clients.
pub(super) fn raise(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    // Where it fails the limit stays as it was, which the warning then says.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let wanted = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_mul(2);
    // No limit at all is `None`.
    if let Some(current) = getrlimit(Resource::Nofile).current.filter(|current| *current < wanted) {
        tracing::warn!(
            limit = current,
            wanted,
            "too few file descriptors for listen.max_connections; raise the limit (ulimit -n, LimitNOFILE) or lower the setting"
        );
    }
}

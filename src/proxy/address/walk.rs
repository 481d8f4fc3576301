//! The walk over a list of addresses, from the right.

use std::net::IpAddr;

use crate::proxy::address::trust::TrustedProxies;

/// Entries that are looked at. No chain of proxies is as long.
pub(super) const MAX_ENTRIES: usize = 32;

/// Where a walk has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) client: IpAddr,
    /// Which entry that was, counted from the right; none if no entry could be used.
    pub(super) entry: Option<usize>,
    /// The trusted proxies behind the client, the peer last.
    pub(super) behind: Vec<IpAddr>,
}

/// Walks over the entries from the right, beginning with a trusted peer: the first address that is not trusted is the client. What is not
/// an address ends the walk, and the last one before it counts.
pub(super) fn walk(peer: IpAddr, entries: impl Iterator<Item = Option<IpAddr>>, trusted: &TrustedProxies) -> Walk {
    let mut walk = Walk { client: peer, entry: None, behind: Vec::new() };
    for (index, entry) in entries.take(MAX_ENTRIES).enumerate() {
        let Some(address) = entry else { break };
        walk.behind.insert(0, walk.client);
        (walk.client, walk.entry) = (address, Some(index));
        if !trusted.contains(address) {
            break;
        }
    }
    walk
}

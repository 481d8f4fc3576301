//! Which route a request takes.

use std::{cmp::Reverse, sync::Arc};

use super::{
    Route,
    spelling::{may_have_authority, segments},
    tree::Tree,
};
use crate::token::Rejection;

/// All routes, the most specific first.
#[derive(Debug)]
pub(in crate::proxy) struct RouteTable {
    routes: Vec<Arc<Route>>,
    /// For each route the first one with the same rules.
    rules: Vec<usize>,
    tree: Tree,
    /// Whether the path of a route has a capital, so that one without may be another spelling of it.
    has_capitals: bool,
    /// Whether a request for another host may be one with other rules, or one that no route takes.
    pub(super) has_hosts: bool,
    /// Whether a preflight may be one for a route.
    pub(in crate::proxy) has_cors: bool,
    /// Whether a method may be told from the same in lower case.
    has_methods: bool,
    /// Whether a path may be told from the same with a slash behind it.
    has_exact: bool,
}

/// The route of a request.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Found<'a> {
    pub(in crate::proxy) route: &'a Arc<Route>,
    /// Others whose permission is required too, since the path may be one of theirs.
    pub(in crate::proxy) also: Vec<&'a Arc<Route>>,
}

impl Found<'_> {
    /// All of these routes.
    pub(in crate::proxy) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        std::iter::once(self.route).chain(self.also.iter().copied())
    }
}

impl RouteTable {
    pub(in crate::proxy) fn new(mut routes: Vec<Arc<Route>>) -> Self {
        // Routes of one path stand together.
        let rank = |route: &Route| Reverse((route.exact, route.host.is_some(), !route.methods.is_empty()));
        routes.sort_by(|one, other| {
            let by_length = other.path.len().cmp(&one.path.len());
            by_length.then_with(|| one.path.cmp(&other.path)).then_with(|| rank(one).cmp(&rank(other)))
        });
        let same = |route: &Arc<Route>| routes.iter().position(|other| other.same_rules(route)).unwrap_or_default();
        let rules: Vec<_> = routes.iter().map(same).collect();
        Self {
            tree: Tree::new(routes.iter().map(|route| route.path.as_str())),
            has_capitals: routes.iter().any(|route| has_capital(&route.path)),
            has_hosts: routes.iter().any(|route| route.host.is_some())
                && (rules.iter().any(|rule| *rule != 0) || routes.iter().all(|route| route.host.is_some())),
            has_methods: routes.iter().any(|route| !route.methods.is_empty()),
            has_cors: routes.iter().any(|route| route.cors.is_some()),
            has_exact: routes.iter().any(|route| route.exact),
            rules,
            routes,
        }
    }

    /// The names of all routes.
    pub(in crate::proxy) fn names(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| route.name.as_str())
    }

    /// The route of a request. `path` as sent, without the query.
    ///
    /// A plain path takes its route. Any other is a matter of every route that some server may take it to. Of these, public routes count
    /// only where no other is among them; protected ones that differ in their permission alone demand all of it. Methods are case-sensitive
    /// (RFC 9110 section 9.1), but not to all servers, so that one in another case is a matter of both.
    ///
    /// # Errors
    /// [`Rejection::NoRoute`]; [`Rejection::AmbiguousPath`] where the routes differ in any other way, or nobody can tell which they are, or
    /// the path may name another host.
    pub(in crate::proxy) fn find(&self, host: &str, method: &str, path: &[u8]) -> Result<Found<'_>, Rejection> {
        let found = self.find_for(host, method, path)?;
        if !self.has_methods || !method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Ok(found);
        }
        let other = self.find_for(host, &method.to_ascii_uppercase(), path).map_err(|_| Rejection::AmbiguousPath)?;
        self.held_to_all(&found, &[other])
    }

    fn find_for(&self, host: &str, method: &str, path: &[u8]) -> Result<Found<'_>, Rejection> {
        let is_plain = self.is_plain(path);
        let as_sent = self.first(host, method, path, false);
        if is_plain && !self.has_capitals && !has_capital(path) {
            return as_sent.map(|(_, route)| Found { route, also: Vec::new() }).ok_or(Rejection::NoRoute);
        }
        self.find_any(host, method, path, is_plain, as_sent.map(|(index, _)| index))
    }

    fn first(&self, host: &str, method: &str, path: &[u8], fold_case: bool) -> Option<(usize, &Arc<Route>)> {
        self.routes.iter().enumerate().find(|(_, route)| route.matches_to(host, method) && route.covers(path, fold_case))
    }

    /// The route of a path that may be other routes' too. Kept apart, since it is not the common case.
    #[inline(never)]
    fn find_any(
        &self,
        host: &str,
        method: &str,
        path: &[u8],
        is_plain: bool,
        as_sent: Option<usize>,
    ) -> Result<Found<'_>, Rejection> {
        if self.has_hosts && !is_plain && may_have_authority(path) {
            return Err(Rejection::AmbiguousPath);
        }
        let nothing_at_stake = self.same_everywhere(host, method).is_some();
        let reached = match as_sent {
            Some(as_sent) if nothing_at_stake => vec![Some(as_sent)],
            _ if is_plain => vec![as_sent, self.first(host, method, path, true).map(|(index, _)| index)],
            _ => self.reached(host, method, path, as_sent).ok_or(Rejection::AmbiguousPath)?,
        };
        self.found(reached, as_sent)
    }

    /// The rules of all paths, if it makes no difference which path is asked for.
    pub(super) fn same_everywhere(&self, host: &str, method: &str) -> Option<usize> {
        let mut first = None;
        let mut before: Option<&Arc<Route>> = None;
        for (route, rules) in self.routes.iter().zip(&self.rules).filter(|(route, _)| route.matches_to(host, method)) {
            // Another one for the same paths is never reached.
            if before.replace(route).is_some_and(|before| before.path == route.path && before.exact == route.exact) {
                continue;
            }
            if *first.get_or_insert(rules) != rules {
                return None;
            }
            if route.takes_all() {
                return first.copied();
            }
        }
        None
    }

    /// The routes of a request that is a matter of others too. They are at one upstream, or the request is refused: it goes to one.
    pub(super) fn held_to_all<'a>(&'a self, found: &Found<'a>, others: &[Found<'a>]) -> Result<Found<'a>, Rejection> {
        let mut reached = Vec::new();
        for route in found.routes().chain(others.iter().flat_map(Found::routes)) {
            let index = self.routes.iter().position(|known| Arc::ptr_eq(known, route));
            if route.upstream != found.route.upstream {
                return Err(Rejection::AmbiguousPath);
            }
            if !reached.contains(&index) {
                reached.push(index);
            }
        }
        let as_sent = reached.first().copied().flatten();
        self.found(reached, as_sent)
    }

    /// Every route that some server may take a path to; none among them for what no route takes. None if nobody can tell.
    fn reached(&self, host: &str, method: &str, path: &[u8], as_sent: Option<usize>) -> Option<Vec<Option<usize>>> {
        let mut reached: Vec<_> = as_sent.map(Some).into_iter().collect();
        for place in self.tree.places(&segments(path)?)? {
            let takes = |(index, is_there): &(usize, bool)| {
                self.routes.get(*index).is_some_and(|route| route.matches_to(host, method) && (*is_there || !route.exact))
            };
            let route = self.tree.routes(place).find(takes).map(|(index, _)| index);
            // The name of a route that a server does not decode is nothing there.
            let is_nothing = route.is_none() && place.is_as_spelled();
            if !is_nothing && !reached.contains(&route) {
                reached.push(route);
            }
        }
        Some(reached)
    }

    /// The route of a request that may be one of all of these; of `as_sent`, if that does.
    fn found(&self, reached: Vec<Option<usize>>, as_sent: Option<usize>) -> Result<Found<'_>, Rejection> {
        let routes: Option<Vec<_>> = reached.into_iter().collect();
        let Some(mut indices) = routes else {
            // Nothing leads anywhere, or only some readings do.
            return Err(if as_sent.is_none() { Rejection::NoRoute } else { Rejection::AmbiguousPath });
        };
        indices.sort_unstable();
        let routes: Vec<_> = indices.iter().filter_map(|index| self.routes.get(*index)).collect();
        let is_protected = routes.iter().any(|route| !route.is_public());
        let mut held: Vec<_> = routes.into_iter().filter(|route| !is_protected || !route.is_public()).collect();
        let as_sent = as_sent.and_then(|index| self.routes.get(index));
        let at = held.iter().position(|route| as_sent.is_some_and(|as_sent| Arc::ptr_eq(route, as_sent))).unwrap_or_default();
        if held.is_empty() {
            return Err(Rejection::NoRoute);
        }
        let route = held.swap_remove(at);
        if !held.iter().all(|other| other.same_but_for_permission(route)) {
            return Err(Rejection::AmbiguousPath);
        }
        held.retain(|other| other.permission != route.permission);
        Ok(Found { route, also: held })
    }

    /// Whether every server reads this path alike but for case: the common one, decided in one pass.
    fn is_plain(&self, path: &[u8]) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.' | b'/');
        path.iter().all(|byte| plain(*byte))
            && !path.windows(2).any(|pair| matches!(pair, b"//" | b"/." | b"./"))
            && !path.ends_with(b".")
            && (!self.has_exact || !path.ends_with(b"/") || path.len() == 1)
    }
}

fn has_capital(path: impl AsRef<[u8]>) -> bool {
    path.as_ref().iter().any(u8::is_ascii_uppercase)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;

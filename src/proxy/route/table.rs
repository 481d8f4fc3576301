//! Which route a request takes.

use std::{cmp::Reverse, sync::Arc};

use super::{
    Route,
    readings::{folded, is_literal, readings},
};
use crate::token::Rejection;

/// All routes, the most specific first.
#[derive(Debug)]
pub(in crate::proxy) struct RouteTable {
    routes: Vec<Arc<Route>>,
    /// Whether the path of a route has a capital, so that one without may be another spelling of it.
    has_capitals: bool,
}

impl RouteTable {
    pub(in crate::proxy) fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by_key(|route| Reverse((route.path.len(), route.exact, route.host.is_some(), !route.methods.is_empty())));
        let has_capitals = routes.iter().any(|route| has_capital(&route.path));
        Self { routes, has_capitals }
    }

    /// The route of a request. `path` as sent, without the query.
    ///
    /// Every reading of the path must lead to a route with the same rules. Where some lead to public routes and the others to one
    /// protected route, the request is a matter of the protected one.
    ///
    /// # Errors
    /// [`Rejection::NoRoute`]; [`Rejection::AmbiguousPath`] where readings differ in any other way.
    pub(in crate::proxy) fn find(&self, host: &str, method: &str, path: &str) -> Result<&Arc<Route>, Rejection> {
        let first = |reading: &str, fold_case: bool| {
            self.routes.iter().find(|route| route.matches_to(host, method) && route.covers(reading, fold_case))
        };
        let readings = match is_literal(path) {
            true if !self.has_capitals && !has_capital(path) => return first(path, false).ok_or(Rejection::NoRoute),
            true => vec![path.to_owned()],
            false => readings(path).ok_or(Rejection::AmbiguousPath)?,
        };
        let as_sent = first(path, false).ok_or(Rejection::NoRoute)?;
        let found: Option<Vec<_>> =
            readings.iter().flat_map(|reading| [first(reading, false), first(&folded(reading), true)]).collect();
        // A reading that leads nowhere is another one than that which led here.
        let found = found.ok_or(Rejection::AmbiguousPath)?;
        let route = found.iter().find(|route| !route.is_public()).unwrap_or(&as_sent);
        let fits = |other: &&Arc<Route>| other.same_rules(route) || (other.is_public() && !route.is_public());
        // Of routes with the same rules, the one that was asked for.
        match found.iter().all(fits) {
            true if as_sent.same_rules(route) => Ok(as_sent),
            true => Ok(route),
            false => Err(Rejection::AmbiguousPath),
        }
    }
}

fn has_capital(path: &str) -> bool {
    path.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;

//! Routes that protect less than they seem to, since only the backend knows other paths to the same resource.

use crate::{
    config::field::Field,
    proxy::{Access, RouteSettings},
};

/// Methods that frameworks let a POST stand for.
const OVERRIDDEN: [&str; 3] = ["DELETE", "PUT", "PATCH"];

/// Warns of public routes beside protected ones, and of routes that a POST may bypass.
pub(in crate::config) fn check(routes: &[(Field<'_>, RouteSettings)]) {
    for (field, route) in routes {
        if is_open(route)
            && let Some((_, guarded)) = routes.iter().find(|(_, other)| is_guarded_beside(other, route))
        {
            field.warning(format!(
                "every path that no other route matches is public, while {} is protected: other paths to the same resource, such as \
                 /index.php/... or a rewritten one, are known only to the backend; protect /, and open paths one by one",
                guarded.name
            ));
        }
        if let Some((method, post)) = got_round(route, routes) {
            field.warning(format!(
                "a POST matching {} may mean {method} to a backend that reads the method from a form or query (_method in Rails, Laravel, \
                 Symfony, Rack, method-override); require the same for both, unless the backend does not",
                post.name
            ));
        }
    }
}

/// Whether the route is public for all paths that no other route matches. A backend that gets credentials checks them itself.
fn is_open(route: &RouteSettings) -> bool {
    route.access == (Access::Public { pass_authorization: false }) && route.path == "/" && !route.exact
}

fn is_guarded_beside(other: &RouteSettings, open: &RouteSettings) -> bool {
    let share_a_method = open.methods.is_empty()
        || other.methods.is_empty()
        || open.methods.iter().any(|method| other.methods.iter().any(|name| name == method));
    let is_for_same_host = other.host.is_none() || other.host == open.host;
    other.access == Access::Protected && other.path != "/" && other.upstream == open.upstream && is_for_same_host && share_a_method
}

fn overlap(one: &RouteSettings, other: &RouteSettings) -> bool {
    one.host.is_none() || other.host.is_none() || one.host == other.host
}

/// A method that the route guards, and the route that a POST to the same paths takes, if that has other rules.
fn got_round<'a>(route: &RouteSettings, routes: &'a [(Field<'_>, RouteSettings)]) -> Option<(&'static str, &'a RouteSettings)> {
    if route.access != Access::Protected {
        return None;
    }
    let below =
        |path: &str| path == "/" || route.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // The most specific one of those that take a method at the path is the one that a request takes.
    let taker = |method: &str| {
        let candidates = routes.iter().map(|(_, other)| other).filter(|other| {
            let is_same = other.path == route.path;
            (other.methods.is_empty() || other.methods.iter().any(|name| name == method))
                && overlap(other, route)
                && other.upstream == route.upstream
                && if other.exact { is_same } else { below(&other.path) }
        });
        candidates.max_by_key(|other| (other.path.len(), other.exact, other.host.is_some(), !other.methods.is_empty()))
    };
    let method = OVERRIDDEN.into_iter().find(|method| taker(method).is_some_and(|taker| std::ptr::eq(taker, route)))?;
    let post = taker("POST").filter(|post| !std::ptr::eq(*post, route))?;
    let is_weaker = post.access != Access::Protected || post.permission != route.permission;
    is_weaker.then_some((method, post))
}

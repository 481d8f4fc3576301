//! Routes that no request can reach, or that cannot be told apart.

use crate::{config::field::Field, proxy::RouteSettings};

/// Reports what is wrong with a route beside those before it in the file.
pub(in crate::config) fn check(element: &Field<'_>, route: &RouteSettings, before: &[(Field<'_>, RouteSettings)]) {
    if let Some((first, _)) = before.iter().find(|(_, other)| other.name == route.name && !route.name.is_empty()) {
        element.problem(format!("name {} is already used by {}; accepted: a different name for each", route.name, first.key));
    }
    for (first, other) in before {
        if !other.path.eq_ignore_ascii_case(&route.path) || other.exact != route.exact {
            continue;
        }
        if other.path != route.path {
            let hosts_overlap = other.host.is_none() || route.host.is_none() || other.host == route.host;
            if hosts_overlap && !is_told_apart_by_method(route, other) {
                element.problem(format!(
                    "path {} differs from that of {} only in case, which some servers ignore, so requests for either are ambiguous; \
                     accepted: one path for both",
                    route.path, first.key
                ));
            }
        } else if other.host == route.host {
            if other.methods.is_empty() && route.methods.is_empty() {
                element.problem(format!(
                    "host and path are the same as in {}, so it can never match; accepted: a different path, host or methods for each",
                    first.key
                ));
            } else if let Some(method) = shared_method(route, other) {
                element.problem(format!(
                    "host, path and the method {method} are the same as in {}; accepted: each method in one of them",
                    first.key
                ));
            }
        }
    }
}

fn is_told_apart_by_method(one: &RouteSettings, other: &RouteSettings) -> bool {
    !one.methods.is_empty() && !other.methods.is_empty() && shared_method(one, other).is_none()
}

/// A method that both list. `GET` includes `HEAD`.
fn shared_method<'a>(one: &'a RouteSettings, other: &'a RouteSettings) -> Option<&'a String> {
    let takes = |route: &RouteSettings, method: &str| {
        route.methods.iter().any(|name| name == method || (name == "GET" && method == "HEAD"))
    };
    let in_other = one.methods.iter().find(|method| takes(other, method));
    in_other.or_else(|| other.methods.iter().find(|method| takes(one, method)))
}

//! Which route a request takes: by host and by path prefix.
//!
//! The longest prefix wins; of two equally long ones, the route that names the host. Prefixes end at segment boundaries.
//!
//! Servers read paths in many ways: percent-decoded once or twice, with `.` and `..` resolved, `//` and `\` as `/`, `;parameters` dropped,
//! without regard to case. A path that under another reading belongs to a route with other rules is refused, so that no spelling of a path
//! gets round the rules of the route it ends up at.

use std::{borrow::Cow, sync::Arc};

use percent_encoding::percent_decode_str;

use crate::{
    exchange::ProfileId,
    metrics::RouteMetrics,
    proxy::RouteSettings,
    token::{Permission, Rejection},
};

/// A route, ready for use.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) upstream: usize,
    pub(super) profile: ProfileId,
    pub(super) permission: Permission,
    pub(super) metrics: RouteMetrics,
    path: String,
    host: Option<String>,
}

impl Route {
    pub(super) fn new(settings: &RouteSettings, metrics: RouteMetrics) -> Self {
        Self {
            name: settings.name.clone(),
            upstream: settings.upstream,
            profile: ProfileId(settings.profile),
            permission: settings.permission.clone(),
            metrics,
            path: settings.path.trim_end_matches('/').to_owned(),
            host: settings.host.clone(),
        }
    }

    /// Whether two routes treat a request alike, whatever they are called.
    fn same_rules(&self, other: &Self) -> bool {
        self.upstream == other.upstream && self.profile == other.profile && self.permission == other.permission
    }

    fn matches(&self, host: &str, path: &str, fold_case: bool) -> bool {
        self.host.as_deref().is_none_or(|name| name.eq_ignore_ascii_case(host)) && self.covers(path, fold_case)
    }

    fn covers(&self, path: &str, fold_case: bool) -> bool {
        let Some((head, tail)) = path.split_at_checked(self.path.len()) else { return false };
        let same = if fold_case { head.eq_ignore_ascii_case(&self.path) } else { head == self.path };
        same && (tail.is_empty() || tail.starts_with('/'))
    }
}

/// All routes, the most specific first.
#[derive(Debug)]
pub(super) struct RouteTable {
    routes: Vec<Arc<Route>>,
}

impl RouteTable {
    pub(super) fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by_key(|route| std::cmp::Reverse((route.path.len(), route.host.is_some())));
        Self { routes }
    }

    /// The route of a request. `path` as sent, without the query.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<&Arc<Route>, Rejection> {
        let route = self.first(host, path, false).ok_or(Rejection::NoRoute)?;
        let is_only_choice = self.routes.len() == 1 && route.path.is_empty();
        if is_only_choice || has_one_reading(path) {
            return Ok(route);
        }
        let unchanged = |reading: &str| {
            [false, true].into_iter().all(|fold| self.first(host, reading, fold).is_some_and(|other| other.same_rules(route)))
        };
        let mut reading = Cow::Borrowed(path);
        for _ in 0..=2 {
            if !unchanged(&reading) || !unchanged(&resolved(&reading)) {
                return Err(Rejection::AmbiguousPath);
            }
            reading = Cow::Owned(percent_decode_str(&reading).decode_utf8_lossy().into_owned());
        }
        Ok(route)
    }

    fn first(&self, host: &str, path: &str, fold_case: bool) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.matches(host, path, fold_case))
    }
}

/// Whether every server reads this path alike: the common case, decided in one pass.
fn has_one_reading(path: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' | b'/');
    path.bytes().all(plain) && !["//", "/.", "./"].iter().any(|odd| path.contains(odd)) && !path.ends_with('.')
}

/// The path with backslashes as slashes, parameters dropped, empty and dot segments resolved; ended by what ends it for some (NUL, `?`,
/// `#`), and without the dots and spaces that Windows drops at the end of a name.
fn resolved(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let path = path.split(['\0', '?', '#']).next().unwrap_or_default();
    for segment in path.split(['/', '\\']) {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name.trim_end_matches(['.', ' '])),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn table(routes: &[(&str, Option<&str>, usize)]) -> RouteTable {
        let metrics = Metrics::new().unwrap();
        let route = |(path, host, upstream): &(&str, Option<&str>, usize)| {
            let settings = RouteSettings {
                name: format!("{}{path}", host.unwrap_or_default()),
                path: (*path).into(),
                host: host.map(Into::into),
                upstream: *upstream,
                profile: 0,
                permission: Permission::default(),
            };
            Arc::new(Route::new(&settings, metrics.proxy.route(&settings.name)))
        };
        RouteTable::new(routes.iter().map(route).collect())
    }

    fn name(table: &RouteTable, host: &str, path: &str) -> Result<String, Rejection> {
        table.find(host, path).map(|route| route.name.clone())
    }

    #[test]
    fn the_longest_prefix_at_a_segment_boundary_wins() {
        let table = table(&[("/", None, 0), ("/db", None, 1), ("/db/admin/", None, 2)]);
        assert_eq!(name(&table, "a", "/"), Ok("/".into()));
        assert_eq!(name(&table, "a", "/db"), Ok("/db".into()));
        assert_eq!(name(&table, "a", "/db/x"), Ok("/db".into()));
        assert_eq!(name(&table, "a", "/dbx"), Ok("/".into()));
        assert_eq!(name(&table, "a", "/db/admin/x"), Ok("/db/admin/".into()));
    }

    #[test]
    fn a_named_host_beats_any_host() {
        let table = table(&[("/", None, 0), ("/", Some("contoso.com"), 1)]);
        assert_eq!(name(&table, "CONTOSO.com", "/"), Ok("contoso.com/".into()));
        assert_eq!(name(&table, "other", "/"), Ok("/".into()));
    }

    #[test]
    fn no_route_is_said_so() {
        let table = table(&[("/db", None, 0)]);
        assert_eq!(name(&table, "a", "/x"), Err(Rejection::NoRoute));
    }

    #[test]
    fn a_spelling_that_leads_to_other_rules_is_refused() {
        let table = table(&[("/", None, 0), ("/admin", None, 1)]);
        for path in [
            "/%61dmin",
            "/%2561dmin",
            "//admin",
            "/./admin",
            "/x/../admin",
            "/x/%2e%2e/admin",
            "/\\admin",
            "/ADMIN",
            "/admin;x",
            "/admin/../x",
            "/x%2f..%2fadmin",
            "/%2fadmin",
            "/admin%00",
            "/admin%3fx",
            "/admin%23x",
            "/admin%20",
            "/admin.",
            "/admin%2e/x",
        ] {
            assert_eq!(name(&table, "a", path), Err(Rejection::AmbiguousPath), "{path}");
        }
    }

    #[test]
    fn no_spelling_leads_out_of_an_only_route() {
        let only = table(&[("/db", None, 0)]);
        for path in ["/db/../_users", "/db/%2e%2e/_users", "/db/..%2f_users", "/db//..//_users", "/db/..\\_users", "/db/..;/_users"]
        {
            assert_eq!(name(&only, "a", path), Err(Rejection::AmbiguousPath), "{path}");
        }
        for path in ["/db/../db/x", "/db/a%2Fb", "/db/X"] {
            assert_eq!(name(&only, "a", path), Ok("/db".into()), "{path}");
        }
    }

    #[test]
    fn encoded_paths_pass_where_the_rules_stay_the_same() {
        let routes = table(&[("/", None, 0), ("/admin", None, 1)]);
        for path in ["/realm-sync/%2Fuser%2Fdocs", "/db/_local/a%3D%3D", "/Docs/%C3%A9", "/%ff"] {
            assert_eq!(name(&routes, "a", path), Ok("/".into()), "{path}");
        }
        let same_rules = table(&[("/", None, 0), ("/db", None, 0)]);
        assert_eq!(name(&same_rules, "a", "/DB/x"), Ok("/".into()));
    }
}

use super::*;
use crate::{
    metrics::Metrics,
    proxy::{Access, HeaderSettings, RouteSettings},
};

fn route(path: &str, upstream: usize) -> RouteSettings {
    RouteSettings { name: path.to_owned(), path: path.to_owned(), upstream, ..RouteSettings::default() }
}

fn public(path: &str) -> RouteSettings {
    RouteSettings { access: Access::Public { pass_authorization: false }, ..route(path, 0) }
}

fn table(routes: &[RouteSettings]) -> RouteTable {
    let metrics = Metrics::new().unwrap();
    let ready =
        |settings: &RouteSettings| Arc::new(Route::new(settings, &HeaderSettings::default(), metrics.proxy.route("x"), None));
    RouteTable::new(routes.iter().map(ready).collect())
}

fn name(table: &RouteTable, host: &str, path: &str) -> Result<String, Rejection> {
    named(table, host, "GET", path)
}

fn named(table: &RouteTable, host: &str, method: &str, path: &str) -> Result<String, Rejection> {
    table.find(host, method, path).map(|route| route.name.clone())
}

#[test]
fn the_longest_prefix_at_a_segment_boundary_wins() {
    let table = table(&[route("/", 0), route("/db", 1), route("/db/admin", 2)]);
    assert_eq!(name(&table, "a", "/"), Ok("/".into()));
    assert_eq!(name(&table, "a", "/db"), Ok("/db".into()));
    assert_eq!(name(&table, "a", "/db/x"), Ok("/db".into()));
    assert_eq!(name(&table, "a", "/dbx"), Ok("/".into()));
    assert_eq!(name(&table, "a", "/db/admin/x"), Ok("/db/admin".into()));
}

#[test]
fn of_equal_paths_an_exact_one_then_a_named_host_then_a_named_method_wins() {
    let with = |name: &str, change: fn(&mut RouteSettings)| {
        let mut settings = RouteSettings { name: name.to_owned(), ..route("/db", 0) };
        change(&mut settings);
        settings
    };
    let table = table(&[
        with("any", |_| {}),
        with("method", |route| route.methods = vec!["GET".into()]),
        with("host", |route| route.host = Some("contoso.com".into())),
        with("exact", |route| route.exact = true),
    ]);
    assert_eq!(named(&table, "a", "POST", "/db/x"), Ok("any".into()));
    assert_eq!(named(&table, "a", "GET", "/db/x"), Ok("method".into()));
    assert_eq!(named(&table, "a", "HEAD", "/db/x"), Ok("method".into()));
    assert_eq!(named(&table, "CONTOSO.com", "GET", "/db/x"), Ok("host".into()));
    assert_eq!(named(&table, "contoso.com", "GET", "/db"), Ok("exact".into()));
}

#[test]
fn an_exact_path_has_nothing_below_it() {
    let table = table(&[RouteSettings { exact: true, ..route("/", 0) }, RouteSettings { exact: true, ..route("/db", 0) }]);
    assert_eq!(name(&table, "a", "/"), Ok("/".into()));
    assert_eq!(name(&table, "a", "/db"), Ok("/db".into()));
    for path in ["/db/x", "/x", "/dbx", "/db/"] {
        assert_eq!(name(&table, "a", path), Err(Rejection::NoRoute), "{path}");
    }
}

#[test]
fn no_route_is_said_so() {
    let post = RouteSettings { methods: vec!["POST".into()], ..route("/db", 0) };
    let table = table(&[post]);
    assert_eq!(name(&table, "a", "/x"), Err(Rejection::NoRoute));
    assert_eq!(name(&table, "a", "/db"), Err(Rejection::NoRoute));
    assert_eq!(named(&table, "a", "post", "/db"), Ok("/db".into()));
}

#[test]
fn a_spelling_that_leads_to_other_rules_is_refused() {
    let routes = table(&[route("/", 0), route("/admin", 1)]);
    for path in SPELLINGS_OF_ADMIN {
        assert_eq!(name(&routes, "a", path), Err(Rejection::AmbiguousPath), "{path}");
    }
    // Also where the other reading leads nowhere.
    let alone = table(&[route("/admin", 1)]);
    for path in ["/admin/../x", "/admin/%2e%2e", "/admin/..;/x", "/admin/..%2fx", "/admin//..//x", "/admin/..\\x"] {
        assert_eq!(name(&alone, "a", path), Err(Rejection::AmbiguousPath), "{path}");
    }
    for path in ["/admin/../admin/x", "/admin/a%2Fb", "/admin/X"] {
        assert_eq!(name(&alone, "a", path), Ok("/admin".into()), "{path}");
    }
}

const SPELLINGS_OF_ADMIN: [&str; 19] = [
    "/admin%20",
    "/admin.",
    "/admin%2e/x",
    "/%61dmin",
    "/%2561dmin",
    "//admin",
    "/./admin",
    "/x/../admin",
    "/x/%2e%2e/admin",
    "/\\admin",
    "/%5cadmin",
    "/ADMIN",
    "/adm\u{131}n",
    "/admin;x",
    "/admin%00x",
    "/admin%3fx",
    "/x%2f..%2fadmin",
    "/%2fadmin",
    "/x/..;y/admin",
];

#[test]
fn encoded_paths_pass_where_the_rules_stay_the_same() {
    let routes = table(&[route("/", 0), route("/admin", 1)]);
    for path in ["/realm-sync/%2Fuser%2Fdocs", "/db/_local/a%3D%3D", "/Docs/%C3%A9", "/%ff", "/DB/a/"] {
        assert_eq!(name(&routes, "a", path), Ok("/".into()), "{path}");
    }
    let same_rules = table(&[route("/", 0), route("/db", 0)]);
    assert_eq!(name(&same_rules, "a", "/DB/x"), Ok("/".into()));
}

#[test]
fn a_path_that_may_be_protected_is() {
    let routes = table(&[public("/"), route("/admin", 0)]);
    for path in SPELLINGS_OF_ADMIN.iter().chain(&["/admin", "/admin/x", "/admin/../x", "/ADMIN/", "/admin/%2e%2e/x"]) {
        assert_eq!(name(&routes, "a", path), Ok("/admin".into()), "{path}");
    }
    for path in ["/", "/x", "/X", "/realm-sync/%2Fuser%2Fdocs", "/administrator"] {
        assert_eq!(name(&routes, "a", path), Ok("/".into()), "{path}");
    }
}

#[test]
fn a_public_path_within_a_protected_one_is_public_in_one_reading_alone() {
    let routes = table(&[route("/", 0), public("/public")]);
    assert_eq!(name(&routes, "a", "/public/a"), Ok("/public".into()));
    for path in [
        "/public/../x",
        "/public/%2e%2e/x",
        "/public/..%2fx",
        "/public/..;/x",
        "/PUBLIC",
        "/public;x",
        "/public%00",
        "/public/\\..\\..\\x",
    ] {
        assert_eq!(name(&routes, "a", path), Ok("/".into()), "{path}");
    }
    assert_eq!(name(&table(&[public("/public")]), "a", "/public/../x"), Err(Rejection::AmbiguousPath));
}

#[test]
fn an_exact_path_in_a_public_site_is_found_in_every_spelling() {
    let login = RouteSettings { exact: true, methods: vec!["POST".into()], ..route("/auth", 0) };
    let routes = table(&[public("/"), login]);
    for path in ["/auth", "/auth/", "/AUTH", "/%61uth", "/%2561uth", "//auth", "/auth;x", "/x/../auth", "/auth%2f", "/auth%3f"] {
        assert_eq!(named(&routes, "a", "POST", path), Ok("/auth".into()), "{path}");
        assert_eq!(named(&routes, "a", "GET", path), Ok("/".into()), "{path}");
    }
    for path in ["/auth/revoke", "/auth/users/jwt/x", "/authx", "/auth%2frevoke"] {
        assert_eq!(named(&routes, "a", "POST", path), Ok("/".into()), "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_path_with_a_protected_reading_is_public(steps in proptest::collection::vec("(/|\\\\|%2f|%5C|%252f|;x|\\.|%2e|\\.\\.|admin|ADMIN|%61dmin|x|public)", 1..8)) {
        let routes = table(&[public("/"), route("/admin", 0)]);
        let path = format!("/{}", steps.concat());
        let readings = readings(&path).unwrap();
        let is_admin = |reading: &String| {
            let reading = reading.to_lowercase();
            reading == "/admin" || reading.starts_with("/admin/")
        };
        let expected = if readings.iter().any(is_admin) { "/admin" } else { "/" };
        proptest::prop_assert_eq!(name(&routes, "a", &path), Ok(expected.to_owned()), "{:?}", readings);
    }
}

#[test]
fn a_protected_path_with_capitals_is_met_in_any_spelling() {
    let protected = route("/Admin", 1);
    let table = table(&[public("/"), protected]);
    for path in ["/Admin", "/admin", "/ADMIN/x", "/admin/x", "/%41dmin", "/x/../admin"] {
        assert_eq!(name(&table, "a", path), Ok("/Admin".into()), "{path}");
    }
    for path in ["/", "/administrator", "/X"] {
        assert_eq!(name(&table, "a", path), Ok("/".into()), "{path}");
    }
}

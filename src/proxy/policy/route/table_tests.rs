use super::*;
use crate::{
    metrics::Metrics,
    proxy::policy::{
        header_settings::HeaderSettings,
        route::{Access, RouteSettings},
    },
    token::{Permission, PermissionSettings},
};

/// What a path is read as.
#[path = "readings_tests.rs"]
mod readings;
/// What no route takes is not reached by way of one.
#[path = "unrouted_tests.rs"]
mod unrouted;

fn route(path: &str, upstream: usize) -> RouteSettings {
    RouteSettings { name: path.to_owned(), path: path.to_owned(), upstream, ..RouteSettings::default() }
}

fn public(path: &str) -> RouteSettings {
    RouteSettings { access: Access::Public { pass_authorization: false }, ..route(path, 0) }
}

fn table(routes: &[RouteSettings]) -> RouteTable {
    let metrics = Metrics::new().unwrap();
    let ready = |settings: &RouteSettings| Arc::new(Route::new(settings, &HeaderSettings::default(), metrics.proxy.route("x")));
    RouteTable::new(routes.iter().map(ready).collect())
}

fn name(table: &RouteTable, host: &str, path: &str) -> Result<String, Rejection> {
    named(table, host, "GET", path)
}

fn named(table: &RouteTable, host: &str, method: &str, path: &str) -> Result<String, Rejection> {
    table
        .find(host, method, path.as_bytes())
        .map(|found| found.routes().map(|route| route.name.as_str()).collect::<Vec<_>>().join(" and "))
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
    assert_eq!(named(&table, "a", "post", "/db"), Err(Rejection::NoRoute));
}

#[test]
fn a_method_in_another_case_is_a_matter_of_both() {
    let methods = |name: &str, methods: &[&str], settings: RouteSettings| RouteSettings {
        name: name.into(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        ..settings
    };
    let routes = table(&[methods("read", &["GET"], public("/")), methods("write", &[], with_role("/", "admin"))]);
    for method in ["get", "Get", "head", "post", "POST", "patch", "x"] {
        assert_eq!(named(&routes, "a", method, "/x"), Ok("write".into()), "{method}");
    }
    assert_eq!(named(&routes, "a", "GET", "/x"), Ok("read".into()));
    let routes = table(&[methods("delete", &["DELETE"], with_role("/", "admin")), methods("rest", &[], route("/", 0))]);
    assert_eq!(named(&routes, "a", "delete", "/x"), Ok("rest and delete".into()));
    assert_eq!(named(&routes, "a", "propfind", "/x"), Ok("rest".into()));
    let routes = table(&[methods("delete", &["DELETE"], public("/")), methods("rest", &[], route("/", 1))]);
    assert_eq!(named(&routes, "a", "Delete", "/x"), Err(Rejection::AmbiguousPath));
    assert_eq!(named(&table(&[route("/", 0), route("/b", 1)]), "a", "get", "/x"), Ok("/".into()));
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
    for path in ["/realm-sync/%2Fuser%2Fdocs", "/db/_local/a%3D%3D", "/Docs/%C3%A9", "/DB/a/"] {
        assert_eq!(name(&routes, "a", path), Ok("/".into()), "{path}");
    }
    let same_rules = table(&[route("/", 0), route("/db", 0)]);
    assert_eq!(name(&same_rules, "a", "/DB/x"), Ok("/".into()));
}

#[test]
fn a_path_that_may_be_protected_is() {
    let routes = table(&[public("/"), route("/admin", 0)]);
    for path in SPELLINGS_OF_ADMIN.iter().chain(&["/admin", "/admin/x", "/admin/../x", "/ADMIN/", "/admin/%2e%2e/x"]) {
        let expected = if path.contains("%00") { Err(Rejection::AmbiguousPath) } else { Ok("/admin".into()) };
        assert_eq!(name(&routes, "a", path), expected, "{path}");
    }
    for path in ["/", "/x", "/X", "/realm-sync/%2Fuser%2Fdocs", "/administrator"] {
        assert_eq!(name(&routes, "a", path), Ok("/".into()), "{path}");
    }
}

#[test]
fn a_public_path_within_a_protected_one_is_public_in_one_reading_alone() {
    let routes = table(&[route("/", 0), public("/public")]);
    assert_eq!(name(&routes, "a", "/public/a"), Ok("/public".into()));
    for path in
        ["/public/../x", "/public/%2e%2e/x", "/public/..%2fx", "/public/..;/x", "/PUBLIC", "/public;x", "/public/\\..\\..\\x"]
    {
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

/// What servers are known to make `/admin` of, by server.
const READ_AS_ADMIN: [&str; 26] = [
    // Envoy, URL of WHATWG, hapi, Apache, HAProxy, Kestrel: decoded but for slashes, then resolved.
    "/x%2fy/%2e%2e/admin",
    "/x%2Fy%5cz/%2E%2E/.%2e/admin",
    // Envoy: parameters of dots, up to a slash that is not encoded.
    "/x/..;|y%2fz/admin",
    "/x/..;y%2Fz%2fa/admin",
    "/x/..;y\\z/admin",
    "/.;y%2fz/admin",
    // Parsers of URLs: an authority.
    "//x/admin",
    "/\\x/admin",
    "/%5cx/admin",
    "/.//x/admin",
    "//user@x:80/admin",
    "//x%2fy/admin",
    // Fastify: the end of the path; Tomcat: the end of the segment.
    "/admin;/x",
    "/admin;x/y",
    // Go's ToLower; tables of Windows; NFKC.
    "/adm%c4%b0n",
    "/adm%C3%ADn",
    "/%ef%bd%81dmin",
    "/x/..%ef%bc%8fadmin",
    "/x/%ef%bc%8e%ef%bc%8e/admin",
    "/ad%e2%80%8bmin",
    // Caddy: dots and spaces at the end of the whole path.
    "/x/../admin/..",
    "/x/../admin/.%20.",
    // nginx: a location without a slash, and a rewrite into a query.
    "/static../admin",
    "/admin&x",
    // File names of Windows.
    "/admin::$DATA",
    "/admin%3a%3a$DATA",
];

#[test]
fn a_path_that_some_server_reads_as_a_protected_one_is_held_to_it() {
    let public_by_default = table(&[public("/"), route("/admin", 0)]);
    let roles = table(&[route("/", 0), with_role("/admin", "admin")]);
    let protected_by_default = table(&[with_role("/", "admin"), public("/public")]);
    for path in READ_AS_ADMIN {
        assert_eq!(name(&public_by_default, "a", path), Ok("/admin".into()), "{path}");
        let found = name(&roles, "a", path).unwrap();
        assert!(found.contains("/admin"), "{path}: {found}");
        assert_eq!(name(&protected_by_default, "a", &format!("/public/..{path}")), Ok("/".into()), "{path}");
    }
    let exact = table(&[public("/"), RouteSettings { exact: true, ..route("/admin", 0) }]);
    for path in ["/admin;/x", "/admin/", "/admin%3fx/y", "/admin%20x", "/admin/."] {
        assert_eq!(name(&exact, "a", path), Ok("/admin".into()), "{path}");
    }
}

#[test]
fn what_nobody_can_tell_is_refused_where_rules_differ_and_passes_elsewhere() {
    let differ = table(&[public("/"), route("/admin", 0)]);
    let same = table(&[route("/", 0), RouteSettings { name: "b".into(), ..route("/b", 0) }]);
    let mut paths: Vec<String> = vec![
        "/ad%ffmin".into(),
        "/%u0061dmin".into(),
        "/x/%25u002e".into(),
        "/%c0%ae".into(),
        "/%zz".into(),
        "/a%".into(),
        "/%e2%80%a8".into(),
    ];
    for control in (0..0x20).chain([0x7f]) {
        for place in ["/admin{}", "/x{}/admin", "/{}admin", "/ad{}min"] {
            paths.push(place.replace("{}", &format!("%{control:02x}")));
            paths.push(place.replace("{}", &format!("%25{control:02X}")));
        }
    }
    paths.push(format!("/{}", "%2525;a\\..%5c%3b//".repeat(20_000)));
    paths.push(format!("/a{}", "/%61".repeat(300)));
    paths.push("/%25252525252e".into());
    for path in &paths {
        assert_eq!(name(&differ, "a", path), Err(Rejection::AmbiguousPath), "{path}");
        assert_eq!(name(&same, "a", path), Ok("/".into()), "{path}");
    }
    assert_eq!(same.find("a", "GET", b"/caf\xe9").unwrap().route.name, "/");
    assert_eq!(differ.find("a", "GET", b"/caf\xe9").unwrap_err(), Rejection::AmbiguousPath);
}

fn with_role(path: &str, role: &str) -> RouteSettings {
    let settings = PermissionSettings { all_roles: vec![role.to_owned()], ..PermissionSettings::default() };
    RouteSettings { permission: Permission::new(settings), ..route(path, 0) }
}

#[test]
fn routes_that_differ_in_permission_alone_demand_all_of_it() {
    let routes = table(&[
        route("/", 0),
        with_role("/db/_design", "designer"),
        with_role("/odata/$metadata", "reader"),
        with_role("/db", "user"),
    ]);
    for (path, expected) in [
        ("/db/_design%2Fapp", "/db and /db/_design"),
        ("/odata/%24metadata", "/ and /odata/$metadata"),
        ("/odata/$metadata", "/odata/$metadata"),
        ("/db/_design/a%2Fb", "/db/_design"),
        ("/db/x%2F_design", "/db"),
        ("/users/alice%40example.com", "/"),
        ("/@scope%2fname", "/"),
    ] {
        let found = routes.find("a", "GET", path.as_bytes()).unwrap();
        let mut names: Vec<_> = found.routes().map(|route| route.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names.join(" and "), expected, "{path}");
    }
    let elsewhere = table(&[route("/", 0), route("/db", 1)]);
    assert_eq!(name(&elsewhere, "a", "/%64b"), Err(Rejection::AmbiguousPath));
}

#[test]
fn a_target_names_no_other_host() {
    let admin = RouteSettings { name: "admin".into(), host: Some("admin.test".into()), ..route("/", 0) };
    let routes = table(&[public("/"), admin.clone()]);
    for path in [
        "//admin.test/x",
        "/\\admin.test/x",
        "/%2fadmin.test/x",
        "/.//admin.test/x",
        "/a/..//admin.test/x",
        "//admin.test",
        "/%5c%ff",
        "/%ff/admin.test",
        "/;$/admin.test/x",
        "/%20$/admin.test/x",
        "/%zz%ef%bc%8fadmin.test",
    ] {
        assert_eq!(name(&routes, "www.test", path), Err(Rejection::AmbiguousPath), "{path}");
    }
    for path in ["/x", "/x//y", "/caf%e9", "/x%0a", "/a%2f%2fb", "/", "/%ff", "/%24/x", "/%40x/y", "/(%29/x", "/%c3", "/%00"] {
        assert_eq!(name(&routes, "www.test", path), Ok("/".into()), "{path}");
        assert_eq!(name(&routes, "admin.test", path), Ok("admin".into()), "{path}");
    }
    let alone = table(std::slice::from_ref(&admin));
    assert_eq!(name(&alone, "admin.test", "//www.test/x"), Err(Rejection::AmbiguousPath));
    assert_eq!(name(&alone, "admin.test", "/x//y"), Ok("admin".into()));
    let alike = table(&[route("/", 0), admin]);
    assert_eq!(name(&alike, "www.test", "//admin.test/x"), Ok("/".into()));
}

#[test]
fn odd_paths_are_looked_into_up_to_a_length() {
    let routes = table(&[public("/"), route("/admin", 0)]);
    let path = |segments: usize, letters: usize| format!("{}/%61{}", "/a".repeat(segments - 1), "a".repeat(letters));
    assert_eq!(name(&routes, "a", &path(64, 0)), Ok("/".into()));
    assert_eq!(name(&routes, "a", &path(65, 0)), Err(Rejection::AmbiguousPath));
    assert_eq!(name(&routes, "a", &path(1, 2_044)), Ok("/".into()));
    assert_eq!(name(&routes, "a", &path(1, 2_045)), Err(Rejection::AmbiguousPath));
    assert_eq!(name(&routes, "a", &format!("/{}", "a/".repeat(20_000))), Ok("/".into()));
}

#[test]
fn a_route_that_is_never_reached_is_not_at_stake() {
    let get = RouteSettings { methods: vec!["GET".into()], ..route("/db", 0) };
    let routes = table(&[get, RouteSettings { name: "rest".into(), ..with_role("/db", "admin") }, route("/", 0)]);
    assert_eq!(named(&routes, "a", "GET", "/db/%ff"), Ok("/db".into()));
    assert_eq!(named(&routes, "a", "POST", "/db/%ff"), Err(Rejection::AmbiguousPath));
}

#[test]
fn plus_signs_and_dots_in_the_name_of_a_route_are_its_own() {
    let routes = table(&[route("/", 0), public("/c++"), public("/v1.0"), route("/.well-known", 0), public("/x:y")]);
    for (path, expected) in
        [("/c++/x", "/c++"), ("/v1.0/x", "/v1.0"), ("/.well-known/x", "/.well-known"), ("/x:y/z", "/x:y"), ("/v10/a%20b", "/")]
    {
        assert_eq!(name(&routes, "a", path), Ok(expected.into()), "{path}");
    }
}

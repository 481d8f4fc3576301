use super::*;

#[test]
fn every_route_above_a_place_counts() {
    let routes = table(&[route("/", 1), route("/a", 0), route("/a/b/c", 0)]);
    for path in ["/a/b/x;y", "/a/b;x/y"] {
        assert_eq!(name(&routes, "a", path), Ok("/a".into()), "{path}");
    }
}

#[test]
fn a_plain_segment_is_its_own_name_alone() {
    let routes = table(&[public("/"), route("/a.b", 0), route("/foobar", 0), route("/admin", 0)]);
    // What follows is not plain.
    for (path, expected) in [
        ("/ab/x;y", "/"),
        ("/a.b/x;y", "/a.b"),
        ("/foo-bar;x", "/"),
        ("/foobar;x", "/foobar"),
        ("/admin%D0%B6", "/"),
        ("/admin%E1%9A%80", "/admin"),
        ("/admin%E2%80%83x", "/admin"),
    ] {
        assert_eq!(name(&routes, "a", path), Ok(expected.into()), "{path}");
    }
}

#[test]
fn one_dot_leads_nowhere() {
    let routes = table(&[route("/", 0), route("/docs", 1)]);
    for path in ["/docs/./x", "/docs/x./y", "/docs/x.;y"] {
        assert_eq!(name(&routes, "a", path), Ok("/docs".into()), "{path}");
    }
    for path in ["/docs/../x", "/docs/x../y"] {
        assert_eq!(name(&routes, "a", path), Err(Rejection::AmbiguousPath), "{path}");
    }
}

#[test]
fn a_plain_path_may_be_long_whatever_its_case() {
    let routes = table(&[public("/"), route("/Admin", 0)]);
    assert_eq!(name(&routes, "a", &"/Abc".repeat(10_000)), Ok("/".into()));
    assert_eq!(name(&routes, "a", &format!("/aDMIN{}", "/Abc".repeat(10_000))), Ok("/Admin".into()));
}

#[test]
fn the_names_of_all_routes_are_known() {
    let routes = table(&[public("/"), route("/longer", 0)]);
    let mut names: Vec<_> = routes.names().collect();
    names.sort_unstable();
    assert_eq!(names, ["/", "/longer"]);
}

#[test]
fn a_credential_passes_where_the_route_says_so_and_nowhere_else() {
    use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

    let metrics = Metrics::new().unwrap();
    for (access, passes) in [
        (Access::Protected, false),
        (Access::Public { pass_authorization: false }, false),
        (Access::Public { pass_authorization: true }, true),
    ] {
        let settings = RouteSettings { access, ..route("/db/", 0) };
        let made = Route::new(&settings, &HeaderSettings::default(), metrics.proxy.route("x"));
        assert_eq!(made.path(), "/db");
        let is_unwanted = made.strip.unwanted_in(&HeaderMap::new()).unwrap();
        for (name, passes) in [
            (AUTHORIZATION, passes),
            (HeaderName::from_static("x-realm-access-token"), passes),
            (HeaderName::from_static("x-user"), false),
        ] {
            assert_eq!(!is_unwanted(&name), passes, "{access:?} {name}");
        }
    }
}

#[test]
fn a_path_of_the_upstreams_own_is_left_by_what_some_server_takes_upwards() {
    let metrics = Metrics::new().unwrap();
    let with = |prefix: &str| Route::new(&route("/", 0), &HeaderSettings::default(), metrics.proxy.route("x")).with_prefix(prefix);
    for (path, leads_up) in [("/a/b", false), ("/a.b/c;d", false), ("/../a", true), ("/a/%2e%2e/b", true), ("/a%00", true)] {
        assert_eq!(with("/db").may_be_left_by(path.as_bytes()), leads_up, "{path}");
        assert!(!with("").may_be_left_by(path.as_bytes()), "there is none to leave");
    }
}

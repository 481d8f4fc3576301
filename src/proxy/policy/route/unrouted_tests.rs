use super::*;

#[test]
fn a_routes_own_name_in_another_spelling_takes_it_where_no_other_route_is() {
    let scoped = table(&[route("/@scope", 0), route("/app", 1)]);
    for (path, expected) in [("/%40scope/name", "/@scope"), ("/%61pp", "/app"), ("/%61pp/x%2fy", "/app"), ("/%61pp/+x;y", "/app")] {
        assert_eq!(name(&scoped, "a", path), Ok(expected.into()), "{path}");
    }
    for path in ["/%61pq", "/x%2fapp", "/%61pp/../x", "//app", "/APP", "/%41pp", "/%2561pp"] {
        assert_eq!(name(&scoped, "a", path), Err(Rejection::NoRoute), "{path}");
    }
}

#[test]
fn a_name_that_only_begins_with_that_of_a_route_takes_no_route() {
    // What ends a name for some servers, or is nothing to them, is a part of it for others.
    let signs = [
        "+internal",
        "%2Binternal",
        "%20internal",
        ";old",
        "%3bold",
        "&co",
        "%22x",
        "%24",
        "%2c",
        "%21x",
        "%40",
        "!",
        ".",
        "%2e",
        "%e2%80%8b",
        "%2finternal",
        "%5cinternal",
        "\\internal",
        "%253bx",
        "%7cx",
        ":x",
        "%3ax",
        "%3fx",
        "%23x",
        "?",
        "::$DATA",
    ];
    let exact = RouteSettings { exact: true, ..public("/app") };
    for routes in [vec![public("/app")], vec![route("/app", 0)], vec![exact], vec![public("/app"), public("/db/docs")]] {
        let routes = table(&routes);
        assert_eq!(name(&routes, "a", "/app"), Ok("/app".into()));
        for sign in signs {
            for path in
                [format!("/app{sign}"), format!("/app{sign}/secret.txt"), format!("/{sign}/app"), format!("/db{sign}/docs/1")]
            {
                assert_eq!(name(&routes, "a", &path), Err(Rejection::NoRoute), "{path}");
            }
        }
        for path in [
            "//app/app",
            "/./app/app",
            "/%2fapp/app",
            "/%61pp%20x",
            "/\u{e1}pp/x",
            "/%c3%a1pp/x",
            "/a%cc%81pp/x",
            "/app%cc%87",
            "/ap\u{301}p",
            "/x/../app",
            "/APP%20x/",
        ] {
            assert_eq!(name(&routes, "a", path), Err(Rejection::NoRoute), "{path}");
        }
    }
    // Below a route nothing is at stake, and its own name may be encoded.
    let below = table(&[public("/db/docs")]);
    for path in
        ["/db/docs/a%2Fb", "/db/docs/_design%2Fapp", "/db/docs/a+b", "/db/docs/a%20b;c", "/d%62/docs/x", "/db/do%63s/%c3%a9"]
    {
        assert_eq!(name(&below, "a", path), Ok("/db/docs".into()), "{path}");
    }
}

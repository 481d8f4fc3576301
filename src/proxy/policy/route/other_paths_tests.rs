use std::sync::Arc;

use http::HeaderName;

use super::*;
use crate::{
    metrics::Metrics,
    proxy::policy::{
        header_settings::HeaderSettings,
        route::{Access, Route, RouteSettings},
    },
    token::{Permission, PermissionSettings},
};

fn route(path: &str, role: &str) -> RouteSettings {
    let all_roles = if role.is_empty() { Vec::new() } else { vec![role.to_owned()] };
    let permission = Permission::new(PermissionSettings { all_roles, ..PermissionSettings::default() });
    RouteSettings { name: format!("{path}{role}"), path: path.to_owned(), permission, ..RouteSettings::default() }
}

fn public(path: &str) -> RouteSettings {
    RouteSettings { access: Access::Public { pass_authorization: false }, ..route(path, "") }
}

fn for_methods(methods: &[&str], settings: RouteSettings) -> RouteSettings {
    RouteSettings { methods: methods.iter().map(|method| (*method).to_owned()).collect(), ..settings }
}

fn table(routes: &[RouteSettings]) -> RouteTable {
    let metrics = Metrics::new().unwrap();
    let ready = |settings: &RouteSettings| Arc::new(Route::new(settings, &HeaderSettings::default(), metrics.proxy.route("x")));
    RouteTable::new(routes.iter().map(ready).collect())
}

/// The routes of a request with one header, by name, in their order.
fn held(routes: &RouteTable, method: &str, path: &str, header: (&'static str, &str)) -> Result<String, Rejection> {
    let headers =
        HeaderMap::from_iter([(HeaderName::from_static(header.0), HeaderValue::from_bytes(header.1.as_bytes()).unwrap())]);
    let found = routes.find_with_others("www.test", method, path.as_bytes(), &headers)?;
    let mut names: Vec<_> = found.routes().map(|route| route.name.as_str()).collect();
    names.sort_unstable();
    Ok(names.join(" and "))
}

fn to(routes: &RouteTable, method: &str, destination: &str) -> Result<String, Rejection> {
    held(routes, method, "/public/evil.txt", ("destination", destination))
}

#[test]
fn a_copy_is_held_to_the_routes_of_where_it_is_to_be() {
    let routes = table(&[route("/", ""), route("/admin", "admin")]);
    for destination in [
        "/admin/x",
        "http://www.test/admin/x",
        "https://www.test:8443/admin/x",
        "http://WWW.test./x/../admin/x",
        "/%61dmin/x",
        "/ADMIN/x",
        "admin/x",
        "../admin/x",
        "http://www.test/admin?x",
        "/admin;x",
    ] {
        for method in ["COPY", "MOVE", "copy", "Move"] {
            assert_eq!(to(&routes, method, destination), Ok("/ and /adminadmin".into()), "{method} {destination}");
        }
    }
    for destination in ["/x", "http://www.test/x%20y", "http://www.test", "new", "a/b?rev=1-x", "/public/administrator"] {
        assert_eq!(to(&routes, "COPY", destination), Ok("/".into()), "{destination}");
    }
    let open = table(&[public("/"), route("/admin", "")]);
    assert_eq!(to(&open, "COPY", "/admin/x"), Ok("/admin".into()));
    assert_eq!(to(&open, "COPY", "/x"), Ok("/".into()));
    let elsewhere = table(&[route("/", ""), RouteSettings { upstream: 1, ..route("/admin", "") }]);
    assert_eq!(to(&elsewhere, "COPY", "/admin/x"), Err(Rejection::AmbiguousPath));
    let open = table(&[public("/"), RouteSettings { upstream: 1, ..route("/admin", "") }]);
    assert_eq!(to(&open, "COPY", "/admin/x"), Err(Rejection::AmbiguousPath));
}

#[test]
fn what_cannot_be_read_or_is_nowhere_is_refused() {
    let routes = table(&[public("/public")]);
    assert_eq!(to(&routes, "COPY", "/public/x"), Ok("/public".into()));
    assert_eq!(to(&routes, "COPY", "x"), Ok("/public".into()));
    for destination in [
        "",
        "?x",
        "/",
        "/x",
        "../x",
        "//www.test/public/x",
        "/\\www.test/public/x",
        "\\public",
        "http://other.test/public/x",
        "http://me@www.test/public/x",
        "HTTP://www.test/public/x",
        "ftp://www.test/public/x",
        "http://www.test\\public/x",
        "http:///public/x",
        "/public/%ff",
        "/public/a%00b",
        "http://www.test#/public",
    ] {
        assert_eq!(to(&routes, "COPY", destination), Err(Rejection::AmbiguousPath), "{destination}");
    }
    // What no method can mean.
    assert_eq!(to(&routes, "PUT", "/x"), Ok("/public".into()));
    let mut headers = HeaderMap::new();
    headers.append("destination", HeaderValue::from_static("/public/x"));
    headers.append("destination", HeaderValue::from_static("/public/x"));
    let twice = routes.find_with_others("www.test", "COPY", b"/public/a", &headers);
    assert_eq!(twice.err(), Some(Rejection::AmbiguousPath));
}

#[test]
fn a_document_of_couchdb_is_named_beside_the_one_that_is_copied() {
    let routes = table(&[route("/db", ""), route("/db/_design", "designer"), RouteSettings { upstream: 1, ..public("/") }]);
    let copied = |destination: &str| held(&routes, "COPY", "/db/doc", ("destination", destination));
    for destination in ["_design/x", "_design%2Fx?rev=1-a", "/db/_design/x", "/_design/x"] {
        let expected =
            if destination == "/_design/x" { Err(Rejection::AmbiguousPath) } else { Ok("/db and /db/_designdesigner".into()) };
        assert_eq!(copied(destination), expected, "{destination}");
    }
    for destination in ["new", "new?rev=1-a", "user:bob", "a%2Fb", "caf%C3%A9"] {
        assert_eq!(copied(destination), Ok("/db".into()), "{destination}");
    }
    let from_design = held(&routes, "COPY", "/db/_design/app", ("destination", "doc"));
    assert_eq!(from_design, Ok("/db and /db/_designdesigner".into()));
    // It writes, whatever a server makes of the slash.
    let routes = table(&[for_methods(&["PUT", "POST", "DELETE"], route("/db", "editor")), route("/db", ""), route("/public", "")]);
    for destination in ["new", "/public/x", "/db/x"] {
        let found = held(&routes, "COPY", "/db/doc", ("destination", destination)).unwrap();
        assert!(found.contains("/dbeditor"), "{destination}");
    }
}

#[test]
fn a_move_deletes_too() {
    let routes =
        table(&[for_methods(&["DELETE"], route("/", "keeper")), for_methods(&["PUT"], route("/", "writer")), route("/", "")]);
    assert_eq!(to(&routes, "MOVE", "/x"), Ok("/ and /keeper and /writer".into()));
    assert_eq!(to(&routes, "COPY", "/x"), Ok("/ and /writer".into()));
}

#[test]
fn an_upload_reads_all_of_its_parts() {
    let routes = table(&[route("/files", ""), route("/files/private", "owner")]);
    let concatenated = |name, value: &str| held(&routes, "POST", "/files/", (name, value));
    for (value, expected) in [
        ("partial", Ok("/files")),
        ("final;/files/a /files/b", Ok("/files")),
        ("final;http://www.test/files/a https://www.test/files/private/b", Ok("/files and /files/privateowner")),
        ("final;private/b", Ok("/files and /files/privateowner")),
        ("final;/other/a", Err(Rejection::AmbiguousPath)),
        ("final;/files/a http://other.test/files/b", Err(Rejection::AmbiguousPath)),
        ("finally", Err(Rejection::AmbiguousPath)),
    ] {
        assert_eq!(concatenated("upload-concat", value), expected.map(str::to_owned), "{value}");
        assert_eq!(concatenated("upload_concat", value), expected.map(str::to_owned), "{value}");
    }
}

#[test]
fn copies_out_of_buckets_pass_only_where_nothing_is_at_stake() {
    let (differ, same) = (table(&[route("/", ""), route("/admin", "admin")]), table(&[route("/", ""), route("/admin", "")]));
    for name in
        ["x-amz-copy-source", "x_amz_copy_source", "x-oss-copy-source", "x-copy-from", "x-copy-from-account", "destination-account"]
    {
        assert_eq!(held(&differ, "PUT", "/x", (name, "/admin/x")), Err(Rejection::AmbiguousPath), "{name}");
        assert_eq!(held(&same, "PUT", "/x", (name, "/admin/x")), Ok("/".into()), "{name}");
    }
    for name in ["x-copyright", "x-copy", "destinations"] {
        assert_eq!(held(&differ, "PUT", "/x", (name, "/admin/x")), Ok("/".into()), "{name}");
    }
    for destination in ["/admin/x", "http://other.test/x", "?"] {
        assert_eq!(held(&same, "MOVE", "/x", ("destination", destination)), Ok("/".into()), "{destination}");
    }
    let hosts = table(&[public("/"), RouteSettings { host: Some("admin.test".into()), ..route("/", "") }]);
    assert_eq!(held(&hosts, "MOVE", "/x", ("destination", "http://admin.test/x")), Err(Rejection::AmbiguousPath));
    assert_eq!(held(&hosts, "MOVE", "/x", ("destination", "http://www.test/x")), Ok("/".into()));
}

#[test]
fn a_relative_path_may_begin_at_so_many_places_and_no_more() {
    let routes = table(&[route("/", ""), route("/admin", "admin")]);
    let copied = |slashes: usize| held(&routes, "COPY", &"/a".repeat(slashes), ("destination", "new"));
    assert_eq!(copied(MAX_BASES), Ok("/".into()));
    assert_eq!(copied(MAX_BASES + 1), Err(Rejection::AmbiguousPath));
}

#[test]
fn a_relative_path_begins_beside_the_last_segment_for_certain() {
    let routes = table(&[public("/public"), route("/admin", "")]);
    assert_eq!(held(&routes, "COPY", "/public/a", ("destination", "new")), Ok("/public".into()));
    assert_eq!(held(&routes, "COPY", "/public", ("destination", "new")), Err(Rejection::AmbiguousPath), "/new is nowhere");
}

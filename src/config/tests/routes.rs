use serde_json::{Value, json};

use super::{config, printout::round_trip, problems, warnings, with};
use crate::{
    config::Effective,
    proxy::{Access, BodyPlace, ErrorShape, OnInvalid, ProtocolForm, RouteSettings, TokenPlace},
};

fn text(routes: Value) -> String {
    with(&[("/routes", routes)])
}

fn routes(value: Value) -> Vec<RouteSettings> {
    config(&text(value)).proxy.routes
}

fn header(name: &'static str, scheme: Option<&str>) -> TokenPlace {
    TokenPlace::Header { name: http::HeaderName::from_static(name), scheme: scheme.map(str::to_owned) }
}

#[test]
fn each_form_of_a_place_is_read_and_printed() {
    for (value, expected) in [
        (json!({ "header": "authorization" }), header("authorization", Some("Bearer"))),
        (json!({ "header": "Authorization", "scheme": "Token" }), header("authorization", Some("Token"))),
        (json!({ "header": "authorization", "scheme": "none" }), header("authorization", None)),
        (json!({ "header": "X-Contoso-Auth" }), header("x-contoso-auth", None)),
        (json!({ "query": "access token: ü" }), TokenPlace::Query("access token: ü".into())),
        (json!({ "protocol": "list" }), TokenPlace::Protocol(ProtocolForm::List("bearer".into()))),
        (json!({ "protocol": "list", "marker": "x'y" }), TokenPlace::Protocol(ProtocolForm::List("x'y".into()))),
        (json!({ "protocol": "kubernetes" }), TokenPlace::Protocol(ProtocolForm::Kubernetes)),
        (json!({ "protocol": "zero" }), TokenPlace::Protocol(ProtocolForm::Zero)),
        (json!({ "cookie": "__Host-sid" }), TokenPlace::Cookie("__Host-sid".into())),
        (json!({ "body": "token" }), TokenPlace::Body(BodyPlace { member: "token".into(), condition: None })),
    ] {
        let text = text(json!([{ "name": "a", "token": { "in": value } }]));
        assert_eq!(config(&text).proxy.routes[0].token_in, [expected]);
        round_trip(&text);
    }
}

#[test]
fn a_route_with_everything_is_printed_as_it_is() {
    round_trip(&text(json!([
        { "name": "a", "path": "/a", "exact": true, "methods": ["GET", "M-SEARCH"], "errors": "couchdb", "on_invalid": "let_backend_refuse", "close_codes": { "token_end": 4403, "upstream_lost": "auto" },
          "token": { "in": [{ "query": "token" }, { "header": "authorization" }, { "cookie": "c" }], "out": { "header": "x-b", "scheme": "B" } },
          "allowed_origins": ["https://app.contoso.com", "http://localhost:3000"],
          "cors": { "preflight": "pass", "expose_headers": ["etag"], "max_age": "5m" } },
        { "name": "b", "path": "/b", "access": "public", "token": { "in": { "query": "token" } } },
        { "name": "c", "path": "/c", "access": "public", "pass_authorization": true },
        { "name": "d", "path": "/d", "token": { "in": { "body": "a: b", "member": "#", "exchange": ["x", "true"], "pass": ["{", "1"] } } },
        { "preset": "zero", "name": "f", "path": "/f", "user_query": "none" },
        { "preset": "zero", "name": "g", "path": "/g", "user_query": "user: ü" },
        { "name": "e", "path": "/e", "token": { "out": { "query": "x" } }, "allowed_origins": "any", "cors": {} },
    ])));
}

#[test]
fn places_that_cannot_be_are_refused() {
    let problem = |token: Value| problems(&text(json!([{ "name": "a", "token": token }]))).join("; ");
    for (token, expected) in [
        (json!({ "in": {} }), "names 0 places"),
        (json!({ "in": [{ "body": "a" }, { "query": "b" }] }), "routes[0].token.in: a body cannot be combined with another place"),
        (json!({ "in": { "body": "a" }, "out": { "query": "b" } }), "routes[0].token.out: a token in a body"),
        (json!({ "out": { "body": "a" } }), "routes[0].token.out: a token in a body"),
        (json!({ "out": { "protocol": "zero" } }), "routes[0].token.out: a token in a body or in Zero's format"),
        (json!({ "in": { "protocol": "zero" }, "out": { "query": "a" } }), "routes[0].token.out"),
        (json!({ "in": { "header": "cookie" } }), "routes[0].token.in.header: \"cookie\" has another meaning"),
        (json!({ "in": { "header": "sec-websocket-protocol" } }), "has another meaning"),
        (json!({ "in": { "header": "a", "scheme": "a b" } }), "routes[0].token.in.scheme: \"a b\" is empty, too long"),
        (json!({ "in": { "query": "a", "scheme": "b" } }), "routes[0].token.in.scheme: unknown key"),
        (json!({ "in": { "cookie": "a=b" } }), "routes[0].token.in.cookie"),
        (json!({ "in": { "protocol": "graphql" } }), "accepted: list, kubernetes, zero"),
        (json!({ "in": { "body": "a", "exchange": ["x"] } }), "routes[0].token.in.member: is required"),
        (json!({ "in": { "body": "a", "member": "b" } }), "routes[0].token.in.exchange: is required"),
        (json!({ "from": {} }), "routes[0].token.from: unknown key"),
    ] {
        let found = problem(token.clone());
        assert!(found.contains(expected), "{token}: {found}");
    }
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    for (route, expected) in [
        (json!({ "access": "public", "scopes": ["a"] }), "routes[0]: a public route checks no token"),
        (json!({ "access": "public", "token": { "in": { "body": "a" } } }), "routes[0]: a public route does not read bodies"),
        (
            json!({ "allowed_origins": "any", "token": { "in": { "cookie": "a" } } }),
            "routes[0].allowed_origins: any page could use its visitor's cookie",
        ),
        (json!({ "cors": { "preflight": "pass" } }), "routes[0].cors: has no effect without allowed_origins; add it"),
        (
            json!({ "on_invalid": "let_backend_refuse", "token": { "in": { "body": "a" } } }),
            "routes[0].on_invalid: let_backend_refuse is for",
        ),
        (json!({ "access": "public", "user_query": "user" }), "routes[0]: a public route checks no token"),
        (
            json!({ "user_query": "user" }),
            "routes[0]: user_query is compared with the claim sub, which the minting profile default lacks",
        ),
        (
            json!({ "preset": "zero", "token": { "in": { "body": "a" } } }),
            "routes[0]: user_query cannot be combined with a token in a body",
        ),
        (json!({ "preset": "realm", "exact": true }), "routes[0].exact: the preset realm expands to two routes"),
    ] {
        let mut named = route.clone();
        named["name"] = json!("a");
        let found = problems(&text(json!([named])));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{route}: {found:?}");
    }
    let cookie = text(json!([{ "name": "a", "token": { "in": { "cookie": "sid" } } }]));
    assert!(
        warnings(&cookie)[0]
            .starts_with("routes[0].token: without allowed_origins a cookie is accepted only for read-only methods")
    );
}

#[test]
fn an_open_site_beside_protected_routes_deserves_a_thought() {
    let open = |more: Value| {
        let mut route = json!({ "name": "www", "access": "public" });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    let warned = |routes: Value| {
        warnings(&text(routes)).iter().filter(|warning| warning.contains("protect /, and open paths one by one")).count()
    };
    let admin = json!({ "name": "admin", "path": "/admin" });
    let found = warnings(&text(json!([admin, open(json!({}))])));
    assert!(
        found[0].starts_with("routes[1]: every path that no other route matches is public, while admin is protected"),
        "{found:?}"
    );
    for (routes, expected) in [
        (json!([open(json!({})), admin]), 1),
        (json!([open(json!({ "host": "a.test" })), admin]), 1),
        (json!([open(json!({ "methods": ["GET"] })), admin]), 1),
        (json!([{ "name": "default" }, open(json!({ "path": "/public" }))]), 0),
        (json!([open(json!({ "pass_authorization": true })), admin]), 0),
        (json!([open(json!({ "methods": ["GET"] })), { "name": "default" }]), 0),
        (json!([open(json!({})), { "name": "admin", "host": "admin.test" }]), 0),
        (json!([open(json!({ "exact": true })), admin]), 0),
        (json!({ "preset": "realm" }), 0),
    ] {
        assert_eq!(warned(routes.clone()), expected, "{routes}");
    }
}

#[test]
fn a_post_that_may_stand_for_another_method_deserves_a_thought() {
    let warned = |routes: Value| warnings(&text(routes)).iter().filter(|warning| warning.contains(" may mean ")).count();
    let delete = json!({ "name": "delete", "path": "/db", "methods": ["GET", "DELETE"], "roles": ["admin"] });
    let found = warnings(&text(json!([delete, { "name": "write", "path": "/db" }])));
    assert!(found[0].starts_with("routes[0]: a POST matching write may mean DELETE to a backend"), "{found:?}");
    for (routes, expected) in [
        (json!([delete, { "name": "write", "methods": ["POST"] }]), 1),
        (json!([delete, { "name": "write", "methods": ["POST"], "access": "public" }]), 1),
        (json!([delete, { "name": "write", "methods": ["PUT"], "path": "/db" }]), 0),
        (json!([delete, { "name": "write", "path": "/db", "roles": ["admin"] }]), 0),
        (json!([delete, { "name": "write", "path": "/other" }]), 0),
        // The rest of the methods has a route, without a list of them.
        (
            json!([{ "name": "read", "path": "/db", "methods": ["GET", "POST"] }, { "name": "write", "path": "/db", "roles": ["admin"] }]),
            1,
        ),
        (json!([{ "name": "read", "path": "/db", "methods": ["GET"] }, { "name": "write", "path": "/db", "roles": ["admin"] }]), 0),
        (json!([{ "name": "read", "methods": ["POST"], "access": "public" }, { "name": "write", "path": "/db" }]), 0),
        (json!([{ "name": "login", "methods": ["POST"], "access": "public" }, { "name": "all" }]), 1),
        (
            json!([
                { "name": "read", "path": "/db", "methods": ["GET", "POST"], "roles": ["admin"] }, { "name": "write", "path": "/db", "roles": ["admin"] }
            ]),
            0,
        ),
        (json!([delete, { "name": "write", "path": "/db", "roles": ["admin"] }, { "name": "read" }]), 0),
        (json!([{ "name": "all", "path": "/db", "methods": ["POST", "DELETE"], "roles": ["admin"] }, { "name": "rest" }]), 0),
    ] {
        assert_eq!(warned(routes.clone()), expected, "{routes}");
    }
}

#[test]
fn one_line_is_enough_for_a_known_backend() {
    let only = |preset: &str| {
        let text = text(json!({ "preset": preset }));
        round_trip(&text);
        let mut config = config(&text);
        // It brings its minting preset, beside the default that nobody uses.
        assert_eq!(config.profiles[1].name, preset);
        assert!(config.profiles[1].claims.contains_key("sub"));
        assert_eq!(config.proxy.routes.len(), 1);
        config.proxy.routes.remove(0)
    };
    let route = |name: &str| RouteSettings { name: name.into(), profile: 1, ..RouteSettings::default() };
    assert_eq!(only("couchdb"), RouteSettings { errors: ErrorShape::CouchDb, ..route("couchdb") });
    let token_in = vec![TokenPlace::Protocol(ProtocolForm::Zero)];
    let on_invalid = OnInvalid::LetBackendRefuse;
    let user_query = Some("userID".into());
    assert_eq!(only("zero"), RouteSettings { token_in, user_query, on_invalid, ..route("zero") });
    let token_in = vec![TokenPlace::Query("token".into()), TokenPlace::bearer()];
    assert_eq!(only("triplit"), RouteSettings { token_in, on_invalid, ..route("triplit") });
}

#[test]
fn a_preset_mints_what_the_file_says_if_it_says_so() {
    let with_mint = |more: Value| {
        let mut changes = vec![("/routes".to_owned(), json!({ "preset": "powersync" }))];
        changes.extend(more.as_object().unwrap().iter().map(|(key, value)| (format!("/{key}"), value.clone())));
        let changes: Vec<_> = changes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        with(&changes)
    };
    // What only the operator knows is asked for.
    assert_eq!(
        problems(&with_mint(json!({}))),
        ["routes.preset: needs the claim aud: one of client_auth.audience in the service's config; set it with mint: { preset: \
             powersync, claims: { aud: ... } }"]
    );
    let named = json!({ "preset": "powersync", "claims": { "aud": "powersync" } });
    let of_mint = config(&with_mint(json!({ "mint": named })));
    assert_eq!((of_mint.proxy.routes[0].profile, of_mint.profiles.len()), (0, 1));
    let token_in = vec![header("authorization", Some("Token")), header("authorization", Some("Bearer"))];
    assert_eq!(of_mint.proxy.routes[0].token_in, token_in);
    let of_profile = config(&with_mint(json!({ "profiles": { "powersync": named }, "mint": { "user_id_claim": "x" } })));
    assert_eq!((of_profile.proxy.routes[0].profile, of_profile.profiles.len()), (1, 2));
    let es256 = with(&[("/routes", json!({ "preset": "realm" })), ("/signing/algorithm", json!("ES256"))]);
    assert_eq!(problems(&es256), ["routes.preset: this backend does not verify ES256; accepted for signing.algorithm: RS256"]);
}

#[test]
fn realm_is_its_login_and_the_rest() {
    let text = text(json!({ "preset": "realm", "path": "/sync", "scopes": ["docs"], "host": "realm.contoso.com" }));
    round_trip(&text);
    let found = config(&text).proxy.routes;
    let [login, rest] = &found[..] else { panic!("{found:?}") };
    assert_eq!((login.name.as_str(), login.path.as_str(), login.exact), ("realm-login", "/sync/auth", true));
    assert_eq!((&login.methods[..], login.access, login.errors), (&["POST".to_owned()][..], Access::Protected, ErrorShape::Realm));
    assert_eq!(login.permission.settings().all_scopes, ["docs"]);
    let [TokenPlace::Body(BodyPlace { member, condition: Some(condition) })] = &login.token_in[..] else { panic!("{login:?}") };
    assert_eq!((member.as_str(), condition.member.as_str()), ("data", "provider"));
    assert_eq!((&condition.exchange[..], &condition.pass[..]), (&["jwt".to_owned()][..], &["realm".to_owned()][..]));
    assert_eq!((rest.name.as_str(), rest.path.as_str(), rest.exact), ("realm", "/sync", false));
    assert_eq!((rest.access, rest.errors), (Access::Public { pass_authorization: true }, ErrorShape::Realm));
    assert_eq!(rest.permission.settings().all_scopes, [""; 0]);
    assert_eq!((login.host.as_deref(), rest.host.as_deref()), (Some("realm.contoso.com"), Some("realm.contoso.com")));
    let at_root = routes(json!({ "preset": "realm" }));
    assert_eq!(at_root[0].path, "/auth");
}

#[test]
fn a_preset_gives_way_to_what_is_given() {
    let found = routes(
        json!([{ "preset": "triplit", "name": "app", "on_invalid": "reject", "token": { "in": { "query": "t" } }, "errors": "couchdb" }]),
    );
    assert_eq!((found[0].name.as_str(), found[0].on_invalid, found[0].errors), ("app", OnInvalid::Reject, ErrorShape::CouchDb));
    assert_eq!(found[0].token_in, [TokenPlace::Query("t".into())]);
    let pass = json!({ "in": { "body": "data", "member": "provider", "exchange": ["jwt"], "pass": ["realm", "nickname"] } });
    let found = routes(json!({ "preset": "realm", "token": pass }));
    assert!(format!("{:?}", found[0].token_in).contains("nickname"));
    let printed = Effective(&config(&text(json!({ "preset": "realm" })))).to_string();
    for line in ["- name: realm-login", "path: /auth", "exact: true", "access: public", "pass_authorization: true", "errors: realm"]
    {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    assert!(printed.contains("- { body: data, member: provider, exchange: [jwt], pass: [realm] }"), "{printed}");
}

#[test]
fn routes_that_can_never_match_or_are_ambiguous_are_reported() {
    let route = |name: &str, more: Value| {
        let mut route = json!({ "name": name, "path": "/db" });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    for (second, expected) in [
        (json!({}), "routes[1]: host and path are the same as in routes[0], so it can never match"),
        (json!({ "path": "/DB" }), "routes[1]: path /DB differs from that of routes[0] only in case"),
        (json!({ "path": "/DB", "host": "contoso.com", "methods": ["GET"] }), "routes[1]: path /DB differs"),
    ] {
        let found = problems(&text(json!([route("a", json!({})), route("b", second.clone())])));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{second}: {found:?}");
    }
    let methods = |first: &str, second: &str| {
        problems(&text(json!([route("a", json!({ "methods": [first, "PUT"] })), route("b", json!({ "methods": [second] }))])))
    };
    for (first, second) in [("GET", "GET"), ("GET", "HEAD"), ("HEAD", "GET"), ("POST", "PUT")] {
        let found = methods(first, second);
        assert!(found.len() == 1 && found[0].contains("are the same as in routes[0]; accepted: each method in one"), "{found:?}");
    }
    assert_eq!(methods("GET", "POST"), [""; 0]);
    for second in
        [json!({ "exact": true }), json!({ "host": "contoso.com" }), json!({ "methods": ["GET"] }), json!({ "path": "/db/x" })]
    {
        assert_eq!(problems(&text(json!([route("a", json!({})), route("b", second)]))), [""; 0]);
    }
    let twice = problems(&text(json!([{ "preset": "realm" }, { "preset": "realm", "path": "/b" }])));
    assert_eq!(twice.len(), 2, "{twice:?}");
    assert!(twice[0].starts_with("routes[1]: name realm-login is already used by routes[0]"));
}

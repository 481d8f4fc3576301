use serde_json::{Value, json};

use super::bad_values::{CLAIM, NAME, SCOPE, TEXT};

/// The bad values of a route.
pub(super) fn rows() -> Vec<(&'static str, Value, String)> {
    let nonce = "accepted: ignored, forbidden, or {header: NAME}";
    let host = "accepted: a host name or address without port";
    let path = "accepted: a path such as / or /db: segments of A-Z a-z 0-9 - . _ ~ : @ $ + , = and no trailing slash";
    let row = |place, value, text: &str| (place, value, text.to_owned());
    vec![
        ("/routes", json!([{ "name": "a/b" }]), format!("routes[0].name: \"a/b\" cannot be a name; {NAME}")),
        (
            "/routes",
            json!([{ "name": "a", "path": "/a/../b" }]),
            format!("routes[0].path: \"/a/../b\" has an ambiguous character or segment; {path}"),
        ),
        (
            "/routes",
            json!([{ "name": "a", "path": "/a/" }]),
            format!("routes[0].path: \"/a/\" ends with a slash; /db matches /db, /db/ and everything below; {path}"),
        ),
        (
            "/routes",
            json!([{ "name": "a", "host": "*.contoso.com" }]),
            format!("routes[0].host: \"*.contoso.com\" is not a host; {host}"),
        ),
        row(
            "/routes",
            json!([{ "name": "a", "client_certificate": "none" }]),
            "routes[0].client_certificate: \"none\" is not known; accepted: optional, required",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "forward_certificate": true }]),
            "routes[0].forward_certificate: \"true\" is not known; accepted: none, certificate, chain",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "upstream": "couch" }]),
            "routes[0].upstream: there is no upstream couch; accepted: default",
        ),
        (
            "/routes",
            json!([{ "name": "a", "scopes": ["a b"] }]),
            format!("routes[0].scopes[0]: \"a b\" cannot be a scope; {SCOPE}"),
        ),
        (
            "/routes",
            json!([{ "name": "a", "any_scopes": ["\""] }]),
            format!("routes[0].any_scopes[0]: \"\\\"\" cannot be a scope; {SCOPE}"),
        ),
        row("/routes", json!([{ "name": "a", "roles": ["x", "x"] }]), "routes[0].roles[1]: appears twice in the list; keep one"),
        (
            "/routes",
            json!([{ "name": "a", "any_roles": [null] }]),
            format!("routes[0].any_roles[0]: has no value; give one, or remove the key; {TEXT}"),
        ),
        ("/routes", json!([{ "name": "a", "claims": { "a b": [] } }]), format!("routes[0].claims.a b: cannot be a claim; {CLAIM}")),
        row(
            "/routes",
            json!([{ "name": "a", "any_claims": ["x"] }]),
            "routes[0].any_claims: is not a mapping; accepted: names with values, indented",
        ),
        row(
            "/routes",
            json!([{ "preset": "couch" }]),
            "routes[0].preset: \"couch\" is not known; did you mean couchdb?; accepted: realm, couchdb, powersync, zero, triplit",
        ),
        row("/routes", json!([{ "name": "a", "exact": "no" }]), "routes[0].exact: \"no\" is not known; accepted: true, false"),
        row(
            "/routes",
            json!([{ "name": "a", "methods": ["get"] }]),
            "routes[0].methods[0]: \"get\" is not a method; accepted: a method in capitals, such as POST",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "access": "open" }]),
            "routes[0].access: \"open\" is not known; accepted: protected, public",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "pass_authorization": true }]),
            "routes[0].pass_authorization: is for public routes; on others the token is exchanged",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "token": { "in": { "query": "a", "cookie": "b" } } }]),
            "routes[0].token.in: names 2 places; accepted: one of header, query, protocol, cookie, body",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "user_query": ["a"] }]),
            "routes[0].user_query: is a list, not one value; accepted: none, or the name of a query parameter",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "allowed_origins": ["app.contoso.com"], "token": { "in": { "cookie": "c" } } }]),
            "routes[0].allowed_origins[0]: \"app.contoso.com\" has no scheme; accepted: an origin as browsers send it, such as \
             https://app.contoso.com or capacitor://localhost; null_origin for pages that send null",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "allowed_origins": "any", "cors": { "preflight": "ask" } }]),
            "routes[0].cors.preflight: \"ask\" is not known; accepted: answer, pass",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "allowed_origins": "any", "cors": { "expose_headers": ["a b"] } }]),
            "routes[0].cors.expose_headers[0]: \"a b\" is not a header name; accepted: the name of a header",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "allowed_origins": "any", "cors": { "max_age": "2d" } }]),
            "routes[0].cors.max_age: 2d is too long; accepted: 0s to 1d (default 10m)",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "errors": "couch" }]),
            "routes[0].errors: \"couch\" is not known; did you mean couchdb?; accepted: rfc6750, realm, couchdb",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "close_codes": { "token_end": 1006 } }]),
            "routes[0].close_codes.token_end: \"1006\" is not a valid close code; accepted: auto, or a close code: 1000 to 1003, \
             1007 to 1014, or 3000 to 4999",
        ),
        row(
            "/routes",
            json!([{ "name": "a", "on_invalid": "ignore" }]),
            "routes[0].on_invalid: \"ignore\" is not known; accepted: reject, let_backend_refuse",
        ),
        ("/routes", json!([{ "name": "a", "nonce": "required" }]), format!("routes[0].nonce: \"required\" is not known; {nonce}")),
        row(
            "/routes",
            json!([{ "name": "a", "nonce": { "header": "X Nonce" } }]),
            "routes[0].nonce.header: \"X Nonce\" is not a header name; accepted: the name of a header",
        ),
    ]
}

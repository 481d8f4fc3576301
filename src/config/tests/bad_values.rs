use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{TENANT_ID, bad_endpoints, bad_listeners, bad_minting, bad_routes, config, parse, problems, with};

const KEY_URL: &str = "accepted: https://..., or http://... to this machine (localhost, 127.0.0.1, [::1])";
const GUID: &str = "accepted: a GUID such as 9c0c1f5e-0000-4000-8000-000000000000";
pub(super) const NAME: &str = "accepted: 1 to 64 of a-z 0-9 _ -";
pub(super) const CLAIM: &str = "accepted: the name of a claim: 1 to 256 bytes, without spaces or braces";
pub(super) const SCOPE: &str = "accepted: a scope as in the claim scp: no space, quote or backslash";
pub(super) const TEXT: &str = "accepted: text of 1 to 1024 bytes";

/// Place, bad value, the problem that must be the only one (`...` stands for the usual end of the message).
fn table() -> Vec<(&'static str, Value, String)> {
    [own_rows(), super::bad_key_sources::rows(), super::bad_upstreams::rows()].concat()
}

fn own_rows() -> Vec<(&'static str, Value, String)> {
    let address = |default: &str| format!("accepted: address and port, such as 127.0.0.1:8080 or [::]:8080 (default {default})");
    let host = "accepted: a host name or address without port";
    let header = "accepted: the name of a header, or the start of one and *, such as x-user-*";
    let file = "accepted: the path of a file";
    let row = |place, value, text: &str| (place, value, text.to_owned());
    let mut rows = vec![
        (
            "/listen/address",
            json!("localhost"),
            format!("listen.address: \"localhost\" is not a valid address with a port; {}", address("0.0.0.0:8080")),
        ),
        row("/listen/also", json!([1]), "listen.also[0]: is not a mapping; accepted: keys with values, indented"),
        row("/listen/http2", json!([1]), "listen.http2: is not a mapping; accepted: keys with values, indented"),
        row("/listen/http2/max_streams", json!(0), "listen.http2.max_streams: 0 is too small; accepted: 1 to 1000 (default 100)"),
        row(
            "/listen/http2/max_age",
            json!("59s"),
            "listen.http2.max_age: 59s is too short; accepted: none, or 1m to 30d (default 1h)",
        ),
        row("/listen/max_connections", json!(0), "listen.max_connections: 0 is too small; accepted: 1 to 1000000 (default 10000)"),
        row(
            "/listen/max_connections",
            json!("many"),
            "listen.max_connections: \"many\" is not valid; accepted: 1 to 1000000 (default 10000)",
        ),
        row(
            "/listen/header_timeout",
            json!("99ms"),
            "listen.header_timeout: 99ms is too short; accepted: 100ms to 5m (default 10s)",
        ),
        row("/listen/keepalive_timeout", json!("2h"), "listen.keepalive_timeout: 2h is too long; accepted: 1s to 1h (default 75s)"),
        row(
            "/listen/body_timeout",
            json!(30),
            "listen.body_timeout: \"30\" has no unit; did you mean 30s?; accepted: 1s to 1h (default 1m)",
        ),
        row("/listen/write_timeout", json!("0s"), "listen.write_timeout: 0s is too short; accepted: 1s to 1h (default 1m)"),
        row(
            "/listen/header_bytes",
            json!("2MiB"),
            "listen.header_bytes: 2MiB is too large; accepted: 1KiB to 1MiB (default 64KiB)",
        ),
        row(
            "/listen/max_stream_age",
            json!("31d"),
            "listen.max_stream_age: 31d is too long; accepted: none, or 1s to 30d (default none)",
        ),
        row("/listen/stream_grace", json!("2m"), "listen.stream_grace: 2m is too long; accepted: 0s to 1m (default 2s)"),
        row("/listen/ping_every", json!("0s"), "listen.ping_every: 0s is too short; accepted: none, or 1s to 1h (default none)"),
        (
            "/admin/address",
            json!(9090),
            format!("admin.address: \"9090\" is not a valid address with a port; {}", address("127.0.0.1:9090")),
        ),
        ("/issuers/0/name", json!("Contoso B2C"), format!("issuers[0].name: \"Contoso B2C\" cannot be a name; {NAME}")),
        row(
            "/issuers/0/preset",
            json!("b2b"),
            "issuers[0].preset: \"b2b\" is not known; did you mean b2c?; accepted: b2c, entra, external-id, oidc",
        ),
        row(
            "/issuers/0/tenant",
            json!("contoso.onmicrosoft.com"),
            "issuers[0].tenant: \"contoso.onmicrosoft.com\" is not a host label; accepted: the first label of the host name, such as \
             contoso of contoso.b2clogin.com",
        ),
        ("/issuers/0/tenant_id", json!("contoso"), format!("issuers[0].tenant_id: \"contoso\" is not a GUID; {GUID}")),
        row(
            "/issuers/0/policies",
            json!(["B2C 1"]),
            "issuers[0].policies[0]: \"B2C 1\" is not a policy; accepted: a policy such as B2C_1_signin: 1 to 128 of A-Z a-z 0-9 _ -",
        ),
        (
            "/issuers/0/domains",
            json!(["login.contoso.com:443"]),
            format!("issuers[0].domains[0]: \"login.contoso.com:443\" is not a host; {host}"),
        ),
        (
            "/issuers/0/discovery",
            json!("http://login.contoso.com/d"),
            format!("issuers[0].discovery: plain http to another machine: anyone on the network path could inject keys; {KEY_URL}"),
        ),
        (
            "/issuers/0/jwks_uri",
            json!(["ftp://contoso.com"]),
            format!("issuers[0].jwks_uri[0]: is neither http nor https; {KEY_URL}"),
        ),
        (
            "/issuers/0/issuer",
            json!(""),
            "issuers[0].issuer: \"\" is empty or too long; accepted: the exact iss of the tokens".to_owned(),
        ),
        ("/issuers/0/tenants", json!(["x"]), format!("issuers[0].tenants[0]: \"x\" is not a GUID; {GUID}")),
        row("/issuers/0/any_tenant", json!("yes"), "issuers[0].any_tenant: \"yes\" is not known; accepted: true, false"),
        row("/issuers/0/audiences", json!([]), "issuers[0].audiences: the list is empty; give an element, or remove the key"),
        row(
            "/issuers/0/audiences",
            json!(["00000003-0000-0000-C000-000000000000"]),
            "issuers[0].audiences: names Microsoft Graph, whose tokens nobody else can verify; clients must ask for a scope of your API",
        ),
        row(
            "/issuers/0/algorithms",
            json!(["RS256", "HS256"]),
            "issuers[0].algorithms[1]: HMAC is refused: its key would be the published key, so anyone could sign; accepted: asymmetric \
             algorithms such as RS256",
        ),
        row(
            "/issuers/0/algorithms",
            json!("none"),
            "issuers[0].algorithms: \"none\" is not known; accepted: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
        ),
        (
            "/issuers/0/authorized_parties",
            json!([{}]),
            format!("issuers[0].authorized_parties[0]: is a mapping, not one value; {TEXT}"),
        ),
        ("/issuers/0/client_ids", json!([{}]), format!("issuers[0].client_ids[0]: is a mapping, not one value; {TEXT}")),
        row(
            "/issuers/0/sender_constrained",
            json!("deny"),
            "issuers[0].sender_constrained: \"deny\" is not known; accepted: accept, refuse",
        ),
        row(
            "/issuers/0/group_overage",
            json!("acept"),
            "issuers[0].group_overage: \"acept\" is not known; did you mean accept?; accepted: accept, refuse",
        ),
        row(
            "/issuers/0/tokens",
            json!(["access", "app-only"]),
            "issuers[0].tokens[1]: \"app-only\" is not known; did you mean app_only?; accepted: access, id, app_only",
        ),
        row("/issuers/0/tokens", json!(["id", "id"]), "issuers[0].tokens[1]: appears twice in the list; keep one"),
        row(
            "/issuers/0/user_id",
            json!("{tid_{oid}"),
            "issuers[0].user_id: \"{tid_{oid}\" is not valid; accepted: claims in braces such as {tid}_{oid}",
        ),
        row(
            "/issuers/0/user_id",
            json!("email"),
            "issuers[0].user_id: email can be changed by its owner and reassigned to another person; accepted only with mutable_user_id: true",
        ),
        row("/issuers/0/mutable_user_id", json!("on"), "issuers[0].mutable_user_id: \"on\" is not known; accepted: true, false"),
        row("/issuers/0/shared_user_ids", json!(1), "issuers[0].shared_user_ids: \"1\" is not known; accepted: true, false"),
        ("/issuers/0/name_claim", json!("full name"), format!("issuers[0].name_claim: \"full name\" cannot be a claim; {CLAIM}")),
        ("/issuers/0/role_claim", json!(["roles"]), format!("issuers[0].role_claim: is a list, not one value; {CLAIM}")),
        row("/issuers/0/leeway", json!("10m"), "issuers[0].leeway: 10m is too long; accepted: 0s to 5m (default 1m)"),
        row(
            "/issuers/0/max_lifetime",
            json!("30s"),
            "issuers[0].max_lifetime: 30s is too short; accepted: none, or 1m to 30d (default none)",
        ),
        ("/issuers/0/ca_file", json!(""), format!("issuers[0].ca_file: is empty or too long; {file}")),
        row("/issuers/0/refresh", json!("1m"), "issuers[0].refresh: 1m is too short; accepted: 5m to 1d (default 1h)"),
        row("/issuers/0/keep", json!("60d"), "issuers[0].keep: 60d is too long; accepted: 5m to 30d (default 26h)"),
        row("/token/max_bytes", json!("1MB"), "token.max_bytes: \"1MB\" is not valid; accepted: 1KiB to 64KiB (default 16KiB)"),
        row(
            "/token/max_header_bytes",
            json!(255),
            "token.max_header_bytes: 255 is too small; accepted: 256 to 16KiB (default 4KiB)",
        ),
        row("/token/max_kid_bytes", json!("1MiB"), "token.max_kid_bytes: 1MiB is too large; accepted: 64 to 4KiB (default 512)"),
        (
            "/signing/key_file",
            json!("-----BEGIN PRIVATE KEY-----\nMIIE"),
            format!("signing.key_file: contains a line break or another control character; {file}"),
        ),
        ("/signing/passphrase_file", json!(["a"]), format!("signing.passphrase_file: is a list, not one value; {file}")),
        row(
            "/signing/passphrase_env",
            json!("correct horse"),
            "signing.passphrase_env: this cannot be the name of an environment variable; accepted: the name of an environment variable: \
             letters, digits, _",
        ),
        row("/signing/threads", json!(-1), "signing.threads: \"-1\" is not valid; accepted: 0 to 1024 (default 0)"),
        row("/signing/queue", json!(0), "signing.queue: 0 is too small; accepted: 1 to 1000000 (default 1024)"),
        ("/headers/strip", json!(["x user"]), format!("headers.strip[0]: \"x user\" is not a header name; {header}")),
        (
            "/headers/strip_also",
            json!(["*-user"]),
            format!("headers.strip_also[0]: \"*-user\" has a star that is not at the end; {header}"),
        ),
        row("/headers/strip", json!("ho*"), "headers.strip: would strip host, without which a request cannot be forwarded"),
        row(
            "/realm",
            json!("a\"b"),
            "realm: \"a\\\"b\" cannot be a realm; accepted: 1 to 64 ASCII characters without quote and backslash",
        ),
        row("/cache/entries", json!("100k"), "cache.entries: \"100k\" is not valid; accepted: 100 to 10000000 (default 100000)"),
        row("/cache/bytes", json!("1MiB"), "cache.bytes: 1MiB is too small; accepted: 16MiB to 64GiB (default 256MiB)"),
        row("/cache/bytes", json!("65GiB"), "cache.bytes: 65GiB is too large; accepted: 16MiB to 64GiB (default 256MiB)"),
        row("/log/format", json!("xml"), "log.format: \"xml\" is not known; accepted: json, text"),
        row(
            "/log/level",
            json!("inof"),
            "log.level: \"inof\" is not known; did you mean info?; accepted: error, warn, info, debug",
        ),
        row("/log/requests", json!({}), "log.requests: is a mapping, not one value; accepted: true, false"),
        row("/log/refusals_per_second", json!(0), "log.refusals_per_second: 0 is too small; accepted: 1 to 1000000 (default 100)"),
        row("/shutdown/delay", json!("6m"), "shutdown.delay: 6m is too long; accepted: 0s to 5m (default 0s)"),
        row("/shutdown/grace", json!("61m"), "shutdown.grace: 61m is too long; accepted: 0s to 1h (default 30s)"),
        row("/threads", json!(1025), "threads: 1025 is too large; accepted: 0 to 1024 (default 0)"),
        row("/listen", json!([]), "listen: is not a mapping; accepted: keys with values, indented"),
        row("/admin", json!("127.0.0.1:9090"), "admin: is not a mapping; accepted: keys with values, indented"),
        row("/issuers/0/for", json!("users"), "issuers[0].for: \"users\" is not known; accepted: routes, endpoints"),
        row("/routes", json!([{ "name": "a", "mint": "couch" }]), "routes[0].mint: there is no profile couch; accepted: default"),
        row("/signing", json!("signing.pem"), "signing: is not a mapping; accepted: keys with values, indented"),
        row("/upstream", json!("http://127.0.0.1"), "upstream: is not a mapping; accepted: keys with values, indented"),
        row("/issuers", json!("b2c"), "issuers: is not a mapping; accepted: keys with values, indented"),
    ];
    rows.extend(bad_listeners::rows());
    rows.extend(bad_listeners::of_callers());
    rows.extend(bad_routes::rows());
    rows.extend(bad_endpoints::rows());
    rows.extend(bad_minting::rows());
    rows
}

#[test]
fn each_bad_value_is_the_one_problem_with_its_message() {
    for (place, value, expected) in table() {
        let mut changes = vec![(place, value.clone())];
        if place.ends_with("tenants") || place.ends_with("any_tenant") {
            let issuer = json!({ "preset": "entra", "tenant": "common", "tenants": [TENANT_ID], "audiences": ["api"] });
            changes.insert(0, ("/issuers/0", issuer));
        }
        assert_eq!(problems(&with(&changes)), [expected], "{place}: {value}");
    }
}

/// The keys that a section accepts, as the message for an unknown key lists them.
fn accepted_keys(section: &str, value: Value) -> Vec<String> {
    let text = if section.is_empty() {
        with(&[("/zzzzzzzzzzzz", json!(1))])
    } else {
        with(&[(section, value), (&format!("{section}/zzzzzzzzzzzz"), json!(1))])
    };
    let problem = problems(&text).into_iter().find(|problem| problem.contains("zzzzzzzzzzzz: unknown key")).unwrap();
    problem.split_once("accepted: ").unwrap().1.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_has_a_bad_value() {
    let mut tried = BTreeSet::new();
    for (place, value, expected) in table() {
        tried.insert(place.trim_start_matches('/').replace("/0/", "/"));
        if place == "/routes" {
            let key = expected.trim_start_matches("routes[0].");
            tried.insert(format!("routes/{}", &key[..key.find([':', '[', '.']).unwrap()]));
            drop(value);
        }
    }
    let sections = [
        ("/listen", json!({})),
        ("/admin", json!({})),
        ("/issuers/0", json!({ "preset": "b2c" })),
        ("/token", json!({})),
        ("/signing", json!({})),
        ("/mint", json!({})),
        ("/upstream", json!({})),
        ("/routes", json!([{}])),
        ("/headers", json!({})),
        ("/cache", json!({})),
        ("/log", json!({})),
        ("/shutdown", json!({})),
    ];
    for (section, value) in sections {
        let element = if section == "/routes" { "/routes/0" } else { section };
        let keys = if element == section {
            accepted_keys(section, value)
        } else {
            let text = with(&[(section, json!([{ "zzzzzzzzzzzz": 1 }]))]);
            let problem = problems(&text).into_iter().find(|problem| problem.contains("unknown key")).unwrap();
            problem.split_once("accepted: ").unwrap().1.split(", ").map(str::to_owned).collect()
        };
        for key in keys {
            let name = format!("{}/{key}", section.trim_start_matches('/').trim_end_matches("/0"));
            assert!(tried.contains(&name), "no bad value for {name}");
        }
    }
    let known: BTreeSet<_> = accepted_keys("", json!(null)).into_iter().collect();
    let sections: BTreeSet<_> =
        tried.iter().map(|key| key.split('/').next().unwrap().to_owned()).chain(["upstreams".to_owned()]).collect();
    assert_eq!(known, sections);
}

#[test]
fn values_at_the_ends_of_their_ranges_are_taken() {
    let low = config(&with(&[
        ("/listen/header_timeout", json!("100ms")),
        ("/issuers/0/leeway", json!("0s")),
        ("/token/max_kid_bytes", json!(64)),
    ]));
    assert_eq!(low.proxy.listen.header_timeout.as_millis(), 100);
    assert_eq!(low.issuers[0].rules.leeway.as_secs(), 0);
    assert_eq!(low.token_limits.kid, 64);
    let high = config(&with(&[
        ("/listen/header_timeout", json!("5m")),
        ("/issuers/0/leeway", json!("300s")),
        ("/token/max_kid_bytes", json!("4KiB")),
    ]));
    assert_eq!(high.proxy.listen.header_timeout.as_secs(), 300);
    assert_eq!(high.issuers[0].rules.leeway.as_secs(), 300);
    assert_eq!(high.token_limits.kid, 4_096);
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for (place, value) in [
        ("/signing/passphrase", json!("hunter2")),
        ("/signing/password", json!("hunter2")),
        ("/signing/key", json!("hunter2")),
        ("/signing/passphrase_env", json!("hunter2!")),
        ("/signing/key_file", json!("hunter2\nhunter2")),
        ("/upstream/url", json!("http://u:hunter2@127.0.0.1")),
        ("/issuers/0/discovery", json!("https://u:hunter2@contoso.com")),
    ] {
        let findings = parse(&with(&[(place, value)])).unwrap_err();
        assert!(!findings.problems.is_empty() && !format!("{findings:?}").contains("hunter2"), "{findings:?}");
    }
    assert_eq!(
        problems(&with(&[("/signing/passphrase", json!("hunter2"))])),
        ["signing.passphrase: secrets do not belong in the file; give passphrase_file: PATH or passphrase_env: VARIABLE"]
    );
}

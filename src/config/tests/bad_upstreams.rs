use serde_json::{Value, json};

use super::{problems, warnings, with};

const UPSTREAM_URL: &str =
    "accepted: http://host:port or https://host:port, also with a path, without query and credentials; or unix:/path of a socket";

/// Place, bad value, the problem that must be the only one.
pub(super) fn rows() -> Vec<(&'static str, Value, String)> {
    [url_rows(), other_rows()].concat()
}

fn url_rows() -> Vec<(&'static str, Value, String)> {
    let row = |place, value, text: &str| (place, value, text.to_owned());
    vec![
        (
            "/upstream/url",
            json!("http://127.0.0.1:5984/db?x"),
            format!("upstream.url: has a query; each request keeps its own; {UPSTREAM_URL}"),
        ),
        (
            "/upstream/url",
            json!("http://127.0.0.1:5984/a/../b"),
            format!(
                "upstream.url: has a path with an ambiguous character or segment; accepted there: A-Z a-z 0-9 - . _ ~ : @ $ + , =; \
                 {UPSTREAM_URL}"
            ),
        ),
        (
            "/upstream/url",
            json!(["http://a.localhost", "unix:b.sock"]),
            format!("upstream.url[1]: is not the absolute path of a socket; {UPSTREAM_URL}"),
        ),
        row(
            "/upstream/url",
            json!(["http://127.0.0.1", "https://localhost"]),
            "upstream.url: has http and https (a socket counts as http); accepted: the same for all",
        ),
        row(
            "/upstream/url",
            json!(["http://127.0.0.1/a", "unix:/b.sock"]),
            "upstream.url: has different paths; accepted: the same for all",
        ),
        row(
            "/upstream/url",
            json!(["http://127.0.0.1", "http://127.0.0.1:80/"]),
            "upstream.url[1]: appears twice in the list; keep one",
        ),
        row("/upstream/url", json!([]), "upstream.url: the list is empty; give an element, or remove the key"),
    ]
}

fn other_rows() -> Vec<(&'static str, Value, String)> {
    let row = |place, value, text: &str| (place, value, text.to_owned());
    vec![
        row(
            "/upstream/tls",
            json!({ "server_name": "couch" }),
            "upstream.tls: has no effect with an http url; accepted: only with an https url",
        ),
        row("/upstream/http2", json!("h2c"), "upstream.http2: \"h2c\" is not known; accepted: true, false"),
        row("/upstream/sticky", json!("user"), "upstream.sticky: \"user\" is not known; accepted: true, false"),
        row("/upstream/health", json!({}), "upstream.health.path: is required: what is asked for, such as /_up"),
        row(
            "/upstream/health",
            json!({ "path": "_up" }),
            "upstream.health.path: \"_up\" is not a path; accepted: a path such as /_up, with a query if need be: printable ASCII without # and spaces",
        ),
        row(
            "/upstream/health",
            json!({ "path": "/_up", "every": "1ms" }),
            "upstream.health.every: 1ms is too short; accepted: 1s to 1h (default 5s)",
        ),
        row(
            "/upstream/health",
            json!({ "path": "/_up", "timeout": "2m" }),
            "upstream.health.timeout: 2m is too long; accepted: 100ms to 1m (default 2s)",
        ),
        row("/upstream/drain_spread", json!("2h"), "upstream.drain_spread: 2h is too long; accepted: 0s to 1h (default 1m)"),
        (
            "/upstream/url",
            json!("https://10.0.0.1"),
            format!(
                "upstream.url: https to an IP address; a host name is needed to verify the certificate, here or in tls.server_name; \
                 {UPSTREAM_URL}"
            ),
        ),
        (
            "/upstream/url",
            json!("http://admin:secret@127.0.0.1"),
            format!("upstream.url: contains credentials; secrets do not belong in the file; {UPSTREAM_URL}"),
        ),
        row(
            "/upstream/ca_file",
            json!("ca.pem"),
            "upstream.ca_file: has no effect with an http url; accepted: only with an https url",
        ),
        row("/upstream/host", json!("server"), "upstream.host: \"server\" is not known; accepted: client, upstream"),
        row(
            "/upstream/connect_timeout",
            json!("2m"),
            "upstream.connect_timeout: 2m is too long; accepted: 100ms to 1m (default 5s)",
        ),
        row("/upstream/read_timeout", json!("25h"), "upstream.read_timeout: 25h is too long; accepted: 1s to 1d (default 10m)"),
        row("/upstream/write_timeout", json!("5ms"), "upstream.write_timeout: 5ms is too short; accepted: 1s to 1h (default 1m)"),
        row(
            "/upstream/idle_timeout",
            json!(null),
            "upstream.idle_timeout: has no value; give one, or remove the key; accepted: 1s to 1h (default 4s)",
        ),
        row("/upstream/resolve_every", json!("1d"), "upstream.resolve_every: 1d is too long; accepted: 1s to 1h (default 5s)"),
    ]
}

#[test]
fn a_certificate_has_a_key_and_a_key_a_certificate() {
    let tls = |tls: Value| with(&[("/upstream/url", json!("https://couch.contoso.com")), ("/upstream/tls", tls)]);
    assert_eq!(warnings(&tls(json!({ "server_name": "couch", "certificate": "own.pem", "key": "own.key" }))), [""; 0]);
    for (value, problem) in [
        (
            json!({ "server_name": "couch", "certificate": "own.pem" }),
            "upstream.tls.key: is required: the private key of tls.certificate",
        ),
        (json!({ "server_name": "couch", "key": "own.key" }), "upstream.tls.certificate: is required: the certificate of tls.key"),
        (
            json!({ "server_name": "https://couch" }),
            "upstream.tls.server_name: \"https://couch\" is not a host; accepted: a host name or address without port",
        ),
        (json!({ "server_name": "couch", "ca": "x" }), "upstream.tls.ca: unknown key; accepted: server_name, certificate, key"),
    ] {
        assert_eq!(problems(&tls(value)), [problem]);
    }
    let by_address = with(&[("/upstream/url", json!("https://10.0.0.1")), ("/upstream/tls", json!({ "server_name": "couch" }))]);
    assert_eq!(warnings(&by_address), [""; 0]);
}

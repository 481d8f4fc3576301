use serde_json::{Value, json};

const PROXY_URL: &str =
    "accepted: http://, https://, socks5:// or socks5h:// with host and port, without path, query and credentials";

/// Place, bad value, the problem that must be the only one.
pub(super) fn rows() -> Vec<(&'static str, Value, String)> {
    let file = "accepted: the path of a file";
    let row = |place, value, text: &str| (place, value, text.to_owned());
    vec![
        row(
            "/issuers/0/connect_timeout",
            json!("1m"),
            "issuers[0].connect_timeout: 1m is too long; accepted: 100ms to 30s (default 2s)",
        ),
        row("/issuers/0/timeout", json!("2m"), "issuers[0].timeout: 2m is too long; accepted: 100ms to 1m (default 5s)"),
        ("/issuers/0/jwks_file", json!(""), format!("issuers[0].jwks_file: is empty or too long; {file}")),
        ("/issuers/0/snapshot_file", json!(""), format!("issuers[0].snapshot_file: is empty or too long; {file}")),
        (
            "/issuers/0/proxy",
            json!("http://proxy:3128/x"),
            format!("issuers[0].proxy: has a path or a query; each request keeps its own; {PROXY_URL}"),
        ),
        (
            "/issuers/0/proxy",
            json!("socks5h://user:secret@proxy:1080"),
            format!("issuers[0].proxy: contains credentials; use proxy_credentials_file; {PROXY_URL}"),
        ),
        ("/issuers/0/proxy", json!("socks4://proxy:1080"), format!("issuers[0].proxy: is neither http nor https; {PROXY_URL}")),
        row("/issuers/0/proxy_credentials_file", json!("login"), "issuers[0].proxy_credentials_file: is valid only with proxy"),
        row("/issuers/0/deny_kids", json!(["a", "a"]), "issuers[0].deny_kids[1]: appears twice in the list; keep one"),
        row("/issuers/0/unknown_kid", json!(2), "issuers[0].unknown_kid: is not a mapping; accepted: keys with values, indented"),
        row(
            "/issuers/0/unknown_kid",
            json!({ "refreshes": 101 }),
            "issuers[0].unknown_kid.refreshes: 101 is too large; accepted: 0 to 100 (default 2)",
        ),
        row(
            "/issuers/0/unknown_kid",
            json!({ "refill": "29s" }),
            "issuers[0].unknown_kid.refill: 29s is too short; accepted: 30s to 1d (default 5m)",
        ),
        row(
            "/issuers/0/unknown_kid",
            json!({ "wait": "11s" }),
            "issuers[0].unknown_kid.wait: 11s is too long; accepted: 0s to 10s (default 1s)",
        ),
        ("/admin/credential_file", json!(""), format!("admin.credential_file: is empty or too long; {file}")),
    ]
}

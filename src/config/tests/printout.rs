use proptest::prelude::*;
use serde_json::{Value, json};

use super::{TENANT_ID, changed, config, parse, small, with};
use crate::config::{Effective, Loaded};

/// Asserts that the printout of a config, read again, is the same config, and gives the printout.
#[track_caller]
pub(super) fn round_trip(text: &str) -> String {
    let Loaded { config: first, written, .. } = parse(text).unwrap();
    let printed = Effective(&first).to_string();
    assert_eq!(config(&printed), first, "{printed}");
    let marked = Effective(&first).marked(&written);
    assert_eq!(config(&marked), first, "{marked}");
    let unmarked = |line: &str| line.trim_end_matches(" # default").trim_end_matches(" # preset").to_owned() + "\n";
    assert_eq!(marked.lines().map(unmarked).collect::<String>(), printed);
    printed
}

#[test]
fn defaults_and_what_a_preset_gave_are_marked() {
    let text = with(&[
        ("/issuers/0/leeway", json!("30s")),
        ("/issuers/0/refresh", json!("1h")),
        ("/mint", json!({ "preset": "couchdb", "backdate": "5s" })),
        ("/listen", json!({ "address": "[::]:0" })),
    ]);
    let Loaded { config, written, .. } = parse(&text).unwrap();
    let marked = Effective(&config).marked(&written);
    for line in [
        // What the file says itself.
        "    leeway: 30s",
        "    audiences:",
        "      - api",
        "  address: \"[::]:0\"",
        "  backdate: 5s",
        "  key_file: /etc/syncgate/signing.pem",
        // What it says, and what would hold without it.
        "    refresh: 1h # default",
        // What the presets give.
        "    keep: 26h # preset",
        "    issuer: # preset",
        "    sub: \"${user_id}\" # preset",
        // The rest.
        "    algorithms: # default",
        "      - RS256 # default",
        "  max_connections: 10000 # default",
        "    write_timeout: 1m # default",
        "threads: 0 # default",
    ] {
        assert!(marked.lines().any(|printed| printed == line), "{line} is not in\n{marked}");
    }
    // A name that is made of what the file gives is nobody's default, and no preset's.
    assert!(marked.contains("  - name: contoso\n"), "{marked}");
}

#[test]
fn the_printout_means_the_same() {
    round_trip(&with(&[]));
    let oidc = |name: &str, more: Value| {
        let mut issuer =
            json!({ "name": name, "preset": "oidc", "issuer": format!("https://{name}.contoso.com"), "audiences": ["a: b#"] });
        issuer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        issuer
    };
    let entra = json!({
        "preset": "entra", "tenant": "common", "any_tenant": true, "audiences": ["api"], "user_id": "oid", "shared_user_ids": true,
        "algorithms": ["ES384", "EdDSA"], "tokens": ["id", "app_only"], "authorized_parties": ["null", "~", "-", "é \"x\""], "client_ids": ["c"],
        "sender_constrained": "refuse", "group_overage": "refuse",
        "max_lifetime": "28h", "ca_file": "ca.pem", "jwks_uri": "http://localhost/keys", "jwks_file": "keys.json",
        "proxy": "socks5h://proxy:1080", "proxy_credentials_file": "/run/login", "deny_kids": ["-x", "~"], "snapshot_file": "/var/lib/contoso.json",
        "unknown_kid": { "refreshes": 0, "refill": "30s", "wait": "0s" },
    });
    let mutable = oidc("mutable", json!({ "user_id": "m_{email}", "mutable_user_id": true, "leeway": "1500ms" }));
    let prefix = oidc(
        "prefix",
        json!({ "user_id": "m_{sub}", "shared_user_ids": true, "policies": ["x"], "issuer": "discovered",
        "discovery": "https://login.contoso.com/d" }),
    );
    let ids = json!({ "name": "ids", "preset": "external-id", "tenant": "contoso", "tenant_id": TENANT_ID, "audiences": ["a"], "user_id": "{tid}/{oid}",
        "issuer": format!("https://{TENANT_ID}.ciamlogin.com/{TENANT_ID}/v2.0") });
    let route = json!({
        "name": "a", "path": "/db", "host": "[::1]", "scopes": ["read"], "any_scopes": ["a"], "roles": ["R"], "any_roles": ["*"],
        "claims": { "null": ["true", "1", "x y"] , "b": [] }, "any_claims": { "https://contoso.com/x": ["y"] },
        "nonce": { "header": "X-Nonce" }, "upstream": "null",
    });
    let mut all = small();
    all.as_object_mut().unwrap().remove("upstream");
    all["issuers"].as_array_mut().unwrap()[0]["shared_user_ids"] = json!(true);
    all["issuers"].as_array_mut().unwrap().extend([entra, mutable, prefix, ids]);
    let upstreams = json!({
        "null": { "url": "http://[::1]:1", "host": "upstream" },
        "b": { "url": "https://b.contoso.com", "ca_file": "/ca.pem", "read_timeout": "1h" },
        "c": {
            "url": ["https://[::1]:1/a/b", "https://c.contoso.com/a/b/"], "tls": { "server_name": "c", "certificate": "c.pem", "key": "c.key" },
            "http2": true, "sticky": true, "health": { "path": "/_up?x=y", "every": "10s", "timeout": "1s" }, "drain_spread": "5m",
        },
        "d": { "url": ["unix:/run/d.sock", "http://127.0.0.1"] },
    });
    let second = json!({ "name": "b", "upstream": "b", "nonce": "forbidden" });
    let text = changed(
        all,
        &[
            ("/upstreams", upstreams),
            ("/routes", json!([route, second])),
            ("/signing/passphrase_env", json!("PASS")),
            (
                "/listen",
                json!({ "address": "[::]:0", "max_stream_age": "12h", "header_bytes": 100_000, "trusted_proxies": ["10.0.0.0/8", "::1"],
                "client_address": "forwarded", "also": [{ "address": "127.0.0.1:0", "proxy_protocol": true }] }),
            ),
            ("/log", json!({ "format": "text", "level": "debug", "requests": false })),
            (
                "/headers",
                json!({ "strip": ["x-a", "x-b*"], "strip_also": ["x-a", "x-c"], "forwarded_for": "chain", "forwarded": true }),
            ),
            ("/realm", json!("sync gate")),
            ("/admin", json!({ "credential_file": "credential" })),
            ("/shutdown/grace", json!("0s")),
            ("/threads", json!(3)),
        ],
    );
    let printed = round_trip(&text);
    assert!(printed.contains("passphrase_env: PASS"), "{printed}");
}

proptest! {
    #[test]
    fn any_text_survives_the_printout(texts in prop::collection::hash_set("[^\\p{Cc}]{1,20}|[-~:#'\"{}\\[\\]>|*&!%@` a0\u{feff}\u{2028}]{1,6}", 1..5)) {
        let is_quoted = |text: &String| text.starts_with(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{201a}', '\u{ab}', '\u{bb}']);
        let texts: Vec<_> = texts.into_iter().filter(|text| !is_quoted(text)).collect();
        prop_assume!(!texts.is_empty());
        let first = config(&with(&[("/issuers/0/authorized_parties", json!(texts))]));
        prop_assert_eq!(&first.issuers[0].rules.authorized_parties, &texts);
        let printed = Effective(&first).to_string();
        prop_assert_eq!(parse(&printed).map(|loaded| loaded.config), Ok(first), "{}", printed);
    }
}

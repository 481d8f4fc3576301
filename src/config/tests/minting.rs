use std::time::Duration;

use serde_json::{Value, json};

use super::{config, printout::round_trip, problems, warnings, with};
use crate::token::{Lifetime, MintingProfile, Source, TokenKeyId, UserIdForm};

pub(super) fn mint(settings: Value) -> String {
    with(&[("/mint", settings)])
}

pub(super) fn profile(settings: Value) -> MintingProfile {
    config(&mint(settings)).profiles.remove(0)
}

/// The claims as they are in the config.
pub(super) fn claims(profile: &MintingProfile) -> Value {
    profile.claims.iter().map(|(name, value)| (name.clone(), value.to_json())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn without_a_word_a_token_says_the_user_id_and_lives_five_minutes() {
    assert_eq!(config(&with(&[])).profiles, [MintingProfile::new("default", "userId")]);
    assert_eq!(profile(json!({ "user_id_claim": "sub" })), MintingProfile::new("default", "sub"));
}

#[test]
fn values_without_quotes_are_what_they_would_be_in_json() {
    let yaml = "\
issuers: [{preset: oidc, issuer: https://login.contoso.com, audiences: [api]}]
signing: {key_file: signing.pem}
upstream: {url: http://127.0.0.1:5984}
mint:
  claims:
    sub: ${user_id}
    number: 42
    negative: -1.5e3
    big: 18446744073709551615
    zip: 007
    quoted: '42'
    yes: true
    no: 'true'
    norway: no
    list: [1, a, '${roles}']
    https://hasura.io/jwt/claims:
      x-hasura-user-id: ${user_id}
      a.b: {c: ~}
";
    let read = config(yaml);
    assert_eq!(
        claims(&read.profiles[0]),
        json!({
            "sub": "${user_id}", "number": 42, "negative": -1500.0, "big": u64::MAX, "zip": "007", "quoted": "42", "yes": true,
            "no": "true", "norway": "no", "list": [1, "a", "${roles}"],
            "https://hasura.io/jwt/claims": { "x-hasura-user-id": "${user_id}", "a.b": { "c": null } },
        })
    );
    round_trip(yaml);
    let too_large = yaml.replace("18446744073709551615", "18446744073709551616");
    assert_eq!(
        problems(&too_large),
        ["mint.claims.big: 18446744073709551616 is a number of more than 64 bits; quote it to use it as text"]
    );
}

#[test]
fn everything_that_can_be_said_survives_the_printout() {
    let full = json!({
        "claims": {
            "sub": "${user_id}", "name": "${name:-Nobody}", "_couchdb.roles": "${all:levels}", "role": "x-${first:levels}",
            "literal": "$${user_id} $$$${", "quoted": "true", "list": ["a", ["${scopes}"], {}], "empty": {}, "null": [null],
            "https://contoso.com/x": { "y: z": "${claim:https://contoso.com/vip:-\"42\"}" },
        },
        "tables": {
            "levels": { "from": "${roles}", "values": { "Sync.Admin": ["admin", 1], "~": "x", "true": true }, "default": [] },
            "unused": { "from": "${claim:groups}", "values": { "g": { "a": 1 } } },
        },
        "user_id_form": "uuid", "typ": "none", "kid": "thumbprint", "lifetime": "end", "ttl": "1m", "max_lifetime": "12h",
        "backdate": "0s", "nbf": true, "jti": true,
    });
    let read = profile(full.clone());
    assert_eq!(read.tables[0].rows.iter().map(|(left, _)| left.as_str()).collect::<Vec<_>>(), ["Sync.Admin", "true", "~"]);
    assert_eq!((read.tables[0].from.clone(), read.tables[0].default.clone()), (Source::Roles, Some(vec![])));
    assert_eq!((read.token_type.clone(), read.key_id.clone(), read.user_ids), (None, TokenKeyId::Thumbprint, UserIdForm::Uuid));
    assert_eq!((read.lifetime, read.ttl, read.backdate), (Lifetime::End, Duration::from_secs(60), Duration::ZERO));
    assert_eq!((read.max_lifetime, read.not_before, read.token_id), (Some(Duration::from_secs(12 * 3_600)), true, true));
    let profiles = json!({ "a": full, "b": { "preset": "hasura", "kid": "2026-a", "typ": "at+jwt" } });
    let routes = json!([{ "name": "a", "mint": "a" }, { "name": "b", "path": "/b", "mint": "b" }, { "name": "c", "path": "/c" }]);
    let text = with(&[("/profiles", profiles), ("/routes", routes), ("/signing/algorithm", json!("ES384"))]);
    round_trip(&text);
    let read = config(&text);
    assert_eq!(read.proxy.routes.iter().map(|route| route.profile).collect::<Vec<_>>(), [1, 2, 0]);
    assert_eq!(read.profiles[2].key_id, TokenKeyId::Text("2026-a".to_owned()));
}

#[test]
fn a_table_keeps_the_order_of_the_file() {
    let yaml = "\
issuers: [{preset: oidc, issuer: https://login.contoso.com, audiences: [api]}]
signing: {key_file: signing.pem}
upstream: {url: http://127.0.0.1:5984}
mint:
  claims: {sub: '${user_id}', role: '${first:levels}'}
  tables:
    levels:
      from: ${roles}
      values: {z: 1, a: 2}
";
    let rows = |text: &str| config(text).profiles[0].tables[0].rows.iter().map(|(left, _)| left.clone()).collect::<Vec<_>>();
    assert_eq!(rows(yaml), ["z", "a"]);
    assert_eq!(rows(&round_trip(yaml)), ["z", "a"]);
}

#[test]
fn mistakes_in_claims_and_tables_are_told() {
    let sub = "${user_id}";
    let table = |table: Value| mint(json!({ "claims": { "sub": sub, "r": "${all:t}" }, "tables": { "t": table } }));
    let power = "grants power in known backends, so it must not come from a client's token; accepted: a fixed value, or a table";
    for (text, expected) in [
        (
            mint(json!({ "claims": { "a b": 1, "sub": sub } })),
            "mint.claims.a b: cannot be a claim; accepted: the name of a claim: 1 to 256 bytes, without spaces or braces",
        ),
        (mint(json!({ "claims": { "sub": "${user_id" } })), "mint.claims.sub: has ${ without }; a literal ${ is written $${"),
        (
            mint(json!({ "claims": { "sub": [sub, "x\ny"] } })),
            "mint.claims.sub: \"x\\ny\" contains a line break or another control character",
        ),
        (mint(json!({ "claims": { "sub": sub, "r": "${all:t}" } })), "mint.claims: there is no table t; accepted: one of tables"),
        (mint(json!({ "claims": { "sub": null } })), "mint.claims: no claim is left; accepted: at least one"),
        (mint(json!({ "claims": {} })), "mint.claims: has 0 entries; accepted: 1 to 1000"),
        (
            mint(json!({ "claims": { "sub": sub }, "user_id_claim": "sub" })),
            "mint.user_id_claim: cannot be combined with claims; put the user id there, such as sub: ${user_id}",
        ),
        (
            mint(json!({ "preset": "zero", "user_id_claim": "sub" })),
            "mint.user_id_claim: cannot be combined with preset, which sets the claim with the user id; use claims",
        ),
        (mint(json!({ "claims": { "sub": sub, "isAdmin": "${claim:x}" } })), &format!("mint.claims: isAdmin {power}")),
        (
            mint(json!({ "claims": { "sub": sub, "a": { "x-triplit-token-type": "a-${name}" } } })),
            &format!("mint.claims: x-triplit-token-type {power}"),
        ),
        (
            table(json!({ "from": "roles", "values": { "a": 1 } })),
            "mint.tables.t.from: is not such a variable; accepted: ${roles}, ${scopes}, ${name}, ${user_id} or ${claim:NAME}, without a default",
        ),
        (
            table(json!({ "from": "${all:t}", "values": { "a": 1 } })),
            "mint.tables.t.from: is not such a variable; accepted: ${roles}, ${scopes}, ${name}, ${user_id} or ${claim:NAME}, without a default",
        ),
        (
            table(json!({ "from": "${roles}", "values": { "a": "${user_id}" } })),
            "mint.tables.t.values.a: is not a fixed value; accepted: a value, or a list of values, without ${",
        ),
        (
            table(json!({ "from": "${roles}", "values": { "a": [null] }, "default": null })),
            "mint.tables.t.default: is not a fixed value; accepted: a value, or a list of values, without ${",
        ),
        (
            table(json!({ "from": "${roles}", "values": { "a": 1 }, "else": 1 })),
            "mint.tables.t.else: unknown key; accepted: from, values, default",
        ),
    ] {
        assert_eq!(problems(&text), [expected], "{text}");
    }
    let error = problems(&mint(json!({ "claims": { "sub": "${oid}" } })));
    assert!(error[0].starts_with("mint.claims.sub: ${oid} is not known; accepted: user_id, name, roles, "), "{error:?}");
}

#[test]
fn check_warns_of_power_that_reaches_everybody() {
    let sub = "${user_id}";
    let of = |claims: Value| {
        warnings(&mint(json!({ "claims": claims, "tables": {
        "some": { "from": "${roles}", "values": { "A": "_admin" } },
        "all": { "from": "${roles}", "values": { "A": "x" }, "default": ["reader", "_admin"] },
    } })))
        .into_iter()
        .filter(|warning| !warning.contains("is not used"))
        .collect::<Vec<_>>()
    };
    for (claim, value, word) in [
        ("isAdmin", json!(true), "isAdmin"),
        ("role", json!("service_role"), "service_role"),
        ("_couchdb.roles", json!(["a", "_admin"]), "_admin"),
        ("_couchdb.roles", json!("${all:all}"), "_admin"),
        ("_couchdb.roles", json!("${roles:-[\"_admin\"]}"), "_admin"),
        ("x-triplit-token-type", json!("secret"), "x-triplit-token-type"),
        ("x-hasura-default-role", json!("admin"), "admin"),
    ] {
        let expected = format!(
            "mint.claims: {claim} gives {word}, which grants power in known backends, to every user; to give it to some, use a table: ${{all:TABLE}}"
        );
        assert_eq!(of(json!({ "sub": sub, claim: value })), [expected]);
    }
    let harmless =
        json!({ "sub": sub, "isAdmin": false, "_couchdb.roles": "${all:some}", "role": "authenticated", "x": "${roles}" });
    assert_eq!(of(harmless), [""; 0]);
    assert_eq!(of(json!({ "role": "x" })), ["mint.claims: no claim has ${user_id} in it, so the backend cannot tell users apart"]);
    let unused = mint(json!({ "claims": { "sub": sub }, "tables": { "t": { "from": "${roles}", "values": { "a": 1 } } } }));
    assert_eq!(warnings(&unused), ["mint.claims: the table t is not used; use it in a claim as ${all:t}"]);
    assert_eq!(
        warnings(&with(&[("/profiles", json!({ "a": { "preset": "zero" } }))])),
        ["profiles.a: no route uses it (mint: NAME)"]
    );
}

#[test]
fn only_claims_that_the_config_names_are_kept() {
    let settings = json!({
        "claims": { "sub": "${user_id}", "a": ["${claim:plan}", { "b": "x${claim:org:-y}" }], "r": "${all:t}", "n": "${name}", "s": "${scopes}" },
        "tables": { "t": { "from": "${claim:groups}", "values": { "g": 1 } } },
    });
    let routes = json!([{ "name": "a", "claims": { "demanded": [], "plan": [] } }]);
    let text = with(&[("/mint", settings), ("/routes", routes), ("/issuers/0/name_claim", json!("display"))]);
    assert_eq!(config(&text).issuers[0].rules.kept_claims, ["demanded", "display", "groups", "org", "plan"]);
    assert_eq!(config(&with(&[])).issuers[0].rules.kept_claims, [""; 0]);
}

#[test]
fn the_default_profile_keeps_its_name_to_itself() {
    assert_eq!(
        problems(&with(&[("/profiles", json!({ "default": { "preset": "zero" } }))])),
        ["profiles.default: is reserved for the profile in mint; accepted: another name"]
    );
}

use std::{collections::BTreeSet, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{config, printout::round_trip, problems, small, warnings, with};
use crate::{
    signing::{SecretSource, SigningKeySource},
    token::{ClaimValue, Lifetime, MintingProfile, Source, TokenKeyId, UserIdForm},
};

fn mint(settings: Value) -> String {
    with(&[("/mint", settings)])
}

fn profile(settings: Value) -> MintingProfile {
    config(&mint(settings)).profiles.remove(0)
}

/// The claims as they stand in the config.
fn claims(profile: &MintingProfile) -> Value {
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
        ["mint.claims.big: 18446744073709551616 is a number of more than 64 bits; put it into quotes to have it as text"]
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
    let power = "grants power in known backends, so it does not come from a client's token; accepted: a fixed value, or a table";
    for (text, expected) in [
        (
            mint(json!({ "claims": { "a b": 1, "sub": sub } })),
            "mint.claims.a b: cannot be a claim; accepted: the name of a claim: 1 to 256 bytes, without spaces or braces",
        ),
        (mint(json!({ "claims": { "sub": "${user_id" } })), "mint.claims.sub: has ${ without }; a literal ${ is written $${"),
        (
            mint(json!({ "claims": { "sub": [sub, "x\ny"] } })),
            "mint.claims.sub: \"x\\ny\" has a line break or another control character in it",
        ),
        (mint(json!({ "claims": { "sub": sub, "r": "${all:t}" } })), "mint.claims: there is no table t; accepted: one of tables"),
        (mint(json!({ "claims": { "sub": null } })), "mint.claims: no claim is left; accepted: at least one"),
        (mint(json!({ "claims": {} })), "mint.claims: has 0 entries; accepted: 1 to 1000"),
        (
            mint(json!({ "claims": { "sub": sub }, "user_id_claim": "sub" })),
            "mint.user_id_claim: excludes claims; give the user id there, such as sub: ${user_id}",
        ),
        (
            mint(json!({ "preset": "zero", "user_id_claim": "sub" })),
            "mint.user_id_claim: excludes preset, which says where the user id goes; give claims",
        ),
        (mint(json!({ "claims": { "sub": sub, "isAdmin": "${claim:x}" } })), &format!("mint.claims: isAdmin {power}")),
        (
            mint(json!({ "claims": { "sub": sub, "a": { "x-triplit-token-type": "a-${name}" } } })),
            &format!("mint.claims: x-triplit-token-type {power}"),
        ),
        (
            table(json!({ "from": "roles", "values": { "a": 1 } })),
            "mint.tables.t.from: is no such place; accepted: ${roles}, ${scopes}, ${name}, ${user_id} or ${claim:NAME}, without a default",
        ),
        (
            table(json!({ "from": "${all:t}", "values": { "a": 1 } })),
            "mint.tables.t.from: is no such place; accepted: ${roles}, ${scopes}, ${name}, ${user_id} or ${claim:NAME}, without a default",
        ),
        (
            table(json!({ "from": "${roles}", "values": { "a": "${user_id}" } })),
            "mint.tables.t.values.a: is not fixed; accepted: a value, or a list of values, without ${",
        ),
        (
            table(json!({ "from": "${roles}", "values": { "a": [null] }, "default": null })),
            "mint.tables.t.default: is not fixed; accepted: a value, or a list of values, without ${",
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
            "mint.claims: {claim} gives {word}, which grants power in known backends, to every user; a table gives it to some: ${{all:TABLE}}"
        );
        assert_eq!(of(json!({ "sub": sub, claim: value })), [expected]);
    }
    let harmless =
        json!({ "sub": sub, "isAdmin": false, "_couchdb.roles": "${all:some}", "role": "authenticated", "x": "${roles}" });
    assert_eq!(of(harmless), [""; 0]);
    assert_eq!(of(json!({ "role": "x" })), ["mint.claims: no claim has ${user_id} in it, so the backend cannot tell users apart"]);
    let unused = mint(json!({ "claims": { "sub": sub }, "tables": { "t": { "from": "${roles}", "values": { "a": 1 } } } }));
    assert_eq!(warnings(&unused), ["mint.claims: the table t is not used; a claim takes it as ${all:t}"]);
    assert_eq!(
        warnings(&with(&[("/profiles", json!({ "a": { "preset": "zero" } }))])),
        ["profiles.a: no route names it (mint: NAME)"]
    );
}

/// Preset, the claims that it demands, and what it expands to beyond the defaults.
#[test]
fn presets_expand_to_plain_settings() {
    let hour = 3_600;
    let hasura = json!({ "x-hasura-user-id": "${user_id}", "x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user"] });
    for (preset, given, expected, user_ids, lifetime, most) in [
        ("realm", json!(null), json!({ "userId": "${user_id}" }), UserIdForm::UriComponent, Lifetime::Ttl, None),
        ("couchdb", json!(null), json!({ "sub": "${user_id}" }), UserIdForm::CouchDb, Lifetime::Ttl, None),
        (
            "powersync",
            json!({ "aud": "ps" }),
            json!({ "sub": "${user_id}", "aud": "ps" }),
            UserIdForm::Any,
            Lifetime::End,
            Some(24 * hour),
        ),
        ("zero", json!(null), json!({ "sub": "${user_id}" }), UserIdForm::Any, Lifetime::End, None),
        ("triplit", json!(null), json!({ "sub": "${user_id}" }), UserIdForm::Any, Lifetime::End, None),
        (
            "hasura",
            json!(null),
            json!({ "sub": "${user_id}", "https://hasura.io/jwt/claims": hasura }),
            UserIdForm::Any,
            Lifetime::End,
            None,
        ),
        (
            "postgrest",
            json!({ "role": "web" }),
            json!({ "sub": "${user_id}", "role": "web" }),
            UserIdForm::Any,
            Lifetime::Ttl,
            None,
        ),
        (
            "supabase",
            json!(null),
            json!({ "sub": "${user_id}", "aud": "authenticated", "role": "authenticated" }),
            UserIdForm::Uuid,
            Lifetime::Ttl,
            None,
        ),
        (
            "couchbase",
            json!({ "iss": "syncgate", "aud": ["sg"] }),
            json!({ "sub": "${user_id}", "iss": "syncgate", "aud": ["sg"] }),
            UserIdForm::Couchbase,
            Lifetime::Ttl,
            None,
        ),
    ] {
        let mut settings = json!({ "preset": preset });
        if !given.is_null() {
            settings["claims"] = given;
        }
        let text = mint(settings);
        let read = config(&text).profiles.remove(0);
        assert_eq!(claims(&read), expected, "{preset}");
        let max_lifetime = most.map(Duration::from_secs);
        let plain = MintingProfile {
            claims: read.claims.clone(),
            user_ids,
            lifetime,
            max_lifetime,
            ..MintingProfile::new("default", "sub")
        };
        assert_eq!(read, plain, "{preset}");
        assert_eq!(warnings(&text), [""; 0], "{preset}");
        let printed = round_trip(&text);
        let (_, printed) = printed.split_once("\nmint:").unwrap();
        assert!(printed.contains("user_id_form") && !printed.contains("preset"), "{printed}");
    }
}

#[test]
fn presets_demand_what_only_the_operator_knows() {
    for (preset, expected) in [
        ("powersync", &["mint.claims.aud: is required: one of client_auth.audience in the service's config"][..]),
        ("postgrest", &["mint.claims.role: is required: the database role that requests run as"]),
        (
            "couchbase",
            &[
                "mint.claims.iss: is required: the issuer in local_jwt of the database's config",
                "mint.claims.aud: is required: the client_id in local_jwt of the database's config",
            ],
        ),
    ] {
        assert_eq!(problems(&mint(json!({ "preset": preset }))), expected, "{preset}");
    }
    let all = super::super::read::mint_presets::MINT_PRESETS.map(|(name, _)| name);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 9);
}

#[test]
fn what_stands_beside_a_preset_wins() {
    let read = profile(json!({
        "preset": "supabase", "claims": { "role": "reader", "aud": null, "org": "${claim:org}" }, "user_id_form": "any", "ttl": "1m",
    }));
    assert_eq!(claims(&read), json!({ "sub": "${user_id}", "role": "reader", "org": "${claim:org}" }));
    assert_eq!((read.user_ids, read.ttl), (UserIdForm::Any, Duration::from_secs(60)));
    let read = profile(json!({ "preset": "powersync", "claims": { "aud": "a" }, "max_lifetime": "none", "lifetime": "ttl" }));
    assert_eq!((read.max_lifetime, read.lifetime), (None, Lifetime::Ttl));
}

#[test]
fn a_preset_knows_which_algorithms_its_backend_verifies() {
    for (preset, algorithm, accepted) in [
        ("realm", "RS384", "RS256"),
        ("realm", "ES256", "RS256"),
        ("triplit", "PS256", "RS256, HS256"),
        ("couchdb", "EdDSA", "RS256, RS384, RS512, ES256, ES384, HS256"),
        ("couchdb", "PS256", "RS256, RS384, RS512, ES256, ES384, HS256"),
    ] {
        let text = with(&[("/mint", json!({ "preset": preset })), ("/signing/algorithm", json!(algorithm))]);
        let expected = format!("mint.preset: this backend does not verify {algorithm}; accepted for signing.algorithm: {accepted}");
        assert_eq!(problems(&text), [expected]);
    }
    config(&with(&[("/mint", json!({ "preset": "zero" })), ("/signing/algorithm", json!("EdDSA"))]));
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
        ["profiles.default: is the name of the profile in mint; accepted: another name"]
    );
}

#[test]
fn a_shared_secret_is_asked_for_and_warned_of() {
    let signing = |settings: Value| {
        let mut small = small();
        small["signing"] = settings;
        small.to_string()
    };
    let text = signing(json!({ "algorithm": "HS256", "secret_file": "s" }));
    let read = config(&text).signing;
    assert_eq!(
        (read.algorithm, read.key),
        (Algorithm::HS256, SigningKeySource::Secret(SecretSource::File("/etc/syncgate/s".into())))
    );
    assert_eq!(
        warnings(&text),
        [
            "signing.algorithm: HS256: whoever can verify user tokens can mint them, the backend included; take it only where nothing else is verified"
        ]
    );
    round_trip(&text);
    round_trip(&signing(json!({ "algorithm": "HS256", "secret_env": "S" })));
    for (settings, expected) in [
        (
            json!({ "algorithm": "HS256" }),
            "signing.secret_file: is required: the secret that the backend has too (or give secret_env); make one with: openssl rand -base64 48",
        ),
        (
            json!({ "algorithm": "HS256", "secret_file": "s", "secret_env": "S" }),
            "signing.secret_env: excludes secret_file; give one of the two",
        ),
        (
            json!({ "algorithm": "HS256", "secret_file": "s", "key_file": "k" }),
            "signing.key_file: has no meaning with HS256, which signs with secret_file or secret_env",
        ),
        (json!({ "key_file": "k", "secret_file": "s" }), "signing.secret_file: has a meaning only with algorithm: HS256"),
        (
            json!({ "algorithm": "HS256", "secret": "hunter2hunter2" }),
            "signing.secret: secrets do not stand in the file; give secret_file: PATH or secret_env: VARIABLE",
        ),
    ] {
        let found = problems(&signing(settings));
        assert!(found.contains(&expected.to_owned()) && !found.concat().contains("hunter2"), "{found:?}");
    }
    let text = with(&[("/mint", json!({ "kid": "thumbprint" })), ("/signing", json!({ "algorithm": "HS256", "secret_env": "S" }))]);
    assert_eq!(problems(&text), ["mint.kid: thumbprint has no meaning with HS256: a secret has none; accepted: none, or a text"]);
}

#[test]
fn a_preset_never_holds_a_value_that_cannot_be_read() {
    for (name, preset) in super::super::read::mint_presets::MINT_PRESETS {
        let profile = preset.profile("p");
        assert!(profile.claims.values().any(|value| *value == ClaimValue::user_id()), "{name}");
        assert_eq!((profile.wrongly_derived(), profile.power_for_everybody()), (vec![], vec![]), "{name}");
        assert!(preset.algorithms().contains(&Algorithm::RS256), "{name}: the default must do");
    }
}

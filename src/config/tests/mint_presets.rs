use std::{collections::BTreeSet, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{
    config,
    minting::{claims, mint, profile},
    printout::round_trip,
    problems, small, warnings, with,
};
use crate::{
    config::read::mint_presets::MINT_PRESETS,
    signing::{SecretSource, SigningKeySource},
    token::{ClaimValue, Lifetime, MintingProfile, UserIdForm},
};

/// Preset, the claims that it requires, and what it expands to beyond the defaults.
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
            Some(hour),
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
    let all = MINT_PRESETS.map(|(name, _)| name);
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
fn a_preset_never_holds_a_value_that_cannot_be_read() {
    for (name, preset) in MINT_PRESETS {
        let profile = preset.profile("p");
        assert!(profile.claims.values().any(|value| *value == ClaimValue::user_id()), "{name}");
        assert_eq!((profile.wrongly_derived(), profile.power_for_everybody()), (vec![], vec![]), "{name}");
        assert!(preset.algorithms().contains(&Algorithm::RS256), "{name}: the default must do");
    }
}

#[test]
fn every_example_of_the_documentation_loads() {
    let docs = include_str!("../../../docs/backends.md");
    let mut loaded = 0;
    for block in docs.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        if !block.starts_with("mint:") {
            continue;
        }
        let tables = if block.contains(":levels}") && !block.contains("tables:") {
            "  tables: { levels: { from: '${roles}', values: { a: b } } }\n"
        } else {
            ""
        };
        let rest = "issuers: [{preset: oidc, issuer: 'https://login.contoso.com', audiences: [api]}]\n\
                    signing: {key_file: signing.pem}\nupstream: {url: 'http://127.0.0.1:5984'}\n";
        round_trip(&format!("{rest}{block}{tables}"));
        loaded += 1;
    }
    assert!(loaded >= 10, "{loaded}");
    for (name, _) in MINT_PRESETS {
        assert!(docs.contains(&format!("preset: {name}")) && docs.contains(&format!("| `{name}` |")), "{name}");
    }
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
            "signing.algorithm: HS256: anyone who can verify user tokens can mint them, including the backend; use it only if the backend can verify nothing else"
        ]
    );
    round_trip(&text);
    round_trip(&signing(json!({ "algorithm": "HS256", "secret_env": "S" })));
    for (settings, expected) in [
        (
            json!({ "algorithm": "HS256" }),
            "signing.secret_file: is required: the secret shared with the backend (or set secret_env); create one with: openssl rand -base64 48",
        ),
        (
            json!({ "algorithm": "HS256", "secret_file": "s", "secret_env": "S" }),
            "signing.secret_env: cannot be combined with secret_file; remove one of them",
        ),
        (
            json!({ "algorithm": "HS256", "secret_file": "s", "key_file": "k" }),
            "signing.key_file: has no effect with HS256, which signs with secret_file or secret_env",
        ),
        (json!({ "key_file": "k", "secret_file": "s" }), "signing.secret_file: is valid only with algorithm: HS256"),
        (
            json!({ "algorithm": "HS256", "secret": "hunter2hunter2" }),
            "signing.secret: secrets do not belong in the file; use secret_file: PATH or secret_env: VARIABLE",
        ),
    ] {
        let found = problems(&signing(settings));
        assert!(found.contains(&expected.to_owned()) && !found.concat().contains("hunter2"), "{found:?}");
    }
    let text = with(&[("/mint", json!({ "kid": "thumbprint" })), ("/signing", json!({ "algorithm": "HS256", "secret_env": "S" }))]);
    assert_eq!(problems(&text), ["mint.kid: thumbprint cannot be combined with HS256: a secret has none; accepted: none, or text"]);
}

//! What a profile makes of a token's claims, honest and hostile ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Row,
    attempt::{Attempt, NOW, USER, b2c},
    minting::{mint, part, profile},
};
use crate::token::{
    ClaimTable, ClaimValue, Lifetime, MintingProfile,
    Rejection::{self, *},
    Source, Timestamp,
};

/// A profile with these claims and the tables `level` (of the roles) and `group` (of the claim `groups`).
fn with(claims: &Value) -> MintingProfile {
    let table = |name: &str, from, rows: &[(&str, Value)], default: Option<Value>| ClaimTable {
        name: name.to_owned(),
        from,
        rows: rows.iter().map(|(left, right)| ((*left).to_owned(), right.as_array().unwrap().clone())).collect(),
        default: default.map(|default| default.as_array().unwrap().clone()),
    };
    let levels = [("Sync.Admin", json!(["_admin"])), ("Sync.User", json!(["reader", "writer"]))];
    profile(|profile| {
        let ClaimValue::Object(claims) = ClaimValue::from_json(claims.clone()).unwrap() else { panic!("{claims}") };
        profile.claims = claims;
        profile.tables = vec![
            table("level", Source::Roles, &levels, Some(json!(["guest"]))),
            table("group", Source::Claim("groups".to_owned()), &[("g1", json!([{ "id": 1 }]))], None),
        ];
    })
}

/// A token with claims of every type; all of them are kept.
fn rich() -> Attempt {
    kept(
        b2c()
            .claim("name", "Chris Green")
            .claim("roles", json!(["Sync.User", "Other"]))
            .claim("groups", json!(["g0", "g1"]))
            .claim("level", 7)
            .claim("https://contoso.com/vip", true)
            .claim("address", json!({ "country": "DE", "lines": ["a", "b"] }))
            .claim("nothing", Value::Null)
            .claim("empty", ""),
    )
}

fn kept(attempt: Attempt) -> Attempt {
    let names = ["name", "groups", "level", "https://contoso.com/vip", "address", "nothing", "empty", "given_name", "evil"];
    attempt.rule(|rules| rules.kept_claims = names.map(str::to_owned).into())
}

/// The minted claims without the dates.
fn minted(attempt: &Attempt, claims: &Value) -> Result<Value, Rejection> {
    let minted = mint(&attempt.run()?, &with(claims), Lifetime::Ttl, Timestamp::from_seconds(NOW))?;
    let mut payload = part(&minted, 1);
    for date in ["iat", "exp"] {
        assert!(payload.as_object_mut().unwrap().remove(date).is_some());
    }
    Ok(payload)
}

#[test]
fn numbers_that_cannot_be_held_are_not_there() {
    let number = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        minted(&kept(b2c().claim("level", value)), &json!({ "level": "${claim:level}", "text": "n${claim:level:-one}" })).unwrap()
    };
    assert_eq!(number("18446744073709551615"), json!({ "level": u64::MAX, "text": "n18446744073709551615" }));
    assert_eq!(number("1e2"), json!({ "level": 100, "text": "n100" }));
    for beyond in ["123456789012345678901234567890", "-1e300", "[1, {\"a\": 18446744073709551616}]"] {
        assert_eq!(number(beyond), json!({ "text": "none" }), "{beyond}");
    }
}

#[test]
fn values_are_filled_in_with_their_types() {
    for (value, expected) in [
        // Fixed values of any type.
        (json!("text"), json!("text")),
        (json!(-1.5), json!(-1.5)),
        (json!(true), json!(true)),
        (json!({ "a": [1, { "b.c": "d" }] }), json!({ "a": [1, { "b.c": "d" }] })),
        (json!("$${user_id}"), json!("${user_id}")),
        // The identity.
        (json!("${user_id}"), json!(USER)),
        (json!("${name}"), json!("Chris Green")),
        (json!("${roles}"), json!(["Sync.User", "Other"])),
        (json!("${scopes}"), json!(["docs.read", "docs.write"])),
        (json!("${claim:given_name}"), json!("Chris")),
        // Whole values keep their type.
        (json!("${claim:level}"), json!(7)),
        (json!("${claim:https://contoso.com/vip}"), json!(true)),
        (json!("${claim:address}"), json!({ "country": "DE", "lines": ["a", "b"] })),
        (json!("${claim:empty:-x}"), json!("")),
        // Embedded ones become text.
        (json!("user-${user_id}"), json!(format!("user-{USER}"))),
        (json!("${claim:level}/${claim:https://contoso.com/vip}"), json!("7/true")),
        (json!("r: ${roles}"), json!("r: [\"Sync.User\",\"Other\"]")),
        (json!("${claim:missing:-x}-${claim:given_name}"), json!("x-Chris")),
        // Defaults.
        (json!("${claim:missing:-false}"), json!(false)),
        (json!("${claim:nothing:-none}"), json!("none")),
        (json!("${claim:missing:-}"), json!("")),
        // Tables.
        (json!("${first:level}"), json!("reader")),
        (json!("${all:level}"), json!(["reader", "writer"])),
        (json!("${all:group}"), json!([{ "id": 1 }])),
        (json!("role:${first:level}"), json!("role:reader")),
        // Structures, with what is missing left out.
        (json!(["${user_id}", "${claim:missing}", 1]), json!([USER, 1])),
        (json!({ "a.b": "${claim:level}", "c": "${claim:missing}", "d": {} }), json!({ "a.b": 7, "d": {} })),
    ] {
        assert_eq!(minted(&rich(), &json!({ "claim": value })), Ok(json!({ "claim": expected })), "{value}");
    }
}

#[test]
fn a_claim_without_a_value_is_left_out() {
    for value in ["${claim:missing}", "${claim:nothing}", "x-${claim:missing}", "${claim:given_name}${claim:missing}"] {
        assert_eq!(minted(&rich(), &json!({ "claim": value, "sub": "${user_id}" })), Ok(json!({ "sub": USER })), "{value}");
    }
    let plain = kept(b2c());
    for value in ["${name}", "${roles}", "${first:group}", "${all:group}"] {
        assert_eq!(minted(&plain, &json!({ "claim": value })), Ok(json!({})), "{value}");
    }
    assert_eq!(minted(&plain, &json!({ "claim": "${first:level}" })), Ok(json!({ "claim": "guest" })));
    assert_eq!(minted(&plain, &json!({ "claim": "${roles:-[\"user\"]}" })), Ok(json!({ "claim": ["user"] })));
}

#[test]
fn names_are_names_whatever_is_in_them() {
    let claims = json!({
        "https://hasura.io/jwt/claims": { "x-hasura-user-id": "${user_id}", "x-hasura-allowed-roles": ["user"] },
        "_couchdb.roles": "${all:level}",
    });
    let expected = json!({
        "https://hasura.io/jwt/claims": { "x-hasura-user-id": USER, "x-hasura-allowed-roles": ["user"] },
        "_couchdb.roles": ["reader", "writer"],
    });
    assert_eq!(minted(&rich(), &claims), Ok(expected));
}

#[test]
fn nothing_is_copied_that_the_profile_does_not_name() {
    let token = kept(b2c().claim("isAdmin", true).claim("role", "service_role").claim("_couchdb.roles", json!(["_admin"])));
    assert_eq!(minted(&token, &json!({ "sub": "${user_id}" })), Ok(json!({ "sub": USER })));
    // A claim that is not kept is not there, even if a profile asks for it.
    assert_eq!(minted(&token, &json!({ "sub": "${user_id}", "x": "${claim:isAdmin}" })), Ok(json!({ "sub": USER })));
}

#[test]
fn power_comes_from_the_config() {
    let admin = kept(b2c().claim("roles", json!(["Sync.Admin"])));
    let fixed = json!({
        "isAdmin": true, "role": "service_role", "_couchdb.roles": ["_admin"], "x-triplit-token-type": "secret", "channels": ["*"],
    });
    assert_eq!(minted(&admin, &fixed), Ok(fixed));
    assert_eq!(minted(&admin, &json!({ "_couchdb.roles": "${all:level}" })), Ok(json!({ "_couchdb.roles": ["_admin"] })));
    assert_eq!(minted(&admin, &json!({ "role": "${claim:evil:-service_role}" })), Ok(json!({ "role": "service_role" })));
}

/// A token whose claim `evil` has this value, minted with a claim of this name that takes it.
fn evil(name: &'static str, claim: &str, template: &str, value: Value) -> Row {
    let token = kept(b2c().claim("evil", value));
    Row { name, outcome: minted(&token, &json!({ claim: template })).map(drop), expected: PowerfulClaim }
}

pub(super) fn rows() -> Vec<Row> {
    const EVIL: &str = "${claim:evil}";
    let roles = kept(b2c().claim("roles", json!(["_admin"])));
    let name = kept(b2c().claim("name", "service_role"));
    vec![
        evil("isAdmin from a claim", "isAdmin", EVIL, json!(true)),
        evil("isAdmin from a claim, whatever its value", "isAdmin", EVIL, json!(false)),
        evil("isAdmin in another spelling", "ISADMIN", EVIL, json!(1)),
        evil("isAdmin within a derived object", "user", EVIL, json!({ "a": [{ "isAdmin": true }] })),
        evil("_admin in a list", "_couchdb.roles", EVIL, json!(["reader", "_admin"])),
        evil("_admin between commas", "_couchdb.roles", EVIL, json!("reader, _admin ,x")),
        evil("_admin under the name of another claim", "groups", EVIL, json!(["_admin"])),
        evil("_admin put together", "_couchdb.roles", "_${claim:evil}", json!("admin")),
        evil("_admin smuggled in behind a comma", "_couchdb.roles", "reader-${claim:evil}", json!("x,_admin")),
        evil("service_role as it is", "role", EVIL, json!("service_role")),
        evil("service_role put together", "role", "service_${claim:evil}", json!("role")),
        evil("service_role in text with JSON", "https://hasura.io/jwt/claims", EVIL, json!("{\"role\":\"service_role\"}")),
        evil(
            "an admin of Hasura in text with JSON",
            "https://hasura.io/jwt/claims",
            "{\"x-hasura-default-role\":\"${claim:evil}\"}",
            json!("admin"),
        ),
        evil("a token type of Triplit", "x-triplit-token-type", EVIL, json!("secret")),
        evil("a token type of Triplit within an object", "claims", EVIL, json!({ "x-triplit-token-type": "anon" })),
        evil("an admin of Hasura", "x-hasura-default-role", EVIL, json!("admin")),
        evil("an admin of Hasura within an object", "https://hasura.io/jwt/claims", EVIL, json!({ "x-hasura-role": "admin" })),
        evil("every channel of Couchbase", "channels", EVIL, json!(["a", "*"])),
        Row {
            name: "_admin among the roles of the token",
            outcome: minted(&roles, &json!({ "_couchdb.roles": "${roles}" })).map(drop),
            expected: PowerfulClaim,
        },
        Row {
            name: "_admin among embedded roles",
            outcome: minted(&roles, &json!({ "_couchdb.roles": "x ${roles}" })).map(drop),
            expected: PowerfulClaim,
        },
        Row {
            name: "a person who is called as a role",
            outcome: minted(&name, &json!({ "role": "${name}" })).map(drop),
            expected: PowerfulClaim,
        },
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![Just("_admin"), Just("service_role"), Just("isAdmin"), Just("reader"), Just(","), Just(" ")];
    let text = prop::collection::vec(word, 0..4).prop_map(|words| words.concat());
    let scalar = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), text.clone().prop_map(Value::from)];
    scalar.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client's claim holds: what is minted of it has no role `_admin` or `service_role` in any list or text.
    #[test]
    fn no_claim_of_a_client_grants_power(value in json()) {
        let token = kept(b2c().claim("evil", value));
        if let Ok(payload) = minted(&token, &json!({ "a": "${claim:evil}", "b": ["x,${claim:evil}"] })) {
            let text = payload.to_string();
            let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            prop_assert!(words.all(|word| !["_admin", "service_role", "isAdmin"].contains(&word)), "{}", text);
        }
    }
}

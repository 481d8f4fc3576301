//! Verified tokens that lack what a route requires.

use serde_json::{Value, json};

use super::{
    Row,
    attempt::{Attempt, b2c, entra},
};
use crate::token::{ClaimRule, NonceRule, Permission, PermissionSettings, Rejection::*};

/// A claim that is required, in a token without it.
fn overage(name: &str, names: Value) -> Attempt {
    let rule = ClaimRule { claim: name.to_owned(), values: vec!["Admins".to_owned()] };
    entra()
        .claim("_claim_names", names)
        .claim("_claim_sources", json!({ "src1": { "endpoint": "https://graph.windows.net/x" } }))
        .rule(|rules| rules.kept_claims = vec![name.to_owned()])
        .demand(|demands| demands.all_claims = vec![rule])
}

pub(super) fn rows() -> Vec<Row> {
    let scopes = |scopes: &[&str]| {
        let scopes = owned(scopes);
        b2c().demand(|demands| demands.all_scopes = scopes)
    };
    let any_scope = b2c().demand(|demands| demands.any_scopes = owned(&["docs.admin", "docs.owner"]));
    let roles = |roles: &[&str]| {
        let roles = owned(roles);
        entra().demand(|demands| demands.all_roles = roles)
    };
    let nonce = || b2c().claim("nonce", "n-0S6").demand(|demands| demands.nonce = NonceRule::EqualsHeader("x-nonce".to_owned()));
    vec![
        scopes(&["docs.admin"]).row("a scope is missing", MissingScope),
        scopes(&["docs.read", "docs.admin"]).row("one of two scopes is missing", MissingScope),
        scopes(&["docs"]).row("the start of a scope", MissingScope),
        scopes(&["DOCS.READ"]).row("a scope in capitals", MissingScope),
        scopes(&["docs.read docs.write"]).row("two scopes in one text", MissingScope),
        scopes(&[""]).row("the empty scope", MissingScope),
        any_scope.row("none of the scopes", MissingScope),
        entra()
            .without("scp")
            .header("typ", "at+jwt")
            .demand(|demands| demands.any_scopes = owned(&["docs.read"]))
            .row("a scope where the token has none", MissingScope),
        overage("groups", json!({ "groups": "src1" })).row("a claim that stands elsewhere", GroupOverage),
        overage("x", json!({ "x": "src1" })).row("another claim that stands elsewhere", GroupOverage),
        overage("groups", json!({ "wids": "src1" })).row("a claim that does not, beside one that does", ClaimNotAllowed),
        overage("groups", json!("groups")).row("_claim_names is a string", ClaimNotAllowed),
        overage("groups", json!({ "groups": "src1" }))
            .claim("groups", json!(["Other"]))
            .row("the groups are there after all", ClaimNotAllowed),
        overage("groups", json!({})).claim("hasgroups", true).row("groups that stand elsewhere, hasgroups", GroupOverage),
        overage("groups", json!({})).claim("hasgroups", "true").row("groups that stand elsewhere, hasgroups as text", GroupOverage),
        overage("groups", json!({})).claim("hasgroups", false).row("hasgroups is false", ClaimNotAllowed),
        roles(&["Admin"])
            .without("roles")
            .claim("hasgroups", true)
            .rule(|rules| rules.role_claim = "groups".to_owned())
            .row("roles from groups that stand elsewhere", GroupOverage),
        roles(&["Admin"]).row("a role is missing", MissingRole),
        roles(&["writer"]).row("a role in small letters", MissingRole),
        roles(&["Writer", "Admin"]).row("one of two roles is missing", MissingRole),
        entra().demand(|demands| demands.any_roles = owned(&["Admin", "Owner"])).row("none of the roles", MissingRole),
        entra()
            .claim("roles", "Writer Admin")
            .demand(|demands| demands.all_roles = owned(&["Admin"]))
            .row("a role within a text", MissingRole),
        b2c()
            .claim("groups", json!(["Admin"]))
            .demand(|demands| demands.all_roles = owned(&["Admin"]))
            .row("the role stands in another claim", MissingRole),
        claim(json!("gold"), &["silver"]).row("another value", ClaimNotAllowed),
        claim(json!("gold"), &["GOLD", "gol", "gold "]).row("values that are nearly right", ClaimNotAllowed),
        claim(json!(["gold"]), &["[\"gold\"]"]).row("an array is not its text", ClaimNotAllowed),
        claim(json!([["gold"]]), &["gold"]).row("an array in an array", ClaimNotAllowed),
        claim(json!({ "gold": true }), &["gold"]).row("an object with the value as a name", ClaimNotAllowed),
        claim(json!(1), &["true", "1.0"]).row("1 is not true and not 1.0", ClaimNotAllowed),
        claim(Value::Null, &[]).row("null is not there", ClaimNotAllowed),
        claim(Value::Null, &["null"]).row("null has no value", ClaimNotAllowed),
        claim(json!("gold"), &["gold"]).rule(|rules| rules.kept_claims.clear()).row("a claim that is not kept", ClaimNotAllowed),
        claim(json!("gold"), &["gold"]).without("tier").row("a claim that is not there", ClaimNotAllowed),
        claim(json!("gold"), &["gold"])
            .demand(|demands| demands.any_claims = vec![rule("ring", &[])])
            .row("none of the claims", ClaimNotAllowed),
        nonce().row("a nonce and no header", NonceMismatch),
        nonce().nonce("").row("an empty header for a nonce", NonceMismatch),
        nonce().nonce("n-0S").row("the start of the nonce", NonceMismatch),
        nonce().nonce("N-0S6").row("the nonce in capitals", NonceMismatch),
        nonce().without("nonce").row("neither nonce nor header", NonceMismatch),
        nonce().without("nonce").nonce("n-0S6").row("a header and no nonce", NonceMismatch),
        b2c().claim("nonce", "").demand(|demands| demands.nonce = NonceRule::Forbidden).row("a forbidden nonce", NonceMismatch),
    ]
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn rule(claim: &str, values: &[&str]) -> ClaimRule {
    ClaimRule { claim: claim.to_owned(), values: owned(values) }
}

/// A token with the claim `tier` on a route that requires one of these values of it.
fn claim(value: Value, values: &[&str]) -> Attempt {
    b2c()
        .claim("tier", value)
        .rule(|rules| rules.kept_claims = owned(&["tier", "ring"]))
        .demand(|demands| demands.all_claims = vec![rule("tier", values)])
}

#[test]
fn what_is_demanded_is_found() {
    assert!(b2c().demand(|demands| demands.all_scopes = owned(&["docs.write", "docs.read"])).run().is_ok());
    assert!(b2c().demand(|demands| demands.any_scopes = owned(&["docs.admin", "docs.read"])).run().is_ok());
    let arrays = b2c().claim("scp", json!(["docs.read"])).claim("scope", "docs.admin");
    assert!(arrays.demand(|demands| demands.all_scopes = owned(&["docs.read", "docs.admin"])).run().is_ok());
    assert!(entra().demand(|demands| demands.all_roles = owned(&["Writer"])).run().is_ok());
    assert!(entra().claim("roles", "Task Writer").demand(|demands| demands.any_roles = owned(&["Task Writer"])).run().is_ok());
    let groups = entra().without("roles").claim("groups", json!(["Writer"])).rule(|rules| rules.role_claim = "groups".to_owned());
    assert!(groups.demand(|demands| demands.all_roles = owned(&["Writer"])).run().is_ok());

    for (value, accepted) in [
        (json!("gold"), "gold"),
        (json!(["silver", "gold"]), "gold"),
        (json!([1, true]), "true"),
        (json!(7), "7"),
        (json!(1.5), "1.5"),
        (json!(false), "false"),
    ] {
        assert!(claim(value.clone(), &["x", accepted]).run().is_ok(), "{value}");
    }
    assert!(claim(json!({}), &[]).run().is_ok());
    let any = claim(json!("gold"), &[]).demand(|demands| demands.any_claims = vec![rule("ring", &[]), rule("tier", &["gold"])]);
    assert!(any.run().is_ok());
}

#[test]
fn nonces_are_compared_with_the_header() {
    let equals = NonceRule::EqualsHeader("x-nonce".to_owned());
    assert!(b2c().claim("nonce", "n").nonce("n").demand(|demands| demands.nonce = equals).run().is_ok());
    assert!(b2c().demand(|demands| demands.nonce = NonceRule::Forbidden).run().is_ok());
    assert!(b2c().claim("nonce", "n").run().is_ok());
}

#[test]
fn the_challenge_names_scopes_that_let_a_client_in() {
    let challenge = |all: &[&str], any: &[&str]| {
        let settings = PermissionSettings { all_scopes: owned(all), any_scopes: owned(any), ..PermissionSettings::default() };
        Permission::new(settings).challenge_scope().map(str::to_owned)
    };
    assert_eq!(challenge(&[], &[]), None);
    assert_eq!(challenge(&["a", "b"], &[]).as_deref(), Some("a b"));
    assert_eq!(challenge(&["a"], &["b", "c"]).as_deref(), Some("a b"));
    assert_eq!(challenge(&["a"], &["b", "a"]).as_deref(), Some("a"));
}

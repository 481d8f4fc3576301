//! Id tokens and tokens of applications where an access token of a user is expected.

use serde_json::{Value, json};

use super::{
    Row,
    attempt::{API, Attempt, CLIENT, USER, b2c, entra},
};
use crate::token::{IssuerSettings, NonceRule, Rejection::*, TokenKinds};

/// A SHA-256, base64url (RFC 8705 section 3.1 has it).
const HASH: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0";

pub(super) fn rows() -> Vec<Row> {
    vec![
        b2c_id_token().row("a B2C id token", IdToken),
        b2c_id_token().header("typ", "at").row("an id token with another typ", IdToken),
        b2c_id_token().without("nonce").row("an id token without a nonce", IdToken),
        b2c().claim("scp", "").row("scp is empty", IdToken),
        b2c().claim("scp", " ").row("scp is a space", IdToken),
        b2c().claim("scp", json!([])).row("scp is an empty array", IdToken),
        b2c().claim("at_hash", "77QmUPtjPfzWtF2AnpK9RQ").row("at_hash beside scopes", IdToken),
        b2c().claim("c_hash", "77QmUPtjPfzWtF2AnpK9RQ").row("c_hash beside scopes", IdToken),
        b2c().claim("at_hash", "x").header("typ", "at+jwt").row("at_hash beside typ at+jwt", IdToken),
        entra().without("scp").without("azp").claim("nonce", "n").row("an Entra id token with roles", IdToken),
        entra().without("scp").without("azp").without("roles").row("an Entra token that grants nothing", IdToken),
        b2c().claim("scp", 7).row("scp is a number", ClaimsMalformed),
        b2c().claim("scp", Value::Null).row("scp is null", IdToken),
        all(b2c().claim("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} })))
            .row("a logout token", OtherKind),
        all(b2c().claim("events", json!({}))).row("events is empty", OtherKind),
        all(b2c().claim("events", "x")).row("events is a string", OtherKind),
        b2c().claim("token_use", "id").row("token_use id beside scopes", IdToken),
        b2c().claim("typ", "ID").row("an id token of Keycloak beside scopes", IdToken),
        b2c().without("scp").claim("client_id", CLIENT).claim("aud", json!([API, CLIENT])).row("client_id is in aud", IdToken),
        b2c().without("scp").claim("client_id", CLIENT).claim("nonce", "n").row("client_id beside a nonce", IdToken),
        b2c().without("azp").claim("cid", USER).row("sub is the client, cid", AppOnlyToken),
        b2c().claim("token_use", 7).row("token_use is a number", OtherKind),
        b2c().claim("cnf", json!({ "jkt": "x" })).rule(bearer_only).row("a DPoP token", SenderConstrained),
        b2c().claim("cnf", json!({ "x5t#S256": HASH, "jkt": "x" })).rule(bearer_only).row("two keys at once", SenderConstrained),
        b2c().claim("cnf", json!({ "x5t#S256": "x" })).row("a certificate's hash of one byte", ClaimsMalformed),
        b2c().claim("cnf", json!({ "x5t#S256": format!("{HASH}=") })).row("a certificate's hash with padding", ClaimsMalformed),
        b2c().claim("cnf", json!({ "x5t#S256": [HASH] })).row("a list of hashes", ClaimsMalformed),
        b2c().claim("cnf", json!({ "x5t#S256": null })).rule(bearer_only).row("a hash that is null", SenderConstrained),
        b2c().claim("cnf", json!({})).rule(bearer_only).row("an empty cnf", SenderConstrained),
        b2c().claim("cnf", 1).rule(bearer_only).row("a cnf that is a number", SenderConstrained),
        b2c().without("iss").claim("at", "a.b.c").row("a signed request around a token", OtherKind),
        entra()
            .claim("hasgroups", true)
            .rule(|rules| rules.takes_group_overage = false)
            .row("hasgroups where overage is refused", GroupOverage),
        entra()
            .claim("_claim_names", json!({ "groups": "src1" }))
            .rule(|rules| rules.takes_group_overage = false)
            .row("_claim_names where overage is refused", GroupOverage),
        b2c().claim("scp", json!({ "docs.read": true })).row("scp is an object", ClaimsMalformed),
        b2c().claim("scope", json!(["docs.read", 7])).row("scope holds a number", ClaimsMalformed),
        b2c().claim("roles", json!({ "Writer": true })).row("roles is an object", ClaimsMalformed),
        b2c().without("scp").claim("nonce", 7).row("nonce is a number", IdToken),
        b2c().claim("nonce", json!(["n"])).row("nonce is an array", ClaimsMalformed),
        b2c().claim("nonce", 0.5).row("nonce is a fraction", ClaimsMalformed),
        b2c()
            .claim("nonce", 7)
            .demand(|demands| demands.nonce = NonceRule::Forbidden)
            .row("nonce is a number where none may be", NonceMismatch),
        entra().claim("idtyp", json!(["user", "app"])).row("idtyp is an array that holds app", AppOnlyToken),
        entra().claim("idtyp", json!({ "app": true })).row("idtyp is an object", ClaimsMalformed),
        entra().claim("idtyp", "app").row("idtyp app beside scopes", AppOnlyToken),
        entra_app_token().row("an Entra app token with roles", AppOnlyToken),
        entra_app_token().without("roles").row("an Entra app token without roles", AppOnlyToken),
        entra_app_token().without("azp").claim("appid", CLIENT).row("an Entra app token of version 1", AppOnlyToken),
        b2c().without("tfp").row("B2C client credentials without a policy", AppOnlyToken),
        b2c().claim("sub", CLIENT).claim("oid", CLIENT).row("sub is the client, azp", AppOnlyToken),
        entra().claim("client_id", "daemon").claim("sub", "daemon").row("sub is the client, client_id", AppOnlyToken),
        entra().claim("gty", "client-credentials").row("client credentials of Auth0", AppOnlyToken),
        entra().claim("gty", "client_credentials").row("client credentials with an underscore", AppOnlyToken),
        entra().claim("gty", "Client_Credentials").row("client credentials in capitals", AppOnlyToken),
        entra().claim("gty", json!(["client_credentials"])).row("client credentials of Kinde", AppOnlyToken),
        entra()
            .claim("gty", json!(["authorization_code", "client-credentials"]))
            .row("client credentials among other grants", AppOnlyToken),
        entra().claim("grant_type", "client_credentials").row("grant_type client_credentials", AppOnlyToken),
        entra().claim("gty", json!({ "client_credentials": true })).row("gty is an object", ClaimsMalformed),
        entra().claim("gty", json!([["client_credentials"]])).row("gty is an array of arrays", ClaimsMalformed),
        b2c().claim("azp", json!(["other", USER])).row("sub is one of the clients", AppOnlyToken),
        b2c()
            .claim("sub", "4711")
            .claim("oid", "4711")
            .claim("client_id", 4711)
            .row("sub is a client that is a number", AppOnlyToken),
        b2c().claim("azp", json!({ "id": CLIENT })).row("azp is an object", ClaimsMalformed),
        b2c().claim("azp", json!([CLIENT, "other"])).rule(only_client).row("one of two clients is listed", WrongParty),
        b2c().claim("azp", json!([])).rule(only_client).row("no client at all", WrongParty),
        zitadel().without("jti").row("client_id is in aud, no jti", IdToken),
        zitadel().claim("auth_time", 1).row("client_id and jti, with auth_time", IdToken),
        zitadel().claim("amr", json!(["pwd"])).row("client_id and jti, with amr", IdToken),
        zitadel().claim("aud", API).claim("client_id", API).row("client_id is the only aud", IdToken),
        zitadel().claim("sub", CLIENT).claim("oid", CLIENT).row("Zitadel's machine user that is its client", AppOnlyToken),
        entra_app_token()
            .rule(|rules| rules.kinds = TokenKinds { access: true, id: true, app_only: false })
            .row("an app token where id tokens are taken", AppOnlyToken),
        b2c_id_token()
            .rule(|rules| rules.kinds = TokenKinds { access: true, id: false, app_only: true })
            .row("an id token where app tokens are taken", IdToken),
        entra()
            .rule(|rules| rules.kinds = TokenKinds { access: false, id: false, app_only: true })
            .row("a user's token where app tokens are taken", UserTokenNotAllowed),
    ]
}

fn all(attempt: Attempt) -> Attempt {
    attempt.rule(|rules| rules.kinds = TokenKinds { access: true, id: true, app_only: true })
}

fn bearer_only(rules: &mut IssuerSettings) {
    rules.takes_sender_constrained = false;
}

fn only_client(rules: &mut IssuerSettings) {
    rules.authorized_parties = vec![CLIENT.to_owned()];
}

/// As Zitadel writes its access tokens: the client and the project in `aud`, no scope.
fn zitadel() -> Attempt {
    b2c().without("scp").without("azp").claim("client_id", CLIENT).claim("aud", json!([CLIENT, API])).claim("jti", "V2_1")
}

fn b2c_id_token() -> Attempt {
    b2c().without("scp").without("azp").claim("nonce", "defaultNonce").claim("aud", API)
}

/// As client credentials give it: the service principal in `sub` and `oid`.
fn entra_app_token() -> Attempt {
    entra().without("scp").claim("sub", USER).claim("azp", CLIENT)
}

#[test]
fn a_bearer_token_is_taken_where_bound_ones_are_not() {
    assert!(b2c().rule(bearer_only).run().is_ok());
}

#[test]
fn other_kinds_are_taken_where_the_rule_says_so() {
    let takes =
        |attempt: Attempt, id, app_only| attempt.rule(|rules| rules.kinds = TokenKinds { access: false, id, app_only }).run();
    assert!(takes(b2c_id_token(), true, false).is_ok());
    assert!(takes(entra_app_token(), false, true).is_ok());
}

#[test]
fn a_claim_that_tells_the_kind_may_be_a_list_or_a_number() {
    for gty in
        [json!("authorization_code"), json!(["authorization_code"]), json!(["refresh_token", "password"]), json!([]), json!(7)]
    {
        assert!(b2c().claim("gty", gty.clone()).run().is_ok(), "{gty}");
    }
    assert!(entra().claim("idtyp", json!(["user"])).run().is_ok());
    for (name, value) in
        [("azp", json!([CLIENT])), ("azp", json!([CLIENT, 7])), ("client_id", json!(7)), ("cid", json!(7)), ("nonce", json!(7))]
    {
        assert!(b2c().claim(name, value.clone()).run().is_ok(), "{name} {value}");
    }
    assert!(b2c().claim("azp", json!([CLIENT])).rule(only_client).run().is_ok());
    let number = b2c().claim("azp", 4711).rule(|rules| rules.authorized_parties = vec!["4711".to_owned()]);
    assert!(number.run().is_ok());
    assert!(zitadel().run().is_ok());
}

#[test]
fn access_tokens_are_known_by_scopes_or_by_explicit_type() {
    // B2C repeats the nonce of the login in the access token.
    assert!(b2c().claim("nonce", "defaultNonce").run().is_ok());
    assert!(b2c().without("scp").claim("scope", "docs.read").run().is_ok());
    assert!(entra().without("scp").header("typ", "at+jwt").run().is_ok());
    assert!(entra().without("scp").header("typ", "Application/AT+JWT").run().is_ok());
    assert!(entra().claim("idtyp", "user").run().is_ok());
}

/// The registered media types of JWTs that are no access tokens (IANA, structured syntax suffix `+jwt`), and some that may come.
const OTHER_TYPES: [&str; 22] = [
    "logout+jwt",
    "secevent+jwt",
    "dpop+jwt",
    "kb+jwt",
    "token-introspection+jwt",
    "oauth-authz-req+jwt",
    "trust-mark+jwt",
    "entity-statement+jwt",
    "jwk-set+jwt",
    "oauth-client-attestation+jwt",
    "oauth-client-attestation-pop+jwt",
    "passport+jwt",
    "vc+jwt",
    "vp+jwt",
    "id+jwt",
    "wit+jwt",
    "statuslist+jwt",
    "resolve-response+jwt",
    "rt+jwt",
    "dc+sd-jwt",
    "vc+sd-jwt",
    "+jwt",
];

#[test]
fn what_says_in_its_header_that_it_is_something_else_is_that_whatever_is_taken() {
    for typ in OTHER_TYPES {
        for spelling in [
            typ.to_owned(),
            typ.to_uppercase(),
            format!("application/{typ}"),
            format!("Application/{}", typ.to_uppercase()),
            format!("{typ}; charset=utf-8"),
            format!(" {typ}"),
        ] {
            let outcome = all(b2c().header("typ", spelling.as_str())).run();
            assert_eq!(outcome.err(), Some(OtherKind), "{spelling}");
        }
    }
    for typ in
        ["JWT", "jwt", "at", "JOSE", "at+jwt", "AT+JWT", "application/at+jwt", "text", "", "access_token", "jwt+at", "contoso"]
    {
        assert!(b2c().header("typ", typ).run().is_ok(), "{typ}");
    }
}

#[test]
fn what_says_in_its_claims_that_it_is_something_else_is_that_whatever_is_taken() {
    for (name, values) in [
        (
            "typ",
            &[
                "Refresh",
                "Offline",
                "Logout",
                "Serialized-ID",
                "RegistrationAccessToken",
                "InitialAccessToken",
                "verify-email",
                "refresh",
            ][..],
        ),
        ("token_use", &["refresh", "", "Access token"]),
    ] {
        for value in values {
            assert_eq!(all(b2c().claim(name, *value)).run().err(), Some(OtherKind), "{name} {value}");
        }
    }
    // A claim of a provider's own says nothing.
    for value in [json!("contoso"), json!(""), json!(7), json!({}), json!("JWT")] {
        assert!(b2c().claim("typ", value.clone()).run().is_ok(), "{value}");
    }
}

#[test]
fn access_tokens_without_scopes_are_known_by_what_they_say() {
    let plain = || entra().without("scp").without("roles").without("azp");
    assert_eq!(plain().run().err(), Some(IdToken));
    assert!(plain().claim("typ", "Bearer").run().is_ok());
    assert!(plain().claim("typ", "DPoP").run().is_ok());
    assert!(plain().claim("token_use", "access").run().is_ok());
    assert!(plain().claim("client_id", CLIENT).run().is_ok());
    assert!(plain().claim("typ", "Bearer").claim("nonce", "n").run().is_ok());
    // Bound to a key, and taken as a bearer token by default.
    assert!(b2c().claim("cnf", json!({ "jkt": "x" })).run().is_ok());
}

#[test]
fn a_token_that_is_bound_to_a_certificate_comes_with_it_or_not_at_all() {
    let hash: [u8; 32] =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, HASH).unwrap().try_into().unwrap();
    for refuses_others in [false, true] {
        let bound = b2c().claim("cnf", json!({ "x5t#S256": HASH })).rule(|rules| rules.takes_sender_constrained = !refuses_others);
        let token = bound.run().unwrap();
        assert_eq!(token.check_certificate(Some(&hash)), Ok(()));
        let mut other = hash;
        other[31] ^= 1;
        for shown in [None, Some(&other), Some(&[0; 32])] {
            assert_eq!(token.check_certificate(shown), Err(CertificateMismatch));
        }
    }
    // Also beside a key that is not checked.
    let two = b2c().claim("cnf", json!({ "x5t#S256": HASH, "jkt": "x" })).run().unwrap();
    assert_eq!(two.check_certificate(None), Err(CertificateMismatch));
    let free = b2c().run().unwrap();
    assert_eq!((free.check_certificate(None), free.check_certificate(Some(&hash))), (Ok(()), Ok(())));
}

//! Id tokens and tokens of applications where an access token of a user is expected.

use serde_json::{Value, json};

use super::{
    Row,
    attempt::{Attempt, CLIENT, USER, b2c, entra},
};
use crate::token::{Rejection::*, TokenKinds};

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
        b2c().claim("scp", Value::Null).row("scp is null", ClaimsMalformed),
        b2c().claim("scp", json!({ "docs.read": true })).row("scp is an object", ClaimsMalformed),
        b2c().claim("scope", json!(["docs.read", 7])).row("scope holds a number", ClaimsMalformed),
        b2c().claim("roles", json!({ "Writer": true })).row("roles is an object", ClaimsMalformed),
        b2c().claim("nonce", 7).row("nonce is a number", ClaimsMalformed),
        entra().claim("idtyp", json!(["user"])).row("idtyp is an array", ClaimsMalformed),
        entra().claim("idtyp", "app").row("idtyp app beside scopes", AppOnlyToken),
        entra_app_token().row("an Entra app token with roles", AppOnlyToken),
        entra_app_token().without("roles").row("an Entra app token without roles", AppOnlyToken),
        entra_app_token().without("azp").claim("appid", CLIENT).row("an Entra app token of version 1", AppOnlyToken),
        b2c().without("tfp").row("B2C client credentials without a policy", AppOnlyToken),
        b2c().claim("sub", CLIENT).claim("oid", CLIENT).row("sub is the client, azp", AppOnlyToken),
        entra().claim("client_id", "daemon").claim("sub", "daemon").row("sub is the client, client_id", AppOnlyToken),
        entra().claim("gty", "client-credentials").row("client credentials of Auth0", AppOnlyToken),
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

fn b2c_id_token() -> Attempt {
    b2c().without("scp").without("azp").claim("nonce", "defaultNonce").claim("aud", super::attempt::API)
}

/// As client credentials give it: the service principal in `sub` and `oid`.
fn entra_app_token() -> Attempt {
    entra().without("scp").claim("sub", USER).claim("azp", CLIENT)
}

#[test]
fn other_kinds_are_taken_where_the_rule_says_so() {
    let takes =
        |attempt: Attempt, id, app_only| attempt.rule(|rules| rules.kinds = TokenKinds { access: false, id, app_only }).run();
    assert!(takes(b2c_id_token(), true, false).is_ok());
    assert!(takes(entra_app_token(), false, true).is_ok());
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

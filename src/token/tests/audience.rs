//! Tokens for somebody else, and audiences of odd types.

use serde_json::{Value, json};

use super::{
    Row,
    attempt::{API, CLIENT, OTHER_TENANT, b2c, entra},
};
use crate::token::Rejection::*;

const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

pub(super) fn rows() -> Vec<Row> {
    vec![
        b2c().without("aud").row("no aud", WrongAudience),
        b2c().claim("aud", "").row("aud is empty", WrongAudience),
        b2c().claim("aud", CLIENT).row("aud is the client", WrongAudience),
        b2c().claim("aud", json!([])).row("aud is an empty array", WrongAudience),
        b2c().claim("aud", json!([CLIENT, OTHER_TENANT])).row("aud holds foreign ones only", WrongAudience),
        b2c().claim("aud", json!({})).row("aud is an empty object", ClaimsMalformed),
        b2c().claim("aud", json!({ API: true })).row("aud is an object with ours as a name", ClaimsMalformed),
        b2c().claim("aud", 7).row("aud is a number", ClaimsMalformed),
        b2c().claim("aud", true).row("aud is true", ClaimsMalformed),
        b2c().claim("aud", Value::Null).row("aud is null", WrongAudience),
        b2c().claim("aud", json!([API, 7])).row("aud holds ours and a number", ClaimsMalformed),
        b2c().claim("aud", json!([null])).row("aud holds null alone", WrongAudience),
        b2c().claim("aud", json!([[API]])).row("aud is an array in an array", ClaimsMalformed),
        b2c().claim("aud", &API[..API.len() - 1]).row("aud is the start of ours", WrongAudience),
        b2c().claim("aud", format!("{API}0")).row("aud starts with ours", WrongAudience),
        b2c().claim("aud", API.to_uppercase()).row("aud in capitals", WrongAudience),
        b2c().claim("aud", format!(" {API}")).row("aud with a space before it", WrongAudience),
        b2c().claim("aud", format!("{API}\n")).row("aud with a line break", WrongAudience),
        b2c().claim("aud", format!("{API}\0")).row("aud with a zero byte", WrongAudience),
        b2c().claim("aud", format!("{CLIENT} {API}")).row("aud is a list in one string", WrongAudience),
        b2c().claim("aud", format!("{CLIENT},{API}")).row("aud is a list with commas", WrongAudience),
        b2c().claim("aud", "*").row("aud is a star", WrongAudience),
        b2c().claim("aud", format!("api://{API}")).row("aud is the App ID URI, the id is configured", WrongAudience),
        b2c().claim("Aud", API).without("aud").row("Aud for aud", WrongAudience),
        b2c().rule(|rules| rules.audiences.clear()).row("no audience is configured", WrongAudience),
        entra().claim("aud", GRAPH).row("aud is Graph's id", GraphToken),
        entra().claim("aud", "https://graph.microsoft.com").row("aud is Graph's address", GraphToken),
        entra().claim("aud", "https://graph.microsoft.com/").row("aud is Graph's address with a slash", GraphToken),
        entra().claim("aud", json!([GRAPH, API])).row("aud holds Graph and ours", GraphToken),
        entra().header("nonce", "x").row("a nonce in the header", GraphToken),
        cognito().without("client_id").row("no aud and no client_id", WrongAudience),
        cognito().claim("client_id", OTHER_TENANT).row("no aud and another client_id", WrongAudience),
        cognito().claim("client_id", json!([CLIENT, OTHER_TENANT])).row("one client_id of ours and one of another", WrongAudience),
        cognito().claim("aud", OTHER_TENANT).row("a client_id of ours beside the aud of another", WrongAudience),
        cognito().claim("aud", json!([])).row("a client_id of ours beside an empty aud", WrongAudience),
        cognito().claim("aud", CLIENT).row("aud is the client, and audiences are not configured", WrongAudience),
        cognito().rule(|rules| rules.client_ids.clear()).row("no aud, and no client ids are configured", WrongAudience),
        entra()
            .claim("aud", GRAPH)
            .claim("iss", format!("https://sts.windows.net/{OTHER_TENANT}/"))
            .row("a Graph token with an iss that is not configured", GraphToken),
    ]
}

/// An access token as Amazon Cognito makes it: without `aud`.
fn cognito() -> super::attempt::Attempt {
    b2c().without("aud").without("azp").without("scp").claim("client_id", CLIENT).claim("token_use", "access").rule(|rules| {
        rules.client_ids = vec![CLIENT.to_owned()];
        rules.audiences.clear();
    })
}

#[test]
fn a_client_id_stands_in_for_an_audience_that_is_not_there() {
    assert!(cognito().run().is_ok());
    assert!(cognito().claim("aud", Value::Null).run().is_ok());
    assert!(cognito().claim("aud", API).rule(|rules| rules.audiences = vec![API.to_owned()]).run().is_ok());
}

#[test]
fn one_of_several_audiences_is_enough() {
    assert!(b2c().claim("aud", json!([CLIENT, API])).run().is_ok());
    assert!(b2c().claim("aud", json!([API])).run().is_ok());
    assert!(b2c().claim("aud", json!([null, API])).run().is_ok());
    assert!(entra().header("nonce", Value::Null).run().is_ok());
    let uri = "api://contoso/docs";
    assert!(b2c().claim("aud", uri).rule(|rules| rules.audiences.push(uri.to_owned())).run().is_ok());
}

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
        b2c().claim("aud", Value::Null).row("aud is null", ClaimsMalformed),
        b2c().claim("aud", json!([API, 7])).row("aud holds ours and a number", ClaimsMalformed),
        b2c().claim("aud", json!([API, null])).row("aud holds ours and null", ClaimsMalformed),
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
        entra().header("nonce", Value::Null).row("a null nonce in the header", GraphToken),
        entra()
            .claim("aud", GRAPH)
            .claim("iss", format!("https://sts.windows.net/{OTHER_TENANT}/"))
            .row("a Graph token with an iss that is not configured", GraphToken),
    ]
}

#[test]
fn one_of_several_audiences_is_enough() {
    assert!(b2c().claim("aud", json!([CLIENT, API])).run().is_ok());
    assert!(b2c().claim("aud", json!([API])).run().is_ok());
    let uri = "api://contoso/docs";
    assert!(b2c().claim("aud", uri).rule(|rules| rules.audiences.push(uri.to_owned())).run().is_ok());
}

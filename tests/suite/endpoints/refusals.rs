//! Bad calls, each with one clear error in the protocol's own shape; nothing is minted for any of them, and each is counted.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, FORM, JSON, SECRET, basic, body, claims, event, exchange, form};
use crate::kit::Answer;

/// What one bad call must come to: status, error, reason.
type Expected = (u16, &'static str, &'static str);

impl Desk {
    /// Holds an answer against what was expected, and the metric with it.
    async fn assert_refused(&self, answer: Answer, told: fn(&Value) -> &Value, (status, error, reason): Expected, what: &str) {
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(told(&body(&answer)).as_str(), Some(error), "{what}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        let text = answer.text();
        assert!(!text.contains(SECRET) && !text.contains("eyJ"), "{what}: {text}");
        let counted = async {
            while self.refused(reason) < 1.0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(5), counted).await.is_ok(), "{what}: {reason} was not counted");
    }
}

#[tokio::test]
async fn every_bad_exchange_has_its_error() {
    let desk = Desk::start(json!({})).await;
    let token = desk.kit.issuer.token("alice").sign();
    let good = exchange(&token);
    let without = |name: &str| form(&good.iter().copied().filter(|(known, _)| *known != name).collect::<Vec<_>>());
    let with = |name: &'static str, value: &str| {
        let rest: Vec<_> = good.iter().copied().filter(|(known, _)| *known != name).collect();
        format!("{}&{}", form(&rest), form(&[(name, value)]))
    };
    let twice = |name: &str, value: &str| format!("{}&{}", form(&good), form(&[(name, value)]));
    const INVALID: &str = "invalid_request";
    const MALFORMED: Expected = (400, INVALID, "endpoint_request_malformed");
    let long = "x".repeat(17 * 1024);
    let kind = |name: &str| format!("urn:ietf:params:oauth:token-type:{name}");
    let mut cases: Vec<(String, Expected)> = vec![
        (String::new(), MALFORMED),
        (without("grant_type"), MALFORMED),
        (without("subject_token"), MALFORMED),
        (without("subject_token_type"), MALFORMED),
        (with("grant_type", "password"), (400, "unsupported_grant_type", "grant_type_unsupported")),
        (with("grant_type", "client_credentials"), (400, "unsupported_grant_type", "grant_type_unsupported")),
        (twice("grant_type", "x"), MALFORMED),
        (twice("subject_token", &token), MALFORMED),
        (format!("{}&audience=a&audience=b", form(&good)), MALFORMED),
        (with("actor_token", &token), MALFORMED),
        (with("actor_token_type", &kind("jwt")), MALFORMED),
        (with("requested_token_type", &kind("refresh_token")), MALFORMED),
        (with("requested_token_type", "jwt"), MALFORMED),
        (with("audience", &long), (400, "invalid_target", "target_unknown")),
        (with("resource", "nonsense"), (400, "invalid_target", "target_unknown")),
        (with("subject_token", &long), (400, INVALID, "token_too_large")),
        (with("subject_token", "opaque"), (400, INVALID, "token_malformed")),
        (with("subject_token", "a b"), (400, INVALID, "authorization_malformed")),
        (with("subject_token", "a\u{e9}"), (400, INVALID, "authorization_malformed")),
        (form(&good).replace("subject_token=", "subject_token=%ff"), MALFORMED),
        (form(&good).replace("subject_token=", "subject_token=%0"), MALFORMED),
        (with("scope", "docs.delete"), (400, "invalid_scope", "scope_not_granted")),
        (with("client_secret", SECRET), (401, "invalid_client", "caller_unauthenticated")),
        ("x".repeat(65 * 1024), (413, INVALID, "body_too_large")),
    ];
    for name in ["refresh_token", "saml2", "saml1", "unknown"] {
        cases.push((with("subject_token_type", &kind(name)), (400, INVALID, "subject_token_unsupported")));
    }
    let issuer = &desk.kit.issuer;
    for (token, reason) in [
        (issuer.token("alice").expires_in(-3_600).sign(), "expired"),
        (issuer.token("alice").signature([1; 256]).sign(), "bad_signature"),
        (issuer.token("alice").audience("another").sign(), "wrong_audience"),
        (issuer.token("alice").issuer("https://evil.example").sign(), "unknown_issuer"),
        (issuer.token("alice").claim("idtyp", "app").sign(), "app_only_token"),
        (issuer.token("alice").claim("nonce", "n").without("scp").sign(), "id_token"),
        (desk.caller_token(), "unknown_issuer"),
    ] {
        cases.push((form(&exchange(&token)), (400, INVALID, reason)));
    }
    for (body, expected) in cases {
        let answer = desk.post("/token", &[FORM], &body).await;
        desk.assert_refused(answer, |body| &body["error"], expected, &body.chars().take(300).collect::<String>()).await;
    }
    for media_type in ["application/json", "multipart/form-data", "application/x-www-form-urlencoded; charset=utf-16", ""] {
        let answer = desk.post("/token", &[("Content-Type", media_type)], &form(&good)).await;
        desk.assert_refused(answer, |body| &body["error"], MALFORMED, media_type).await;
    }
    let packed = desk.post("/token", &[FORM, ("Content-Encoding", "gzip")], &form(&good)).await;
    desk.assert_refused(packed, |body| &body["error"], MALFORMED, "gzip").await;
    for method in ["GET", "PUT", "DELETE"] {
        let answer = desk.send(method, "/token", &[FORM], b"").await;
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
        desk.assert_refused(answer, |body| &body["error"], (405, INVALID, "method_not_allowed"), method).await;
    }
    // In a query there are no parameters (RFC 6749 section 3.2).
    let answer = desk.post(&format!("/token?{}", form(&good)), &[FORM], "").await;
    desk.assert_refused(answer, |body| &body["error"], MALFORMED, "query").await;
    assert_eq!((desk.signed(), desk.kit.backend.received_count()), (0.0, 0));
    // And that the good one is good.
    assert_eq!(desk.post("/token", &[FORM], &form(&good)).await.status, 200);
    desk.stop().await;
}

#[tokio::test]
async fn every_bad_call_of_a_sign_in_has_its_error() {
    let desk = Desk::start(json!({})).await;
    let good = basic("b2c", SECRET);
    let code = |body: &Value| -> Value { body["code"].clone() };
    let unauthenticated: Expected = (401, "caller_unauthenticated", "caller_unauthenticated");
    let wrong = [
        basic("b2c", "wrong"),
        basic("B2C", SECRET),
        basic("", SECRET),
        basic("b2c", ""),
        "Basic".to_owned(),
        "Bearer".to_owned(),
        format!("Bearer {SECRET}x"),
        format!("Token {SECRET}"),
        basic("b2c", &SECRET[1..]),
        "Basic YQ==".to_owned(),
    ];
    for path in ["/mint/policy", "/mint/flow"] {
        for credentials in &wrong {
            let answer = desk.post(path, &[JSON, ("Authorization", credentials)], &claims().to_string()).await;
            assert!(answer.header("www-authenticate").is_some(), "{}", answer.text());
            desk.assert_refused(answer, |body| &body["code"], unauthenticated, credentials).await;
        }
        let none = desk.post(path, &[JSON], &claims().to_string()).await;
        desk.assert_refused(none, |body| &body["code"], unauthenticated, path).await;
        let both = [JSON, ("x-api-key", SECRET), ("x-api-key", SECRET)];
        let twice = desk.post(path, &both, &claims().to_string()).await;
        desk.assert_refused(twice, |body| &body["code"], unauthenticated, path).await;
        let mut number = claims();
        number["objectId"] = json!(5);
        for (text, expected) in [
            (String::new(), (400, "body_malformed", "body_malformed")),
            ("[]".to_owned(), (400, "body_malformed", "body_malformed")),
            ("{\"objectId\":\"a\",\"objectId\":\"b\"}".to_owned(), (400, "body_malformed", "body_malformed")),
            (claims().to_string().replace('}', ""), (400, "body_malformed", "body_malformed")),
            (number.to_string(), (400, "body_malformed", "body_malformed")),
            (json!({ "objectId": "x".repeat(1024 * 1024) }).to_string(), (413, "body_too_large", "body_too_large")),
        ] {
            let answer = desk.post(path, &[JSON, ("Authorization", &good)], &text).await;
            assert_eq!(code(&body(&answer)), json!(expected.1));
            if path == "/mint/flow" && answer.status == 400 {
                assert_eq!((&body(&answer)["action"], &body(&answer)["status"]), (&json!("ValidationError"), &json!(400)));
            }
            desk.assert_refused(answer, |body| &body["code"], expected, &text.chars().take(100).collect::<String>()).await;
        }
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"] {
            let headers = [("Content-Type", media_type), ("Authorization", good.as_str())];
            let answer = desk.post(path, &headers, &claims().to_string()).await;
            desk.assert_refused(answer, |body| &body["code"], (415, "body_not_json", "body_not_json"), media_type).await;
        }
        let answer = desk.send("GET", path, &[("Authorization", &good)], b"").await;
        desk.assert_refused(answer, |body| &body["code"], (405, "method_not_allowed", "method_not_allowed"), path).await;
    }
    let mut step = claims();
    step["step"] = json!("PostAttributeCollection");
    let answer = desk.post("/mint/flow", &[JSON, ("Authorization", &good)], &step.to_string()).await;
    let expected = (400, "endpoint_request_malformed", "endpoint_request_malformed");
    desk.assert_refused(answer, |body| &body["code"], expected, "step").await;
    assert_eq!(desk.signed(), 0.0);
    desk.stop().await;
}

#[tokio::test]
async fn every_bad_event_has_its_error() {
    let desk = Desk::start(json!({})).await;
    let caller = format!("Bearer {}", desk.caller_token());
    let changed = |pointer: &str, value: Value| {
        let mut event = event();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string()
    };
    let other = "00000000-0000-4000-8000-000000000000";
    let malformed = |reason: &'static str| -> Expected { (400, reason, reason) };
    for (call, expected) in [
        (
            changed("/type", json!("microsoft.graph.authenticationEvent.attributeCollectionStart")),
            malformed("endpoint_request_malformed"),
        ),
        (changed("/type", Value::Null), malformed("endpoint_request_malformed")),
        (changed("/data/@odata.type", json!("x")), malformed("endpoint_request_malformed")),
        (changed("/data", Value::Null), malformed("body_malformed")),
        (changed("/data/tenantId", Value::Null), malformed("body_malformed")),
        (changed("/data/tenantId", json!(other)), (401, "wrong_tenant", "wrong_tenant")),
        (changed("/data/authenticationContext", json!([])), malformed("body_malformed")),
        (changed("/data/authenticationContext/user", json!("alice")), malformed("body_malformed")),
        (changed("/data/authenticationContext/user/id", json!({})), malformed("body_malformed")),
        (changed("/data/authenticationContext/clientServicePrincipal/appId", json!(other)), (401, "wrong_party", "wrong_party")),
        (changed("/data/authenticationContext/clientServicePrincipal", Value::Null), (401, "wrong_party", "wrong_party")),
        ("{}".to_owned(), malformed("endpoint_request_malformed")),
    ] {
        let answer = desk.post("/mint/entra", &[JSON, ("Authorization", &caller)], &call).await;
        desk.assert_refused(answer, |body| &body["error"]["code"], expected, &call).await;
    }
    let stranger = format!("Bearer {}", desk.service_token().claim("tid", other).sign());
    let answer = desk.post("/mint/entra", &[JSON, ("Authorization", &stranger)], &event().to_string()).await;
    desk.assert_refused(answer, |body| &body["error"]["code"], (401, "wrong_tenant", "wrong_tenant"), "another tenant's caller")
        .await;
    // More than the reference shows is no mistake.
    let mut more = event();
    more["data"]["authenticationContext"]["user"]["extension_new"] = json!({ "a": [null, 1.5] });
    more["new"] = json!(1);
    let answer = desk.post("/mint/entra", &[JSON, ("Authorization", &caller)], &more.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let signed = desk.signed();
    let service = || desk.service_token();
    for (token, reason) in [
        (service().claim("azp", "another").sign(), "wrong_party"),
        (service().without("azp").sign(), "wrong_party"),
        (service().audience("another").sign(), "wrong_audience"),
        (service().expires_in(-3_600).sign(), "expired"),
        (service().signature([1; 256]).sign(), "bad_signature"),
        (desk.callers.token("alice").claim("azp", super::MICROSOFT).sign(), "user_token_not_allowed"),
        ("opaque".to_owned(), "token_malformed"),
    ] {
        let authorization = format!("Bearer {token}");
        let answer = desk.post("/mint/entra", &[JSON, ("Authorization", &authorization)], &event().to_string()).await;
        // Without credentials nobody learns which issuer, audience, party or key is accepted.
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let expected = (401, "caller_unauthenticated", reason);
        desk.assert_refused(answer, |body| &body["error"]["code"], expected, reason).await;
    }
    let none = desk.post("/mint/entra", &[JSON], &event().to_string()).await;
    let unauthenticated = (401, "caller_unauthenticated", "caller_unauthenticated");
    desk.assert_refused(none, |body| &body["error"]["code"], unauthenticated, "no credentials").await;
    assert_eq!(desk.signed(), signed);
    desk.stop().await;
}

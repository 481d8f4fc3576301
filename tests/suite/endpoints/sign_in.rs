//! The calls of Microsoft's sign-ins, by stand-ins that send and read what Microsoft documents.

use serde_json::{Value, json};

use super::{ALICE, Desk, JSON, NEW_SECRET, SECRET, basic, body, claims, event};
use crate::recorder::claims_of;

/// The token in an answer of Entra's event.
pub fn provided(answer: &Value) -> Option<&str> {
    assert_eq!(answer["data"]["@odata.type"], "microsoft.graph.onTokenIssuanceStartResponseData");
    let actions = answer["data"]["actions"].as_array().unwrap();
    assert_eq!(
        (actions.len(), &actions[0]["@odata.type"]),
        (1, &json!("microsoft.graph.tokenIssuanceStart.provideClaimsForToken"))
    );
    actions[0]["claims"]["syncToken"].as_str()
}

#[tokio::test]
async fn a_policy_gets_the_token_as_a_claim() {
    let desk = Desk::start_with(json!({}), json!({ "policy": { "mint": "couch" } })).await;
    for credentials in [
        ("Authorization", basic("b2c", SECRET)),
        ("Authorization", basic("b2c", NEW_SECRET)),
        ("Authorization", format!("Bearer {SECRET}")),
        ("x-api-key", SECRET.to_owned()),
    ] {
        let headers = [JSON, (credentials.0, credentials.1.as_str())];
        let answer = desk.post("/mint/policy", &headers, &claims().to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let answer = body(&answer);
        let claims = claims_of(&desk.kit, answer["syncToken"].as_str().unwrap());
        assert_eq!((answer.as_object().unwrap().len(), &claims["sub"], &claims["dept"]), (1, &json!(ALICE), &json!("sales")));
        assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 3_610, "{claims:?}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn a_user_flow_continues_with_the_token() {
    let desk = Desk::start(json!({})).await;
    for step in [json!("PreTokenIssuance"), json!("PreTokenApplicationClaims"), Value::Null] {
        let mut call = claims();
        call["step"] = step.clone();
        if step.is_null() {
            call.as_object_mut().unwrap().remove("step");
        }
        let headers = [JSON, ("Authorization", &basic("b2c", SECRET))];
        let answer = desk.post("/mint/flow", &headers, &call.to_string()).await;
        let answer = body(&answer);
        assert_eq!((&answer["version"], &answer["action"]), (&json!("1.0.0"), &json!("Continue")), "{answer}");
        assert_eq!(claims_of(&desk.kit, answer["extension_SyncToken"].as_str().unwrap())["userId"], ALICE);
    }
    desk.stop().await;
}

#[tokio::test]
async fn entra_puts_the_token_into_its_own() {
    let desk = Desk::start(json!({})).await;
    let token = desk.caller_token();
    let authorization = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json; charset=utf-8"), ("Authorization", authorization.as_str())];
    // Microsoft tries again: each time there is a token.
    for _ in 0..2 {
        let answer = desk.post("/mint/entra", &headers, &event().to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let minted = provided(&body(&answer)).unwrap().to_owned();
        assert_eq!(claims_of(&desk.kit, &minted)["userId"], ALICE);
    }
    // Whoever may call an endpoint is no user of a route, and the other way round.
    let answer = desk.kit.get("/docs", &token).await;
    assert_eq!(answer.status(), 401);
    let user = format!("Bearer {}", desk.kit.issuer.token("alice").sign());
    let answer = desk.post("/mint/entra", &[JSON, ("Authorization", &user)], &event().to_string()).await;
    assert_eq!((answer.status, &body(&answer)["error"]["code"]), (401, &json!("unknown_issuer")));
    desk.stop().await;
}

#[tokio::test]
async fn a_sign_in_without_a_token_goes_on_or_fails_as_is_set() {
    // No GUID: there is no token for this user.
    let mut call = claims();
    call["objectId"] = json!("alice@contoso.com");
    let mut of_entra = event();
    of_entra["data"]["authenticationContext"]["user"]["id"] = json!("alice@contoso.com");
    let basic = basic("b2c", SECRET);
    for on_failure in ["omit", "fail"] {
        let more = json!({ "on_failure": on_failure, "user_message": "No sync today." });
        let desk = Desk::start(json!({ "policy": more, "flow": more, "entra": more })).await;
        let caller = format!("Bearer {}", desk.caller_token());
        let policy = desk.post("/mint/policy", &[JSON, ("Authorization", &basic)], &call.to_string()).await;
        let flow = desk.post("/mint/flow", &[JSON, ("Authorization", &basic)], &call.to_string()).await;
        let entra = desk.post("/mint/entra", &[JSON, ("Authorization", &caller)], &of_entra.to_string()).await;
        if on_failure == "omit" {
            assert_eq!((policy.status, body(&policy)), (200, json!({})));
            assert_eq!((flow.status, body(&flow)), (200, json!({ "version": "1.0.0", "action": "Continue" })));
            assert_eq!((entra.status, provided(&body(&entra))), (200, None));
        } else {
            assert_eq!(
                (policy.status, body(&policy)),
                (
                    409,
                    json!({
                        "version": "1.0.0", "status": 409, "code": "user_id_invalid", "userMessage": "No sync today.",
                        "developerMessage": "the token is not accepted",
                    })
                )
            );
            assert_eq!(
                (flow.status, body(&flow)),
                (200, json!({ "version": "1.0.0", "action": "ShowBlockPage", "userMessage": "No sync today." }))
            );
            assert_eq!((entra.status, &body(&entra)["error"]["code"]), (401, &json!("user_id_invalid")));
        }
        // Whatever the caller is told, it is seen.
        desk.kit.eventually(|| desk.refused("user_id_invalid") == 3.0).await;
        assert_eq!(desk.signed(), 0.0);
        desk.stop().await;
    }
}

#[tokio::test]
async fn what_a_caller_says_of_a_user_grants_no_power() {
    let more = json!({ "mint": "couch" });
    let desk = Desk::start_with(json!({ "policy": { "on_failure": "fail" } }), json!({ "policy": more })).await;
    let mut config = desk.kit.gateway.config();
    for profile in &mut config.profiles {
        let claims = json!({ "sub": "${user_id}", "role": "${claim:department}" });
        profile.claims = serde_json::from_value::<serde_json::Map<String, Value>>(claims)
            .unwrap()
            .into_iter()
            .map(|(name, value)| (name, syncgate::token::ClaimValue::from_json(value).unwrap()))
            .collect();
    }
    desk.kit.gateway.reload(Ok(config)).unwrap();
    let basic = basic("b2c", SECRET);
    for (department, status) in [("sales", 200), ("service_role", 409)] {
        let mut call = claims();
        call["department"] = json!(department);
        let answer = desk.post("/mint/policy", &[JSON, ("Authorization", &basic)], &call.to_string()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    desk.kit.eventually(|| desk.refused("powerful_claim") == 1.0).await;
    desk.stop().await;
}

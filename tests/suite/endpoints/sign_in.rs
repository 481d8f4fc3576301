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
    assert_eq!((answer.status, &body(&answer)["error"]["code"]), (401, &json!("caller_unauthenticated")));
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
                        "developerMessage": "the user id is not a GUID",
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

#[tokio::test]
async fn a_user_has_one_id_and_nobody_has_none() {
    let desk =
        Desk::start(json!({ "policy": { "on_failure": "fail" }, "flow": { "on_failure": "fail", "user_ids": "profile" } })).await;
    let basic = basic("b2c", SECRET);
    let ask = async |path: &str, id: &str| {
        let mut call = claims();
        call["objectId"] = json!(id);
        let answer = body(&desk.post(path, &[JSON, ("Authorization", &basic)], &call.to_string()).await);
        let token = answer["syncToken"].as_str().or(answer["extension_SyncToken"].as_str()).map(str::to_owned);
        token.map(|token| claims_of(&desk.kit, &token)["userId"].as_str().unwrap().to_owned())
    };
    assert_eq!(ask("/mint/policy", &ALICE.to_uppercase()).await.as_deref(), Some(ALICE));
    for id in ["00000000-0000-0000-0000-000000000000", "alice", "{ab3ec3b2-a435-45e4-b93a-56a005e88bb7}", ""] {
        assert_eq!(ask("/mint/policy", id).await, None, "{id}");
    }
    assert_eq!(ask("/mint/flow", "alice").await.as_deref(), Some("alice"));
    for id in [
        "alice@contoso.com",
        "alice\u{ff20}contoso.com",
        "alice\u{fe6b}contoso.com",
        "alice%40contoso.com",
        " alice",
        "alice ",
        "alice\u{202e}",
        "a\nb",
        "Not supported currently. Use oid claim.",
        &"x".repeat(257),
    ] {
        assert_eq!(ask("/mint/flow", id).await, None, "{id:?}");
    }
    desk.stop().await;
}

/// Whoever cannot call is told so by the header: nobody waits for a body, or keeps one.
#[tokio::test]
async fn nobody_waits_for_the_body_of_a_stranger() {
    let desk = Desk::start(json!({})).await;
    for (authorization, expect, length) in [
        ("", "", "1000"),
        ("Authorization: Basic YjJjOndyb25n\r\n", "", "1000"),
        ("", "Expect: 100-continue\r\n", "1000"),
        (&*format!("Authorization: {}\r\n", basic("b2c", SECRET)), "", "1000000"),
    ] {
        let mut client = desk.kit.connect().await;
        let head = format!(
            "POST /mint/policy HTTP/1.1\r\nHost: sync.contoso.com\r\nContent-Type: application/json\r\n{authorization}{expect}\
             Content-Length: {length}\r\n\r\n{{"
        );
        client.write(head.as_bytes()).await;
        let answer = desk.kit.within(client.answer()).await.unwrap();
        assert_eq!(answer.status, if length == "1000" { 401 } else { 413 }, "{}", answer.text());
    }
    desk.stop().await;
}

/// What a call rests on may be gone when its body is there.
#[tokio::test]
async fn a_slow_call_is_answered_by_the_settings_of_its_end() {
    let desk = Desk::start(json!({})).await;
    let basic = basic("b2c", SECRET);
    let text = claims().to_string();
    let begin = async || {
        let mut client = desk.kit.connect().await;
        let head = format!(
            "POST /mint/policy HTTP/1.1\r\nHost: sync.contoso.com\r\nContent-Type: application/json\r\nAuthorization: {basic}\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        client.write(head.as_bytes()).await;
        desk.kit.within(client.read_until("100 Continue\r\n\r\n")).await;
        client
    };
    // Nothing changes: it is served.
    let mut client = begin().await;
    client.write(text.as_bytes()).await;
    assert_eq!(desk.kit.within(client.answer()).await.unwrap().status, 200);
    // The password is replaced, and the endpoint goes.
    for step in ["password", "endpoint"] {
        let mut client = begin().await;
        let mut config = desk.kit.gateway.config();
        match step {
            "password" => std::fs::write(desk.secret_file(), format!("{}\n", "n".repeat(40))).unwrap(),
            _ => config.proxy.routes.retain(|route| route.name != "policy"),
        }
        desk.kit.gateway.reload(Ok(config)).unwrap();
        client.write(text.as_bytes()).await;
        let answer = desk.kit.within(client.answer()).await.unwrap();
        assert!(matches!(answer.status, 401 | 404), "{step}: {}", answer.text());
        std::fs::write(desk.secret_file(), format!("{SECRET}\n")).unwrap();
        let config = desk.kit.gateway.config();
        desk.kit.gateway.reload(Ok(config)).unwrap();
    }
    desk.stop().await;
}

/// Microsoft's timeout counts from the beginning of its call, and so does the deadline.
#[tokio::test]
async fn the_deadline_counts_from_the_header_of_a_call() {
    let desk = Desk::start(json!({ "policy": { "deadline": "100ms" } })).await;
    let text = claims().to_string();
    let mut client = desk.kit.connect().await;
    let head = format!(
        "POST /mint/policy HTTP/1.1\r\nHost: sync.contoso.com\r\nContent-Type: application/json\r\nAuthorization: {}\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        basic("b2c", SECRET),
        text.len()
    );
    client.write(head.as_bytes()).await;
    desk.kit.within(client.read_until("100 Continue\r\n\r\n")).await;
    // The time has to pass.
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    client.write(text.as_bytes()).await;
    let answer = desk.kit.within(client.answer()).await.unwrap();
    assert_eq!((answer.status, body(&answer)), (200, json!({})));
    desk.kit.eventually(|| desk.refused("signing_overloaded") == 1.0).await;
    desk.stop().await;
}

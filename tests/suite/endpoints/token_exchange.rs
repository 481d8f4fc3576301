//! RFC 8693: what an exchange gives, and to whom.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use serde_json::json;

use super::{Desk, FORM, NEW_SECRET, SECRET, basic, body, exchange, form};
use crate::{kit::Answer, recorder::claims_of};

/// The token that was given.
fn token_in(answer: &Answer) -> String {
    body(answer)["access_token"].as_str().unwrap().to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_clients_token_becomes_one_that_the_backend_takes() {
    let desk = Desk::start(json!({})).await;
    let token = desk.kit.issuer.token("alice").sign();
    let answer = desk.post("/token", &[FORM], &form(&exchange(&token))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let granted = body(&answer);
    assert_eq!(granted["token_type"], "Bearer");
    assert_eq!(granted["issued_token_type"], "urn:ietf:params:oauth:token-type:jwt");
    let minted = granted["access_token"].as_str().unwrap();
    let claims = claims_of(&desk.kit, minted);
    assert_eq!(claims["userId"], desk.kit.issuer.user_id("alice"));
    let left = claims["exp"].as_u64().unwrap() - now();
    assert!(granted["expires_in"].as_u64().unwrap().abs_diff(left) <= 1, "{granted}, {left}");
    // Straight to the backend, without the gateway.
    let backend = format!("http://{}/docs", desk.kit.backend.address());
    let direct = reqwest::Client::new().get(backend).bearer_auth(minted).send().await.unwrap();
    assert_eq!(direct.status(), 200);
    // Warm: the same token, and nothing is signed.
    let signed = desk.signed();
    let again = desk.post("/token", &[FORM], &form(&exchange(&token))).await;
    assert_eq!((body(&again)["access_token"].as_str(), desk.signed()), (Some(minted), signed));
    // A client that asks for an access token gets the same under that name.
    let mut parameters = exchange(&token);
    parameters.push(("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"));
    let named = body(&desk.post("/token", &[FORM], &form(&parameters)).await);
    assert_eq!(named["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    desk.stop().await;
}

#[tokio::test]
async fn an_exchange_costs_one_verification_and_one_signature_and_a_warm_one_neither() {
    let desk = Desk::start(json!({})).await;
    let body_of = |user: &str| form(&exchange(&desk.kit.issuer.token(user).sign()));
    let post = async |body: &str| {
        let answer = desk.post("/token", &[FORM], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        token_in(&answer)
    };
    assert_eq!(desk.work(), (0.0, 0.0));
    let alice = body_of("alice");
    let minted = post(&alice).await;
    assert_eq!(desk.work(), (1.0, 1.0));
    for _ in 0..10 {
        assert_eq!(post(&alice).await, minted);
    }
    assert_eq!(desk.work(), (1.0, 1.0));
    // Many that bring a token at once wait for the one that is first.
    let bob = body_of("bob");
    let all = join_all((0..50).map(|_| post(&bob))).await;
    assert_eq!(desk.work(), (2.0, 2.0));
    assert!(all.iter().all(|one| *one == all[0] && *one != minted));
    // Another profile is another signature of the same user.
    post(&format!("{bob}&audience=couch")).await;
    assert_eq!(desk.work(), (2.0, 3.0));
    desk.stop().await;
}

#[tokio::test]
async fn audience_and_resource_choose_what_is_minted() {
    let desk = Desk::start(json!({})).await;
    let token = desk.kit.issuer.token("alice").claim("department", "sales").sign();
    let minted = async |more: &[(&'static str, &'static str)]| {
        let mut parameters = exchange(&token);
        parameters.extend_from_slice(more);
        let answer = desk.post("/token", &[FORM], &form(&parameters)).await;
        match answer.status {
            200 => Ok(claims_of(&desk.kit, body(&answer)["access_token"].as_str().unwrap())),
            _ => Err(body(&answer)["error"].as_str().unwrap().to_owned()),
        }
    };
    let url = "https://sync.contoso.com/db";
    for more in [&[("audience", "couch")][..], &[("resource", url)], &[("audience", "couch"), ("resource", url)]] {
        let claims = minted(more).await.unwrap();
        assert_eq!((&claims["sub"], &claims["dept"]), (&json!(desk.kit.issuer.user_id("alice")), &json!("sales")));
        assert!(!claims.contains_key("userId"), "{claims:?}");
    }
    for more in [&[][..], &[("audience", "first")], &[("audience", "")]] {
        assert!(minted(more).await.unwrap().contains_key("userId"));
    }
    for more in [
        &[("audience", "unknown")][..],
        &[("resource", "https://sync.contoso.com/db/")],
        &[("audience", "first"), ("resource", url)],
        &[("audience", "COUCH")],
    ] {
        assert_eq!(minted(more).await, Err("invalid_target".to_owned()), "{more:?}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn a_route_demands_scopes_of_an_exchange_too() {
    let desk = Desk::start_with(json!({}), json!({ "token": { "scopes": ["docs.read"] } })).await;
    let ask = async |scopes: &str, requested: &str| {
        let token = desk.kit.issuer.token("alice").scope(scopes).sign();
        let mut parameters = exchange(&token);
        parameters.push(("scope", requested));
        let answer = desk.post("/token", &[FORM], &form(&parameters)).await;
        (answer.status, body(&answer)["error"].as_str().map(str::to_owned), body(&answer)["scope"].as_str().map(str::to_owned))
    };
    let invalid = Some("invalid_scope".to_owned());
    assert_eq!(ask("docs.read", "").await, (200, None, None));
    assert_eq!(ask("docs.read docs.write", "docs.write docs.read").await, (200, None, Some("docs.write docs.read".to_owned())));
    assert_eq!(ask("docs.write", "").await, (400, invalid.clone(), None));
    assert_eq!(ask("docs.read", "docs.write").await, (400, invalid, None));
    desk.kit.eventually(|| (desk.refused("missing_scope"), desk.refused("scope_not_granted")) == (1.0, 1.0)).await;
    desk.stop().await;
}

#[tokio::test]
async fn clients_say_who_they_are_in_each_way_of_the_standard() {
    let desk = Desk::start(json!({})).await;
    let token = desk.kit.issuer.token("alice").claim("azp", "app").sign();
    let ask = async |authorization: Option<&str>, more: &[(&'static str, &str)]| {
        let mut parameters = exchange(&token);
        parameters.extend_from_slice(more);
        let mut headers = vec![FORM];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let answer = desk.post("/clients/token", &headers, &form(&parameters)).await;
        let challenge = answer.header("www-authenticate").is_some();
        (answer.status, body(&answer)["error"].as_str().unwrap_or_default().to_owned(), challenge)
    };
    let fine = (200, String::new(), false);
    for secret in [SECRET, NEW_SECRET] {
        assert_eq!(ask(Some(&basic("server", secret)), &[]).await, fine);
        assert_eq!(ask(Some(&basic("server", secret)), &[("client_id", "server")]).await, fine);
        assert_eq!(ask(None, &[("client_id", "server"), ("client_secret", secret)]).await, fine);
        // Encoded as a form would be (RFC 6749 section 2.3.1).
        assert_eq!(ask(Some(&basic("se%72ver", &secret.replace('-', "%2D"))), &[]).await, fine);
    }
    assert_eq!(ask(None, &[("client_id", "app")]).await, fine);
    // A public client brings its own users' tokens; a server those of any client.
    let stranger = desk.kit.issuer.token("alice").claim("azp", "another").sign();
    for (parameters, status) in [(vec![("client_id", "app")], 400), (vec![("client_id", "server"), ("client_secret", SECRET)], 200)]
    {
        let answer = desk.post("/clients/token", &[FORM], &form(&[exchange(&stranger), parameters].concat())).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    desk.kit.eventually(|| desk.refused("wrong_party") == 1.0).await;

    // Whoever a token was made for must be told by it.
    for token in [
        desk.kit.issuer.token("alice").without("azp"),
        desk.kit.issuer.token("alice").claim("azp", json!(["app"])),
        desk.kit.issuer.token("alice").claim("azp", "app").claim("appid", "another"),
    ] {
        let answer =
            desk.post("/clients/token", &[FORM], &form(&[exchange(&token.sign()), vec![("client_id", "app")]].concat())).await;
        assert_eq!((answer.status, body(&answer)["error"].as_str()), (400, Some("unauthorized_client")), "{}", answer.text());
    }
    let refused = (401, "invalid_client".to_owned(), false);
    let challenged = (401, "invalid_client".to_owned(), true);
    let wrong = format!("{SECRET}x");
    assert_eq!(ask(None, &[]).await, refused);
    for (id, secret) in
        [("server", wrong.as_str()), ("nobody", SECRET), ("app", SECRET), ("server", ""), ("", SECRET), ("SERVER", SECRET)]
    {
        assert_eq!(ask(None, &[("client_id", id), ("client_secret", secret)]).await, refused, "{id}");
        assert_eq!(ask(Some(&basic(id, secret)), &[]).await, challenged, "{id}");
    }
    assert_eq!(ask(None, &[("client_id", "server")]).await, refused);
    assert_eq!(ask(None, &[("client_id", "server"), ("client_assertion", "a.b.c")]).await, refused);
    for header in ["Basic", "Basic !", "Basic c2VydmVy", "Bearer x", "basic"] {
        assert_eq!(ask(Some(header), &[]).await, challenged, "{header}");
    }
    let twice = (400, "invalid_request".to_owned(), false);
    assert_eq!(ask(Some(&basic("server", SECRET)), &[("client_id", "app")]).await, twice);
    assert_eq!(ask(Some(&basic("server", SECRET)), &[("client_secret", SECRET)]).await, twice);
    // Where no clients are known, a bearer token that an app adds to all its requests is ignored, and whoever has a secret is told that nobody could check it.
    let answer = desk.post("/token", &[FORM, ("Authorization", &basic("server", SECRET))], &form(&exchange(&token))).await;
    assert_eq!((answer.status, body(&answer)["error"].as_str()), (401, Some("invalid_client")));
    let bearer = format!("Bearer {token}");
    assert_eq!(desk.post("/token", &[FORM, ("Authorization", &bearer)], &form(&exchange(&token))).await.status, 200);
    desk.stop().await;
}

/// A rule in front of the gateway that names the path holds for every call.
#[tokio::test]
async fn an_endpoint_answers_at_no_other_spelling_of_its_path() {
    let desk = Desk::start(json!({})).await;
    let token = desk.kit.issuer.token("alice").sign();
    for path in [
        "/%74oken",
        "/token/",
        "//token",
        "/./token",
        "/x/../token",
        "/x/%2e%2e/token",
        "/token;a",
        "/token%2f",
        "/TOKEN",
        "/token%00",
    ] {
        let answer = desk.post(path, &[FORM], &form(&exchange(&token))).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.text());
        assert!(!answer.text().contains("access_token"), "{path}: {}", answer.text());
    }
    assert_eq!((desk.signed(), desk.kit.backend.received_count()), (0.0, 0));
    desk.stop().await;
}

/// Who keeps a token is not given one that is about to end.
#[tokio::test]
async fn an_exchange_gives_a_token_that_lives() {
    let desk = Desk::start(json!({})).await;
    let mut config = desk.kit.gateway.config();
    // Due to be renewed at once.
    config.profiles[0].ttl = std::time::Duration::from_secs(10);
    desk.kit.gateway.reload(Ok(config)).unwrap();
    let token = desk.kit.issuer.token("alice").sign();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let answer = body(&desk.post("/token", &[FORM], &form(&exchange(&token))).await);
        assert!(answer["expires_in"].as_u64().unwrap() >= 8, "{answer}");
        seen.insert(answer["access_token"].as_str().unwrap().to_owned());
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    }
    assert_eq!(seen.len(), 3);
    desk.stop().await;
}

#[tokio::test]
async fn pages_of_listed_origins_may_ask() {
    const PAGE: (&str, &str) = ("Origin", "https://app.contoso.com");
    let cors = json!({ "token": { "allowed_origins": ["https://app.contoso.com"], "cors": {} } });
    let desk = Desk::start_with(json!({}), cors).await;
    let token = desk.kit.issuer.token("alice").sign();
    let answer = desk.post("/token", &[FORM, PAGE], &form(&exchange(&token))).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(PAGE.1)));
    let refused = desk.post("/token", &[FORM, PAGE], "grant_type=password").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, Some(PAGE.1)));
    let preflight = desk.send("OPTIONS", "/token", &[PAGE, ("Access-Control-Request-Method", "POST")], b"").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some(PAGE.1)));
    let other = desk.post("/token", &[FORM, ("Origin", "https://evil.example")], &form(&exchange(&token))).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    desk.stop().await;
}

#[tokio::test]
async fn users_of_one_connection_are_told_apart_and_a_purge_ends_them_all() {
    let desk = Desk::start(json!({})).await;
    let users = ["alice", "bob"].map(|user| (user, form(&exchange(&desk.kit.issuer.token(user).sign()))));
    let mut connection = desk.kit.connect().await;
    let mut post = async |body: &str| {
        let length = body.len();
        let request =
            format!("POST /token HTTP/1.1\r\nHost: x\r\n{}: {}\r\nContent-Length: {length}\r\n\r\n{body}", FORM.0, FORM.1);
        connection.write(request.as_bytes()).await;
        desk.kit.within(connection.answer()).await.unwrap()
    };
    for turn in [0, 0, 1, 0, 1, 1] {
        let (user, request) = &users[turn];
        let answer = post(request).await;
        assert_eq!(claims_of(&desk.kit, &token_in(&answer))["userId"], desk.kit.issuer.user_id(user));
    }
    assert_eq!(desk.work(), (2.0, 2.0));
    let mut config = desk.kit.gateway.config();
    config.issuers[0].jwks.deny_kids = vec![desk.kit.issuer.signing_key().kid().to_owned()];
    desk.kit.gateway.reload(Ok(config)).unwrap();
    for (_, request) in &users {
        let answer = post(request).await;
        assert_eq!((answer.status, body(&answer)["error"].as_str()), (400, Some("invalid_request")));
    }
    desk.stop().await;
}

#[tokio::test]
async fn what_ends_a_token_ends_its_exchange() {
    let desk = Desk::start(json!({})).await;
    let token = desk.kit.issuer.token("alice").sign();
    assert_eq!(desk.post("/token", &[FORM], &form(&exchange(&token))).await.status, 200);
    let mut config = desk.kit.gateway.config();
    config.issuers[0].jwks.deny_kids = vec![desk.kit.issuer.signing_key().kid().to_owned()];
    desk.kit.gateway.reload(Ok(config)).unwrap();
    let answer = desk.post("/token", &[FORM], &form(&exchange(&token))).await;
    assert_eq!((answer.status, body(&answer)["error"].as_str()), (400, Some("invalid_request")));
    desk.kit.eventually(|| desk.refused("unknown_key") == 1.0).await;
    // A token that is about to end gives one that ends no later.
    desk.stop().await;
}

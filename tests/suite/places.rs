//! Where tokens sit, end to end: what the upstream receives instead of the client's token, and what never gets there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{
    kit::{Answer, Kit, UPGRADE, send},
    recorder::{Recorder, claims_of, gateway_of, gateway_with},
    zero::{zero, zero_token},
};

/// Fails unless the text is a token that the gateway minted for this user.
#[track_caller]
fn assert_minted(kit: &Kit, token: &str, user: &str) {
    assert_eq!(claims_of(kit, token)["userId"], kit.issuer.user_id(user));
}

#[tokio::test]
async fn a_query_parameter_is_replaced_in_place() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!([{ "name": "a", "token": { "in": { "query": "token" } } }])).await;
    let token = kit.issuer.token("alice").sign();
    let target = format!("/a%2Fb?x=%2F&&%74oken={token}&y=a+b");
    assert_eq!(send(&kit, "GET", &target, &["Authorization: Basic eDp5"]).await.status, 204);
    let received = recorder.last();
    let (before, rest) = received.target().split_once("%74oken=").unwrap();
    let (minted, after) = rest.split_once('&').unwrap();
    assert_eq!((before, after), ("/a%2Fb?x=%2F&&", "y=a+b"));
    assert_minted(&kit, minted, "alice");
    assert!(!received.contains(&token) && received.header("authorization").is_none(), "{received:?}");
    for second in
        [format!("/?token={token}&token={token}"), format!("/?token={token}&TOKEN=x"), format!("/?token[]={token}&token={token}")]
    {
        let answer = send(&kit, "GET", &second, &[]).await;
        assert_eq!(answer.status, 400);
        kit.eventually(|| kit.metric("syncgate_rejections_total", &[("reason", "ambiguous_token")]) > 0.0).await;
    }
    assert_eq!(send(&kit, "GET", "/?x=1", &[&format!("Authorization: Bearer {token}")]).await.status, 401);
    assert_eq!(recorder.count(), 1);
    kit.stop().await;
}

#[tokio::test]
async fn a_header_has_the_scheme_that_its_backend_wants() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(
        &recorder,
        json!([
            { "preset": "powersync" },
            { "name": "raw", "path": "/raw", "token": { "in": { "header": "x-contoso-auth" } } },
            { "name": "moved", "path": "/moved", "token": { "out": { "header": "x-auth-token", "scheme": "JWT" } } },
        ]),
    )
    .await;
    let token = kit.issuer.token("alice").sign();
    for (path, sent, name, scheme) in [
        ("/", format!("Authorization: tOKEN {token}"), "authorization", "Token "),
        ("/", format!("Authorization: bearer  {token}"), "authorization", "Bearer "),
        ("/raw", format!("X-Contoso-Auth: {token}"), "x-contoso-auth", ""),
        (
            "/moved",
            format!("Authorization: Bearer {token}\r\nX_Auth_Token: forged\r\nX-Auth-Token: forged"),
            "x-auth-token",
            "JWT ",
        ),
    ] {
        assert_eq!(send(&kit, "GET", path, &[&sent]).await.status, 204, "{path}");
        let received = recorder.last();
        assert_minted(&kit, received.header(name).unwrap().strip_prefix(scheme).unwrap(), "alice");
        assert!(!received.contains(&token) && !received.contains("forged"), "{received:?}");
        assert_eq!(received.header("authorization").is_some(), name == "authorization");
    }
    // `Connection` cannot take away what the gateway writes.
    let answer = send(&kit, "GET", "/raw", &[&format!("X-Contoso-Auth: {token}"), "Connection: x-contoso-auth"]).await;
    assert_eq!(answer.status, 204);
    assert_minted(&kit, recorder.last().header("x-contoso-auth").unwrap(), "alice");
    kit.stop().await;
}

#[tokio::test]
async fn two_places_are_refused_and_not_guessed() {
    let recorder = Recorder::silent().await;
    let kit = gateway_with(&recorder, json!({ "preset": "triplit" })).await;
    let token = kit.issuer.token("alice").sign();
    let header = format!("Authorization: Bearer {token}");
    let refused = [
        send(&kit, "GET", &format!("/?token={token}"), &[&header]).await,
        send(&kit, "GET", "/", &[&header, &header]).await,
        send(&kit, "GET", "/?token=x&token=x", &[]).await,
    ];
    for answer in refused {
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("more than one token"), "{}", answer.text());
    }
    assert_eq!(recorder.count(), 0);
    assert_eq!(send(&kit, "GET", &format!("/?token={token}"), &[]).await.status, 204);
    assert_eq!(send(&kit, "GET", "/", &[&header]).await.status, 204);
    kit.stop().await;
}

#[tokio::test]
async fn of_the_cookies_only_the_one_with_the_token_changes() {
    let recorder = Recorder::silent().await;
    let origins = json!(["https://app.contoso.com"]);
    let kit = gateway_with(
        &recorder,
        json!([
            { "name": "a", "token": { "in": { "cookie": "sid" } }, "allowed_origins": origins },
            { "name": "b", "path": "/b", "token": { "in": { "cookie": "sid" }, "out": { "header": "authorization" } }, "allowed_origins": origins },
        ]),
    )
    .await;
    let token = kit.issuer.token("alice").sign();
    let cookie = format!("Cookie: theme=dark;sid={token};  lang=de");
    assert_eq!(send(&kit, "GET", "/", &[&cookie]).await.status, 204);
    let received = recorder.last();
    let rest = received.header("cookie").unwrap().strip_prefix("theme=dark;sid=").unwrap().strip_suffix(";  lang=de").unwrap();
    assert_minted(&kit, rest, "alice");
    assert_eq!(send(&kit, "GET", "/b", &[&cookie]).await.status, 204);
    let received = recorder.last();
    assert_eq!(received.header("cookie"), Some("theme=dark;  lang=de"));
    assert_minted(&kit, received.header("authorization").unwrap().strip_prefix("Bearer ").unwrap(), "alice");

    let count = recorder.count();
    for (method, headers) in [
        ("POST", vec![cookie.as_str(), "Content-Length: 0"]),
        ("DELETE", vec![cookie.as_str(), "Origin: https://evil.contoso.com"]),
        ("GET", vec![cookie.as_str(), UPGRADE]),
        ("GET", vec![cookie.as_str(), UPGRADE, "Origin: null"]),
    ] {
        let answer = send(&kit, method, "/", &headers).await;
        assert_eq!(answer.status, 403, "{method} {headers:?}");
        assert!(answer.text().contains("origin_not_allowed"), "{}", answer.text());
    }
    assert_eq!(recorder.count(), count);
    let known = "Origin: https://app.contoso.com";
    assert_eq!(send(&kit, "POST", "/", &[&cookie, known, "Content-Length: 0"]).await.status, 204);
    assert_eq!(send(&kit, "GET", "/", &[&cookie, known, UPGRADE]).await.status, 204);
    kit.stop().await;
}

/// The header of a WebSocket's answer.
async fn open(kit: &Kit, protocol: &str) -> Answer {
    send(kit, "GET", "/", &[UPGRADE, &format!("Sec-WebSocket-Protocol: {protocol}")]).await
}

#[tokio::test]
async fn a_subprotocol_that_holds_a_token_never_comes_back() {
    // The form, what a client sends, what the upstream receives, with the token in braces.
    let cases = [
        (json!({ "protocol": "list" }), "v1.contoso, Bearer, {}", "v1.contoso, Bearer, {}"),
        (
            json!({ "protocol": "kubernetes" }),
            "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{64}",
            "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{64}",
        ),
    ];
    for (form, sent, expected) in cases {
        // First the upstream chooses well, then it echoes everything.
        for echo in [false, true] {
            let recorder = Recorder::socket(move |request| {
                let offered = request.header("sec-websocket-protocol")?;
                Some(if echo { offered } else { offered.split(',').next()? }.to_owned())
            })
            .await;
            let kit = gateway_with(&recorder, json!([{ "name": "a", "token": { "in": form } }])).await;
            let token = kit.issuer.token("alice").sign();
            let filled = |text: &str, token: &str| text.replace("{}", token).replace("{64}", &URL_SAFE_NO_PAD.encode(token));
            let answer = open(&kit, &filled(sent, &token)).await;
            assert_eq!(answer.status, 101);
            let received = recorder.last();
            let value = received.header("sec-websocket-protocol").unwrap().to_owned();
            let minted = value.rsplit([' ', '.']).next().unwrap();
            let minted = match expected.contains("{64}") {
                true => String::from_utf8(URL_SAFE_NO_PAD.decode(minted).unwrap()).unwrap(),
                false => value.rsplit(' ').next().unwrap().to_owned(),
            };
            assert_minted(&kit, &minted, "alice");
            assert_eq!(value, filled(expected, &minted));
            assert!(!received.contains(&token));
            let chosen = if echo { None } else { sent.split(',').next() };
            assert_eq!(answer.header("sec-websocket-protocol"), chosen);
            kit.stop().await;
        }
    }
}

#[tokio::test]
async fn the_backend_may_refuse_an_invalid_token_of_a_socket_and_nothing_else() {
    let recorder = Recorder::socket(|request| request.header("sec-websocket-protocol").map(str::to_owned)).await;
    let scoped = json!({ "preset": "triplit", "name": "scoped", "path": "/scoped", "scopes": ["docs.admin"] });
    let routes = json!([{ "preset": "zero" }, { "preset": "triplit", "path": "/triplit" }, scoped]);
    let kit = gateway_of(recorder.address, json!({ "routes": routes })).await;
    let left = |reason: &str| kit.metric("syncgate_left_to_backend_total", &[("reason", reason)]);
    let expired = kit.issuer.token("alice").expires_in(-3_600).sign();
    let forged = kit.issuer.token("alice").signature([1; 256]).sign();
    for (token, reason) in [(expired.as_str(), "expired"), (&forged, "bad_signature"), ("garbage", "token_malformed")] {
        let offered = zero(token);
        let answer = open(&kit, &offered).await;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some(offered.as_str())));
        let placeholder = zero_token(&recorder.last());
        assert!(
            placeholder.starts_with("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.") && placeholder.ends_with(".AAAA"),
            "{placeholder}"
        );
        let triplit = send(&kit, "GET", &format!("/triplit?a=1&token={token}&b"), &[UPGRADE]).await;
        assert_eq!((triplit.status, recorder.last().target()), (101, format!("/triplit?a=1&token={placeholder}&b").as_str()));
        assert!(recorder.all().iter().all(|request| !request.contains(token)), "{:?}", recorder.all());
        assert_eq!(left(reason), 2.0);
        assert_eq!(kit.metric("syncgate_rejections_total", &[]), 0.0);
    }
    let count = recorder.count();
    let good = kit.issuer.token("alice").sign();
    for (target, headers, status) in [
        // Missing, ambiguous, malformed, not permitted, no socket.
        ("/triplit".to_owned(), vec![UPGRADE], 401),
        (format!("/triplit?token={expired}&token={expired}"), vec![UPGRADE], 400),
        ("/triplit?token=a%20b".to_owned(), vec![UPGRADE], 400),
        (format!("/scoped?token={good}"), vec![UPGRADE], 403),
        (format!("/triplit?token={expired}"), vec![], 401),
    ] {
        assert_eq!(send(&kit, "GET", &target, &headers).await.status, status, "{target}");
    }
    assert_eq!(recorder.count(), count);
    assert_eq!(left("missing_token") + left("ambiguous_token") + left("missing_scope"), 0.0);
    kit.stop().await;
}

#[tokio::test]
async fn the_backend_is_not_left_to_refuse_while_there_are_no_keys() {
    use syncgate::demo::{issuer::Behaviour, world::WorldOptions};
    let recorder = Recorder::socket(|_| None).await;
    let port = recorder.address.port();
    let routes = crate::recorder::routes(json!({ "preset": "triplit" }));
    let options = WorldOptions::default().issuer_behaves(Behaviour::Status(500)).config(move |config| {
        config.proxy.upstreams[0].targets = vec![syncgate::proxy::Target::new("127.0.0.1", port)];
        config.proxy.routes = routes;
    });
    let kit = Kit::start_unready(options).await;
    let token = kit.issuer.token("alice").sign();
    assert_eq!(send(&kit, "GET", &format!("/?token={token}"), &[UPGRADE]).await.status, 503);
    assert_eq!(recorder.count(), 0);
    kit.stop().await;
}

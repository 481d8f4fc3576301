//! What an operator sees of the keys and changes about them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    time::Duration,
};

use reqwest::header::{ACCEPT, AUTHORIZATION, HOST, ORIGIN};
use serde_json::Value;
use syncgate::demo::{
    DemoKey, http_client,
    issuer::{Behaviour, Endpoint},
};

use crate::kit::Kit;

/// A world whose gateway fetches keys only when it is made to.
pub async fn calm() -> Kit {
    Kit::start_with(|config| config.issuers[0].jwks.refresh = Duration::from_secs(3600)).await
}

fn credential(kit: &Kit) -> String {
    let path = kit.gateway.config().admin.credential_file.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    format!("Bearer {}", fs::read_to_string(path).unwrap().trim_end())
}

/// A header of a request.
type Header<'a> = (reqwest::header::HeaderName, &'a str);

async fn post(kit: &Kit, path: &str, headers: &[Header<'_>]) -> (u16, Value) {
    let mut request = http_client().unwrap().post(kit.admin_url(path));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let answer = kit.within(request.send()).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Purges a key as an operator does.
pub async fn purge(kit: &Kit, kid: &str) {
    let (status, body) = post(kit, &format!("/keys/contoso/purge?kid={kid}"), &[(AUTHORIZATION, &credential(kit))]).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_purged_key_is_refused_with_the_next_request_and_the_answer_says_how_to_make_it_last() {
    let kit = calm().await;
    let (key, new) = (kit.issuer.signing_key(), kit.issuer.rotate().await.unwrap());
    let token = kit.issuer.token("alice").header("kid", key.kid()).signed_by(&key).sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 200);
    let fetches = kit.issuer.fetches(Endpoint::Keys);

    let authorization = credential(&kit);
    let (status, body) = post(&kit, &format!("/keys/contoso/purge?kid={}", key.kid()), &[(AUTHORIZATION, &authorization)]).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["keys_dropped"], body["denied"].as_str()), (&1.into(), Some(key.kid())));
    assert_eq!(body["config"], format!("deny_kids: [\"{}\"]", key.kid()));
    assert!(body["lasts"].as_str().unwrap().contains("until the process ends"));

    let refused = kit.get("/echo", &token).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(kit.issuer.fetches(Endpoint::Keys), fetches, "a denied key is not looked for");
    kit.assert_serves_key(&new).await;
    // The provider still publishes it.
    let (status, _) = post(&kit, "/keys/contoso/refresh", &[(AUTHORIZATION, &authorization)]).await;
    assert_eq!((status, kit.get("/echo", &token).await.status().as_u16()), (200, 401));
    kit.stop().await;
}

#[tokio::test]
async fn a_key_that_the_config_denies_is_never_trusted() {
    let key = syncgate::demo::DemoKey::shared(0).unwrap();
    let kid = key.kid().to_owned();
    let options = syncgate::demo::world::WorldOptions::default().config(move |config| config.issuers[0].jwks.deny_kids = vec![kid]);
    let kit = Kit::start_unready(options).await;
    kit.eventually(|| kit.metric("syncgate_jwks_refresh_total", &[("result", "unchanged")]) >= 1.0).await;
    assert_eq!(kit.get("/echo", &kit.issuer.token("alice").sign()).await.status(), 401);
    kit.stop().await;
}

#[tokio::test]
async fn a_refresh_fetches_now_and_says_what_came_of_it() {
    let kit = calm().await;
    kit.issuer.rotate().await.unwrap();
    let authorization = credential(&kit);
    let (status, body) = post(&kit, "/keys/contoso/refresh", &[(AUTHORIZATION, &authorization)]).await;
    assert_eq!((status, body["keys"].as_array().unwrap().len()), (200, 2), "{body}");
    kit.issuer.stop().await;
    let (status, body) = post(&kit, "/keys/contoso/refresh", &[(AUTHORIZATION, &authorization)]).await;
    assert_eq!(status, 200);
    assert!(body["sources"][0]["error"].is_string() && body["ready"] == true, "{body}");
    assert_eq!(kit.metric("syncgate_jwks_refresh_total", &[("trigger", "admin")]), 2.0);
    kit.stop().await;
}

#[tokio::test]
async fn nobody_but_the_holder_of_the_credential_changes_anything() {
    let kit = calm().await;
    let authorization = credential(&kit);
    let good = (AUTHORIZATION, authorization.as_str());
    let wrong = format!("{}x", &authorization[..authorization.len() - 1]);
    let cases: &[(&[Header<'_>], u16, &str)] = &[
        (&[], 401, "credential"),
        (&[(AUTHORIZATION, &wrong)], 401, "credential"),
        (&[(AUTHORIZATION, "Basic eDp5")], 401, "credential"),
        (&[(AUTHORIZATION, "Bearer ")], 401, "credential"),
        (&[good.clone(), (ORIGIN, "http://127.0.0.1")], 403, "origin"),
        (&[good.clone(), (ORIGIN, "null")], 403, "origin"),
        (&[good.clone(), (HOST, "contoso.com")], 403, "host"),
        (&[good.clone(), (HOST, "localhost.contoso.com:9090")], 403, "host"),
    ];
    let fetches = kit.issuer.fetches(Endpoint::Keys);
    for (headers, status, error) in cases {
        for path in ["/keys/contoso/refresh", "/keys/contoso/purge?kid=x"] {
            let (found, body) = post(&kit, path, headers).await;
            assert_eq!((found, body["error"].as_str()), (*status, Some(*error)), "{headers:?}");
        }
    }
    assert_eq!(post(&kit, "/keys/fabrikam/refresh", std::slice::from_ref(&good)).await.0, 404);
    assert_eq!(kit.issuer.fetches(Endpoint::Keys), fetches);

    let path = kit.gateway.config().admin.credential_file.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (status, body) = post(&kit, "/keys/contoso/refresh", std::slice::from_ref(&good)).await;
    assert_eq!((status, body["error"].as_str()), (403, Some("credential_file")));
    kit.stop().await;

    let kit = Kit::start_with(|config| config.admin.credential_file = None).await;
    let (status, body) = post(&kit, "/keys/contoso/refresh", &[good]).await;
    assert_eq!((status, body["error"].as_str()), (403, Some("no_credential_file")));
    assert!(body["error_description"].as_str().unwrap().contains("admin.credential_file"));
    kit.stop().await;
}

#[tokio::test]
async fn keys_are_shown_as_json_and_as_a_page() {
    let kit = calm().await;
    let key = kit.issuer.signing_key();
    let body: Value = kit.admin("/keys").await.json().await.unwrap();
    let issuer = &body["issuers"][0];
    assert_eq!((issuer["name"].as_str(), issuer["ready"].as_bool()), (Some("contoso"), Some(true)));
    let shown = &issuer["keys"][0];
    assert_eq!(
        (shown["kid"].as_str(), shown["type"].as_str(), shown["state"].as_str()),
        (Some(key.kid()), Some("RSA"), Some("trusted"))
    );
    assert!(shown["algorithms"].as_array().unwrap().contains(&"RS256".into()));
    assert_eq!(shown["source"], kit.issuer.discovery_url());
    for time in [&shown["first_seen"], &shown["last_seen"], &shown["ends"], &issuer["sources"][0]["next_refresh"]] {
        assert!(time.as_str().unwrap().starts_with("20") && time.as_str().unwrap().ends_with('Z'), "{time}");
    }
    assert_eq!(issuer["discovered_issuers"][0], kit.issuer.issuer());

    let request = http_client().unwrap().get(kit.admin_url("/keys")).header(ACCEPT, "text/html,*/*;q=0.8");
    let page = kit.within(request.send()).await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let text = page.text().await.unwrap();
    assert!(text.starts_with("<!doctype html>") && text.contains(key.kid()) && text.contains("next refresh"), "{text}");
    assert!(!text.contains("src=") && !text.contains("@import") && !text.contains("url("), "nothing is loaded from elsewhere");
    kit.stop().await;
}

#[tokio::test]
async fn a_page_with_a_name_of_its_own_is_shown_nothing() {
    let kit = calm().await;
    for path in ["/", "/keys", "/metrics", "/readyz"] {
        for (host, status) in
            [("contoso.com", 403), ("127.0.0.1.contoso.com:9090", 403), ("localhost:9090", 200), ("127.0.0.1", 200)]
        {
            let request = http_client().unwrap().get(kit.admin_url(path)).header(HOST, host);
            assert_eq!(kit.within(request.send()).await.unwrap().status(), status, "{host} {path}");
        }
    }
    let probe = http_client().unwrap().get(kit.admin_url("/livez")).header(HOST, "contoso.com");
    assert_eq!(kit.within(probe.send()).await.unwrap().status(), 200);
    kit.stop().await;
}

/// Runs `syncgate admin` against the gateway of the kit.
async fn syncgate_admin(kit: &Kit, arguments: &[&str]) -> Output {
    let config = kit.gateway.config();
    let credential = config.admin.credential_file.unwrap();
    let folder = credential.parent().unwrap();
    let file = folder.join("gateway.yaml");
    let text = format!(
        "admin: {{ address: \"{}\", credential_file: admin-credential }}\nissuers:\n  - {{ name: contoso, discovery: {}, issuer: {}, \
         audiences: [a] }}\nsigning: {{ key_file: signing.pem }}\nupstream: {{ url: \"http://127.0.0.1:9\" }}\n",
        kit.gateway.admin_address(),
        kit.issuer.discovery_url(),
        kit.issuer.issuer(),
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncgate"));
    command.arg("admin").args(arguments).arg("--config").arg(&file);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_without_effect_does_not_look_like_one_with_effect() {
    let kit = calm().await;
    let key = kit.issuer.signing_key();
    let text = |output: &[u8]| String::from_utf8_lossy(output).into_owned();
    let typo = format!("{}x", key.kid());
    let (status, body) = post(&kit, &format!("/keys/contoso/purge?kid={typo}"), &[(AUTHORIZATION, &credential(&kit))]).await;
    assert_eq!((status, &body["error"], &body["keys"][0]["kid"]), (404, &"unknown_kid".into(), &key.kid().into()), "{body}");
    let purged = syncgate_admin(&kit, &["purge", "--kid", &typo]).await;
    assert_eq!((purged.status.code(), text(&purged.stdout)), (Some(1), String::new()));
    assert!(text(&purged.stderr).contains(&format!("{} (thumbprint", key.kid())), "{}", text(&purged.stderr));
    let keys: Value = kit.admin("/keys").await.json().await.unwrap();
    assert_eq!(keys["issuers"][0]["purged"], serde_json::json!([]));
    // One that is still to come.
    let forced = syncgate_admin(&kit, &["purge", "--kid", &typo, "--force"]).await;
    assert_eq!(forced.status.code(), Some(0), "{}", text(&forced.stderr));
    assert!(text(&forced.stdout).contains("(0 keys dropped)"), "{}", text(&forced.stdout));
    let again = syncgate_admin(&kit, &["purge", "--kid", &typo]).await;
    assert_eq!(again.status.code(), Some(0), "it is denied, as it was asked to be");
    kit.assert_serves().await;
    let right = syncgate_admin(&kit, &["purge", "--kid", key.kid()]).await;
    assert!(text(&right.stdout).contains("(1 key dropped)"), "{}", text(&right.stdout));
    kit.stop().await;
}

/// A key set with this key under the kid `fixed`.
fn fixed(key: &DemoKey) -> Behaviour {
    let jwk = serde_json::json!({ "kty": "RSA", "use": "sig", "kid": "fixed", "n": key.modulus(), "e": key.exponent() });
    Behaviour::Document(serde_json::json!({ "keys": [jwk] }).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_made_anew_under_its_kid_serves_by_the_command_that_is_printed() {
    let kit = calm().await;
    let (old, new) = (DemoKey::shared(5).unwrap(), DemoKey::shared(6).unwrap());
    let token = |key: &DemoKey, user: &str| kit.issuer.token(user).header("kid", "fixed").signed_by(key).sign();
    let text = |output: &[u8]| String::from_utf8_lossy(output).into_owned();
    for key in [&old, &new] {
        kit.issuer.behave(Endpoint::Keys, fixed(key));
        assert_eq!(syncgate_admin(&kit, &["refresh"]).await.status.code(), Some(0));
    }
    assert_eq!(kit.get("/echo", &token(&old, "alice")).await.status(), 200);
    assert_eq!(kit.get("/echo", &token(&new, "alice")).await.status(), 401);
    assert_eq!(kit.metric("syncgate_jwks_conflicts_total", &[]), 1.0);

    // By its kid both would go.
    let both = syncgate_admin(&kit, &["purge", "--kid", "fixed"]).await;
    assert_eq!(both.status.code(), Some(1));
    assert!(text(&both.stderr).contains(old.kid()) && text(&both.stderr).contains(new.kid()), "{}", text(&both.stderr));
    let request = http_client().unwrap().get(kit.admin_url("/keys")).header(ACCEPT, "text/html");
    let page = kit.within(request.send()).await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("syncgate admin purge --config FILE --issuer contoso --kid {}", old.kid())), "{page}");

    let refreshed = text(&syncgate_admin(&kit, &["refresh"]).await.stdout);
    let (_, command) = refreshed.split_once("\n  syncgate ").unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_syncgate"));
    process.args(command.split_whitespace());
    let outcome = tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{command}: {}", text(&outcome.stderr));
    assert!(text(&outcome.stdout).contains("(1 key dropped)"), "{}", text(&outcome.stdout));
    assert_eq!(kit.get("/echo", &token(&new, "alice")).await.status(), 200);
    assert_eq!(kit.get("/echo", &token(&old, "alice")).await.status(), 401);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_refreshes_and_purges() {
    let kit = calm().await;
    let key = kit.issuer.signing_key();
    let new = kit.issuer.rotate().await.unwrap();
    let text = |output: &[u8]| String::from_utf8_lossy(output).into_owned();
    let refreshed = syncgate_admin(&kit, &["refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(0), "{}", text(&refreshed.stderr));
    assert!(text(&refreshed.stdout).contains("2 keys are trusted"), "{}", text(&refreshed.stdout));
    let purged = syncgate_admin(&kit, &["purge", "--kid", key.kid()]).await;
    assert_eq!(purged.status.code(), Some(0), "{}", text(&purged.stderr));
    assert!(text(&purged.stdout).contains(&format!("deny_kids: [\"{}\"]", key.kid())), "{}", text(&purged.stdout));
    let token = kit.issuer.token("alice").header("kid", key.kid()).signed_by(&key).sign();
    assert_eq!(kit.get("/echo", &token).await.status(), 401);
    kit.assert_serves_key(&new).await;

    let wrong = syncgate_admin(&kit, &["refresh", "--issuer", "fabrikam"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("unknown issuer; known: contoso"), "{}", text(&wrong.stderr));
    let exists = syncgate_admin(&kit, &["credential"]).await;
    assert_eq!(exists.status.code(), Some(2));
    assert_eq!(syncgate_admin(&kit, &["credential", "--force"]).await.status.code(), Some(0));
    assert_eq!(syncgate_admin(&kit, &["refresh"]).await.status.code(), Some(0), "the gateway reads the new one");
    kit.issuer.stop().await;
    assert_eq!(syncgate_admin(&kit, &["refresh"]).await.status.code(), Some(1));
    kit.stop().await;
}

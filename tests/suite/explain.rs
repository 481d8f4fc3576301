//! `syncgate explain`: what it prints, byte for byte, and its exit code. docs/explain.md shows the same text.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use syncgate::demo::{DemoIssuer, http_client, issuer::TokenBuilder};
use tempfile::TempDir;

const NOW: i64 = 1_772_366_400;
const TENANT: &str = "9c0c1f5e-0000-4000-8000-000000000000";
const API: &str = "00000000-0000-4000-8000-0000000000aa";

/// A config file, a file of keys, and an issuer that signs with them.
struct Desk {
    folder: TempDir,
    issuer: DemoIssuer,
}

/// What the command did.
struct Outcome {
    code: Option<i32>,
    text: String,
    errors: String,
}

impl Desk {
    /// Everything offline: the issuer of the config is B2C's, the keys are in a file.
    async fn start() -> Self {
        let desk = Self::with_issuer(&format!(
            "preset: b2c\n    tenant: contoso\n    tenant_id: {TENANT}\n    policies: [B2C_1_signin]\n    audiences: [{API}]"
        ))
        .await;
        let key = desk.issuer.signing_key();
        let jwk = json!({ "kty": "RSA", "use": "sig", "kid": "contoso-1", "n": key.modulus(), "e": key.exponent() });
        std::fs::write(desk.path("keys.json"), json!({ "keys": [jwk] }).to_string()).unwrap();
        desk
    }

    async fn with_issuer(settings: &str) -> Self {
        let desk = Self { folder: TempDir::new().unwrap(), issuer: DemoIssuer::start().await.unwrap() };
        let config = format!(
            "issuers:\n  - name: contoso\n    {settings}\nsigning: {{ key_file: signing.pem }}\nupstream: {{ url: \"http://127.0.0.1:9\" }}\n\
             routes:\n  - name: documents\n    path: /documents\n    scopes: [documents.write]\n  - name: rest\n    path: /\n"
        );
        std::fs::write(desk.path("gateway.yaml"), config).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A token that is accepted.
    fn claims(&self) -> Value {
        json!({
            "iss": format!("https://contoso.b2clogin.com/{TENANT}/v2.0/"), "aud": API, "exp": NOW + 3_600, "nbf": NOW, "iat": NOW,
            "oid": "0a1b2c3d-0000-4000-8000-00000000a11c", "sub": "0a1b2c3d-0000-4000-8000-00000000a11c", "tfp": "B2C_1_signin",
            "scp": "documents.read", "azp": "00000000-0000-4000-8000-0000000000bb", "given_name": "Alice",
        })
    }

    fn token(&self, claims: &Value) -> TokenBuilder {
        self.issuer.token("alice").header("kid", "contoso-1").raw_claims(claims.to_string())
    }

    /// The command, offline.
    async fn explain(&self, token: &str, arguments: &[&str]) -> Outcome {
        let (keys, now) = (self.path("keys.json"), NOW.to_string());
        let offline = ["--jwks", keys.to_str().unwrap(), "--now", &now];
        self.run(token, &[&offline, arguments].concat()).await
    }

    async fn run(&self, token: &str, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncgate"));
        command.arg("explain").arg("--config").arg(self.path("gateway.yaml")).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (token, signature) = (token.to_owned(), token.trim_end().rsplit('.').next().unwrap().to_owned());
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // A command that has no use for it may be gone already.
            let _ = child.stdin.take().unwrap().write_all(token.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let outcome = Outcome { code: output.status.code(), text: text(output.stdout), errors: text(output.stderr) };
        if signature.len() > 20 {
            for shown in [&outcome.text, &outcome.errors] {
                assert!(!shown.contains(&signature[..20]), "{shown}");
            }
        }
        outcome
    }
}

impl Outcome {
    fn lines(&self, beginning: &str) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with(beginning)).collect()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// The code blocks of the docs, with the language that they name.
fn documented(language: &str) -> Vec<String> {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explain.md")).unwrap();
    docs.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(language).map(|text| text[1..].to_owned())).collect()
}

#[tokio::test]
async fn the_examples_of_the_docs_are_what_it_prints() {
    let desk = Desk::start().await;
    let texts = documented("text");
    let [refused, accepted, without_permission] = texts.as_slice() else { panic!("three examples are expected") };

    let outcome = desk.explain(&desk.token(&desk.claims()).sign(), &[]).await;
    assert_eq!((outcome.code, outcome.text.as_str(), outcome.errors.as_str()), (Some(0), accepted.as_str(), ""));

    let mut claims = desk.claims();
    claims["aud"] = json!("https://graph.contoso.com");
    claims["exp"] = json!(NOW - 3_600);
    let token = desk.token(&claims).header("kid", "contoso-2").sign();
    let outcome = desk.explain(&token, &["--route", "documents"]).await;
    assert_eq!((outcome.code, outcome.text.as_str(), outcome.errors.as_str()), (Some(1), refused.as_str(), ""));

    let outcome = desk.explain(&desk.token(&desk.claims()).sign(), &["--route", "documents"]).await;
    let last_lines = outcome.text.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!((outcome.code, last_lines.as_str(), outcome.errors.as_str()), (Some(1), without_permission.as_str(), ""));
}

#[tokio::test]
async fn the_json_is_stable() {
    let desk = Desk::start().await;
    let refused = desk.explain(&desk.token(&desk.claims()).header("alg", "HS256").sign(), &["--json", "--route", "rest"]).await;
    assert_eq!(refused.code, Some(1));
    let [example] = documented("json").try_into().unwrap();
    // The docs show one check of each kind instead of all of them.
    let (mut shown, printed) = (serde_json::from_str::<Value>(&example).unwrap(), refused.json());
    let (shown_checks, checks) = (shown["checks"].take(), printed["checks"].as_array().unwrap());
    for check in shown_checks.as_array().unwrap() {
        assert!(checks.contains(check), "{check} is not in {checks:?}");
    }
    let mut head = printed.clone();
    head["checks"].take();
    assert_eq!(head, shown);
    let names: Vec<_> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    let expected = [
        "token",
        "claims",
        "trusted_issuer",
        "algorithm",
        "issuer",
        "expiry",
        "not_before",
        "issued_at",
        "lifetime",
        "audience",
        "tenant",
        "policy",
        "authorized_party",
        "kind",
        "sender_constraint",
        "user_id",
        "key",
        "key_issuer",
        "signature",
        "group_overage",
        "permission",
    ];
    assert_eq!(names, expected);
    // The order of the members is part of it.
    assert!(
        refused.text.starts_with("{\n  \"verdict\": \"refused\",\n  \"reason\": \"algorithm_not_allowed\",\n  \"status\": 401,\n")
    );

    let accepted = desk.explain(&desk.token(&desk.claims()).sign(), &["--json"]).await;
    assert_eq!(accepted.code, Some(0));
    let json = accepted.json();
    assert_eq!(json["verdict"], "accepted");
    for member in ["reason", "status", "error", "route", "input"] {
        assert!(json.get(member).is_some_and(Value::is_null), "{member}");
    }
    assert!(json["checks"].as_array().unwrap().iter().all(|check| check["outcome"] == "passed" && check["change"].is_null()));
}

#[tokio::test]
async fn what_stands_around_a_pasted_token_is_named_and_left_out() {
    let desk = Desk::start().await;
    let token = desk.token(&desk.claims()).sign();
    let wrapped: Vec<_> = token.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for (text, around) in [
        (token.clone(), Value::Null),
        (format!("Bearer {token}\n"), Value::Null),
        (format!("Authorization: Bearer {token}\r\n"), json!("the name of the header")),
        (format!("\"{token}\""), json!("quotes")),
        (
            json!({ "access_token": token, "token_type": "Bearer" }).to_string(),
            json!("a JSON object, whose access_token is checked"),
        ),
        (wrapped.join("\n"), json!("line breaks")),
    ] {
        let outcome = desk.explain(&text, &["--json"]).await;
        assert_eq!((outcome.code, &outcome.json()["input"]), (Some(0), &around), "{text}");
    }
    let outcome = desk.explain(&format!("'{token}'"), &["-"]).await;
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome.text.starts_with("Found around the token: quotes. The gateway accepts only the token itself.\n\npassed   token ")
    );
    // Padding is no wrapping: a client that sends it is refused.
    let outcome = desk.explain(&format!("{token}=="), &[]).await;
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.lines("failed   token")[0].contains("the signature ends in padding (=), which a JWT does not have"),
        "{}",
        outcome.text
    );
}

#[tokio::test]
async fn keys_are_fetched_as_the_gateway_fetches_them() {
    let issuer = DemoIssuer::start().await.unwrap();
    let settings = |discovery: &str| {
        format!(
            "discovery: {discovery}\n    issuer: {}\n    audiences: [{}]\n    user_id: oid",
            issuer.issuer(),
            issuer.options().audience
        )
    };
    let desk = Desk::with_issuer(&settings(&issuer.discovery_url())).await;
    let accepted = desk.run(&issuer.token("alice").sign(), &[]).await;
    assert_eq!(accepted.code, Some(0), "{}{}", accepted.text, accepted.errors);
    let refused = desk.run(&issuer.token("alice").header("kid", "unknown").sign(), &["--json"]).await;
    assert_eq!((refused.code, refused.json()["reason"].as_str()), (Some(1), Some("unknown_key")));

    // Nobody listens on port 9.
    let desk = Desk::with_issuer(&settings("http://127.0.0.1:9/keys")).await;
    let unknown = desk.run(&issuer.token("alice").sign(), &[]).await;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.errors.starts_with("http://127.0.0.1:9/keys: "), "{}", unknown.errors);
    assert_eq!(unknown.lines("unknown  key ").len(), 1, "{}", unknown.text);
    assert!(unknown.lines("unknown  key ")[0].ends_with("  <- unknown"), "{}", unknown.text);
    // What needs no key is told all the same.
    let expired = desk.run(&issuer.token("alice").expires_in(-120).sign(), &["--json"]).await;
    assert_eq!((expired.code, expired.json()["reason"].as_str()), (Some(1), Some("expired")));
}

#[tokio::test]
async fn a_denied_key_is_told_by_whatever_name_it_is_denied() {
    let desk = Desk::start().await;
    let config = std::fs::read_to_string(desk.path("gateway.yaml")).unwrap();
    let token = desk.token(&desk.claims()).sign();
    // The name of a demo key is its thumbprint.
    let thumbprint = desk.issuer.signing_key().kid().to_owned();
    for (denied, found) in [
        (thumbprint.clone(), format!("kid \"contoso-1\": the key {thumbprint}, which the config denies")),
        ("contoso-1".to_owned(), "kid \"contoso-1\", which the config denies".to_owned()),
    ] {
        let denying = config.replace("    audiences:", &format!("    deny_kids: [{denied}]\n    audiences:"));
        std::fs::write(desk.path("gateway.yaml"), denying).unwrap();
        let refused = desk.explain(&token, &["--json"]).await;
        assert_eq!((refused.code, refused.json()["reason"].as_str()), (Some(1), Some("unknown_key")));
        let checks = refused.json()["checks"].as_array().unwrap().clone();
        assert_eq!(checks.iter().find(|check| check["check"] == "key").unwrap()["found"], found);
    }
}

#[tokio::test]
async fn an_issuer_that_is_discovered_is_known_once_its_document_is() {
    let issuer = DemoIssuer::start().await.unwrap();
    let settings = |discovery: &str| {
        format!("discovery: {discovery}\n    issuer: discovered\n    audiences: [{}]\n    user_id: oid", issuer.options().audience)
    };
    let token = issuer.token("alice").sign();
    let stranger = issuer.token("alice").issuer("https://login.contoso.com/").sign();
    let desk = Desk::with_issuer(&settings(&issuer.discovery_url())).await;
    assert_eq!(desk.run(&token, &[]).await.code, Some(0));
    assert_eq!(desk.run(&stranger, &["--json"]).await.json()["reason"], "unknown_issuer");

    std::fs::write(desk.path("keys.json"), "{\"keys\":[]}").unwrap();
    let offline = desk.run(&token, &["--jwks", desk.path("keys.json").to_str().unwrap()]).await;
    assert_eq!((offline.code, offline.lines("unknown  trusted_issuer").len()), (Some(2), 1), "{}", offline.text);
    assert!(offline.errors.contains("discovery document"), "{}", offline.errors);

    let desk = Desk::with_issuer(&settings("http://127.0.0.1:9/discovery")).await;
    let unknown = desk.run(&token, &["--json"]).await;
    assert_eq!((unknown.code, unknown.json()["verdict"].as_str()), (Some(2), Some("unknown")));
    assert!(unknown.errors.starts_with("http://127.0.0.1:9/discovery: "), "{}", unknown.errors);
}

#[tokio::test]
async fn the_documents_of_the_issuer_serve_offline() {
    let issuer = DemoIssuer::start().await.unwrap();
    let desk = Desk::with_issuer(&format!(
        "jwks_uri: http://127.0.0.1:9/keys\n    issuer: {}\n    audiences: [{}]\n    user_id: oid",
        issuer.issuer(),
        issuer.options().audience
    ))
    .await;
    let keys = http_client().unwrap().get(issuer.keys_url()).send().await.unwrap().bytes().await.unwrap();
    std::fs::write(desk.path("keys.json"), keys).unwrap();
    let keys = desk.path("keys.json");
    let token = issuer.token("alice").sign();
    let at = async |now: &str| desk.run(&token, &["--jwks", keys.to_str().unwrap(), "--now", now]).await;
    assert_eq!(desk.run(&token, &["--jwks", keys.to_str().unwrap()]).await.code, Some(0));
    assert_eq!(at("2020-01-01T00:00:00Z").await.lines("failed   not_before").len(), 1);
    assert_eq!(at("2099-01-01T00:00:00+01:00").await.lines("failed   expiry").len(), 1);
    assert_eq!(at("4070908800").await.lines("failed   expiry").len(), 1);
}

#[tokio::test]
async fn tokens_come_as_they_are_pasted() {
    let desk = Desk::start().await;
    let token = desk.token(&desk.claims()).sign();
    for pasted in [format!("{token}\n"), format!("  Bearer {token}\r\n"), format!("bearer   {token}")] {
        assert_eq!(desk.explain(&pasted, &[]).await.code, Some(0));
    }
    let broken = desk.explain(&format!("{} {}", &token[..50], &token[50..]), &[]).await;
    assert_eq!((broken.code, broken.lines("failed   token").len()), (Some(1), 1));
}

#[tokio::test]
async fn a_nonce_is_compared_with_the_one_that_is_given() {
    let desk = Desk::start().await;
    let config = std::fs::read_to_string(desk.path("gateway.yaml")).unwrap();
    std::fs::write(desk.path("gateway.yaml"), config + "    nonce: { header: X-Nonce }\n").unwrap();
    let mut claims = desk.claims();
    claims["nonce"] = json!("n-0S6_WzA2Mj");
    let token = desk.token(&claims).sign();
    assert_eq!(desk.explain(&token, &["--route", "rest", "--nonce", "n-0S6_WzA2Mj"]).await.code, Some(0));
    let refused = desk.explain(&token, &["--route", "rest"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(!refused.text.contains("n-0S6_WzA2Mj"), "{}", refused.text);
}

#[tokio::test]
async fn hostile_claims_print_harmlessly() {
    let desk = Desk::start().await;
    let mut claims = desk.claims();
    claims["aud"] = json!(["\u{1b}]0;owned\u{7}\u{1b}[2J\r\n\u{202e}accepted", "x".repeat(5_000)]);
    claims["oid"] = json!(format!("{}\u{9b}31m", "y".repeat(300)));
    let outcome = desk.explain(&desk.token(&claims).header("kid", "\u{1b}[31m").sign(), &[]).await;
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.text.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')), "{}", outcome.text);
    assert!(outcome.text.lines().all(|line| line.len() < 600), "{}", outcome.text);
    let audience = outcome.lines("failed   audience")[0];
    assert!(audience.contains(r#"found     "\u{1b}]0;owned\u{7}\u{1b}[2J\u{d}\u{a}\u{202e}accepted", "xxx"#), "{audience}");
}

#[tokio::test]
async fn what_cannot_be_told_is_2_and_says_why() {
    let desk = Desk::start().await;
    let token = desk.token(&desk.claims()).sign();
    let cases = [
        (desk.explain("", &[]).await, "there is no token on standard input"),
        (desk.explain(&token, &["--route", "other"]).await, "there is no route \"other\"; the config has: documents, rest"),
        (desk.run(&token, &["--now", "tomorrow"]).await, "accepted: 2026-03-01T12:00:00Z, or seconds since 1970"),
        (desk.run(&token, &["--jwks", "/nowhere/keys.json"]).await, "/nowhere/keys.json: No such file"),
        (desk.run(&token, &["--jwks", desk.path("gateway.yaml").to_str().unwrap()]).await, "not a key set"),
    ];
    for (outcome, expected) in cases {
        assert_eq!((outcome.code, outcome.text.as_str()), (Some(2), ""));
        assert!(outcome.errors.contains(expected), "{}", outcome.errors);
    }
    std::fs::write(desk.path("gateway.yaml"), "issuers: []\n").unwrap();
    let outcome = desk.explain(&token, &[]).await;
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.errors.contains("gateway.yaml:"), "{}", outcome.errors);
}

#[tokio::test]
async fn the_config_file_is_named_as_for_check_and_run() {
    let desk = Desk::start().await;
    let token = desk.token(&desk.claims()).sign();
    let (config, keys) = (desk.path("gateway.yaml"), desk.path("keys.json"));
    let (config, keys) = (config.to_str().unwrap(), keys.to_str().unwrap());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncgate"));
        command.args(["explain", "--jwks", keys, "--now", &NOW.to_string()]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(token.as_bytes());
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [&["--config", config][..], &[config], &[config, "-"], &["--config", config, "-"], &["-", "--config", config]]
    {
        assert_eq!(run(arguments), (Some(0), String::new()), "{arguments:?}");
    }
    for (arguments, told) in [
        (&["--config", config, config][..], "the config file is given twice"),
        (&["-"], "no config file is given: add --config FILE"),
        (&[], "--config <FILE>"),
        (&[&token], "this is a token, not a config file"),
    ] {
        let (code, errors) = run(arguments);
        assert!(code == Some(2) && errors.contains(told) && !errors.contains(&token), "{arguments:?}: {errors}");
    }
}

#[tokio::test]
async fn the_only_route_is_looked_at_without_being_named() {
    let desk = Desk::start().await;
    let token = desk.token(&desk.claims()).sign();
    let config = std::fs::read_to_string(desk.path("gateway.yaml")).unwrap();
    assert_eq!(desk.explain(&token, &["--nonce", "n"]).await.code, Some(2), "for no route");
    let named = desk.explain(&token, &["--route", "documents"]).await;
    std::fs::write(desk.path("gateway.yaml"), config.replace("  - name: rest\n    path: /\n", "")).unwrap();
    let outcome = desk.explain(&token, &[]).await;
    assert_eq!((outcome.code, &outcome.text), (Some(1), &named.text));
    assert!(outcome.text.contains("refused (missing_scope)") && !outcome.text.contains("No route was checked"), "{}", outcome.text);
}

/// The form of an exchange is checked as the token endpoint does, whose status and error it gets.
#[tokio::test]
async fn a_refused_exchange_is_explained() {
    let desk = Desk::start().await;
    let secret = "s".repeat(40);
    std::fs::write(desk.path("secret"), &secret).unwrap();
    std::fs::set_permissions(desk.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = std::fs::read_to_string(desk.path("gateway.yaml")).unwrap();
    let endpoint = "  - name: token\n    path: /token\n    endpoint:\n      type: token_exchange\n      targets: { db: default }\n      \
                    clients: [{ id: app }, { id: server, secret_file: secret }]\n  - name: keys\n    path: /keys\n    endpoint: { type: jwks }\n";
    std::fs::write(desk.path("gateway.yaml"), config + endpoint).unwrap();
    let mut claims = desk.claims();
    claims["azp"] = json!("app");
    let token = desk.token(&claims).sign();
    let ask = async |more: &[(&str, &str)], token: &str| {
        let mut pairs = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        pairs.extend_from_slice(more);
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let outcome = desk.explain(&form, &["--route", "token", "--json"]).await;
        let report = outcome.json();
        let told = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
        (outcome.code, told("reason"), report["status"].as_u64().unwrap_or_default(), told("error"))
    };
    let app = ("client_id", "app");
    let fine = (Some(0), String::new(), 0, String::new());
    let refused = |reason: &str, status: u64, error: &str| (Some(1), reason.to_owned(), status, error.to_owned());
    assert_eq!(ask(&[app], &token).await, fine);
    assert_eq!(ask(&[app, ("audience", "db")], &token).await, fine);
    assert_eq!(ask(&[("client_id", "server"), ("client_secret", &secret)], &token).await, fine);
    assert_eq!(ask(&[app, ("audience", "nope")], &token).await, refused("target_unknown", 400, "invalid_target"));
    assert_eq!(ask(&[app, ("actor_token", "x")], &token).await, refused("endpoint_request_malformed", 400, "invalid_request"));
    assert_eq!(
        ask(&[app, ("grant_type", "password")], &token).await,
        refused("grant_type_unsupported", 400, "unsupported_grant_type")
    );
    assert_eq!(ask(&[app, ("scope", "documents.write")], &token).await, refused("scope_not_granted", 400, "invalid_scope"));
    let unauthenticated = refused("caller_unauthenticated", 401, "invalid_client");
    assert_eq!(ask(&[("client_id", "nobody")], &token).await, unauthenticated);
    assert_eq!(ask(&[("client_id", "server"), ("client_secret", "wrong")], &token).await, unauthenticated);
    claims["azp"] = json!("another");
    let of_another = desk.token(&claims).sign();
    assert_eq!(ask(&[app], &of_another).await, refused("wrong_party", 400, "unauthorized_client"));
    claims["azp"] = json!("app");
    claims["exp"] = json!(NOW - 600);
    assert_eq!(ask(&[app], &desk.token(&claims).sign()).await, refused("expired", 400, "invalid_request"));
    // Credentials that are not in the form are not seen here.
    assert_eq!(ask(&[], &token).await.0, Some(2));
    let text = desk.explain(&format!("grant_type=x&subject_token={token}"), &["--route", "token"]).await.text;
    assert!(text.starts_with("Read as a token exchange, whose subject_token is checked."), "{text}");
    assert!(text.contains("grant_type \"x\"") && !text.contains(&secret), "{text}");
    // A route that takes no token says so.
    let outcome = desk.explain(&token, &["--route", "keys"]).await;
    assert_eq!((outcome.code, outcome.errors.contains("takes no token")), (Some(2), true), "{}", outcome.errors);
}

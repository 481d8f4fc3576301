//! The demo's issuer over real sockets: B2C's shapes, rotation, tokens of every kind, bad behaviour on command.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Value, json};
use syncgate::{
    demo::{
        DemoIssuer, DemoKey, World, http_client,
        issuer::{Behaviour, Endpoint, SignInCall},
        world::WorldOptions,
    },
    private_file::Secret,
};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

async fn get(url: &str) -> reqwest::Response {
    timeout(SOON, http_client().unwrap().get(url).send()).await.unwrap().unwrap()
}

async fn get_json(url: &str) -> Value {
    get(url).await.json().await.unwrap()
}

async fn kids(issuer: &DemoIssuer) -> Vec<String> {
    let set = get_json(&issuer.keys_url()).await;
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Verifies with a key that came over HTTP, as a client of B2C would.
async fn verify(issuer: &DemoIssuer, token: &str) -> Result<Value, ErrorKind> {
    let set = get_json(&issuer.keys_url()).await;
    let kid = decode_header(token).unwrap().kid.unwrap();
    let jwk = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *kid).unwrap();
    let key = DecodingKey::from_rsa_components(jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.leeway = 0;
    rules.set_audience(&[&issuer.options().audience]);
    rules.set_issuer(&[issuer.issuer()]);
    decode::<Value>(token, &key, &rules).map(|data| data.claims).map_err(|error| error.kind().clone())
}

#[tokio::test]
async fn the_discovery_document_has_b2cs_shape() {
    let issuer = DemoIssuer::start().await.unwrap();
    let base = format!("http://{}", issuer.address());
    assert_eq!(
        issuer.discovery_url(),
        format!("{base}/contoso.onmicrosoft.com/b2c_1_signin/v2.0/.well-known/openid-configuration")
    );
    let document = get_json(&issuer.discovery_url()).await;
    assert_eq!(document["issuer"], format!("{base}/{}/v2.0/", issuer.options().tenant_id));
    assert_eq!(document["jwks_uri"], format!("{base}/contoso.onmicrosoft.com/b2c_1_signin/discovery/v2.0/keys"));
    assert_eq!(document["token_endpoint"], issuer.token_url());
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));

    let by_guid = issuer.discovery_url().replace("contoso.onmicrosoft.com/b2c_1", &format!("{}/B2C_1", issuer.options().tenant_id));
    assert_eq!(get_json(&by_guid).await, document, "tenant by GUID, policy in another case");
    for elsewhere in [("contoso", "fabrikam"), ("b2c_1_signin", "b2c_1_other")] {
        assert_eq!(get(&issuer.discovery_url().replace(elsewhere.0, elsewhere.1)).await.status(), 404);
    }
    assert_eq!(issuer.fetches(Endpoint::Discovery), 2, "what is not there is not counted");
}

#[tokio::test]
async fn the_key_set_has_exactly_b2cs_members_in_its_order() {
    let issuer = DemoIssuer::start().await.unwrap();
    let answer = get(&issuer.keys_url()).await;
    assert_eq!(answer.headers()["content-type"], "application/json; charset=utf-8");
    let key = issuer.signing_key();
    let expected = format!(
        r#"{{"keys":[{{"kid":"{}","nbf":{},"use":"sig","kty":"RSA","e":"AQAB","n":"{}"}}]}}"#,
        key.kid(),
        key.made().as_seconds(),
        key.modulus()
    );
    assert_eq!(answer.text().await.unwrap(), expected);
    assert_eq!(key.kid().len(), 43);
    assert_eq!(URL_SAFE_NO_PAD.decode(key.modulus()).unwrap().len(), 256, "no leading zero");
}

#[tokio::test]
async fn the_token_endpoint_answers_a_b2c_access_token() {
    let issuer = DemoIssuer::start().await.unwrap();
    let form = [("grant_type", "password"), ("username", "alice"), ("password", "any"), ("scope", "openid")];
    let answer = http_client().unwrap().post(issuer.token_url()).form(&form).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(3600)));

    let claims = verify(&issuer, answer["access_token"].as_str().unwrap()).await.unwrap();
    let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = ["aud", "azp", "emails", "exp", "given_name", "iat", "iss", "nbf", "oid", "scp", "sub", "tfp", "ver"];
    assert_eq!(names, expected);
    assert_eq!(claims["oid"], issuer.user_id("alice"));
    assert_eq!(claims["sub"], claims["oid"]);
    assert_eq!(claims["tfp"], "B2C_1_signin");
    assert_eq!(claims["ver"], "1.0");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);

    let id = issuer.user_id("alice");
    assert_eq!(id.len(), 36);
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert_ne!(id, issuer.user_id("bob"));
}

/// A login as an app does it: the claims of the access token, verified.
async fn log_in(issuer: &DemoIssuer) -> Value {
    let form = [("grant_type", "password"), ("username", "alice"), ("password", "any")];
    let answer = http_client().unwrap().post(issuer.token_url()).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    verify(issuer, answer["access_token"].as_str().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_login_brings_a_token_for_the_backend_and_goes_on_where_there_is_none() {
    let world = World::start(WorldOptions::default().endpoints()).await.unwrap();
    let claims = log_in(&world.issuer).await;
    let token = claims["syncToken"].as_str().unwrap();
    let url = format!("http://{}/whoami", world.backend.address());
    let answer = http_client().unwrap().get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap()["userId"], world.issuer.user_id("alice"));

    // A wrong password; another status; an answer without the claim, and one that is no JSON; nobody there.
    let jwks = world.issuer.keys_url();
    let urls = [
        world.url("/mint/b2c"),
        jwks,
        world.issuer.door_url("retire"),
        world.admin_url("/livez"),
        "http://127.0.0.1:0/".to_owned(),
    ];
    for url in urls {
        let (username, password, claim) = ("b2c".to_owned(), Secret::of(&[b'x'; 32]).unwrap(), "syncToken".to_owned());
        world.issuer.call_at_sign_in(SignInCall { url: url.clone(), username, password, claim }).unwrap();
        assert_eq!(log_in(&world.issuer).await.get("syncToken"), None, "{url}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_token_endpoint_refuses_what_it_does_not_know() {
    let issuer = DemoIssuer::start().await.unwrap();
    for (form, error) in [
        (vec![("grant_type", "client_credentials")], "unsupported_grant_type"),
        (vec![("grant_type", "password")], "invalid_request"),
    ] {
        let answer = http_client().unwrap().post(issuer.token_url()).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], error);
    }
}

#[tokio::test]
async fn a_key_is_announced_then_used_then_the_old_one_retired() {
    let issuer = DemoIssuer::start().await.unwrap();
    let before = issuer.token("alice").sign();
    let old = issuer.signing_key();

    let announced = issuer.announce().await.unwrap();
    assert_eq!(kids(&issuer).await, [old.kid(), announced.kid()]);
    assert_eq!(issuer.signing_key().kid(), old.kid(), "published before use");

    assert_eq!(issuer.rotate().await.unwrap().kid(), announced.kid());
    let after = issuer.token("alice").sign();
    assert_eq!(decode_header(&after).unwrap().kid.as_deref(), Some(announced.kid()));
    verify(&issuer, &before).await.unwrap();
    verify(&issuer, &after).await.unwrap();

    issuer.retire();
    assert_eq!(kids(&issuer).await, [announced.kid()]);
    issuer.publish(vec![old.clone()]);
    assert_eq!(kids(&issuer).await, [old.kid()], "a set that flaps");
}

#[tokio::test]
async fn the_doors_rotate_over_http() {
    let issuer = DemoIssuer::start().await.unwrap();
    let old = issuer.signing_key().kid().to_owned();
    let answer = http_client().unwrap().post(issuer.door_url("rotate")).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let new = issuer.signing_key().kid().to_owned();
    assert_ne!(new, old);
    assert_eq!(answer, json!({"signing": new, "published": [old, new]}));
    http_client().unwrap().post(issuer.door_url("retire")).send().await.unwrap();
    assert_eq!(kids(&issuer).await, [new.as_str()]);
    http_client().unwrap().post(issuer.door_url("announce")).send().await.unwrap();
    assert_eq!(kids(&issuer).await.len(), 2);
}

#[tokio::test]
async fn hostile_tokens_are_hostile_in_one_way_each() {
    let issuer = DemoIssuer::start().await.unwrap();
    let token = || issuer.token("alice");
    let reason = async |token: String| verify(&issuer, &token).await.unwrap_err();
    verify(&issuer, &token().sign()).await.unwrap();
    assert_eq!(reason(token().expires_in(-120).sign()).await, ErrorKind::ExpiredSignature);
    assert_eq!(reason(token().audience("other").sign()).await, ErrorKind::InvalidAudience);
    assert_eq!(reason(token().issuer("https://other/").sign()).await, ErrorKind::InvalidIssuer);
    assert_eq!(reason(token().without("exp").sign()).await, ErrorKind::MissingRequiredClaim("exp".into()));
    assert_eq!(reason(token().signed_by(&DemoKey::generate().unwrap()).sign()).await, ErrorKind::InvalidSignature);
    assert_eq!(reason(token().algorithm("RS512").sign()).await, ErrorKind::InvalidAlgorithm);
    assert_eq!(reason(token().hmac("secret").sign()).await, ErrorKind::InvalidAlgorithm);
    assert_eq!(reason(token().signature([1, 2, 3]).sign()).await, ErrorKind::InvalidSignature);

    let segments = |token: String| token.split('.').map(|text| URL_SAFE_NO_PAD.decode(text).unwrap()).collect::<Vec<_>>();
    let unsigned = segments(token().unsigned().without_header("kid").header("x", 1).sign());
    assert_eq!(serde_json::from_slice::<Value>(&unsigned[0]).unwrap(), json!({"alg": "none", "typ": "JWT", "x": 1}));
    assert!(unsigned[2].is_empty());
    let raw = segments(token().raw_header(r#"{"alg":1,"alg":2}"#).raw_claims("no json").sign());
    assert_eq!((raw[0].as_slice(), raw[1].as_slice()), (&br#"{"alg":1,"alg":2}"#[..], &b"no json"[..]));
}

#[tokio::test]
async fn every_rsa_algorithm_verifies_elsewhere() {
    let issuer = DemoIssuer::start().await.unwrap();
    let key = issuer.signing_key();
    let key = DecodingKey::from_rsa_components(key.modulus(), key.exponent()).unwrap();
    for (name, algorithm) in [
        ("RS256", Algorithm::RS256),
        ("RS384", Algorithm::RS384),
        ("RS512", Algorithm::RS512),
        ("PS256", Algorithm::PS256),
        ("PS384", Algorithm::PS384),
        ("PS512", Algorithm::PS512),
    ] {
        let mut rules = Validation::new(algorithm);
        rules.validate_aud = false;
        decode::<Value>(&issuer.token("alice").algorithm(name).sign(), &key, &rules)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn each_bad_behaviour_shows_over_http() {
    let issuer = DemoIssuer::start().await.unwrap();
    let url = issuer.keys_url();
    let good = get(&url).await.text().await.unwrap();
    let behave = |behaviour| issuer.behave(Endpoint::Keys, behaviour);

    behave(Behaviour::Status(503));
    assert_eq!(get(&url).await.status(), 503);
    behave(Behaviour::Document("{}".into()));
    assert_eq!(get(&url).await.text().await.unwrap(), "{}");
    behave(Behaviour::InvalidJson);
    assert!(serde_json::from_str::<Value>(&get(&url).await.text().await.unwrap()).is_err());
    behave(Behaviour::EmptySet);
    assert_eq!(get_json(&url).await, json!({"keys": []}));
    behave(Behaviour::Redirect("http://example.invalid/keys".into()));
    let redirect = get(&url).await;
    assert_eq!(
        (redirect.status().as_u16(), &redirect.headers()["location"]),
        (302, &"http://example.invalid/keys".parse().unwrap())
    );
    behave(Behaviour::Oversized(1_000_000));
    let oversized = get(&url).await;
    assert_eq!(oversized.content_length(), None);
    let oversized = oversized.text().await.unwrap();
    assert_eq!((oversized.len(), oversized.trim_end()), (good.len() + 1_000_000, good.as_str()));
    behave(Behaviour::Slow(Duration::from_millis(50)));
    assert_eq!(get(&url).await.text().await.unwrap(), good);
    behave(Behaviour::Silent);
    assert!(timeout(Duration::from_millis(200), http_client().unwrap().get(&url).send()).await.is_err());
    assert_eq!(get(&issuer.discovery_url()).await.status(), 200, "the other endpoints are as they were");
    behave(Behaviour::Normal);
    assert_eq!(get(&url).await.text().await.unwrap(), good);
    assert_eq!(issuer.fetches(Endpoint::Keys), 10);
}

#[tokio::test]
async fn the_certificate_form_holds_the_same_key() {
    let issuer = DemoIssuer::start().await.unwrap();
    issuer.behave(Endpoint::Keys, Behaviour::X5cOnly);
    let set = get_json(&issuer.keys_url()).await;
    let jwk = set["keys"][0].as_object().unwrap();
    assert!(!jwk.contains_key("n") && !jwk.contains_key("e"));
    let der = base64::engine::general_purpose::STANDARD.decode(jwk["x5c"][0].as_str().unwrap()).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    let x509_parser::public_key::PublicKey::RSA(key) = certificate.public_key().parsed().unwrap() else { panic!("not RSA") };
    let modulus = URL_SAFE_NO_PAD.encode(key.modulus.strip_prefix(&[0]).unwrap());
    assert_eq!(modulus, issuer.signing_key().modulus());
}

#[tokio::test]
async fn it_goes_away_and_comes_back_on_the_same_port() {
    let issuer = DemoIssuer::start().await.unwrap();
    let (client, url) = (http_client().unwrap(), issuer.keys_url());
    issuer.behave(Endpoint::Keys, Behaviour::Silent);
    let hanging = tokio::spawn(client.get(&url).send());
    timeout(SOON, async {
        while issuer.fetches(Endpoint::Keys) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();

    timeout(SOON, issuer.stop()).await.unwrap();
    assert!(timeout(SOON, hanging).await.unwrap().unwrap().is_err(), "open connections are cut");
    assert!(client.get(&url).send().await.unwrap_err().is_connect(), "new ones are refused");
    issuer.behave(Endpoint::Keys, Behaviour::Normal);
    for _ in 0..2 {
        issuer.resume().await.unwrap();
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    }
}

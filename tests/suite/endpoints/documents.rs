//! The public key and the metadata, as readers find them.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::JwkSet};
use serde_json::{Value, json};
use syncgate::token::TokenKeyId;

use super::{Desk, FORM, body, exchange, form};

#[tokio::test]
async fn a_backend_that_reads_key_sets_finds_the_key_that_signs() {
    let desk = Desk::start(json!({})).await;
    let answer = desk.send("GET", "/.well-known/jwks.json", &[], b"").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let set: JwkSet = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(set.keys.len(), 1);
    let shown = &body(&answer)["keys"][0];
    assert_eq!((&shown["alg"], &shown["use"]), (&json!("RS256"), &json!("sig")));
    assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|secret| shown.get(secret).is_none()), "{shown}");

    let token = desk.kit.issuer.token("alice").sign();
    let minted = body(&desk.post("/token", &[FORM], &form(&exchange(&token))).await);
    let key = DecodingKey::from_jwk(&set.keys[0]).unwrap();
    let claims =
        decode::<Value>(minted["access_token"].as_str().unwrap(), &key, &Validation::new(Algorithm::RS256)).unwrap().claims;
    assert_eq!(claims["userId"], desk.kit.issuer.user_id("alice"));

    // A profile that names the key otherwise finds it under that name, too.
    let mut config = desk.kit.gateway.config();
    config.profiles[1].key_id = TokenKeyId::Text("pinned".into());
    desk.kit.gateway.reload(Ok(config)).unwrap();
    let both = body(&desk.send("GET", "/.well-known/jwks.json", &[], b"").await);
    let mut kids: Vec<_> = both["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    kids.sort_by_key(|kid| kid.len());
    assert_eq!(kids, ["pinned", shown["kid"].as_str().unwrap()]);
    assert_eq!(both["keys"][0]["n"], shown["n"]);
    let mut config = desk.kit.gateway.config();
    config.profiles[1].key_id = TokenKeyId::None;
    desk.kit.gateway.reload(Ok(config)).unwrap();

    let tag = answer.header("etag").unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = desk.send("GET", "/.well-known/jwks.json", &[("If-None-Match", &known)], b"").await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{known}");
    }
    let other = desk.send("GET", "/.well-known/jwks.json", &[("If-None-Match", "\"x\"")], b"").await;
    assert_eq!(other.status, 200);
    for method in ["POST", "PUT", "DELETE"] {
        let refused = desk.send(method, "/.well-known/jwks.json", &[], b"").await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn metadata_leads_to_the_endpoints_and_to_the_issuers() {
    let desk = Desk::start(json!({})).await;
    let server = body(&desk.send("GET", "/.well-known/oauth-authorization-server", &[], b"").await);
    assert_eq!(
        server,
        json!({
            "issuer": "https://sync.contoso.com",
            "token_endpoint": "https://sync.contoso.com/token",
            "token_endpoint_auth_methods_supported": ["none"],
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:token-exchange"],
            "response_types_supported": [],
            "jwks_uri": "https://sync.contoso.com/.well-known/jwks.json",
        })
    );
    let resource = body(&desk.send("GET", "/.well-known/oauth-protected-resource", &[], b"").await);
    assert_eq!(
        resource,
        json!({
            "resource": "https://sync.contoso.com",
            "authorization_servers": ["https://login.contoso.com"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["docs.read"],
        })
    );
    let refused = desk.send("GET", "/docs", &[], b"").await;
    assert_eq!(
        refused.header("www-authenticate"),
        Some("Bearer realm=\"syncgate\", resource_metadata=\"https://sync.contoso.com/.well-known/oauth-protected-resource\"")
    );
    desk.stop().await;
}

/// The policy that operators copy fits the defaults of the endpoint.
#[test]
fn the_example_policy_asks_for_what_the_endpoint_gives() {
    let policy = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/azure/SyncgateMint.xml")).unwrap();
    let without_comments =
        policy.split("<!--").map(|part| part.split_once("-->").map_or(part, |(_, rest)| rest)).collect::<String>();
    for text in [
        "<Item Key=\"ServiceUrl\">https://sync.contoso.com/mint/b2c</Item>",
        "<Item Key=\"SendClaimsIn\">Body</Item>",
        "<Item Key=\"AuthenticationType\">Basic</Item>",
        "<InputClaim ClaimTypeReferenceId=\"objectId\" />",
        "<OutputClaim ClaimTypeReferenceId=\"syncToken\" PartnerClaimType=\"syncToken\" />",
    ] {
        assert_eq!(without_comments.matches(text).count(), 1, "{text}");
    }
    // Each element is closed, in order.
    let mut open = Vec::new();
    for tag in without_comments.split('<').skip(1).map(|tag| tag.split_once('>').unwrap().0) {
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        match () {
            () if tag.starts_with('?') || tag.ends_with('/') => {}
            () if tag.starts_with('/') => assert_eq!(open.pop(), Some(name)),
            () => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

//! The token endpoint with clients from npm and PyPI, and a backend that takes what they get with nothing between: by the pinned key, and by
//! the key set that the gateway publishes.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{INTEROP, Script};
use crate::{endpoints::secret, kit::Kit, recorder::config};

/// A public client.
const APP: &str = "notes-app";
/// A client with a secret.
const SERVER: &str = "notes.server";
/// Means another secret where it is decoded like a form although it was not encoded so.
const SECRET: &str = "kCk3pJx5+bnmC0bM/IW2Q:qYk%2BXaVb7m=Tq2r_old-~secret";

/// The gateway with a token endpoint, a client of it, and the backend.
struct Exchanges {
    client: Script,
    backend: String,
    kit: Kit,
    _server: Script,
    _folder: TempDir,
}

impl Exchanges {
    async fn start(mut client: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret_file = secret(&folder, "secret", SECRET);
        let kit = Kit::start().await;
        // The metadata names the gateway's own URL, which is known by now.
        let settings = config(json!({
            "routes": [
                { "name": "token", "path": "/token", "endpoint": {
                    "type": "token_exchange",
                    "issuer": kit.url(""),
                    "targets": { "notes": "notes" },
                    "clients": [{ "id": APP }, { "id": SERVER, "secret_file": secret_file }],
                } },
                { "name": "keys", "path": "/.well-known/jwks.json", "endpoint": { "type": "jwks" } },
            ],
            "mint": { "user_id_claim": "sub" },
            "profiles": { "notes": { "claims": { "sub": "${user_id}", "aud": "notes" }, "kid": "thumbprint" } },
        }));
        let mut config = kit.gateway.config();
        config.proxy.routes = settings.proxy.routes;
        config.profiles = settings.profiles;
        config.issuers[0].rules.kept_claims = settings.issuers[0].rules.kept_claims.clone();
        kit.gateway.reload(Ok(config)).unwrap();
        let mut server = Script::node("notes-server.mjs");
        server.tell(&json!({ "key": kit.pinned_key_pem, "keys": kit.url("/.well-known/jwks.json") })).await;
        let backend = format!("http://127.0.0.1:{}/", server.hears("port").await);
        client.hears("ready").await;
        Self { client, backend, kit, _server: server, _folder: folder }
    }

    /// What the client has of an exchange.
    async fn ask(&mut self, who: (&str, &str, Option<&str>), token: &str, audience: Option<&str>) -> Value {
        let (method, client, secret) = who;
        let mut parameters = json!({
            "subject_token": token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        });
        if let Some(audience) = audience {
            parameters["audience"] = audience.into();
        }
        let (gateway, backend) = (self.kit.url(""), &self.backend);
        let command = json!({
            "gateway": gateway, "backend": backend, "method": method, "client": client, "secret": secret, "parameters": parameters,
        });
        self.client.tell(&command).await;
        self.client.hears("answer").await
    }

    /// Every way to say who one is: with a good token up to the backend, and refused, each time in the client's own error.
    async fn hold(mut self, refused: impl Fn(&str, u16, &str) -> Value) {
        let good = self.kit.issuer.token("alice").claim("azp", APP).sign();
        let expired = self.kit.issuer.token("alice").claim("azp", APP).expires_in(-600).sign();
        let user = self.kit.issuer.user_id("alice");
        let wrong = format!("{SECRET}x");
        for (method, id, known, stranger) in [
            ("none", APP, None, ("none", "nobody", None)),
            ("client_secret_basic", SERVER, Some(SECRET), ("client_secret_basic", SERVER, Some(wrong.as_str()))),
            ("client_secret_post", SERVER, Some(SECRET), ("client_secret_post", SERVER, Some(wrong.as_str()))),
        ] {
            let client = (method, id, known);
            let answer = self.ask(client, &good, Some("notes")).await;
            let (granted, backend) = (&answer["granted"], &answer["backend"]);
            assert_eq!(backend["status"], 200, "{method}: {answer}");
            assert_eq!((&backend["byPin"], &backend["bySet"]), (&json!(user), &json!(user)), "{method}: {answer}");
            assert!(backend["keyId"].is_string(), "{method}: {answer}");
            assert_eq!(granted["issued_token_type"], "urn:ietf:params:oauth:token-type:jwt", "{method}: {answer}");
            assert!(granted["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"), "{method}: {answer}");
            assert!(granted["expires_in"].as_u64().unwrap() > 0 && granted.get("refresh_token").is_none(), "{method}: {answer}");
            // Without the audience it is a token for somebody else.
            let other = self.ask(client, &good, None).await;
            assert_eq!(other["backend"], json!({ "status": 401, "error": "ERR_JWT_CLAIM_VALIDATION_FAILED" }), "{method}: {other}");

            for (who, token, audience, status, error) in [
                (client, &expired, "notes", 400, "invalid_request"),
                (client, &good, "unknown", 400, "invalid_target"),
                (stranger, &good, "notes", 401, "invalid_client"),
            ] {
                let answer = self.ask(who, token, Some(audience)).await;
                assert_eq!(answer, json!({ "refused": refused(method, status, error) }), "{method}: {error}");
            }
        }
        for reason in ["expired", "target_unknown", "caller_unauthenticated"] {
            self.kit.assert_metric("syncgate_rejections_total", &[("reason", reason)], 3.0).await;
        }
        // The backend takes no token of the provider's.
        let direct = reqwest::Client::new().get(&self.backend).bearer_auth(&good).send().await.unwrap();
        assert_eq!(direct.status(), 401);
        assert_eq!(self.kit.backend.received_count(), 0, "nothing went through the gateway");
        self.kit.stop().await;
    }
}

/// What the libraries of the npm clients say. A challenge, which a wrong secret in a header must have, is an error of its own there.
fn as_told_by_node(method: &str, status: u16, error: &str) -> Value {
    if (method, status) == ("client_secret_basic", 401) {
        return json!({ "status": status, "challenge": "basic", "error": error });
    }
    json!({ "status": status, "error": error })
}

#[tokio::test]
async fn openid_client_discovers_the_endpoint_and_gets_what_the_backend_takes() {
    if INTEROP.node().await {
        Exchanges::start(Script::node("openid-client.mjs")).await.hold(as_told_by_node).await;
    }
}

#[tokio::test]
async fn oauth4webapi_discovers_the_endpoint_and_gets_what_the_backend_takes() {
    if INTEROP.node().await {
        Exchanges::start(Script::node("oauth4webapi.mjs")).await.hold(as_told_by_node).await;
    }
}

#[tokio::test]
async fn authlib_gets_what_the_backend_takes() {
    if INTEROP.node().await && INTEROP.python().await {
        Exchanges::start(Script::python("authlib-client.py")).await.hold(|_, _, error| json!({ "error": error })).await;
    }
}

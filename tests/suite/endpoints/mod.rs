//! What the gateway answers itself, over real sockets: the token exchange, the calls of Microsoft's sign-ins, the documents.

mod documents;
mod microsoft;
mod refusals;
mod sign_in;
mod token_exchange;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};
use syncgate::{
    config::Config,
    demo::{
        DemoIssuer,
        issuer::TokenBuilder,
        world::{WorldOptions, trust},
    },
    token::{TakenAt, TokenKinds},
};
use tempfile::TempDir;

use crate::{
    kit::{Answer, Kit},
    recorder::config,
};

/// The application id of Microsoft's service that calls custom authentication extensions.
pub const MICROSOFT: &str = "99045fe1-7639-4a75-9d4a-577b6ca3810f";
pub const ALICE: &str = "ab3ec3b2-a435-45e4-b93a-56a005e88bb7";
pub const TENANT: &str = "775527ff-9a37-4307-8b3d-cc311f58d925";
pub const APPLICATION: &str = "1b3f9c9c-0000-4000-8000-5d1f2a3b4c5d";
/// What clients and callers know.
pub const SECRET: &str = "kCk3pJx5bnmC0bMIW2QqYkXaVb7mTq2r_old-secret";
pub const NEW_SECRET: &str = "VvXh0yYwC2r1xAqg1qLwH4d0bU5tZ9eKsQmPnRcTfGj";

/// A gateway with endpoints, and who calls them.
pub struct Desk {
    pub kit: Kit,
    /// Issues the tokens of callers.
    pub callers: DemoIssuer,
    folder: TempDir,
}

impl Desk {
    /// All endpoints, with their defaults but for what is given: more keys of `endpoint` by the name of the route.
    pub async fn start(more: Value) -> Self {
        Self::start_with(more, json!({})).await
    }

    /// The same, with more keys of the routes themselves.
    pub async fn start_with(more: Value, of_routes: Value) -> Self {
        let desk = Self::start_unready(more, of_routes, DemoIssuer::start().await.unwrap(), |_| {}).await;
        desk.kit.await_ready().await;
        desk
    }

    /// The same with a changed config, and with this issuer of callers, whose keys need not be there yet.
    pub async fn start_unready(
        more: Value,
        of_routes: Value,
        callers: DemoIssuer,
        adjust: impl FnOnce(&mut Config) + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret_file = secret(&folder, "secret", &format!("{SECRET}\n{NEW_SECRET}\n"));
        let basic = json!({ "basic": { "username": "b2c", "password_file": secret_file } });
        let all = json!([basic, { "bearer": { "secret_file": secret_file } },
                         { "api_key": { "header": "x-api-key", "secret_file": secret_file } }]);
        let routes = [
            (
                "token",
                "/token",
                json!({
                    "type": "token_exchange",
                    "targets": { "couch": "couch", "https://sync.contoso.com/db": "couch", "first": "default" },
                    "issuer": "https://sync.contoso.com",
                }),
            ),
            (
                "clients",
                "/clients/token",
                json!({
                    "type": "token_exchange",
                    "clients": [{ "id": "app" }, { "id": "server", "secret_file": secret_file }],
                }),
            ),
            ("policy", "/mint/policy", json!({ "type": "b2c_policy", "callers": all })),
            ("flow", "/mint/flow", json!({ "type": "b2c_user_flow", "callers": all, "token_claim": "extension_SyncToken" })),
            (
                "entra",
                "/mint/entra",
                json!({
                    "type": "entra",
                    "callers": [{ "issuer": "callers" }],
                    "tenants": [TENANT],
                    "applications": [APPLICATION],
                }),
            ),
            ("keys", "/.well-known/jwks.json", json!({ "type": "jwks" })),
        ];
        let of_routes = &of_routes;
        let endpoints = routes.into_iter().map(|(name, path, mut endpoint)| {
            merge(&mut endpoint, &more[name]);
            let mut route = json!({ "name": name, "path": path, "endpoint": endpoint });
            merge(&mut route, &of_routes[name]);
            route
        });
        let site =
            json!({ "name": "site", "path": "/", "resource": { "url": "https://sync.contoso.com/", }, "scopes": ["docs.read"] });
        let settings = config(json!({
            "issuers": [
                { "preset": "oidc", "issuer": "https://login.contoso.com", "audiences": ["api"] },
                { "name": "callers", "for": "endpoints", "preset": "oidc", "issuer": "https://callers.contoso.com", "audiences": ["api"] },
            ],
            "routes": endpoints.chain([site]).collect::<Vec<_>>(),
            "mint": { "user_id_claim": "userId" },
            "profiles": { "couch": { "claims": { "sub": "${user_id}", "dept": "${claim:department:-none}" } } },
        }));
        let mut caller = trust(&callers);
        caller.rules.name = "callers".to_owned();
        caller.rules.taken_at = TakenAt::Endpoints;
        caller.rules.kinds = TokenKinds { access: false, id: false, app_only: true };
        caller.rules.authorized_parties = vec![MICROSOFT.to_owned()];
        caller.rules.kept_claims = settings.issuers[1].rules.kept_claims.clone();
        let options = WorldOptions::default().config(move |config| {
            config.proxy.routes = settings.proxy.routes;
            config.profiles = settings.profiles;
            config.issuers[0].rules.kept_claims = settings.issuers[0].rules.kept_claims.clone();
            config.issuers.push(caller);
            adjust(config);
        });
        let kit = Box::pin(Kit::start_unready(options)).await;
        Self { kit, callers, folder }
    }

    /// A token of Microsoft's service.
    pub fn caller_token(&self) -> String {
        self.service_token().sign()
    }

    /// The same, to be changed.
    pub fn service_token(&self) -> TokenBuilder {
        self.callers.token("service").claim("idtyp", "app").claim("azp", MICROSOFT).claim("tid", TENANT).without("scp")
    }

    /// The file with the secret of all clients and callers.
    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send("POST", path, headers, body.as_bytes()).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: sync.contoso.com\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
        self.kit.raw(&[head.as_bytes(), body].concat()).await
    }

    /// Tokens that were signed so far.
    pub fn signed(&self) -> f64 {
        self.work().1
    }

    /// Verifications and signatures so far.
    pub fn work(&self) -> (f64, f64) {
        let count = |stage| self.kit.metric("syncgate_exchange_duration_seconds_count", &[("stage", stage)]);
        (count("verify"), count("mint"))
    }

    /// Refusals of this kind so far.
    pub fn refused(&self, reason: &str) -> f64 {
        self.kit.metric("syncgate_rejections_total", &[("reason", reason)])
    }

    pub async fn stop(self) {
        self.kit.stop().await;
        self.callers.stop().await;
    }
}

/// A file that only its owner may read.
pub fn secret(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
pub const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A form.
pub fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What an exchange needs at least.
pub fn exchange(token: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ]
}

pub fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

pub fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("no JSON: {}", answer.text()))
}

/// The call of a user flow or a policy.
pub fn claims() -> Value {
    json!({
        "email": "alice@contoso.com", "displayName": "Alice", "objectId": ALICE, "department": "sales",
        "identities": [{ "signInType": "federated", "issuer": "facebook.com" }],
        "client_id": APPLICATION, "step": "PreTokenIssuance", "ui_locales": "en-US", "correlationId": "b1b1c1d1-0000-4000-8000-000000000001",
    })
}

/// The call of Entra.
pub fn event() -> Value {
    json!({
        "type": "microsoft.graph.authenticationEvent.tokenIssuanceStart",
        "source": format!("/tenants/{TENANT}/applications/{APPLICATION}"),
        "data": {
            "@odata.type": "microsoft.graph.onTokenIssuanceStartCalloutData",
            "tenantId": TENANT,
            "authenticationEventListenerId": "6fd8c5d2-0000-4000-8000-000000000002",
            "customAuthenticationExtensionId": "6fd8c5d2-0000-4000-8000-000000000003",
            "authenticationContext": {
                "correlationId": "b1b1c1d1-0000-4000-8000-000000000001",
                "client": { "ip": "203.0.113.7", "locale": "en-us", "market": "en-us" },
                "protocol": "OAUTH2.0",
                "clientServicePrincipal": { "id": "6fd8c5d2-0000-4000-8000-000000000004", "appId": APPLICATION, "displayName": "App" },
                "resourceServicePrincipal": { "id": "6fd8c5d2-0000-4000-8000-000000000005", "appId": APPLICATION },
                "user": {
                    "companyName": "Contoso", "createdDateTime": "2024-03-01T10:00:00Z", "displayName": "Alice", "id": ALICE,
                    "mail": "alice@contoso.com", "preferredLanguage": "en-us", "userPrincipalName": "alice@contoso.com",
                    "userType": "Member", "department": "sales", "officeLocation": null,
                },
            },
        },
    })
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

//! A login from end to end: `oidc-provider` as the issuer, Microsoft's `msal` as the app. Both over TLS with an authority made here.

use std::{
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{INTEROP, Script};
use crate::{kit::Kit, recorder::config};

/// The provider, the app, and the gateway that trusts the one and serves the other.
struct Login {
    provider: Script,
    app: Script,
    kit: Kit,
    _folder: TempDir,
}

impl Login {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca_file, certificate, key) = certify(&folder);
        let mut provider = Script::node("openid-provider.mjs");
        provider.tell(&json!({ "certificate": certificate, "key": key })).await;
        let issuer = provider.hears("issuer").await;

        // All that an operator writes. Everything else comes by discovery.
        let settings = config(json!({ "issuers": [{
            "preset": "oidc",
            "issuer": issuer,
            "ca_file": ca_file,
            "audiences": ["https://notes.contoso.com"],
            "leeway": "0s",
        }] }));
        let kit = Kit::start_with(move |config| config.issuers = settings.issuers).await;
        let mut app = Script::python("msal-client.py");
        app.hears("ready").await;
        app.tell(&json!({ "authority": issuer, "ca_file": ca_file, "gateway": kit.url("") })).await;
        Self { provider, app, kit, _folder: folder }
    }

    async fn asks(&mut self, what: &str, with: Value) -> Value {
        let mut command = with;
        command["do"] = what.into();
        self.app.tell(&command).await;
        self.app.hears(what).await
    }

    /// What `msal` got, which must not be an error.
    async fn gets(&mut self, what: &str, with: Value) -> Value {
        let got = self.asks(what, with).await;
        assert!(got["access_token"].is_string(), "{got}");
        got
    }

    /// The app calls with this token, and the backend finds a user token of Alice's in its place.
    async fn is_alice(&mut self, token: &Value) {
        let answer = self.asks("call", json!({ "token": token })).await;
        assert_eq!(answer["status"], 200, "{answer}");
        let received = self.kit.backend.received().pop().unwrap();
        assert_eq!(received.token.as_ref().map(|token| token.user_id()), Ok("alice"));
        assert!(!received.contains(token.as_str().unwrap()), "{received:?}");
    }

    /// The app calls with this token, and is told that it is of no use, for this reason.
    async fn is_refused(&mut self, token: &Value, reason: &str) {
        let labels = [("reason", reason)];
        let (reached, refused) = (self.kit.backend.received_count(), self.kit.metric("syncgate_rejections_total", &labels));
        let answer = self.asks("call", json!({ "token": token })).await;
        assert_eq!(answer["status"], 401, "{answer}");
        assert!(answer["challenge"].as_str().unwrap().contains("error=\"invalid_token\""), "{answer}");
        self.kit.assert_metric("syncgate_rejections_total", &labels, refused + 1.0).await;
        assert_eq!(self.kit.backend.received_count(), reached);
    }

    async fn rotates(&mut self) {
        self.provider.tell(&json!({})).await;
        self.provider.hears("rotated").await;
    }
}

/// An authority's certificate in a file, and a certificate and key of its making for this machine.
fn certify(folder: &TempDir) -> (PathBuf, String, String) {
    syncgate::server::install_crypto();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // What Python's default requires of an authority.
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(DnType::CommonName, "Contoso CA");
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    certificate.distinguished_name.push(DnType::CommonName, "login.contoso.com");
    certificate.use_authority_key_identifier_extension = true;
    let certificate = certificate.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    (ca_file, certificate.pem(), key.serialize_pem())
}

/// The claims of a token.
fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The token with another user in it.
fn altered(token: &Value) -> Value {
    let mut claims = claims(token);
    claims["sub"] = "bob".into();
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut parts: Vec<_> = token.as_str().unwrap().split('.').collect();
    parts[1] = &payload;
    parts.join(".").into()
}

fn kid(token: &Value) -> String {
    jsonwebtoken::decode_header(token.as_str().unwrap()).unwrap().kid.unwrap()
}

#[tokio::test]
async fn an_app_logs_in_and_stays_in_while_the_provider_rotates_its_key() {
    if !(INTEROP.node().await && INTEROP.python().await) {
        return;
    }
    let mut login = Login::start().await;
    let first = login.gets("log_in", json!({ "client": "contoso-notes", "user": "alice" })).await;
    login.is_alice(&first["access_token"]).await;
    let cached = login.gets("silent", json!({ "client": "contoso-notes" })).await;
    assert_eq!(cached["access_token"], first["access_token"]);
    let unseen = login.gets("silent", json!({ "client": "contoso-notes", "force": true })).await;
    assert_ne!(unseen["access_token"], first["access_token"]);

    let on_demand = [("trigger", "unknown_kid"), ("result", "changed")];
    login.rotates().await;
    let renewed = login.gets("silent", json!({ "client": "contoso-notes", "force": true })).await;
    assert_ne!(kid(&renewed["access_token"]), kid(&first["access_token"]));
    assert_eq!(login.kit.metric("syncgate_jwks_refresh_total", &on_demand), 0.0);
    login.is_alice(&renewed["access_token"]).await;
    assert_eq!(login.kit.metric("syncgate_jwks_refresh_total", &on_demand), 1.0, "the new key came when it was needed");
    // The old key is gone at the provider. Its tokens have not expired for that.
    login.is_alice(&first["access_token"]).await;
    login.is_alice(&unseen["access_token"]).await;
    login.kit.stop().await;
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    if !(INTEROP.node().await && INTEROP.python().await) {
        return;
    }
    let mut login = Login::start().await;
    let good = login.gets("log_in", json!({ "client": "contoso-notes", "user": "alice" })).await;
    login.is_refused(&altered(&good["access_token"]), "bad_signature").await;
    // An id token is for the app that logged in.
    login.is_refused(&good["id_token"], "wrong_audience").await;
    let reports = login.gets("log_in", json!({ "client": "contoso-reports", "user": "alice" })).await;
    login.is_refused(&reports["access_token"], "wrong_audience").await;

    let brief = login.gets("log_in", json!({ "client": "contoso-notes-brief", "user": "alice" })).await;
    login.is_alice(&brief["access_token"]).await;
    let expiry = Duration::from_secs(claims(&brief["access_token"])["exp"].as_u64().unwrap());
    login.kit.eventually(|| UNIX_EPOCH.elapsed().unwrap() > expiry).await;
    login.is_refused(&brief["access_token"], "expired").await;
    // msal knows that it has expired, too, and takes the refresh token.
    let renewed = login.gets("silent", json!({ "client": "contoso-notes-brief" })).await;
    login.is_alice(&renewed["access_token"]).await;
    login.is_alice(&good["access_token"]).await;
    login.kit.stop().await;
}

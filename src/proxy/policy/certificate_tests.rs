//! Client certificates: routes that require one, upstreams that are told of it, tokens that are bound to one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::*;
use crate::{
    exchange::testing::{at, claims, exchange, sign},
    limits::LimitSettings,
    metrics::Metrics,
    proxy::policy::{
        ForwardCertificate, HeaderSettings,
        route::{Access, RouteSettings},
        token_place::BodyPlace,
    },
};

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
/// Nothing is limited.
static EXCEEDED: OnceLock<Exceeded> = OnceLock::new();

/// `/device` requires a certificate and forwards it with its chain, `/told` forwards it alone, `/public` too, without a token; `/login` has
/// its token in the body; the rest has nothing to do with certificates.
fn policy() -> Policy {
    let route = |path: &str| RouteSettings { name: path.to_owned(), path: path.to_owned(), ..RouteSettings::default() };
    let told = ForwardCertificate::Certificate;
    let routes = [
        RouteSettings { requires_certificate: true, forward_certificate: ForwardCertificate::Chain, ..route("/device") },
        RouteSettings { forward_certificate: told, ..route("/told") },
        RouteSettings {
            forward_certificate: told,
            access: Access::Public { pass_authorization: true },
            requires_certificate: true,
            ..route("/public")
        },
        RouteSettings {
            exact: true,
            token_in: vec![TokenPlace::Body(BodyPlace { member: "data".to_owned(), condition: None })],
            ..route("/login")
        },
        route("/"),
    ];
    let metrics = Metrics::new().unwrap();
    // The operator's list is empty, so that what is stripped is stripped by the route.
    let headers = HeaderSettings { strip: Vec::new() };
    let ready = |one: &RouteSettings| Arc::new(Route::new(one, &headers, metrics.proxy.route(&one.name)));
    Policy {
        routes: RouteTable::new(routes.iter().map(ready).collect()),
        exchange: exchange(),
        limits: Arc::new(Limits::new(LimitSettings::none(), 10)),
    }
}

/// A client's certificate with one of its issuer's.
fn certificate() -> ClientCertificate {
    let der = || rcgen::generate_simple_self_signed(["device.contoso.com".to_owned()]).unwrap().cert.der().clone();
    ClientCertificate::of(&[der(), der()] as &[CertificateDer<'_>]).unwrap()
}

fn token(bound_to: Option<&ClientCertificate>) -> String {
    let mut all = claims("contoso", "alice", 3_600);
    if let Some(certificate) = bound_to {
        all["cnf"] = json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(certificate.thumbprint) });
    }
    sign("a", 0, &all)
}

struct Client<'a> {
    policy: &'a Policy,
    last_token: Mutex<LastToken>,
    certificate: Option<&'a ClientCertificate>,
}

impl<'a> Client<'a> {
    fn new(policy: &'a Policy, certificate: Option<&'a ClientCertificate>) -> Self {
        Self { policy, last_token: Mutex::default(), certificate }
    }

    async fn ask(&self, path: &str, token: Option<&str>, body: Option<Bytes>) -> Result<Decision, Rejection> {
        let mut header = RequestHeader::build("POST", path.as_bytes(), None).unwrap();
        header.append_header("Host", "contoso.com").unwrap();
        if let Some(token) = token {
            header.append_header("Authorization", format!("Bearer {token}")).unwrap();
        }
        let (last_token, certificate, has_body) = (&self.last_token, self.certificate, body.is_some());
        let asked = Asked {
            request: &header,
            raw_header: b"",
            is_too_large: false,
            has_body,
            body,
            last_token,
            certificate,
            client: CLIENT,
            exceeded: &EXCEEDED,
            now: at(500),
        };
        self.policy.decide(asked).await.outcome
    }

    /// What the upstream is told, by name.
    async fn told(&self, path: &str, name: &str) -> Option<HeaderValue> {
        let Ok(Decision::Forward(permit)) = self.ask(path, Some(&token(None)), None).await else { panic!("{path} is refused") };
        let fields = permit.changes().fields;
        fields.into_iter().find(|(known, _)| known == name).and_then(|(_, value)| value)
    }
}

#[tokio::test]
async fn a_bound_token_is_taken_on_its_certificates_connections_alone_however_often_it_was_seen() {
    let (policy, own, other) = (policy(), certificate(), certificate());
    let bound = token(Some(&own));
    let clients = [Client::new(&policy, Some(&own)), Client::new(&policy, Some(&other)), Client::new(&policy, None)];
    // In each order, so that each of them finds the token known by another.
    for _ in 0..3 {
        for (client, expected) in
            clients.iter().zip([None, Some(Rejection::CertificateMismatch), Some(Rejection::CertificateMismatch)])
        {
            let body = || Some(Bytes::from(json!({ "data": bound }).to_string()));
            assert_eq!(client.ask("/x", Some(&bound), None).await.err(), expected);
            assert_eq!(client.ask("/login", None, body()).await.err(), expected);
            assert!(client.ask("/x", Some(&token(None)), None).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_route_that_requires_a_certificate_looks_at_the_connection() {
    let (policy, own) = (policy(), certificate());
    let (with, without) = (Client::new(&policy, Some(&own)), Client::new(&policy, None));
    let plain = token(None);
    for (path, token) in [("/device/x", Some(plain.as_str())), ("/device", None), ("/public", None)] {
        assert_eq!(without.ask(path, token, None).await.err(), Some(Rejection::CertificateRequired), "{path}");
    }
    assert!(with.ask("/device/x", Some(&plain), None).await.is_ok() && with.ask("/public", None, None).await.is_ok());
    assert_eq!(with.ask("/device/x", None, None).await.err(), Some(Rejection::MissingToken));
    assert!(without.ask("/x", Some(&plain), None).await.is_ok());
    // Of a path that some servers read as another route's, nothing passes.
    for path in ["/x/..%2fdevice", "/x;/../device", "//device"] {
        assert!(without.ask(path, Some(&plain), None).await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn upstreams_are_told_what_their_route_says_and_nothing_that_clients_say() {
    let (policy, own) = (policy(), certificate());
    let (with, without) = (Client::new(&policy, Some(&own)), Client::new(&policy, None));
    assert_eq!(with.told("/device", "client-cert").await.as_ref(), Some(own.client_cert()));
    assert_eq!(with.told("/device", "client-cert-chain").await.as_ref(), own.client_cert_chain());
    assert_eq!(with.told("/told", "client-cert").await.as_ref(), Some(own.client_cert()));
    assert_eq!(with.told("/told", "client-cert-chain").await, None);
    assert_eq!(with.told("/x", "client-cert").await, None);
    assert_eq!(without.told("/told", "client-cert").await, None);
    for path in ["/device", "/told", "/public", "/x"] {
        let found = policy.routes.find("contoso.com", "GET", path.as_bytes()).unwrap();
        let is_unwanted = found.route.strip.unwanted_in(&HeaderMap::new()).unwrap();
        for name in ["client-cert", "client_cert", "client-cert-chain", "client.cert.chain"] {
            assert_eq!(is_unwanted(&HeaderName::from_static(name)), path != "/x", "{path} {name}");
        }
    }
}

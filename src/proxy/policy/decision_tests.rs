//! The decision, asked without a port: whatever a request says, it is that of a rule which is written here once more.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    endpoint::EndpointSettings,
    exchange::testing::{at, claims, exchange, sign},
    limits::LimitSettings,
    metrics::Metrics,
    proxy::policy::{
        AllowedOrigins, BodyPlace, CorsSettings, HeaderSettings,
        route::{Access, RouteSettings},
    },
    token::{Permission, PermissionSettings},
};

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
/// Nothing is limited.
static EXCEEDED: OnceLock<Exceeded> = OnceLock::new();

const ORIGIN: &str = "https://app.contoso.com";

/// Everybody may read `/public`; `/admin` is for admins; `/login` has its token in the body; the rest needs a token, and pages may ask.
fn policy() -> Policy {
    let permission =
        |role: &str| Permission::new(PermissionSettings { all_roles: vec![role.to_owned()], ..PermissionSettings::default() });
    let route = |path: &str| RouteSettings { name: path.to_owned(), path: path.to_owned(), ..RouteSettings::default() };
    let routes = [
        RouteSettings { access: Access::Public { pass_authorization: false }, ..route("/public") },
        RouteSettings { permission: permission("admin"), ..route("/admin") },
        RouteSettings {
            exact: true,
            methods: vec!["POST".to_owned()],
            token_in: vec![TokenPlace::Body(BodyPlace { member: "data".to_owned(), condition: None })],
            ..route("/login")
        },
        RouteSettings {
            allowed_origins: AllowedOrigins::Listed(vec![ORIGIN.to_owned()]),
            cors: Some(CorsSettings::default()),
            ..route("/")
        },
    ];
    policy_of(&routes)
}

fn policy_of(routes: &[RouteSettings]) -> Policy {
    let metrics = Metrics::new().unwrap();
    let ready = |one: &RouteSettings| {
        let route = Route::new(one, &HeaderSettings::default(), metrics.proxy.route(&one.name));
        Arc::new(route.with_endpoint(one.endpoint.as_ref()).unwrap())
    };
    Policy {
        routes: RouteTable::new(routes.iter().map(ready).collect()),
        exchange: exchange(),
        limits: Arc::new(Limits::new(LimitSettings::none(), 10)),
    }
}

/// Whom a request comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Whose {
    Nobody,
    Alice,
    Admin,
    /// Whose token has ended.
    Late,
    /// Whose token somebody else has signed.
    Forger,
    /// Of another provider.
    Stranger,
    /// With two tokens.
    Both,
}

const EVERYBODY: [Whose; 7] = [Whose::Nobody, Whose::Alice, Whose::Admin, Whose::Late, Whose::Forger, Whose::Stranger, Whose::Both];

fn tokens(whose: Whose) -> Vec<String> {
    let of = |roles: &[&str], end: i64, issuer: &str, number: usize| {
        let mut all = claims(issuer, "alice", end);
        all["roles"] = json!(roles);
        sign("a", number, &all)
    };
    match whose {
        Whose::Nobody => vec![],
        Whose::Alice => vec![of(&["reader"], 3_600, "contoso", 0)],
        Whose::Admin => vec![of(&["admin"], 3_600, "contoso", 0)],
        Whose::Late => vec![of(&["admin"], 100, "contoso", 0)],
        Whose::Forger => vec![of(&["admin"], 3_600, "contoso", 1)],
        Whose::Stranger => vec![of(&["admin"], 3_600, "fabrikam", 0)],
        Whose::Both => vec![of(&["admin"], 3_600, "contoso", 0), of(&["reader"], 3_600, "contoso", 0)],
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
struct Case {
    whose: Whose,
    method: &'static str,
    path: &'static str,
    host: Option<&'static str>,
    is_upgrade: bool,
}

impl Case {
    fn header(self) -> RequestHeader {
        let mut header = RequestHeader::build(self.method, self.path.as_bytes(), None).unwrap();
        let tokens = tokens(self.whose).into_iter().map(|token| ("Authorization", format!("Bearer {token}")));
        let host = self.host.map(|host| ("Host", host.to_owned()));
        let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")];
        let upgrade = upgrade.map(|(name, value)| (name, value.to_owned())).into_iter().filter(|_| self.is_upgrade);
        let preflight =
            [("Origin", ORIGIN), ("Access-Control-Request-Method", "GET")].map(|(name, value)| (name, value.to_owned()));
        let preflight = preflight.into_iter().filter(|_| self.method == "OPTIONS");
        for (name, value) in host.into_iter().chain(tokens).chain(upgrade).chain(preflight) {
            header.append_header(name, value).unwrap();
        }
        header
    }

    /// By which route, and what becomes of it.
    fn expected(self) -> (Option<&'static str>, &'static str) {
        if self.method == "TRACE" {
            return (None, "method_not_allowed");
        }
        if self.host.is_none_or(|host| host.contains(":x")) {
            return (None, "host_malformed");
        }
        let segment = self.path.split('/').nth(1);
        let route = match (segment, self.path, self.method) {
            (Some("public"), ..) => "/public",
            (Some("admin"), ..) => "/admin",
            (_, "/login", "POST") => "/login",
            _ => "/",
        };
        let is_preflight = self.method == "OPTIONS" && self.whose == Whose::Nobody;
        let passes = if self.is_upgrade && self.method == "GET" { "websocket" } else { "forward" };
        let what = match (route, self.whose) {
            ("/public", _) => passes,
            ("/login", _) => "needs_body",
            ("/", _) if is_preflight => "answer",
            (_, Whose::Nobody) if is_preflight => "preflight_not_configured",
            (_, Whose::Nobody) => "missing_token",
            (_, Whose::Late) => "expired",
            (_, Whose::Forger) => "bad_signature",
            (_, Whose::Stranger) => "unknown_issuer",
            (_, Whose::Both) => "ambiguous_token",
            ("/admin", Whose::Alice) => "missing_role",
            (_, Whose::Alice | Whose::Admin) => passes,
        };
        (Some(route), what)
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for whose in EVERYBODY {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "TRACE"] {
            for path in ["/", "/docs/1?a=b", "/public/x", "/admin/x", "/adminx", "/login"] {
                for host in [Some("contoso.com"), Some("contoso.com:8080"), Some("contoso.com:x"), None] {
                    for is_upgrade in [false, true] {
                        cases.push(Case { whose, method, path, host, is_upgrade });
                    }
                }
            }
        }
    }
    cases
}

fn asked<'a>(request: &'a RequestHeader, last_token: &'a Mutex<LastToken>, body: Option<Bytes>) -> Asked<'a> {
    let has_body = body.is_some();
    Asked {
        request,
        raw_header: b"",
        is_too_large: false,
        has_body,
        body,
        last_token,
        certificate: None,
        client: CLIENT,
        exceeded: &EXCEEDED,
        now: at(500),
    }
}

fn word(outcome: &Result<Decision, Rejection>) -> &'static str {
    match outcome {
        Ok(Decision::Forward(_)) => "forward",
        Ok(Decision::OpenWebSocket(_)) => "websocket",
        Ok(Decision::Answer(_)) => "answer",
        Ok(Decision::Call(_)) => "call",
        Ok(Decision::NeedsBody) => "needs_body",
        Err(rejection) => rejection.label(),
    }
}

#[tokio::test]
async fn more_than_a_thousand_requests_are_decided_by_the_rule() {
    let policy = policy();
    let (last_token, mut seen) = (Mutex::default(), BTreeMap::<&str, usize>::new());
    let cases = cases();
    assert!(cases.len() > 1_000, "{}", cases.len());
    for case in cases {
        let header = case.header();
        let decided = policy.decide(asked(&header, &last_token, None)).await;
        let route = decided.route.as_ref().map(|route| route.name.as_str());
        assert_eq!((route, word(&decided.outcome)), case.expected(), "{case:?}");
        // Whoever goes on with a token of theirs is known, and nobody else.
        let is_identified = decided.identity.is_some_and(|identity| identity.verified().user_id() == "alice");
        let has_token = matches!(case.whose, Whose::Alice | Whose::Admin) && !matches!(route, None | Some("/public" | "/login"));
        assert_eq!(is_identified, has_token, "{case:?}");
        *seen.entry(word(&decided.outcome)).or_default() += 1;
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[tokio::test]
async fn what_needs_a_body_is_asked_again_with_it() {
    let policy = policy();
    let last_token = Mutex::default();
    let login = Case { whose: Whose::Nobody, method: "POST", path: "/login", host: Some("contoso.com"), is_upgrade: false };
    for (whose, expected) in [(Whose::Alice, "forward"), (Whose::Late, "expired"), (Whose::Forger, "bad_signature")] {
        let header = login.header();
        let body = Bytes::from(json!({ "data": tokens(whose)[0] }).to_string());
        let decided = policy.decide(asked(&header, &last_token, Some(body))).await;
        assert_eq!(word(&decided.outcome), expected, "{whose:?}");
    }
    let header = login.header();
    let decided = policy.decide(asked(&header, &last_token, Some(Bytes::from_static(b"{}")))).await;
    assert_eq!(word(&decided.outcome), "body_malformed");
}

#[tokio::test]
async fn what_is_too_large_is_refused_in_the_name_of_its_route() {
    let (policy, last_token) = (policy(), Mutex::default());
    let case = Case { whose: Whose::Alice, method: "GET", path: "/admin/x", host: Some("contoso.com"), is_upgrade: false };
    let header = case.header();
    let decided = policy.decide(Asked { is_too_large: true, ..asked(&header, &last_token, None) }).await;
    assert_eq!(word(&decided.outcome), "headers_too_large");
    assert_eq!(decided.route.map(|route| route.name.clone()).as_deref(), Some("/admin"));
}

#[tokio::test]
async fn an_endpoint_is_called_by_its_very_path_alone() {
    let endpoint = Some(EndpointSettings::KeySet);
    let route = |path: &str| RouteSettings { name: path.to_owned(), path: path.to_owned(), ..RouteSettings::default() };
    let policy = policy_of(&[RouteSettings { endpoint, exact: true, ..route("/keys") }, route("/db")]);
    let last_token = Mutex::default();
    for (path, expected) in [
        ("/keys", "call"),
        ("/keys?x", "call"),
        ("/k%65ys", "ambiguous_path"),
        ("/KEYS", "no_route"),
        ("/keys/x", "no_route"),
        ("/db", "missing_token"),
    ] {
        let case = Case { whose: Whose::Nobody, method: "GET", path, host: Some("contoso.com"), is_upgrade: false };
        let header = case.header();
        assert_eq!(word(&policy.decide(asked(&header, &last_token, None)).await.outcome), expected, "{path}");
    }
}

#[tokio::test]
async fn a_connection_ends_where_one_of_several_lines_says_so() {
    let (policy, last_token) = (policy(), Mutex::default());
    for (lines, closes) in [
        (&["keep-alive", "x, Close"][..], true),
        (&["keep-alive", "x"], false),
        // Pingora sees to one line itself.
        (&["close"], false),
        (&[], false),
    ] {
        let case = Case { whose: Whose::Nobody, method: "GET", path: "/public/x", host: Some("contoso.com"), is_upgrade: false };
        let mut header = case.header();
        for line in lines {
            header.append_header("Connection", *line).unwrap();
        }
        assert_eq!(policy.decide(asked(&header, &last_token, None)).await.closes, closes, "{lines:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_that_of_the_route_whose_permission_is_missing() {
    let permission = Permission::new(PermissionSettings { all_roles: vec!["admin".to_owned()], ..PermissionSettings::default() });
    let route = |path: &str| RouteSettings { name: path.to_owned(), path: path.to_owned(), ..RouteSettings::default() };
    let policy = policy_of(&[route("/"), RouteSettings { permission, ..route("/admin") }]);
    let last_token = Mutex::default();
    for (whose, expected) in [
        (Whose::Alice, (Some("/admin"), "missing_role")),
        (Whose::Admin, (Some("/"), "forward")),
        (Whose::Late, (Some("/"), "expired")),
    ] {
        let case = Case { whose, method: "GET", path: "/ADMIN/x", host: Some("contoso.com"), is_upgrade: false };
        let header = case.header();
        let decided = policy.decide(asked(&header, &last_token, None)).await;
        assert_eq!((decided.route.as_ref().map(|route| &*route.name), word(&decided.outcome)), expected, "{whose:?}");
    }
}

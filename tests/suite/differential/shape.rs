//! Shapes of configs, and which handlers each of them guards.

use serde_json::{Value, json};

use super::request::{Family, Handler, Request, Seen};

/// What a client shows who has no right to what is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    Nothing,
    /// A good token without the role that is required.
    TokenWithoutRole,
}

/// A shape of config.
pub struct Shape {
    pub name: &'static str,
    pub routes: Value,
    pub credential: Credential,
    /// Which spellings are tried.
    pub families: &'static [Family],
    /// Which handlers may not be reached.
    pub guards: &'static [Handler],
    /// The method with which they may not be reached; none: any.
    pub method: Option<&'static str>,
    /// The segment below which a request may end up anywhere, if it was sent as that: the only thing that is routed.
    pub only: Option<&'static str>,
}

impl Shape {
    fn new(name: &'static str, routes: Value, guards: &'static [Handler]) -> Self {
        Self {
            name,
            routes,
            credential: Credential::Nothing,
            families: &[Family::Path, Family::Prefix],
            guards,
            method: None,
            only: None,
        }
    }

    /// The request by which this shape is tried.
    pub fn request(&self, request: &Request) -> Request {
        match self.method {
            Some(method) if request.method == "GET" && request.headers.is_empty() => Request { method, ..request.clone() },
            _ => request.clone(),
        }
    }

    /// Whether a server that answered so, without the gateway, might be reached where it may not.
    pub fn is_dangerous(&self, handler: Handler) -> bool {
        self.guards.contains(&handler)
    }

    /// Whether what a handler says of a request is that it was reached though it may not.
    pub fn is_breached(&self, request: &Request, seen: &Seen) -> bool {
        let method = seen.method.as_deref().filter(|method| !method.is_empty()).unwrap_or(request.method);
        self.is_dangerous(seen.handler)
            && self.method.is_none_or(|guarded| method.eq_ignore_ascii_case(guarded))
            && !self.only.is_some_and(|segment| is_sent_below(segment, &request.target))
    }
}

/// Whether a target's first segment is this one, decoded once, and nothing in it leads up again: some servers do not decode it, and find
/// nothing there.
fn is_sent_below(segment: &str, target: &[u8]) -> bool {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let decoded = |bytes: &[u8]| percent_encoding::percent_decode(bytes).collect::<Vec<u8>>();
    let leads_up = decoded(path).windows(2).any(|pair| pair == b"..");
    !leads_up && path.split(|byte| *byte == b'/').nth(1).is_some_and(|first| decoded(first) == segment.as_bytes())
}

/// A config in which everything is open: what gets through it must be seen, or the kit sees nothing.
pub fn open() -> Shape {
    Shape::new("open", json!([{ "name": "www", "access": "public" }]), &[Handler::Admin, Handler::Below])
}

/// Every shape that guards something.
pub fn all() -> Vec<Shape> {
    const BOTH: &[Handler] = &[Handler::Admin, Handler::Below];
    const UNROUTED: &[Handler] = &[Handler::Other, Handler::Auth, Handler::Public];
    let public = json!({ "name": "www", "access": "public" });
    let guarded = |more: Value| {
        let mut route = json!({ "name": "guarded", "path": "/admin", "roles": ["admin"] });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    let all_guarded = json!({ "name": "www", "roles": ["admin"] });
    vec![
        Shape::new("public default", json!([public, guarded(json!({}))]), BOTH),
        Shape {
            credential: Credential::TokenWithoutRole,
            ..Shape::new("roles", json!([{ "name": "www" }, guarded(json!({}))]), BOTH)
        },
        Shape::new("protected default", json!([all_guarded, { "name": "open", "path": "/public", "access": "public" }]), BOTH),
        Shape {
            credential: Credential::TokenWithoutRole,
            ..Shape::new("protected default, another role", json!([all_guarded, { "name": "open", "path": "/public" }]), BOTH)
        },
        Shape::new(
            "nested",
            json!([public, guarded(json!({})), { "name": "open", "path": "/admin/open", "access": "public" }]),
            &[Handler::Admin],
        ),
        Shape {
            families: &[Family::Host],
            ..Shape::new("host", json!([public, { "name": "guarded", "host": "admin.test", "roles": ["admin"] }]), &[Handler::Host])
        },
        Shape {
            families: &[Family::Host],
            ..Shape::new(
                "public host",
                json!([all_guarded, { "name": "open", "host": "www.test", "access": "public" }]),
                &[Handler::Host],
            )
        },
        Shape::new("path of a host", json!([public, guarded(json!({ "host": "www.test" }))]), BOTH),
        Shape::new("exact", json!([public, guarded(json!({ "exact": true }))]), &[Handler::Admin]),
        Shape {
            families: &[Family::Path, Family::Override],
            method: Some("DELETE"),
            ..Shape::new("method", json!([public, guarded(json!({ "methods": ["DELETE"] }))]), BOTH)
        },
        Shape::new("capital", json!([public, guarded(json!({ "path": "/Admin" }))]), BOTH),
        Shape {
            only: Some("admin"),
            ..Shape::new("public alone", json!([{ "name": "open", "path": "/admin", "access": "public" }]), UNROUTED)
        },
        Shape {
            credential: Credential::TokenWithoutRole,
            only: Some("admin"),
            ..Shape::new("protected alone", json!([{ "name": "app", "path": "/admin" }]), UNROUTED)
        },
        Shape::new(
            "exact alone",
            json!([{ "name": "open", "path": "/admin", "exact": true, "access": "public" }]),
            &[Handler::Below, Handler::Auth, Handler::Public],
        ),
        Shape {
            families: &[Family::Host],
            ..Shape::new("host alone", json!([{ "name": "open", "host": "www.test", "access": "public" }]), &[Handler::Host])
        },
        Shape::new("below alone", json!([{ "name": "open", "path": "/admin/open", "access": "public" }]), &[Handler::Admin]),
        Shape { families: &[Family::Login], ..Shape::new("login", json!({ "preset": "realm" }), &[Handler::Auth]) },
    ]
}

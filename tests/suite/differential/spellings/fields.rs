//! Headers that name a path, move its beginning, or name a method.

use super::super::request::Request;

/// Names as backends and their middleware look for them, with dashes.
const PATHS: &[&str] = &[
    "Script-Name",
    "Path-Info",
    "Daphne-Root-Path",
    "X-Script-Name",
    "X-Forwarded-Prefix",
    "X-Forwarded-Path",
    "X-Forwarded-Script-Name",
    "X-Forwarded-Uri",
    "X-Forwarded-Url",
    "X-Original-Uri",
    "X-Original-Url",
    "X-Rewrite-Uri",
    "X-Rewrite-Url",
    "X-Envoy-Original-Path",
    "X-CouchDB-Vhost-Path",
    "X-CouchDB-Requested-Path",
    "Request-Uri",
    "Script-Url",
    "Redirect-Url",
    "Redirect-Uri",
    "X-Request-Uri",
    "X-Request-Url",
    "X-Path",
    "X-Path-Info",
    "X-Original-Path",
    "X-Original-Request-Uri",
    "X-Real-Uri",
    "X-Real-Url",
    "X-Uri",
    "X-Url",
    "Root-Path",
    "X-Root-Path",
    "X-Base-Path",
    "X-Base-Url",
    "X-Context-Path",
    "X-Forwarded-Context",
    "X-Forwarded-Root",
    "X-Forwarded-Base",
    "X-Forwarded-Base-Path",
    "X-Forwarded-Pathbase",
    "X-Forwarded-Pattern",
    "X-Forwarded-Request-Uri",
    "X-Forwarded-Request-Path",
    "X-Replaced-Path",
    "X-Accel-Redirect",
    "X-Sendfile",
    "X-Ingress-Path",
    "X-Envoy-Original-Dst-Path",
    "Http-Request-Uri",
    "Document-Uri",
    "Document-Url",
    "Path-Translated",
    "Raw-Uri",
    "Request-Path",
    "Orig-Path-Info",
    "Http-X-Original-Url",
    "X-Proxy-Path",
    "X-Proxy-Url",
    "X-Http-Path-Override",
    "X-HTTP-Destinationurl",
    "Base-Url",
    "Destination",
    "Uri",
    "Url",
    "Path",
    "Context-Path",
    "X-Remote-Path",
    "X-Subpath",
    "X-Mount-Path",
    "X-Scheme",
    "Unencoded-Url",
    "X-Waws-Unencoded-Url",
    "X-Arr-Original-Url",
    "Front-End-Path",
    "X-Sub-Uri",
];

const METHODS: &[&str] = &[
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Method",
    "Method-Override",
    "HTTP-Method-Override",
    "X-Original-Method",
    "X-Forwarded-Method",
    "X-Request-Method",
    "Request-Method",
    "Http-X-Http-Method-Override",
    "X-HTTP-Override",
    "X-REST-Method",
    "_method",
];

/// In the spellings that servers take for one: the dashes kept, as underscores, small, and mixed.
fn spellings(name: &str) -> [String; 4] {
    let mixed = name.replacen('-', "_", 1);
    [name.to_owned(), name.to_ascii_uppercase().replace('-', "_"), name.to_ascii_lowercase(), mixed]
}

pub fn prefixes() -> Vec<Request> {
    let mut all = Vec::new();
    for name in PATHS.iter().flat_map(|name| spellings(name)) {
        for (target, value) in [
            ("/public/admin", "/public"),
            ("/public/admin", "public"),
            ("/public/admin", "/public/"),
            ("/public/x", "/admin"),
            ("/public", "/admin"),
            ("/x/admin", "/x"),
            ("/", "/admin"),
            ("/public/x", "/admin/x"),
            ("/public/admin", "http://www.test/public"),
            ("/x", "http://www.test/admin"),
            ("/min", "/ad"),
        ] {
            all.push(Request::get(target).header(&name, value));
        }
    }
    all
}

pub fn overrides() -> Vec<Request> {
    let mut all = Vec::new();
    for method in ["POST", "GET"] {
        for target in ["/admin", "/admin/x"] {
            let plain = Request { method, ..Request::get(target) };
            for name in METHODS.iter().flat_map(|name| spellings(name)) {
                for value in ["DELETE", "delete", "DELETE, POST", "Delete"] {
                    all.push(plain.clone().header(&name, value));
                }
            }
            all.push(plain);
        }
    }
    all
}

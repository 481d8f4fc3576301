//! What must hold of the route that any target takes: no server of the oracle reads it as what another route guards.

use std::sync::LazyLock;

use syncgate::{config::Config, fuzzing::Routing};

use crate::oracle::{is_covered, readings_of_servers};

/// A config and what it guards.
struct Shape {
    routes: &'static str,
    /// Whether the route named `guarded` must have been asked about a request that is read as this path, for this host.
    guards: fn(&[u8], &str) -> bool,
}

const SHAPES: &[Shape] = &[
    Shape {
        routes: r#"[{"name":"www","access":"public"},{"name":"guarded","path":"/admin","roles":["admin"]}]"#,
        guards: |path, _| is_covered(path, "/admin", false),
    },
    Shape {
        routes: r#"[{"name":"www"},{"name":"guarded","path":"/Admin","roles":["admin"]}]"#,
        guards: |path, _| is_covered(path, "/admin", false),
    },
    Shape {
        routes: r#"[{"name":"www","access":"public"},{"name":"guarded","path":"/admin","exact":true,"roles":["admin"]}]"#,
        guards: |path, _| is_covered(path, "/admin", true),
    },
    Shape {
        routes: r#"[{"name":"guarded","roles":["admin"]},{"name":"open","path":"/public","access":"public"}]"#,
        guards: |path, _| is_covered(path, "/admin", false),
    },
    Shape {
        routes: r#"[{"name":"www","access":"public"},{"name":"guarded","path":"/admin/users","roles":["admin"]},{"name":"desk","path":"/admin"}]"#,
        guards: |path, _| is_covered(path, "/admin/users", false),
    },
    Shape {
        routes: r#"[{"name":"www","access":"public"},{"name":"guarded","host":"admin.test","roles":["admin"]}]"#,
        guards: |_, host| host.eq_ignore_ascii_case("admin.test"),
    },
    Shape {
        routes: r#"[{"name":"guarded","roles":["admin"]},{"name":"open","host":"www.test","access":"public"}]"#,
        guards: |_, host| host.eq_ignore_ascii_case("admin.test"),
    },
];

static ROUTINGS: LazyLock<Vec<(&Shape, Routing)>> = LazyLock::new(|| SHAPES.iter().map(|shape| (shape, routing(shape))).collect());

fn routing(shape: &Shape) -> Routing {
    let file = format!(
        r#"{{"issuers":[{{"preset":"oidc","issuer":"https://login.contoso.com","audiences":["api"]}}],
        "signing":{{"key_file":"signing.pem"}},"upstream":{{"url":"http://127.0.0.1:1"}},"routes":{}}}"#,
        shape.routes
    );
    let loaded = Config::parse(file, "/".as_ref()).expect("a shape is a config");
    Routing::new(&loaded.config.proxy.routes).expect("the routes are counted")
}

/// Holds a line with a host and a line with a target, or a target alone, to every shape.
///
/// # Panics
/// If the request may be forwarded without regard to a route that guards what some server reads.
pub fn hold(host_and_target: &[u8]) {
    let (host, target) = match host_and_target.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&host_and_target[..end], &host_and_target[end + 1..]),
        None => (b"www.test".as_slice(), host_and_target),
    };
    // What has a line end or a space in it is another request.
    if host.iter().chain(target).any(|byte| b"\r\n ".contains(byte)) {
        return;
    }
    let readings: Vec<_> = readings_of_servers(target).filter_map(|(server, reading)| Some((server, reading?))).collect();
    let hosts = hosts(host, target);
    for (shape, routing) in &*ROUTINGS {
        let Ok(asked) = routing.asked(host, "GET", target) else { continue };
        if asked.iter().any(|name| name == "guarded") {
            continue;
        }
        for (server, reading) in &readings {
            for name in &hosts {
                assert!(
                    !(shape.guards)(reading, name),
                    "{}: {} for {} takes {asked:?}, and {server:?} reads {} for {name}",
                    shape.routes,
                    target.escape_ascii(),
                    host.escape_ascii(),
                    reading.escape_ascii()
                );
            }
        }
    }
}

/// What servers may take for the name of the host: the whole, what stands before a colon or a comma, behind a comma, within brackets, and
/// a host within the target.
fn hosts(host: &[u8], target: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(host).into_owned();
    let mut hosts: Vec<String> =
        text.split([':', ',', '@', ';', '/', '[', ']']).map(|part| part.trim().trim_end_matches('.').to_owned()).collect();
    let latin1: String = target.iter().map(|byte| char::from(*byte)).collect();
    let joined = url::Url::parse("http://www.test").and_then(|base| base.join(&latin1));
    hosts.extend(joined.ok().and_then(|url| url.host_str().map(str::to_owned)));
    hosts.push(text);
    hosts
}

//! The servers: which there are, and how each is started.

use super::program::{Place, Program};
use crate::installed;

fn strings<const COUNT: usize>(arguments: [&str; COUNT]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

fn settings(place: &Place) -> &str {
    place.settings.to_str().unwrap()
}

fn gunicorn(place: &Place, app: &str) -> Vec<String> {
    let bind = format!("127.0.0.1:{}", place.ports[0]);
    strings(["--bind", &bind, "--threads", "4", "--keep-alive", "60", "--log-level", "error", &format!("frameworks_wsgi:{app}")])
}

/// A command of the Python environment.
fn python(name: &str) -> &'static str {
    installed::DIFFERENTIAL.python_command(name).leak()
}

/// Those that npm and PyPI bring.
pub fn of_registries() -> Vec<Program> {
    let node = Program {
        setups: &["node-url", "node-url-decoded", "node-url-legacy", "express", "fastify", "fastify-loose", "koa", "hapi", "hono"],
        needs: "node",
        settings: None,
        arguments: |place| [vec!["node.mjs".to_owned()], place.ports.iter().map(u16::to_string).collect()].concat(),
    };
    let gunicorn = python("gunicorn");
    let wsgi = |setups, arguments| Program { setups, needs: gunicorn, settings: None, arguments };
    vec![
        node,
        wsgi(&["flask"], |place| self::gunicorn(place, "flask_app")),
        wsgi(&["django"], |place| self::gunicorn(place, "django_app")),
        wsgi(&["bottle"], |place| self::gunicorn(place, "bottle_app")),
        wsgi(&["wsgi"], |place| self::gunicorn(place, "plain_app")),
        Program {
            setups: &["starlette"],
            needs: python("uvicorn"),
            settings: None,
            arguments: |place| strings(["--port", &place.ports[0].to_string(), "--log-level", "error", "frameworks_asgi:app"]),
        },
        Program {
            setups: &["envoy-mesh", "envoy-unescaped", "envoy-untouched"],
            needs: python("envoy"),
            settings: Some("envoy.yaml"),
            arguments: |place| strings(["-c", settings(place), "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]),
        },
    ]
}

/// Those that Debian brings.
pub fn of_debian() -> Vec<Program> {
    vec![
        Program {
            setups: &["nginx", "nginx-expression", "nginx-caseless"],
            needs: "nginx",
            settings: Some("nginx.conf"),
            arguments: |place| strings(["-e", "stderr", "-c", settings(place)]),
        },
        Program {
            setups: &["apache", "apache-slashes-decoded", "apache-slashes-left"],
            needs: "apache2",
            settings: Some("apache.conf"),
            arguments: |place| strings(["-DFOREGROUND", "-f", settings(place)]),
        },
        Program {
            setups: &["caddy", "caddy-expression"],
            needs: "caddy",
            settings: Some("Caddyfile"),
            arguments: |place| strings(["run", "--adapter", "caddyfile", "--config", settings(place)]),
        },
        Program {
            setups: &["haproxy", "haproxy-decoded", "haproxy-normalised"],
            needs: "haproxy",
            settings: Some("haproxy.cfg"),
            arguments: |place| strings(["-db", "-f", settings(place)]),
        },
        Program {
            setups: &["lighttpd", "lighttpd-decoded"],
            needs: "lighttpd",
            settings: Some("lighttpd.conf"),
            arguments: |place| strings(["-D", "-f", settings(place)]),
        },
        Program {
            setups: &["varnish"],
            needs: "varnishd",
            settings: Some("varnish.vcl"),
            arguments: |place| {
                strings(["-F", "-n", &place.path("varnish"), "-a", &format!("127.0.0.1:{}", place.ports[0]), "-f", settings(place)])
            },
        },
        Program {
            setups: &["rack", "sinatra"],
            needs: "puma",
            settings: None,
            arguments: |place| {
                let bind = |index: usize| format!("tcp://127.0.0.1:{}", place.ports[index]);
                strings(["-b", &bind(0), "-b", &bind(1), "-t", "4:4", "config.ru"])
            },
        },
        Program {
            setups: &["jetty-servlets", "jetty-forwarded"],
            needs: "java",
            settings: None,
            arguments: |place| {
                let port = |index: usize| place.ports[index].to_string();
                strings(["-cp", "/usr/share/java/*", "Jetty.java", &port(0), &port(1)])
            },
        },
        Program {
            setups: &["php"],
            needs: "php",
            settings: None,
            arguments: |place| strings(["-S", &format!("127.0.0.1:{}", place.ports[0]), "router.php"]),
        },
    ]
}

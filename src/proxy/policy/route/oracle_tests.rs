//! The routes of paths, held against models of servers, which are not the gateway's code.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Access, RouteSettings, fuzzing::Routing};

#[path = "../../../../tests/oracle/mod.rs"]
mod oracle;

use self::oracle::{is_covered, readings_of_servers};

fn route(name: &str, path: &str, access: Access) -> RouteSettings {
    RouteSettings { name: name.to_owned(), path: path.to_owned(), access, ..RouteSettings::default() }
}

const PUBLIC: Access = Access::Public { pass_authorization: false };

/// Configs in which the route `guarded` must be asked about `/admin`.
static SHAPES: LazyLock<[Routing; 4]> = LazyLock::new(|| {
    let www = route("www", "/", PUBLIC);
    let guarded = route("guarded", "/admin", Access::Protected);
    let open = route("open", "/public", PUBLIC);
    [
        vec![www.clone(), guarded.clone()],
        vec![www.clone(), guarded.clone(), open.clone()],
        vec![www, RouteSettings { path: "/Admin".into(), ..guarded.clone() }],
        vec![RouteSettings { path: "/".into(), ..guarded }, open],
    ]
    .map(|routes| Routing::new(&routes).unwrap())
});

/// Configs of one route and nothing else, with its path.
static ALONE: LazyLock<[(&str, Routing); 3]> = LazyLock::new(|| {
    [("/public", PUBLIC), ("/admin", Access::Protected), ("/x/admin", PUBLIC)]
        .map(|(path, access)| (path, Routing::new(&[route("alone", path, access)]).unwrap()))
});

/// What servers differ in, and the letters of what is guarded.
const PIECES: &str = "(/|//|\\\\|%2f|%5C|%252f|;|;x|%3b|\\.|%2e|\\.\\.|\\.\\.;|%2E%2e|%252e|admin|ADMIN|%61dmin|%2561dmin|%u0061dmin|ad%ffmin|adm%c4%b0n|x|public|\\+x|&x|%2b|%24|%0a|%00|%20|\\?|#|%3f|%23|@|:)";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_server_reads_a_path_as_one_whose_route_was_not_asked(start in "(/|/public/|/x/|//)", pieces in prop::collection::vec(PIECES, 1..8)) {
        let target = format!("{start}{}", pieces.concat());
        for routing in &*SHAPES {
            let Ok(asked) = routing.asked(b"www.test", "GET", target.as_bytes()) else { continue };
            if asked.iter().any(|name| name == "guarded") {
                continue;
            }
            for (server, reading) in readings_of_servers(target.as_bytes()) {
                let reading = reading.unwrap_or_default();
                prop_assert!(
                    !is_covered(&reading, "/admin", false),
                    "{target} takes {asked:?}, and {server:?} reads {}", reading.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn no_server_reads_a_path_as_one_that_no_route_takes(start in "(/|/public|/admin|/x/admin|//)", pieces in prop::collection::vec(PIECES, 1..6)) {
        let target = format!("{start}{}", pieces.concat());
        for (path, routing) in &*ALONE {
            if routing.asked(b"www.test", "GET", target.as_bytes()).is_err() {
                continue;
            }
            for (server, reading) in readings_of_servers(target.as_bytes()) {
                // A server that does not decode finds nothing in another encoding of the route's name.
                let reading: Vec<u8> = percent_encoding::percent_decode(&reading.unwrap_or_else(|| path.as_bytes().to_vec())).collect();
                prop_assert!(is_covered(&reading, path, false), "{target} is routed, and {server:?} reads {}", reading.escape_ascii());
            }
        }
    }
}

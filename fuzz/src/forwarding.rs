//! What must hold of the header that a backend sees: nothing that a client may not say, in no spelling, and all the rest as it came.

use syncgate::{
    fuzzing::forwarded,
    proxy::{HeaderSettings, RouteSettings},
};

/// Names by which servers are known to take an identity or another path, method or host than the request has, and those of a connection,
/// written down apart from the gateway's list. The last three count where a route is for a host.
pub const NAMES: [&str; 40] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "script-name",
    "path-info",
    "daphne-root-path",
    "x-script-name",
    "x-forwarded-prefix",
    "x-forwarded-path",
    "x-forwarded-script-name",
    "x-forwarded-uri",
    "x-forwarded-url",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-uri",
    "x-rewrite-url",
    "x-envoy-original-path",
    "x-couchdb-vhost-path",
    "x-couchdb-requested-path",
    "request-uri",
    "script-url",
    "redirect-url",
    "x-remote-user",
    "x-auth-couchdb-username",
    "authorization",
    "proxy-authorization",
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "front-end-https",
    "x-host",
    "x-server-name",
    "x-http-host-override",
];
const NAMES_A_HOST: usize = 3;
/// Names, or the beginnings of names, by which clients and proxies say who the client is.
const TELLING: [&str; 9] = [
    "forwarded",
    "x-forwarded*",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-host",
];
/// Once, as they are; every other spelling is somebody's trick.
const FRAMING: [&str; 4] = ["content-encoding", "content-length", "content-type", "host"];

/// Holds a header of lines `name: value`, on a site without and with a route for a host.
///
/// # Panics
/// If a backend sees what it must not see, or not what it should.
pub fn hold(header: &[u8]) {
    let sent: Vec<(String, Vec<u8>)> = header.split(|byte| *byte == b'\n').filter_map(field).take(100).collect();
    for host in [None, Some("admin.test")] {
        let guarded = RouteSettings { name: "guarded".into(), host: host.map(str::to_owned), ..RouteSettings::default() };
        let routes = [RouteSettings::default(), guarded];
        let Some(seen) = forwarded(&routes, &HeaderSettings::default(), &sent) else { continue };
        let seen = String::from_utf8(seen).expect("what was sent is text");
        let lines = seen.strip_suffix("\r\n\r\n").expect("a header ends in an empty line").split("\r\n").skip(1);
        let seen: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").expect("a field has a colon")).collect();
        for (name, _) in &seen {
            assert!(!is_unwanted(name, host.is_some()), "{name} reaches the backend");
        }
        for (name, value) in &sent {
            if may_go(name, host.is_some()) || is_nominated(name, &sent) || name.eq_ignore_ascii_case("content-length") {
                continue;
            }
            let value = str::from_utf8(value).expect("text");
            assert!(
                seen.iter().any(|field| field.0.eq_ignore_ascii_case(name) && field.1 == value),
                "{name} does not reach the backend"
            );
        }
    }
}

/// A field that can be sent: of a name as RFC 9110 section 5.1 has it, and a value of printable ASCII without blanks around it.
fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii());
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_fine =
        !name.is_empty() && name.len() < 100 && name.bytes().all(is_token) && value.iter().all(|byte| (b' '..=b'~').contains(byte));
    is_fine.then(|| (name.to_owned(), value.to_vec()))
}

fn folded(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' }).collect()
}

fn is_unwanted(name: &str, has_host: bool) -> bool {
    let folded_name = folded(name);
    let is_listed = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => folded_name.starts_with(&folded(beginning)),
        None => folded_name == folded(pattern),
    };
    let names = &NAMES[..NAMES.len() - if has_host { 0 } else { NAMES_A_HOST }];
    let is_spelled_anew = FRAMING.contains(&folded_name.as_str()) && !FRAMING.contains(&name.to_ascii_lowercase().as_str());
    names.contains(&folded_name.as_str())
        || is_spelled_anew
        || HeaderSettings::DEFAULT_STRIP.iter().copied().chain(TELLING).any(is_listed)
}

/// Also what sounds like an address, or like the name of a host: the gateway knows more of these than are written down here.
fn may_go(name: &str, has_host: bool) -> bool {
    let folded = folded(name);
    is_unwanted(name, has_host)
        || folded.ends_with("ip")
        || ["-ip", "cf-", "x-original", "scheme", "https", "ssl", "external-address"].iter().any(|part| folded.contains(part))
        || (has_host && ["host", "server", "domain"].iter().any(|part| folded.contains(part)) && folded != "host")
}

fn is_nominated(name: &str, sent: &[(String, Vec<u8>)]) -> bool {
    let connections = sent.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    connections
        .flat_map(|(_, value)| value.split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

//! The output of `syncgate demo`: a drawing of the flow, the pages to open and the commands to try.

use std::{net::SocketAddr, path::Path};

use crate::{
    demo::{
        endpoints::{CLAIM, KEYS, MINT, TOKEN},
        issuer::DemoIssuer,
        world::Places,
    },
    terminal::Look,
};

/// Sends the issuer's token.
const BEARER: &str = r#"-H "Authorization: Bearer $TOKEN""#;
/// Ends the answer's line.
const LINE: &str = r"-w '\n'";

/// A title and what to paste.
type Chapter = (&'static str, Vec<String>);

/// The drawing, the pages and the commands, for a world with endpoints that listens here.
pub fn guide(places: &Places, issuer: &DemoIssuer, look: Look) -> String {
    let Places { admin, .. } = places;
    let mut text = drawing(places);
    text.push_str(&format!("\n{}\n", look.bold("# Open in a browser")));
    let pages = [
        (format!("http://{admin}/keys"), "the keys that the gateway trusts, when they were fetched and when they expire"),
        (format!("http://{admin}/metrics"), "its metrics"),
        (issuer.discovery_url(), "the issuer's discovery document"),
    ];
    for (page, what) in &pages {
        text.push_str(&format!("{page}  {}\n", look.dim(what)));
    }
    let chapters = [through_the_gateway(places, issuer), without_the_gateway(places), behind_the_scenes(places, issuer)];
    for (title, commands) in chapters.into_iter().flatten() {
        text.push_str(&format!("\n{}\n", look.bold(&format!("# {title}"))));
        for command in commands {
            text.push_str(&format!("{command}\n"));
        }
    }
    text
}

/// The same request over TLS at this address, and what has to be trusted for it.
pub fn secure_guide(address: SocketAddr, authority: &Path, look: Look) -> String {
    let (port, authority) = (address.port(), authority.display());
    let title = "Use https and HTTP/2; the file has the authority of the demo's certificate, which other programs need too";
    let commands = [
        format!(
            "curl -s -o /dev/null -w 'HTTP/%{{http_version}} %{{http_code}}\\n' --cacert {authority} {BEARER} https://localhost:{port}/docs/note"
        ),
        format!("curl {LINE} --cacert {authority} {BEARER} https://localhost:{port}/whoami"),
    ];
    format!("\n{}\n{}\n", look.bold(&format!("# {title}")), commands.join("\n"))
}

/// What apps do that send each request through the gateway.
fn through_the_gateway(Places { gateway, .. }: &Places, issuer: &DemoIssuer) -> Vec<Chapter> {
    let token_url = issuer.token_url();
    let json = "-H 'Content-Type: application/json'";
    let upgrade = "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
                   -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='";
    vec![
        (
            "Log in at the issuer: any name, any password",
            vec![format!(
                "TOKEN=$(curl -s -d grant_type=password -d username=alice -d password=demo {token_url} | {})",
                member("access_token")
            )],
        ),
        (
            "Write a document through the gateway and read it",
            vec![
                format!("curl {LINE} -X PUT {BEARER} {json} -d '{{\"text\":\"buy milk\"}}' http://{gateway}/docs/note"),
                format!("curl {LINE} {BEARER} http://{gateway}/docs/note"),
            ],
        ),
        (
            "See what the backend gets instead of your token: the claims about you, and the request as received",
            vec![format!("curl {LINE} {BEARER} http://{gateway}/whoami"), format!("curl {LINE} {BEARER} http://{gateway}/echo")],
        ),
        (
            "Watch changes: continuously, or the next one (write the document again from another terminal)",
            vec![
                format!("curl -N {BEARER} 'http://{gateway}/changes?feed=continuous'"),
                format!("curl {LINE} {BEARER} 'http://{gateway}/changes?feed=longpoll&since=1'"),
            ],
        ),
        (
            "Open a WebSocket and watch its frames (write the document again from another terminal)",
            vec![format!("curl -iN --http1.1 {BEARER} {upgrade} http://{gateway}/live --output -")],
        ),
    ]
}

/// What apps do that go straight to the backend, and who gives them its tokens.
fn without_the_gateway(Places { gateway, backend, .. }: &Places) -> Vec<Chapter> {
    // Unpadded base64url, of which base64 decodes all but complains.
    let claims = "cut -d. -f2 | tr _- /+ | base64 -d 2>/dev/null";
    let exchange = "-d grant_type=urn:ietf:params:oauth:grant-type:token-exchange -d subject_token=$TOKEN \
                    -d subject_token_type=urn:ietf:params:oauth:token-type:access_token";
    vec![
        (
            "Go straight to the backend, with the token that your own carries since the login (the issuer asked the gateway)",
            vec![
                format!("CLAIM=$(echo $TOKEN | {claims} | {})", member(CLAIM)),
                format!("curl {LINE} -H \"Authorization: Bearer $CLAIM\" http://{backend}/docs/note"),
            ],
        ),
        (
            "Exchange your token (RFC 8693), and go straight to the backend with what you get",
            vec![
                format!("MINTED=$(curl -s {exchange} http://{gateway}{TOKEN} | {})", member("access_token")),
                format!("curl {LINE} -H \"Authorization: Bearer $MINTED\" http://{backend}/whoami"),
            ],
        ),
        (
            "Look at the key that verifies both, and be refused where the issuer asks",
            vec![format!("curl {LINE} http://{gateway}{KEYS}"), format!("curl -i -d '{{}}' http://{gateway}{MINT}")],
        ),
    ]
}

/// What attackers try, and what issuers and operators do.
fn behind_the_scenes(Places { gateway, admin, backend, .. }: &Places, issuer: &DemoIssuer) -> Vec<Chapter> {
    let (announce, rotate) = (issuer.door_url("announce"), issuer.door_url("rotate"));
    vec![
        (
            "Be refused, also by the backend itself, which accepts only the gateway's tokens",
            vec![
                format!("curl -i http://{gateway}/docs"),
                format!("curl -i -H \"Authorization: Bearer ${{TOKEN%?????}}AAAAA\" http://{gateway}/docs"),
                format!("curl -i {BEARER} http://{backend}/docs"),
            ],
        ),
        (
            "Rotate the issuer's key: published first, used once the gateway has fetched it",
            vec![format!("curl {LINE} -X POST {announce}; sleep 2; curl {LINE} -X POST {rotate}")],
        ),
        ("Look at the metrics as an operator", vec![format!("curl -s http://{admin}/metrics | grep ^syncgate_")]),
    ]
}

/// Takes a text out of a JSON object.
fn member(name: &str) -> String {
    format!(r#"sed 's/.*"{name}":"\([^"]*\)".*/\1/'"#)
}

fn drawing(Places { gateway, admin, issuer, backend }: &Places) -> String {
    format!(
        "
  client ---- the issuer's token ----> gateway ---- userId, signed by its one key ----> backend
                                       {gateway:<16}                                 {backend}
    |                                    |
    '---- log in ----> issuer <---- keys ---'          metrics: http://{admin}/metrics
                       {issuer} ---- at each login: POST {MINT} ----> gateway
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_guide_names_the_real_ports() {
        let issuer = DemoIssuer::start().await.unwrap();
        let at = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let places = Places { gateway: at(1111), admin: at(2222), issuer: issuer.address(), backend: at(3333) };
        let plain = guide(&places, &issuer, Look::Plain);
        for text in [
            "http://127.0.0.1:1111/docs/note",
            "http://127.0.0.1:2222/metrics",
            "http://127.0.0.1:3333/docs",
            "http://127.0.0.1:2222/keys",
            "http://127.0.0.1:1111/token",
            "http://127.0.0.1:1111/.well-known/jwks.json",
        ] {
            assert!(plain.contains(text), "{text} in {plain}");
        }
        assert!(plain.contains(&issuer.token_url()) && plain.contains(&issuer.door_url("rotate")));
        // The pages come first, and every command is one that everybody has.
        assert!(plain.find("/keys").unwrap() < plain.find("curl").unwrap(), "{plain}");
        let (_, chapters) = plain.split_once("# Log in").unwrap();
        for command in chapters.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let starts = ["curl ", "TOKEN=$(curl ", "MINTED=$(curl ", "CLAIM=$(echo $TOKEN | cut "];
            assert!(starts.iter().any(|start| command.starts_with(start)), "{command}");
        }
        assert!(!plain.contains('\x1b'));
        assert!(guide(&places, &issuer, Look::Terminal).contains("\x1b[1m# Log in"));
    }
}

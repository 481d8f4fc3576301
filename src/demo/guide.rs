//! The output of `syncgate demo`: a drawing of the flow, the pages to open and the commands to try.

use crate::{
    demo::{issuer::DemoIssuer, world::Places},
    terminal::Look,
};

/// The drawing, the pages and the commands, for a world that listens here.
pub fn guide(places: &Places, issuer: &DemoIssuer, look: Look) -> String {
    let Places { gateway, admin, backend, .. } = places;
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
    let token_url = issuer.token_url();
    let (announce, rotate) = (issuer.door_url("announce"), issuer.door_url("rotate"));
    let bearer = r#"-H "Authorization: Bearer $TOKEN""#;
    let line = r"-w '\n'";
    let json = "-H 'Content-Type: application/json'";
    let upgrade = "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
                   -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='";
    let chapters: [(&str, &[String]); 8] = [
        (
            "Log in at the issuer: any name, any password",
            &[format!(
                "TOKEN=$(curl -s -d grant_type=password -d username=alice -d password=demo {token_url} \
                 | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
            )],
        ),
        (
            "Write a document through the gateway and read it",
            &[
                format!("curl {line} -X PUT {bearer} {json} -d '{{\"text\":\"buy milk\"}}' http://{gateway}/docs/note"),
                format!("curl {line} {bearer} http://{gateway}/docs/note"),
            ],
        ),
        (
            "See what the backend gets instead of your token: the claims about you, and the request as received",
            &[format!("curl {line} {bearer} http://{gateway}/whoami"), format!("curl {line} {bearer} http://{gateway}/echo")],
        ),
        (
            "Watch changes: continuously, or the next one (write the document again from another terminal)",
            &[
                format!("curl -N {bearer} 'http://{gateway}/changes?feed=continuous'"),
                format!("curl {line} {bearer} 'http://{gateway}/changes?feed=longpoll&since=1'"),
            ],
        ),
        (
            "Open a WebSocket and watch its frames (write the document again from another terminal)",
            &[format!("curl -iN --http1.1 {bearer} {upgrade} http://{gateway}/live --output -")],
        ),
        (
            "Be refused, also by the backend itself, which accepts only the gateway's tokens",
            &[
                format!("curl -i http://{gateway}/docs"),
                format!("curl -i -H \"Authorization: Bearer ${{TOKEN%?????}}AAAAA\" http://{gateway}/docs"),
                format!("curl -i {bearer} http://{backend}/docs"),
            ],
        ),
        (
            "Rotate the issuer's key: published first, used once the gateway has fetched it",
            &[format!("curl {line} -X POST {announce}; sleep 2; curl {line} -X POST {rotate}")],
        ),
        ("Look at the metrics as an operator", &[format!("curl -s http://{admin}/metrics | grep ^syncgate_")]),
    ];
    for (title, commands) in chapters {
        text.push_str(&format!("\n{}\n", look.bold(&format!("# {title}"))));
        for command in commands {
            text.push_str(&format!("{command}\n"));
        }
    }
    text
}

fn drawing(Places { gateway, admin, issuer, backend }: &Places) -> String {
    format!(
        "
  client ---- the issuer's token ----> gateway ---- userId, signed by its one key ----> backend
                                       {gateway:<16}                                 {backend}
    |                                    |
    '---- log in ----> issuer <---- keys ---'          metrics: http://{admin}/metrics
                       {issuer}
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
        ] {
            assert!(plain.contains(text), "{text} in {plain}");
        }
        assert!(plain.contains(&issuer.token_url()) && plain.contains(&issuer.door_url("rotate")));
        // The pages come first, and every command is one that everybody has.
        assert!(plain.find("/keys").unwrap() < plain.find("curl").unwrap(), "{plain}");
        let (_, chapters) = plain.split_once("# Log in").unwrap();
        for command in chapters.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(command.starts_with("curl ") || command.starts_with("TOKEN=$(curl "), "{command}");
        }
        assert!(!plain.contains('\x1b'));
        assert!(guide(&places, &issuer, Look::Terminal).contains("\x1b[1m# Log in"));
    }
}

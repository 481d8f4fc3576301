//! Who the client is: what backends and the log are told, whom the gateway believes about it, and the PROXY protocol.

use std::time::{Duration, Instant};

use syncgate::{
    config::Config,
    demo::DemoIssuer,
    proxy::{ClientField, ForwardedFor, HostHeader, TrustSettings, TrustedProxies},
};

use crate::{
    kit::{Answer, Kit, Raw, UPGRADE, gateway_before},
    process::Process,
    recorder::{Recorder, Request},
};

/// What the gateway writes of a client on this machine that nobody speaks for.
const OF_THE_PEER: [(&str, Option<&str>); 6] = [
    ("x-forwarded-for", Some("127.0.0.1")),
    ("x-forwarded-proto", Some("http")),
    ("x-forwarded-host", Some("gateway:8443")),
    ("x-forwarded-port", Some("8443")),
    ("x-forwarded-ssl", None),
    ("forwarded", None),
];

/// What clients say of themselves, in several spellings, which nobody is to believe.
const FORGED: &str = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 6.6.6.7\r\nX_Forwarded_For: 6.6.6.6\r\nX.Forwarded.Proto: gopher\r\n\
                      X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil.test\r\nX_Forwarded_Host: evil.test\r\nX-Forwarded-Port: 666\r\n\
                      X-Forwarded-Ssl: evil\r\nX-Forwarded-Server: evil.test\r\nX-Forwarded: for=6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\
                      X-Real-IP: 6.6.6.6\r\nx_real_ip: 6.6.6.6\r\nX-Client-IP: 6.6.6.6\r\nX-Cluster-Client-IP: 6.6.6.6\r\n\
                      True-Client-IP: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nFastly-Client-IP: 6.6.6.6\r\nX-Original-Host: evil.test\r\n\
                      X-Original-URL: /evil\r\nX-Rewrite-URL: /evil\r\nFront-End-Https: evil\r\nX-Url-Scheme: evil\r\n\
                      Client-Cert: :evil:\r\nX-Azure-ClientIP: 6.6.6.6\r\nX-Envoy-External-Address: 6.6.6.6\r\nVia: 1.1 kept\r\n";

fn trust(range: &str, client_field: ClientField) -> TrustSettings {
    TrustSettings { proxies: TrustedProxies::new(vec![range.parse().unwrap()]), client_field }
}

fn head(kit: &Kit, fields: &str) -> String {
    let token = kit.issuer.token("alice").sign();
    format!("GET /a HTTP/1.1\r\nHost: gateway:8443\r\nAuthorization: Bearer {token}\r\n{fields}\r\n")
}

fn assert_told(request: &Request, expected: &[(&str, Option<&str>)]) {
    for (name, value) in expected {
        assert_eq!(request.header(name), *value, "{name} of {}", request.head);
    }
    for forged in ["6.6.6.", "evil", "gopher", "666"] {
        assert!(!request.contains(forged), "{forged} in {}", request.head);
    }
}

#[tokio::test]
async fn nobody_says_himself_who_he_is() {
    let recorder = Recorder::silent().await;
    let kit = gateway_before(recorder.address, |_| {}).await;
    for fields in ["", FORGED] {
        assert_eq!(kit.raw(head(&kit, fields).as_bytes()).await.status, 204);
        assert_told(&recorder.last(), &OF_THE_PEER);
    }
    assert_eq!(recorder.last().header("via"), Some("1.1 kept"));
    kit.assert_metric("syncgate_forwarded_ignored_total", &[], 1.0).await;
    kit.stop().await;
}

#[tokio::test]
async fn the_backend_of_a_socket_is_told_the_same() {
    let recorder = Recorder::socket(|_| None).await;
    let kit = gateway_before(recorder.address, |_| {}).await;
    let mut client = kit.connect().await;
    client.write(head(&kit, &format!("{FORGED}{UPGRADE}\r\n")).as_bytes()).await;
    kit.within(client.read_until("101 Switching Protocols")).await;
    assert_told(&recorder.last(), &OF_THE_PEER);
    drop(client);
    kit.stop().await;
}

#[tokio::test]
async fn what_connection_names_takes_away_nothing_that_the_gateway_writes() {
    let recorder = Recorder::silent().await;
    let kit = gateway_before(recorder.address, |config| config.proxy.tell.forwarded = true).await;
    for name in ["x-forwarded-for", "X-Forwarded-Host", "X-Forwarded-Proto", "x-forwarded-port", "X-Forwarded-Ssl", "Forwarded"] {
        assert_eq!(kit.raw(head(&kit, &format!("Connection: close, {name}\r\n")).as_bytes()).await.status, 400, "{name}");
    }
    // What may be named is not what the gateway writes.
    assert_eq!(kit.raw(head(&kit, "Connection: close, x_forwarded_for\r\n").as_bytes()).await.status, 204);
    assert_told(&recorder.last(), &OF_THE_PEER[..5]);
    assert_eq!(recorder.last().header("forwarded"), Some("for=127.0.0.1;host=\"gateway:8443\";proto=http"));
    assert_eq!(recorder.count(), 1);
    kit.stop().await;
}

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is() {
    let recorder = Recorder::silent().await;
    let kit = gateway_before(recorder.address, |config| {
        config.proxy.listen.trust = trust("127.0.0.0/8", ClientField::XForwardedFor);
        config.proxy.tell.forwarded_for = ForwardedFor::Chain;
    })
    .await;
    let said = "X-Forwarded-For: 6.6.6.6, 2001:db8::7\r\nX-Forwarded-For: 127.0.0.9:4711\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: contoso.test\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n";
    assert_eq!(kit.raw(head(&kit, said).as_bytes()).await.status, 204);
    assert_told(
        &recorder.last(),
        &[
            ("x-forwarded-for", Some("2001:db8::7, 127.0.0.9, 127.0.0.1")),
            ("x-forwarded-proto", Some("https")),
            ("x-forwarded-host", Some("contoso.test")),
            ("x-forwarded-port", Some("443")),
            ("x-forwarded-ssl", Some("on")),
        ],
    );
    // The trust is that of the config in use, also on connections that are older.
    let mut client = kit.connect().await;
    client.write(head(&kit, said).as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    let mut config: Config = kit.gateway.config();
    config.proxy.listen.trust = TrustSettings::default();
    kit.gateway.reload(Ok(config)).unwrap();
    client.write(head(&kit, said).as_bytes()).await;
    assert_eq!(kit.within(client.answer()).await.unwrap().status, 204);
    assert_told(&recorder.last(), &OF_THE_PEER);
    assert_eq!(recorder.count(), 3);
    kit.stop().await;
}

#[tokio::test]
async fn no_proxy_names_another_host_where_routes_go_by_hosts() {
    let recorder = Recorder::silent().await;
    let kit = gateway_before(recorder.address, |config| {
        config.proxy.listen.trust = trust("127.0.0.1/32", ClientField::Forwarded);
        config.proxy.routes[0].host = Some("gateway".into());
        config.proxy.tell.forwarded = true;
    })
    .await;
    let said = "Forwarded: for=6.6.6.6, for=203.0.113.7;host=evil.test;proto=https\r\n";
    assert_eq!(kit.raw(head(&kit, said).as_bytes()).await.status, 204);
    assert_told(
        &recorder.last(),
        &[
            ("x-forwarded-for", Some("203.0.113.7")),
            ("x-forwarded-host", Some("gateway:8443")),
            ("forwarded", Some("for=203.0.113.7;host=\"gateway:8443\";proto=https")),
        ],
    );
    kit.stop().await;
}

/// How CouchDB (`couch_httpd:absolute_uri`) makes the URL of a document: the scheme that a proxy names, exactly `https` or else http, and the
/// first of these hosts.
fn as_couchdb(request: &Request) -> String {
    let is_on = request.header("x-forwarded-ssl") == Some("on");
    let is_https = is_on || request.header("x-forwarded-proto") == Some("https");
    let host = request.header("x-forwarded-host").or(request.header("host")).unwrap_or_default();
    let scheme = if is_https { "https" } else { "http" };
    format!("HTTP/1.1 201 Created\r\nLocation: {scheme}://{host}{}/doc\r\nContent-Length: 0\r\n\r\n", request.target())
}

#[tokio::test]
async fn the_url_of_a_new_document_is_one_that_its_client_can_reach() {
    let recorder = Recorder::start(as_couchdb).await;
    let location = |answer: Answer| answer.header("location").map(str::to_owned);
    let direct = gateway_before(recorder.address, |config| {
        // As behind a name of its own.
        config.proxy.upstreams[0].host_header = HostHeader::Upstream;
    })
    .await;
    assert_eq!(location(direct.raw(head(&direct, "").as_bytes()).await).unwrap(), "http://gateway:8443/a/doc");
    assert_eq!(location(direct.raw(head(&direct, FORGED).as_bytes()).await).unwrap(), "http://gateway:8443/a/doc");
    direct.stop().await;
    let behind = gateway_before(recorder.address, |config| {
        config.proxy.listen.trust = trust("127.0.0.1/32", ClientField::XForwardedFor);
    })
    .await;
    // Two proxies, of which the inner one has appended.
    let said = "X-Forwarded-For: 203.0.113.7, 127.0.0.1\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: sync.test\r\n";
    assert_eq!(location(behind.raw(head(&behind, said).as_bytes()).await).unwrap(), "https://sync.test/a/doc");
    behind.stop().await;
}

const LINE: &str = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A gateway whose only listener demands the PROXY protocol of this range. Nothing can ask it over plain HTTP.
async fn announced(recorder: &Recorder, range: &'static str) -> Kit {
    gateway_before(recorder.address, move |config| {
        config.proxy.listen.trust = trust(range, ClientField::XForwardedFor);
        config.proxy.listen.listeners[0].proxy_protocol = true;
        config.proxy.listen.header_timeout = Duration::from_secs(2);
    })
    .await
}

async fn behind(kit: &Kit, header: &[u8], fields: &str) -> Option<Answer> {
    kit.try_raw(&[header, head(kit, fields).as_bytes()].concat()).await
}

#[tokio::test]
async fn the_proxy_protocol_says_who_the_client_is() {
    let recorder = Recorder::silent().await;
    let kit = announced(&recorder, "127.0.0.1/32").await;
    let block = |rest: &[u8]| [SIGNATURE, rest].concat();
    let v6 = [&[0x21, 0x21, 0, 36, 0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7], &[0; 16], &[1, 1, 1, 1]].concat();
    let by_tls = [&[0x21, 0x11, 0, 20, 203, 0, 113, 8, 10, 0, 0, 1, 1, 1, 1, 1][..], &[0x20, 0, 5, 1, 0, 0, 0, 0]].concat();
    for (header, address, proto) in [
        (LINE.as_bytes().to_vec(), "203.0.113.7", "http"),
        (block(&v6), "2001:db8::7", "http"),
        (block(&by_tls), "203.0.113.8", "https"),
        // The balancer looks whether the gateway is there, or does not know the client.
        (block(&[0x20, 0, 0, 0]), "127.0.0.1", "http"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1", "http"),
    ] {
        // A client behind such a proxy is no proxy.
        assert_eq!(behind(&kit, &header, FORGED).await.unwrap().status, 204, "{address}");
        assert_told(&recorder.last(), &[("x-forwarded-for", Some(address)), ("x-forwarded-proto", Some(proto))]);
    }
    kit.stop().await;
}

#[tokio::test]
async fn a_connection_without_its_proxy_header_is_closed() {
    let recorder = Recorder::silent().await;
    let kit = announced(&recorder, "127.0.0.1/32").await;
    let too_long = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00";
    for (kind, header) in
        [("malformed", &b""[..]), ("malformed", b"PROXY TCP4 a b 1 2\r\n"), ("too_long", &too_long), ("malformed", hello)]
    {
        let before = kit.metric("syncgate_proxy_header_errors_total", &[("kind", kind)]);
        assert!(behind(&kit, header, "").await.is_none(), "{kind}");
        kit.assert_metric("syncgate_proxy_header_errors_total", &[("kind", kind)], before + 1.0).await;
    }
    // One that says nothing has the time of a header, and one that dawdles no more in all.
    let mut silent = kit.connect().await;
    assert_eq!(kit.within(silent.read_to_end()).await, b"");
    kit.assert_metric("syncgate_proxy_header_errors_total", &[("kind", "timeout")], 1.0).await;
    let mut slow = kit.connect().await;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    slow.write(LINE.as_bytes()).await;
    slow.write(b"GET /a HTTP/1.1\r\n").await;
    assert!(String::from_utf8_lossy(&kit.within(slow.read_to_end()).await).is_empty());
    assert!(began.elapsed() < Duration::from_millis(3_200), "{:?}", began.elapsed());
    assert_eq!(recorder.count(), 0);
    kit.stop().await;

    let strangers = announced(&recorder, "10.0.0.0/8").await;
    assert!(behind(&strangers, LINE.as_bytes(), "").await.is_none());
    strangers.assert_metric("syncgate_proxy_header_errors_total", &[("kind", "untrusted")], 1.0).await;
    assert_eq!(recorder.count(), 0);
    strangers.stop().await;
}

#[tokio::test]
async fn the_log_has_the_client_and_names_a_proxy_that_is_not_trusted() {
    let recorder = Recorder::silent().await;
    let issuer = DemoIssuer::start().await.unwrap();
    let ask = async |process: &Process| {
        let request = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n";
        let mut client = Raw::connect(process.address).await;
        client.write(request).await;
        client.answer().await.unwrap();
    };
    let trusting =
        Process::start(&issuer, recorder.address, "listen: { address: \"127.0.0.1:0\", trusted_proxies: 127.0.0.1 }", 1024).await;
    ask(&trusting).await;
    assert_eq!(trusting.line("request").await["client"], "203.0.113.7");
    assert!(trusting.lines("X-Forwarded-For").is_empty());
    let alone = Process::start(&issuer, recorder.address, "listen: { address: \"127.0.0.1:0\" }", 1024).await;
    ask(&alone).await;
    assert!(alone.line("request").await["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    let told = alone.lines("X-Forwarded-For");
    assert!(told.len() == 1 && told[0]["message"].as_str().unwrap().contains("listen.trusted_proxies"), "{told:?}");
}

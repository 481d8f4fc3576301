//! Clients of HTTP/2 that nobody here wrote: Node's own, curl, which speaks HTTP/1.1 too, and gRPC's with a server of it.

use std::time::Duration;

use serde_json::json;
use syncgate::proxy::Target;
use tokio::process::Command;

use super::{INTEROP, Script};
use crate::{http2::client::world, kit::Kit, recorder::claims_of};

/// In which a token ends when it says so.
async fn exact() -> Kit {
    world(|config| config.issuers[0].rules.leeway = Duration::ZERO).await
}

#[tokio::test]
async fn node_has_many_requests_on_one_connection_and_sees_a_feed_break_off() {
    if !INTEROP.node().await {
        return;
    }
    let kit = exact().await;
    let mut client = Script::trusting_node("http2-client.mjs", &kit);
    client.hears("ready").await;
    let url = format!("https://localhost:{}", kit.tls_address().unwrap().port());
    let (good, short) = (kit.issuer.token("alice").sign(), kit.issuer.token("alice").expires_in(3).sign());
    client.tell(&json!({ "gateway": url, "good": good, "short": short })).await;
    let found = client.hears("result").await;
    assert_eq!(found["users"], json!(vec![kit.issuer.user_id("alice"); 50]), "{found}");
    assert_eq!(found["upload"], json!({ "status": 200, "same": true }), "{found}");
    // 8 is CANCEL.
    assert_eq!(found["feed"], json!({ "status": 200, "ended": false, "code": 8 }), "{found}");
    assert_eq!(found["refused"], json!(401), "{found}");
    assert_eq!(kit.metric("syncgate_connections_total", &[]), 1.0);
    kit.stop().await;
}

#[tokio::test]
async fn curl_gets_the_version_that_it_asks_for() {
    let Ok(version) = Command::new("curl").arg("--version").output().await else {
        assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "must not be skipped: curl is not installed");
        eprintln!("SKIPPED: curl is not installed");
        return;
    };
    let speaks_http2 = String::from_utf8_lossy(&version.stdout).contains("HTTP2");
    let kit = exact().await;
    let token = kit.issuer.token("alice").sign();
    let certificate = kit.certificate.as_ref().unwrap();
    let url = format!("https://localhost:{}/whoami", kit.tls_address().unwrap().port());
    for (option, expected) in [("--http1.1", "1.1 200"), ("--http2", if speaks_http2 { "2 200" } else { "1.1 200" })] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", option, "--cacert"]).arg(&certificate.authority_file);
        curl.args(["--header", &format!("Authorization: Bearer {token}"), "--output", "/dev/null"]);
        curl.args(["--write-out", "%{http_version} %{http_code}", &url]);
        let output = kit.within(curl.output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, expected, "{option}: {}", String::from_utf8_lossy(&output.stderr));
    }
    kit.stop().await;
}

#[tokio::test]
async fn grpc_goes_through_with_every_kind_of_call_and_knows_a_refusal() {
    if !INTEROP.python().await {
        return;
    }
    let mut server = Script::python("grpc-server.py");
    let port = u16::try_from(server.hears("port").await.as_u64().unwrap()).unwrap();
    let kit = world(move |config| {
        let upstream = &mut config.proxy.upstreams[0];
        (upstream.targets, upstream.http2) = (vec![Target::new("127.0.0.1", port)], true);
        config.proxy.routes[0].path = "/notes.Notes".into();
    })
    .await;
    let mut client = Script::python("grpc-client.py");
    client.hears("ready").await;
    let gateway = format!("localhost:{}", kit.tls_address().unwrap().port());
    let authority = &kit.certificate.as_ref().unwrap().authority_file;
    let good = kit.issuer.token("alice").sign();
    client.tell(&json!({ "gateway": gateway, "authority": authority, "good": good })).await;
    let found = client.hears("result").await;
    // The server has the gateway's token, not the client's.
    let seen = found["seen"].as_str().unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(claims_of(&kit, seen)["userId"], json!(kit.issuer.user_id("alice")));
    assert_eq!((&found["said"], &found["trailers"]), (&json!("hello"), &json!(["behind it"])), "{found}");
    assert_eq!((&found["counted"], &found["total"]), (&json!(1_000), &json!("1000000")), "{found}");
    assert_eq!(found["failed"], json!(["FAILED_PRECONDITION", "not now, 100 %"]), "{found}");
    for (call, code) in [("refused", "UNAUTHENTICATED"), ("missing", "UNAUTHENTICATED"), ("elsewhere", "UNIMPLEMENTED")] {
        assert_eq!(found[call][0], json!(code), "{found}");
        assert!(!found[call][1].as_str().unwrap().is_empty(), "{found}");
    }
    kit.stop().await;
}

//! Clients of HTTP/2 that nobody here wrote: Node's own, and curl, which speaks HTTP/1.1 too.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use super::{INTEROP, Script};
use crate::{http2::client::world, kit::Kit};

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

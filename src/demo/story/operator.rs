//! What an operator sees.

use reqwest::StatusCode;

use super::{Unexpected, client::Client, eventually, same};
use crate::demo::MetricsText;

/// Waits for readiness. Returns what the metrics say at the start.
pub(super) async fn ready(client: &Client<'_>) -> Result<MetricsText, Unexpected> {
    same("status of /livez", StatusCode::OK, client.admin("/livez").await?.status())?;
    eventually(async || same("status of /readyz", StatusCode::OK, client.admin("/readyz").await?.status())).await?;
    client.scrape().await
}

/// The metrics agree with what clients and backend saw.
pub(super) async fn metrics(client: &Client<'_>, start: &MetricsText) -> Result<(), Unexpected> {
    let more = |now: &MetricsText, series: &str, labels: &[(&str, &str)]| now.sum(series, labels) - start.sum(series, labels);
    // A request is counted when it is over, a moment after the client has its answer.
    for (status, answers) in client.answers() {
        let code = status.to_string();
        eventually(async || {
            let counted = more(&client.scrape().await?, "syncgate_requests_total", &[("code", &code)]);
            same(&format!("syncgate_requests_total with code {code}"), answers as f64, counted)
        })
        .await?;
    }

    let now = client.scrape().await?;
    let refused = ["400", "401"].map(|code| more(&now, "syncgate_requests_total", &[("code", code), ("source", "gateway")]));
    same("the sum of syncgate_rejections_total", refused.iter().sum(), more(&now, "syncgate_rejections_total", &[]))?;
    let hits = more(&now, "syncgate_cache_requests_total", &[("cache", "identity"), ("result", "hit")]);
    same("whether syncgate_cache_requests_total has hits", true, hits > 0.0)?;
    let changed = now.sum("syncgate_jwks_refresh_total", &[("result", "changed")]);
    same("whether syncgate_jwks_refresh_total saw the key set change", true, changed >= 2.0)?;
    let unauthorized = now.sum("syncgate_upstream_unauthorized_total", &[]);
    same("syncgate_upstream_unauthorized_total", 0.0, unauthorized)
}

//! Removes expired entries from the token cache, and the metrics of names that are no longer configured.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use crate::proxy::LiveProxy;

/// Time between two sweeps. Expired entries stay no longer than this.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Sweeps the cache of the exchange in use until `stop`.
pub(super) async fn keep_swept(proxy: Arc<LiveProxy>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP_INTERVAL)).await.is_some() {
        proxy.exchange().sweep(SystemTime::now().into()).await;
        proxy.forget_series();
    }
}

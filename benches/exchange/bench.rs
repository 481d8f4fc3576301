//! What every exchange here is built from.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use syncgate::{
    exchange::{CacheSettings, Exchange, IssuerKeys, SigningPool},
    jwks::{JwksSettings, KeySource, KeyStore, Refresher, UnknownKidSettings},
    metrics::Metrics,
    signing::SigningKey,
    token::{MintingProfile, TokenLimits, TrustedIssuer},
};
use tokio_util::sync::CancellationToken;

use crate::measure::tokens::Issuer;

pub struct Bench {
    pub issuer: Issuer,
    keys: Arc<KeyStore>,
}

impl Bench {
    pub async fn new() -> Result<Self, Box<dyn Error>> {
        let issuer = Issuer::start().await?;
        let keys = fetch_keys(&issuer).await?;
        Ok(Self { issuer, keys })
    }

    /// An exchange that signs with this key. Its cache has room for so many users, whatever they take.
    pub fn exchange(&self, entries: usize, key: &SigningKey, metrics: &Arc<Metrics>) -> Result<Exchange, Box<dyn Error>> {
        /// Twice what a user takes.
        const BYTES: usize = 4 * 1024;
        let issuers = vec![IssuerKeys { issuer: TrustedIssuer::new(self.issuer.settings()), keys: Arc::clone(&self.keys) }];
        let profiles = vec![MintingProfile::default()];
        let pool = SigningPool::new(0, 1024, Arc::clone(metrics))?;
        let cache = CacheSettings { entries, bytes: entries * BYTES };
        Ok(Exchange::new(issuers, TokenLimits::default(), profiles, key.clone(), pool, &cache, Arc::clone(metrics)))
    }
}

/// The issuer's keys, fetched as the gateway does.
async fn fetch_keys(issuer: &Issuer) -> Result<Arc<KeyStore>, Box<dyn Error>> {
    // Nobody fetches later, so no token is to wait for that.
    let unknown_kid = UnknownKidSettings { budget: 0, ..UnknownKidSettings::default() };
    let settings = JwksSettings { unknown_kid, ..JwksSettings::new(vec![KeySource::Jwks(issuer.demo().keys_url())]) };
    let refresher = Refresher::new("contoso", &settings, &Arc::default(), Arc::new(Metrics::new()?))?;
    let store = refresher.store();
    let stop = CancellationToken::new();
    let ready = async {
        while !store.is_ready(SystemTime::now().into()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    tokio::join!(refresher.run(stop.clone()), ready);
    Ok(store)
}

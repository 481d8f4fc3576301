//! What the exchange costs: a hit, a miss, a refusal; and the memory that one cached user takes.
//!
//! `cargo bench --bench exchange`; with `-- --test` each case once and few users.

mod measure;

use std::{
    cell::Cell,
    error::Error,
    fs,
    future::ready,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use measure::{Comparison, is_test, tokens::Issuer};
use syncgate::{
    exchange::{CacheSettings, Exchange, IssuerKeys, ProfileId, SigningPool},
    jwks::{JwksSettings, KeySource, KeyStore, Refresher},
    metrics::Metrics,
    server::install_crypto,
    signing::SigningKey,
    token::{Lifetime, MintingProfile, Rejection, Timestamp, TokenLimits, TrustedIssuer},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROFILE: ProfileId = ProfileId(0);

fn main() -> Result<(), Box<dyn Error>> {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bench = Bench::new(&runtime)?;
    bench.memory(&runtime)?;
    bench.time(&runtime)
}

/// What every exchange here is built from.
struct Bench {
    issuer: Issuer,
    keys: Arc<KeyStore>,
    signing_key: SigningKey,
}

impl Bench {
    fn new(runtime: &Runtime) -> Result<Self, Box<dyn Error>> {
        let issuer = runtime.block_on(Issuer::start())?;
        let keys = runtime.block_on(fetch_keys(&issuer))?;
        Ok(Self { issuer, keys, signing_key: SigningKey::generate_rsa(2048)? })
    }

    fn exchange(&self, entries: usize, metrics: &Arc<Metrics>) -> Result<Exchange, Box<dyn Error>> {
        let issuers = vec![IssuerKeys { issuer: TrustedIssuer::new(self.issuer.settings()), keys: Arc::clone(&self.keys) }];
        let profiles = vec![MintingProfile::new("default", "userId")];
        let pool = SigningPool::new(0, 1024, Arc::clone(metrics))?;
        let (limits, cache, key) = (TokenLimits::default(), CacheSettings { entries, bytes: 4 << 30 }, self.signing_key.clone());
        Ok(Exchange::new(issuers, limits, profiles, key, pool, &cache, Arc::clone(metrics)))
    }

    fn time(&self, runtime: &Runtime) -> Result<(), Box<dyn Error>> {
        let now = Timestamp::from(SystemTime::now());
        let exchange = self.exchange(100_000, &Arc::new(Metrics::new()?))?;
        let token = self.issuer.rs256("alice").sign();
        let expired = self.issuer.rs256("alice").expires_in(-3600).sign();
        let alice = runtime.block_on(exchange.identify(token.as_bytes(), now)).map_err(Rejection::label)?;
        runtime.block_on(exchange.admit(&alice, PROFILE, Lifetime::Ttl, now)).map_err(Rejection::label)?;

        // More users in turn than this cache has room for, so each is a stranger when he comes again.
        let crowded_metrics = Arc::new(Metrics::new()?);
        let crowded = self.exchange(1, &crowded_metrics)?;
        let strangers: Vec<_> = (0..256).map(|user| self.issuer.rs256(&format!("stranger {user}")).sign()).collect();
        let mut turn = strangers.iter().cycle();

        Comparison::default()
            .case("identify: miss, RS256", || {
                let stranger = turn.next().map_or(&[][..], String::as_bytes);
                assert!(runtime.block_on(crowded.identify(stranger, now)).is_ok());
            })
            .bounded("refuse: expired", 1.0, || {
                assert_eq!(runtime.block_on(exchange.identify(expired.as_bytes(), now)).err(), Some(Rejection::Expired));
            })
            .case("identify: hit", || {
                // A hit waits for nothing, so it needs no runtime.
                let found = exchange.identify(black_box(token.as_bytes()), now).now_or_never();
                assert!(found.is_some_and(|identity| identity.is_ok()));
            })
            .case("admit: hit", || {
                let found = exchange.admit(black_box(&alice), PROFILE, Lifetime::Ttl, now).now_or_never();
                assert!(found.is_some_and(|admission| admission.is_ok()));
            })
            .case("admit: miss, RSA-2048", || {
                // What the key before has signed is not used again.
                exchange.replace_signing_key(self.signing_key.clone());
                assert!(runtime.block_on(exchange.admit(&alice, PROFILE, Lifetime::Ttl, now)).is_ok());
            })
            .run("exchange");

        let [hits, misses] =
            ["hit", "miss"].map(|result| crowded_metrics.exchange.cache_requests.with_label_values(&["identity", result]).get());
        // The smallest cache still keeps an entry now and then.
        if hits * 100 > misses { Err(format!("{hits} hits among {misses} misses").into()) } else { Ok(()) }
    }

    /// Fills a cache and looks how much larger the process has become.
    fn memory(&self, runtime: &Runtime) -> Result<(), Box<dyn Error>> {
        let users = if is_test() { 2_000 } else { 100_000 };
        let exchange = self.exchange(2 * users, &Arc::new(Metrics::new()?))?;
        let minted = Cell::new(0);
        let token_length = Cell::new(0);
        let mut last_word = Instant::now();
        let mut admit = |numbers: std::ops::Range<usize>| {
            // ES256, so that making the tokens takes seconds. Nothing of a client's token stays but the claims that are needed.
            let admissions = stream::iter(numbers).map(|user| {
                let (token, exchange) = (self.issuer.es256(&format!("user {user}")), &exchange);
                token_length.set(token.len());
                async move {
                    // Read anew: the tokens are made meanwhile, and are not valid before.
                    let now = Timestamp::from(SystemTime::now());
                    let identity = exchange.identify(token.as_bytes(), now).await?;
                    exchange.admit(&identity, PROFILE, Lifetime::Ttl, now).await
                }
            });
            runtime.block_on(admissions.buffer_unordered(64).for_each(|admission| {
                minted.set(minted.get() + admission.map_or(0, |admission| admission.authorization().len()));
                if last_word.elapsed() > Duration::from_secs(2) {
                    eprintln!("{} of {users} users", exchange.cached_identities());
                    last_word = Instant::now();
                }
                ready(())
            }));
        };
        // What the first users cost once is not theirs.
        admit(0..users / 100);
        let before = resident_bytes()?;
        let minted_before = minted.get();
        admit(users / 100..users);
        if exchange.cached_identities() != users {
            return Err(format!("{} of {users} users are cached", exchange.cached_identities()).into());
        }
        let count = users - users / 100;
        let each = resident_bytes()?.saturating_sub(before) / count;
        let minted_each = (minted.get() - minted_before) / count;
        println!(
            "memory of one of {users} cached users (client's token {} bytes): {each} bytes, \
             of which the minted token {minted_each}; beyond it {}, bound 1200",
            token_length.get(),
            each.saturating_sub(minted_each),
        );
        Ok(())
    }
}

/// The issuer's keys, fetched as the gateway does.
async fn fetch_keys(issuer: &Issuer) -> Result<Arc<KeyStore>, Box<dyn Error>> {
    let settings = JwksSettings::new(vec![KeySource::Jwks(issuer.demo().keys_url())]);
    let refresher = Refresher::new("contoso", &settings, Arc::new(Metrics::new()?))?;
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

/// Physical memory of the process.
fn resident_bytes() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")).ok_or("no VmRSS")?;
    Ok(kibibytes.trim().parse::<usize>()? * 1024)
}

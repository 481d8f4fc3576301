//! What the exchange costs: a hit, a miss, each refusal; a hit among up to a million users, and the memory that each of them takes.
//!
//! `cargo bench --bench exchange`; with `-- --test` each case once and few users. `USERS=10000` takes fewer users than a million.

mod bench;
#[path = "../measure/mod.rs"]
mod measure;
mod users;

use std::{error::Error, hint::black_box, sync::Arc, time::SystemTime};

use bench::Bench;
use futures_util::FutureExt as _;
use measure::Comparison;
use syncgate::{
    demo::DemoKey,
    exchange::ProfileId,
    metrics::Metrics,
    server::install_crypto,
    signing::SigningKey,
    token::{Lifetime, Rejection, Timestamp},
};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROFILE: ProfileId = ProfileId(0);

fn main() -> Result<(), Box<dyn Error>> {
    install_crypto();
    let workers = Builder::new_multi_thread().enable_all().build()?;
    let bench = Arc::new(workers.block_on(Bench::new())?);
    users::measure(&bench, &workers)?;
    time(&bench)
}

fn time(bench: &Bench) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signing_key = SigningKey::generate_rsa(2048)?;
    let metrics = Arc::new(Metrics::new()?);
    let exchange = bench.exchange(100_000, &signing_key, &metrics)?;
    let rs256 = |user: &str| bench.issuer.rs256(user);
    let token = rs256("alice").sign();
    // More users in turn than this cache has room for, so each is a stranger when he comes again.
    let crowded_metrics = Arc::new(Metrics::new()?);
    let crowded = bench.exchange(2, &signing_key, &crowded_metrics)?;
    let strangers: Vec<_> = (0..256).map(|user| rs256(&format!("stranger {user}")).sign()).collect();
    let mut turn = strangers.iter().cycle();
    let refused = refused(bench, &token)?;
    // After everything else: keys can take a while on a busy machine, and no token may be from the future.
    let now = Timestamp::from(SystemTime::now());
    let alice = runtime.block_on(exchange.identify(token.as_bytes(), now)).map_err(Rejection::label)?;
    runtime.block_on(exchange.admit(&alice, PROFILE, Lifetime::Ttl, now)).map_err(Rejection::label)?;

    let mut comparison = Comparison::default().case("identify: miss, RS256", || {
        let stranger = turn.next().map_or(&[][..], String::as_bytes);
        assert!(runtime.block_on(crowded.identify(stranger, now)).is_ok());
    });
    for Refused(name, bound, token, rejection) in &refused {
        comparison = comparison.bounded(name, *bound, || {
            assert_eq!(runtime.block_on(exchange.identify(token.as_bytes(), now)).err(), Some(*rejection));
        });
    }
    comparison
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
            exchange.replace_signing_key(signing_key.clone());
            assert!(runtime.block_on(exchange.admit(&alice, PROFILE, Lifetime::Ttl, now)).is_ok());
        })
        .run("exchange");

    let [hits, misses] =
        ["hit", "miss"].map(|result| crowded_metrics.exchange.cache_requests.with_label_values(&["identity", result]).get());
    // The smallest cache still keeps an entry now and then.
    if hits * 100 > misses { Err(format!("{hits} hits among {misses} misses").into()) } else { Ok(()) }
}

/// A case, the most that it may cost beside the identification of a stranger, the token, and why it is refused.
struct Refused(&'static str, f64, String, Rejection);

/// A forged signature has to be checked like a genuine one; everything else is found out before.
fn refused(bench: &Bench, good: &str) -> Result<Vec<Refused>, Box<dyn Error>> {
    let alice = || bench.issuer.rs256("alice");
    let forged = alice().signed_by(&DemoKey::generate()?).sign();
    Ok(vec![
        Refused("refuse: too large", 0.1, "x".repeat(17 * 1024), Rejection::TokenTooLarge),
        Refused("refuse: no token", 0.3, "abc".to_owned(), Rejection::TokenMalformed),
        Refused("refuse: malformed base64url", 0.3, good.replacen('.', ".*", 1), Rejection::TokenMalformed),
        Refused("refuse: unknown issuer", 0.5, alice().claim("iss", "https://fabrikam.com/").sign(), Rejection::UnknownIssuer),
        Refused("refuse: wrong algorithm", 0.5, alice().header("alg", "HS256").sign(), Rejection::AlgorithmNotAllowed),
        Refused("refuse: expired", 0.5, alice().expires_in(-3600).sign(), Rejection::Expired),
        Refused("refuse: wrong audience", 0.5, alice().claim("aud", "another").sign(), Rejection::WrongAudience),
        Refused("refuse: unknown key", 0.5, alice().header("kid", "another").sign(), Rejection::KeyNotFetchedYet),
        Refused("refuse: forged signature", 1.1, forged, Rejection::BadSignature),
    ])
}

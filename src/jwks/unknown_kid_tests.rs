//! What unknown `kid`s cause, in virtual time.

use std::{collections::VecDeque, sync::atomic::AtomicU64};

use futures_util::FutureExt;

use super::{
    tests::{counted, keys, unreachable, virtual_clock},
    *,
};
use crate::{jwks::test_keys::set, token::KeySet};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A provider that takes a while, and how often it was asked.
struct Provider<F> {
    answer: F,
    takes: Duration,
    asked: AtomicU64,
}

impl<F: Fn(u64) -> Result<KeySet, FetchError>> Provider<F> {
    fn new(takes: Duration, answer: F) -> Self {
        Self { answer, takes, asked: AtomicU64::new(0) }
    }

    async fn fetch(&self) -> Result<Fetched, FetchError> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        (self.answer)(number).map(|keys| Fetched { keys, max_age: None, issuer: None, clock_skew: None })
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Runs `clients` beside the task that fetches, until they are done.
async fn beside<T>(
    keys: &Keys,
    provider: &Provider<impl Fn(u64) -> Result<KeySet, FetchError>>,
    clients: impl Future<Output = T>,
) -> T {
    let fetching = keys.keep_fresh(0, HOUR, || provider.fetch(), virtual_clock());
    tokio::select! {
        () = fetching => unreachable!("it fetches for ever"),
        done = clients => done,
    }
}

fn found(keys: &Keys, now: Timestamp, kid: &str) -> bool {
    keys.store.load(now).keys().iter().any(|key| key.kid() == Some(kid))
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_random_kids_a_second_for_a_minute_cause_what_the_budget_allows() {
    for (takes, failing) in [(SECOND / 10, false), (5 * SECOND, false), (SECOND / 10, true)] {
        let metrics = Arc::new(Metrics::new().unwrap());
        let keys = keys(&metrics);
        let provider = Provider::new(takes, |number| match number {
            0 => Ok(set(&[("a", 0)])),
            _ if failing => Err(unreachable()),
            _ => Ok(set(&[("a", 0)])),
        });
        let clock = virtual_clock();
        let most_waiting = beside(&keys, &provider, async {
            tokio::time::sleep(6 * SECOND).await;
            assert_eq!(provider.asked(), 1);
            let (mut waiting, mut most) = (VecDeque::new(), 0);
            for _ in 0..600 {
                for _ in 0..1_000 {
                    let mut awaited = keys.store.miss(clock());
                    // Whoever is not answered at once waits for a second, and its connection with it.
                    if awaited.next().now_or_never().is_none() {
                        waiting.push_back((tokio::time::Instant::now(), awaited));
                    }
                }
                most = most.max(waiting.len());
                tokio::time::sleep(SECOND / 10).await;
                waiting.retain(|(since, _)| since.elapsed() < SECOND);
                assert!(found(&keys, clock(), "a"), "users whose key is known are served on");
            }
            most
        })
        .await;
        // The budget, and nothing more: a failed one is not made up for but by the back-off, which has its own pace.
        let retries = counted(&metrics, "retry", "error");
        assert_eq!(counted(&metrics, "unknown_kid", "unchanged") + counted(&metrics, "unknown_kid", "error"), 2);
        assert_eq!(provider.asked(), 1 + 2 + retries);
        assert!(retries <= 8, "{retries}");
        assert!((1..=1024).contains(&most_waiting), "{most_waiting}");
        assert!(metrics.jwks.suppressed.with_label_values(&["contoso"]).get() > 400_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_of_random_kids_is_one_fetch_in_five_minutes() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let provider = Provider::new(SECOND / 10, |_| Ok(set(&[("a", 0)])));
    let clock = virtual_clock();
    beside(&keys, &provider, async {
        for _ in 0..24 * 3600 {
            tokio::time::sleep(SECOND).await;
            keys.store.miss(clock());
        }
    })
    .await;
    assert_eq!(counted(&metrics, "unknown_kid", "unchanged"), 2 + 24 * 12 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_without_notice_is_there_within_the_wait_of_all_who_ask_and_costs_one_fetch() {
    let keys = keys(&Arc::new(Metrics::new().unwrap()));
    let provider = Provider::new(SECOND / 5, |number| Ok(if number == 0 { set(&[("a", 0)]) } else { set(&[("a", 0), ("b", 1)]) }));
    let clock = virtual_clock();
    beside(&keys, &provider, async {
        tokio::time::sleep(SECOND).await;
        let started = tokio::time::Instant::now();
        let client = async || {
            let mut awaited = keys.store.miss(clock());
            assert!(awaited.next().await, "the fetch has ended");
            assert!(found(&keys, clock(), "b"));
        };
        futures_util::future::join_all((0..64).map(|_| client())).await;
        assert_eq!(started.elapsed(), SECOND / 5);
    })
    .await;
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_wait_nor_without_a_fetch_under_way() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let provider = Provider::new(5 * SECOND, |_| Ok(set(&[("a", 0)])));
    let clock = virtual_clock();
    beside(&keys, &provider, async {
        let waited = async || {
            let started = tokio::time::Instant::now();
            let news = keys.store.miss(clock()).next().await;
            (news, started.elapsed())
        };
        tokio::time::sleep(SECOND).await;
        assert_eq!(waited().await, (false, SECOND), "the first fetch is under way");
        tokio::time::sleep(10 * SECOND).await;
        for _ in 0..2 {
            assert_eq!(waited().await, (false, SECOND), "a fetch that takes too long");
            tokio::time::sleep(10 * SECOND).await;
        }
        assert_eq!(waited().await, (false, Duration::ZERO), "the budget is spent");
    })
    .await;
    assert_eq!(metrics.jwks.suppressed.with_label_values(&["contoso"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_operator_needs_no_budget_and_learns_what_came_of_it() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let provider = Provider::new(SECOND, |number| if number % 2 == 0 { Ok(set(&[("a", 0)])) } else { Err(unreachable()) });
    beside(&keys, &provider, async {
        tokio::time::sleep(2 * SECOND).await;
        for number in 1..=4 {
            keys.store.refresh(10 * SECOND).await;
            let view = keys.store.view(virtual_clock()());
            assert_eq!(view.sources[0].status.error.is_some(), number % 2 == 1, "{number}");
        }
    })
    .await;
    assert_eq!(counted(&metrics, "admin", "error") + counted(&metrics, "admin", "unchanged"), 4);
}

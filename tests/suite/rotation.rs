//! Rotation under load: no valid user is refused, whatever the provider does with its keys.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use syncgate::demo::{http_client, issuer::Endpoint};

use crate::kit::Kit;

const CONNECTIONS: usize = 64;

/// Valid traffic, until it is told to stop.
#[derive(Default)]
struct Load {
    done: AtomicBool,
    served: AtomicU64,
    /// Answered 503.
    deferred: AtomicU64,
    /// Answered in any other way.
    refused: AtomicU64,
}

impl Load {
    /// Each connection sends a known token and a new one of the key that signs now, in turn.
    async fn run(&self, kit: &Kit) {
        join_all((0..CONNECTIONS).map(|connection| self.connection(kit, connection))).await;
    }

    async fn connection(&self, kit: &Kit, connection: usize) {
        let client = http_client().unwrap();
        let user = format!("user-{connection}");
        let known = kit.issuer.token(&user).sign();
        for number in 0.. {
            if self.done.load(Ordering::Relaxed) {
                return;
            }
            let fresh = kit.issuer.token(&user).claim("jti", format!("{connection}-{number}")).sign();
            for token in [&known, &fresh] {
                let answer = client.get(kit.url("/echo")).bearer_auth(token).send().await.unwrap();
                let counter = match answer.status().as_u16() {
                    200 => &self.served,
                    503 => &self.deferred,
                    _ => &self.refused,
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn await_served(&self, kit: &Kit, more: u64) {
        let target = self.served.load(Ordering::Relaxed) + more;
        kit.eventually(|| self.served.load(Ordering::Relaxed) >= target).await;
    }

    /// Stops it. How many were answered 503, and how many neither that nor 200.
    fn stop(&self) -> (u64, u64) {
        self.done.store(true, Ordering::Relaxed);
        (self.deferred.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_published_one_refresh_before_it_is_used_costs_nobody_anything() {
    let kit = Kit::start_with(|config| config.issuers[0].jwks.refresh = Duration::from_millis(200)).await;
    let load = Load::default();
    let rotation = async {
        load.await_served(&kit, 200).await;
        for keys in 2..=3 {
            kit.issuer.announce().await.unwrap();
            kit.eventually(|| kit.metric("syncgate_jwks_keys", &[]) == f64::from(keys)).await;
            kit.issuer.rotate().await.unwrap();
            kit.issuer.retire();
            load.await_served(&kit, 200).await;
        }
        load.stop()
    };
    let ((), outcome) = tokio::join!(load.run(&kit), rotation);
    assert_eq!(outcome, (0, 0));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notice_and_with_an_outage_nobody_is_unauthorized() {
    let kit = Kit::start_with(|config| config.issuers[0].jwks.refresh = Duration::from_secs(3600)).await;
    let fetches = kit.issuer.fetches(Endpoint::Keys);
    let load = Load::default();
    let rotation = async {
        load.await_served(&kit, 200).await;
        // Used at once: the first token with it has the set fetched, and all who come meanwhile wait for that.
        kit.issuer.rotate().await.unwrap();
        load.await_served(&kit, 400).await;
        assert_eq!(kit.issuer.fetches(Endpoint::Keys), fetches + 1, "one fetch for all of them");
        assert_eq!(load.deferred.load(Ordering::Relaxed), 0);

        kit.issuer.stop().await;
        load.await_served(&kit, 400).await;
        // While it is away it signs with a key that nobody has: those users are told to come back.
        kit.issuer.rotate().await.unwrap();
        load.await_served(&kit, 200).await;
        kit.issuer.resume().await.unwrap();
        kit.eventually(|| kit.metric("syncgate_jwks_keys", &[]) == 3.0).await;
        load.await_served(&kit, 400).await;
        load.stop()
    };
    let ((), (deferred, refused)) = tokio::join!(load.run(&kit), rotation);
    assert_eq!(refused, 0, "neither 401 nor anything else");
    assert!(deferred > 0, "the outage was felt");
    assert_eq!(kit.metric("syncgate_rejections_total", &[("reason", "unknown_key")]), 0.0);
    kit.stop().await;
}

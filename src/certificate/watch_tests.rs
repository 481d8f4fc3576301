//! Files that change under a listener.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use rustls::version::{TLS12, TLS13};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        testing::{Bench, LONG, ask, issue, leaf, serve, settings, write_private},
        *,
    },
    *,
};

const NAME: &str = "contoso.com";

/// A listener, and one who looks at its files.
struct Place {
    tls: Arc<ServerTls>,
    watch: Watch,
    metrics: Arc<Metrics>,
    now: SystemTime,
}

impl Place {
    fn of(settings: &TlsSettings) -> Self {
        let (now, metrics) = (SystemTime::now(), Arc::new(Metrics::new().unwrap()));
        let tls = Arc::new(ServerTls::load(settings, now).unwrap());
        Self { tls, watch: Watch::new(Arc::clone(&metrics)), metrics, now }
    }

    fn look(&mut self) {
        self.watch.look(&self.tls, self.now);
    }

    fn shows(&self, files: &PairFiles) -> bool {
        self.tls.current().pairs.iter().any(|pair| pair.key.cert.first() == Some(&leaf(files)))
    }

    /// The value of the series with this beginning.
    fn series(&self, start: &str) -> Option<String> {
        let text = self.metrics.render().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&format!("syncgate_{start}"))).map(|value| value.trim().to_owned())
    }
}

#[test]
fn a_pair_of_which_one_file_is_new_waits_and_the_old_one_serves() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let mut place = Place::of(&settings(&[&files]));
    let before = leaf(&files);
    let (chain, key) = issue(&bench.authority, &[NAME], &rcgen::PKCS_ECDSA_P256_SHA256, |_| {});
    let good = format!("certificate_last_reload_success{{file=\"{}\"}}", files.chain.display());

    fs::write(&files.chain, &chain).unwrap();
    place.look();
    // It might be in the middle of a change: nobody is told yet.
    assert_eq!(place.series(&good).as_deref(), Some("1"));
    place.look();
    place.look();
    assert_eq!(place.series(&good).as_deref(), Some("0"));
    assert_eq!(place.tls.current().pairs[0].key.cert[0], before);

    write_private(&files.key, &key);
    place.look();
    assert!(place.shows(&files));
    assert_eq!(place.series(&good).as_deref(), Some("1"));
}

#[test]
fn what_cannot_be_used_is_not_used_until_it_can_be() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let mut place = Place::of(&settings(&[&files]));
    let first = leaf(&files);
    let still = |place: &Place| place.tls.current().pairs[0].key.cert[0] == first;
    let key = fs::read_to_string(&files.key).unwrap();

    fs::remove_file(&files.key).unwrap();
    place.look();
    assert!(still(&place));
    write_private(&files.key, &key);
    fs::write(&files.chain, "").unwrap();
    place.look();
    assert!(still(&place));
    bench.pair_with("one", &[NAME], &rcgen::PKCS_ECDSA_P256_SHA256, |it| it.not_after = rcgen::date_time_ymd(2020, 1, 1));
    place.look();
    assert!(still(&place));
    // One that begins in an hour is taken in an hour, without any further change.
    let hour = Duration::from_secs(3_600);
    let start = place.now + hour;
    bench.pair_with("one", &[NAME], &rcgen::PKCS_ECDSA_P256_SHA256, |it| it.not_before = start.into());
    place.look();
    assert!(still(&place));
    place.now += hour + Duration::from_secs(1);
    place.look();
    assert!(place.shows(&files));
}

#[test]
fn a_secret_of_kubernetes_changes_by_its_link_and_certbots_by_theirs() {
    let bench = Bench::new();
    let folder = |name: &str| {
        let folder = bench.path(name);
        fs::create_dir(&folder).unwrap();
        let (chain, key) = issue(&bench.authority, &[NAME], &rcgen::PKCS_ECDSA_P256_SHA256, |_| {});
        fs::write(folder.join("tls.crt"), chain).unwrap();
        write_private(&folder.join("tls.key"), &key);
    };
    let swap = |target: &str, link: &str| {
        let (new, link) = (bench.path("..new"), bench.path(link));
        symlink(target, &new).unwrap();
        fs::rename(new, link).unwrap();
    };
    folder("..2026_11_30");
    swap("..2026_11_30", "..data");
    swap("..data/tls.crt", "tls.crt");
    swap("..data/tls.key", "tls.key");
    let kubernetes = PairFiles { chain: bench.path("tls.crt"), key: bench.path("tls.key") };
    folder("archive");
    swap("archive/tls.crt", "fullchain.pem");
    swap("archive/tls.key", "privkey.pem");
    let certbot = PairFiles { chain: bench.path("fullchain.pem"), key: bench.path("privkey.pem") };

    let mut place = Place::of(&settings(&[&kubernetes, &certbot]));
    folder("..2026_12_30");
    swap("..2026_12_30", "..data");
    folder("archive2");
    swap("archive2/tls.crt", "fullchain.pem");
    place.look();
    assert!(place.shows(&kubernetes) && !place.shows(&certbot));
    swap("archive2/tls.key", "privkey.pem");
    place.look();
    assert!(place.shows(&certbot));
}

#[test]
fn operators_see_the_dates_of_what_is_in_use_and_of_nothing_else() {
    let bench = Bench::new();
    let dates = |it: &mut rcgen::CertificateParams| {
        it.not_before = rcgen::date_time_ymd(2026, 1, 1);
        it.not_after = rcgen::date_time_ymd(2030, 1, 1);
    };
    let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
    let one = bench.pair_with("one", &[NAME], algorithm, dates);
    let chain = fs::read_to_string(&one.chain).unwrap() + &bench.authority.pem();
    fs::write(&one.chain, chain).unwrap();
    let two = bench.pair("two", &["fabrikam.com"]);
    let mut place = Place::of(&settings(&[&one, &two]));
    place.look();
    let series = |name: &str, files: &PairFiles, number: usize| {
        format!("certificate_{name}_timestamp_seconds{{certificate=\"{number}\",file=\"{}\"}}", files.chain.display())
    };
    assert_eq!(place.series(&series("not_before", &one, 1)).as_deref(), Some("1767225600"));
    assert_eq!(place.series(&series("not_after", &one, 1)).as_deref(), Some("1893456000"));
    assert!(place.series(&series("not_after", &one, 2)).is_some() && place.series(&series("not_after", &two, 1)).is_some());
    place.tls.replace(&settings(&[&two]), place.now).unwrap();
    place.look();
    for name in ["not_before", "not_after"] {
        assert!(place.series(&series(name, &one, 1)).is_none() && place.series(&series(name, &one, 2)).is_none());
    }
    assert!(place.series(&series("not_after", &two, 1)).is_some());
    place.watch = Watch::new(Arc::clone(&place.metrics));
    assert!(place.series(&series("not_after", &two, 1)).is_none());
}

/// A change of the settings counts, also if files have changed at the same time.
#[test]
fn what_was_looked_at_under_other_settings_is_dropped() {
    let bench = Bench::new();
    let (one, two) = (bench.pair("one", &[NAME]), bench.pair("two", &[NAME]));
    let place = Place::of(&settings(&[&one]));
    let seen = place.tls.current();
    place.tls.replace(&settings(&[&two]), place.now).unwrap();
    place.tls.renew(&seen, seen.pairs.clone(), seen.trusts.clone()).unwrap();
    assert!(place.shows(&two) && !place.shows(&one));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_under_traffic_fail_no_handshake() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let tls = Arc::new(ServerTls::load(&settings(&[&files]), SystemTime::now()).unwrap());
    let address = serve(Arc::clone(&tls)).await;
    let (stop, is_done) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let watching = tokio::spawn(Arc::clone(&tls).watch(Arc::new(Metrics::new().unwrap()), stop.clone()));
    let clients = [&TLS12, &TLS13].map(|version| {
        let (client, is_done) = (Arc::new(bench.client(&[version])), Arc::clone(&is_done));
        tokio::spawn(async move {
            let mut count = 0;
            while !is_done.load(Ordering::Relaxed) {
                ask(address, &client, NAME).await.unwrap();
                count += 1;
            }
            count
        })
    });
    for _ in 0..2 {
        let (chain, key) = issue(&bench.authority, &[NAME], &rcgen::PKCS_ECDSA_P256_SHA256, |_| {});
        write_private(&files.key, &key);
        tokio::task::yield_now().await;
        fs::write(&files.chain, chain).unwrap();
        let is_shown = || tls.current().pairs[0].key.cert[0] == leaf(&files);
        let wait = async {
            while !is_shown() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, wait).await.unwrap();
    }
    is_done.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 10);
    }
    stop.cancel();
    tokio::time::timeout(LONG, watching).await.unwrap().unwrap();
}

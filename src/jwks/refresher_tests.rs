use std::{sync::atomic::AtomicU64, time::Instant};

use reqwest::Url;

use super::*;
use crate::{
    jwks::{
        KeySource,
        test_keys::{document, set},
        test_log::Log,
        test_provider::{Answer, TestProvider, install_crypto},
    },
    token::{IssuerRule, KeySet},
};

const URL: &str = "https://contoso.com/keys";
const HOUR: Duration = Duration::from_secs(3600);

/// The paused clock of tokio as the time of day.
pub(super) fn virtual_clock() -> impl Fn() -> Timestamp {
    let start = tokio::time::Instant::now();
    move || Timestamp::from_seconds(1_700_000_000).plus(start.elapsed())
}

pub(super) fn keys(metrics: &Arc<Metrics>) -> Keys {
    Keys {
        issuer: "contoso".into(),
        store: Arc::new(KeyStore::for_sources(
            vec![URL.to_owned()],
            &JwksSettings::new(Vec::new()),
            Some(metrics.jwks.suppressed.with_label_values(&["contoso"])),
            Arc::default(),
        )),
        refresh: HOUR,
        keep: vec![Keep::For(26 * HOUR)],
        places: vec![URL.to_owned()],
        snapshot: None,
        saving: Mutex::default(),
        metrics: Arc::clone(metrics),
        out_of_keys: AtomicBool::new(false),
        clock: ClockSkew::default(),
    }
}

pub(super) fn unreachable() -> FetchError {
    FetchError::Network { url: Url::parse("https://contoso.com/keys").unwrap(), cause: "connection refused".into() }
}

pub(super) fn counted(metrics: &Metrics, trigger: &str, result: &str) -> u64 {
    metrics.jwks.refreshes.with_label_values(&["contoso", trigger, result]).get()
}

/// Runs the schedule for a virtual time against a provider that answers by the time since the start.
async fn simulate(keys: &Keys, span: Duration, provider: impl Fn(Duration) -> Result<KeySet, FetchError>) -> Vec<Duration> {
    let start = tokio::time::Instant::now();
    let fetches = std::sync::Mutex::new(Vec::new());
    let fetch = || {
        fetches.lock().unwrap().push(start.elapsed());
        std::future::ready(provider(start.elapsed()).map(|keys| Fetched { keys, max_age: None, issuer: None, clock_skew: None }))
    };
    let _ = tokio::time::timeout(span, keys.keep_fresh(0, keys.refresh, fetch, virtual_clock())).await;
    fetches.into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_day_of_a_healthy_provider_is_a_fetch_at_once_and_one_an_hour() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let fetches = simulate(&keys, 24 * HOUR, |_| Ok(set(&[("a", 0)]))).await;
    assert_eq!(fetches[0], Duration::ZERO);
    assert!(fetches.windows(2).all(|pair| (54 * 60..=66 * 60 + 1).contains(&(pair[1] - pair[0]).as_secs())), "{fetches:?}");
    assert_eq!(counted(&metrics, "start", "changed"), 1);
    assert_eq!(counted(&metrics, "timer", "unchanged"), fetches.len() as u64 - 1);
    assert_eq!(metrics.jwks.keys.with_label_values(&["contoso"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn service_resumes_within_a_minute_of_a_provider_that_was_away_at_start() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let back = Duration::from_secs(1000);
    let fetches =
        simulate(&keys, back + Duration::from_secs(61), |time| if time < back { Err(unreachable()) } else { Ok(set(&[("a", 0)])) })
            .await;
    assert!(keys.store.is_ready(Timestamp::from_seconds(1_700_000_000).plus(back)));
    assert!(fetches.windows(2).all(|pair| (1..=61).contains(&(pair[1] - pair[0]).as_secs())), "{fetches:?}");
    assert!(fetches.len() < 50, "{fetches:?}");
    assert_eq!(counted(&metrics, "start", "error"), 1);
    assert_eq!(counted(&metrics, "retry", "error"), fetches.len() as u64 - 2);
    assert_eq!(counted(&metrics, "retry", "changed"), 1);
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_the_keys_serve_until_their_end_and_no_longer() {
    let keys = keys(&Arc::new(Metrics::new().unwrap()));
    let start = Timestamp::from_seconds(1_700_000_000);
    simulate(&keys, 30 * HOUR, |time| if time.is_zero() { Ok(set(&[("a", 0)])) } else { Err(unreachable()) }).await;
    let end = start.plus(26 * HOUR);
    assert!(!keys.store.is_ready(end));
    assert_eq!(keys.store.age(end), Some(26 * HOUR));
    assert_eq!(keys.metrics.jwks.keys.with_label_values(&["contoso"]).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_changes_is_told_and_dated() {
    let (log, _listening) = Log::listen();
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let start = tokio::time::Instant::now();
    let named = |hour: u64| if hour < 1 { "https://other/" } else { "https://contoso.com/" };
    keys.store.expect_issuer("contoso", IssuerRule::Exact(vec![named(1).to_owned()]));
    let fetch = || {
        let hour = start.elapsed().as_secs() / 3_600;
        let odd = |kid: &str| format!(r#",{{"kty":"oct","kid":"{kid}","k":"AA"}}"#);
        let skipped = if hour < 2 { odd("x") } else { odd("x") + &odd("y") };
        let usable = if hour < 3 { vec![("a", 0)] } else { vec![("a", 0), ("b", 1)] };
        let document = document(&usable).replace("]}", &format!("{skipped}]}}"));
        let keys = KeySet::parse(document.as_bytes(), &KeySetLimits::default()).unwrap();
        std::future::ready(Ok(Fetched { keys, max_age: None, issuer: Some(named(hour).into()), clock_skew: None }))
    };
    let wrong = || metrics.jwks.issuer_mismatch.with_label_values(&["contoso"]).get();
    let run = async |span: Duration| {
        let _ = tokio::time::timeout(span, keys.keep_fresh(0, Duration::from_secs(600), fetch, virtual_clock())).await;
    };
    run(HOUR / 2).await;
    assert_eq!(wrong(), 1);
    run(HOUR * 7 / 2).await;
    assert_eq!(wrong(), 0);
    let told = |words: &str| log.lines().iter().filter(|line| line.contains(words)).count();
    // A task that begins anew tells the first fetch and what is skipped again.
    assert_eq!((told("keys fetched"), told("a published key is not used")), (3, 3), "{:#?}", log.lines());
    let lines = log.lines();
    let mut of_keys = lines.iter().filter(|line| line.contains("keys fetched") || line.contains("not used"));
    assert!(of_keys.all(|line| line.contains("url=\"https://contoso.com/keys\"")), "{lines:#?}");
    let last = metrics.jwks.last_success.with_label_values(&["contoso"]).get();
    assert!((1_700_000_000.0..1_700_014_400.0).contains(&last), "{last}");
}

#[tokio::test]
async fn a_reload_goes_on_with_the_keys_of_the_sources_that_stay() {
    install_crypto();
    let provider = TestProvider::start().await;
    provider.set("/a", Answer::Body(document(&[("a", 0)])));
    provider.set("/b", Answer::Body(document(&[("b", 1)])));
    let refresher = |paths: &[&str]| {
        let sources = paths.iter().map(|path| KeySource::Jwks(provider.url("http", path))).collect();
        Refresher::new("contoso", &JwksSettings::new(sources), &Arc::default(), Arc::new(Metrics::new().unwrap())).unwrap()
    };
    let old = refresher(&["/a", "/b"]);
    let store = old.store();
    let stop = CancellationToken::new();
    let task = tokio::spawn(old.run(stop.clone()));
    until("both are fetched", || store.load(now()).keys().len() == 2).await;
    stop.cancel();
    task.await.unwrap();
    let new = refresher(&["/c", "/b"]);
    // Alerts on an increase need the series before the first event.
    let shown = new.keys.metrics.render().unwrap();
    for series in ["refresh_total", "conflicts_total", "issuer_changes_total", "issuer_mismatch", "keys", "last_success"] {
        let is_shown = |line: &str| line.starts_with(&format!("syncgate_jwks_{series}")) && line.contains("contoso");
        assert!(shown.lines().any(is_shown), "{series}: {shown}");
    }
    new.inherit(&store);
    assert_eq!(new.store().load(now()).keys().iter().map(|key| key.kid()).collect::<Vec<_>>(), [Some("b")]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_takes_no_key_away() {
    let keys = keys(&Arc::new(Metrics::new().unwrap()));
    let empty =
        || FetchError::Keys { url: Url::parse("https://contoso.com/keys").unwrap(), problem: "no usable key among 0".into() };
    simulate(&keys, 3 * HOUR, |time| if time.is_zero() { Ok(set(&[("a", 0)])) } else { Err(empty()) }).await;
    assert!(keys.store.is_ready(Timestamp::from_seconds(1_700_000_000).plus(3 * HOUR)));
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_are_told_each_hour_and_so_is_their_agreement() {
    let (log, _listening) = Log::listen();
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let start = tokio::time::Instant::now();
    let fetch = || {
        let clock_skew = Some(if start.elapsed() < 2 * HOUR { -600.0 } else { 0.4 });
        std::future::ready(Ok(Fetched { keys: set(&[("a", 0)]), max_age: None, issuer: None, clock_skew }))
    };
    let _ = tokio::time::timeout(3 * HOUR, keys.keep_fresh(0, Duration::from_secs(300), fetch, virtual_clock())).await;
    let lines: Vec<_> = log.lines().into_iter().filter(|line| line.contains("clock")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("WARN") && lines[0].contains("this one is behind;") && lines[0].contains("-600"), "{lines:?}");
    assert!(lines[2].contains("INFO") && lines[2].contains("agrees"), "{lines:?}");
    assert_eq!(metrics.jwks.clock_skew.with_label_values(&["contoso"]).get(), 0.4);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_once_and_so_is_its_end() {
    let (log, _listening) = Log::listen();
    let keys = keys(&Arc::new(Metrics::new().unwrap()));
    let outage = 2 * HOUR..4 * HOUR;
    simulate(&keys, 5 * HOUR, |time| if outage.contains(&time) { Err(unreachable()) } else { Ok(set(&[("a", 0)])) }).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("INFO") && lines[0].contains("keys fetched"), "{lines:?}");
    assert!(lines[1].contains("WARN") && lines[1].contains("https://contoso.com/keys: connection refused"), "{lines:?}");
    assert!(lines[2].contains("INFO") && lines[2].contains("keys can be fetched again"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_told_once_as_an_error() {
    let (log, _listening) = Log::listen();
    simulate(&keys(&Arc::new(Metrics::new().unwrap())), HOUR, |_| Err(unreachable())).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("no keys are available"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn another_key_under_a_known_kid_raises_an_alarm_and_skipped_keys_are_counted() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    simulate(&keys, HOUR * 3 / 2, |time| {
        let number = usize::from(!time.is_zero());
        let document = document(&[("a", number)]).replace("]}", r#",{"kty":"oct","kid":"x","k":"AA"}]}"#);
        Ok(KeySet::parse(document.as_bytes(), &KeySetLimits::default()).unwrap())
    })
    .await;
    assert_eq!(metrics.jwks.conflicts.with_label_values(&["contoso"]).get(), 1);
    let text = metrics.render().unwrap();
    assert!(text.contains(r#"syncgate_jwks_skipped_keys{issuer="contoso",reason="symmetric"} 1"#), "{text}");
}

#[tokio::test]
async fn of_two_sources_the_one_that_hangs_costs_the_other_nothing_and_stop_ends_both() {
    install_crypto();
    let provider = TestProvider::start().await;
    provider.set("/silent", Answer::Silence);
    provider.set("/keys", Answer::Body(document(&[("a", 0)])));
    let sources = ["/silent", "/keys"].map(|path| KeySource::Jwks(provider.url("http", path)));
    let metrics = Arc::new(Metrics::new().unwrap());
    let refresher =
        Refresher::new("contoso", &JwksSettings { timeout: HOUR, ..JwksSettings::new(sources.into()) }, &Arc::default(), metrics)
            .unwrap();
    let (store, stop) = (refresher.store(), CancellationToken::new());
    let task = tokio::spawn(refresher.run(stop.clone()));
    until("the keys of the second source are there", || store.is_ready(now())).await;
    assert_eq!(store.age(now()), None, "the first source was never fetched");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_provider_that_comes_back_is_found_and_its_rotation_too() {
    install_crypto();
    let provider = TestProvider::start().await;
    provider.set("/keys", Answer::Status(503, String::new()));
    let settings = JwksSettings {
        refresh: Duration::from_millis(20),
        ..JwksSettings::new(vec![KeySource::Jwks(provider.url("http", "/keys"))])
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let refresher = Refresher::new("contoso", &settings, &Arc::default(), Arc::clone(&metrics)).unwrap();
    let (store, stop) = (refresher.store(), CancellationToken::new());
    let task = tokio::spawn(refresher.run(stop.clone()));
    until("the first attempt failed", || counted(&metrics, "start", "error") == 1).await;
    assert!(!store.is_ready(now()));
    provider.set("/keys", Answer::Body(document(&[("a", 0)])));
    until("the keys are there", || store.is_ready(now())).await;
    provider.set("/keys", Answer::Body(document(&[("b", 1)])));
    until("both keys are there", || store.load(now()).keys().len() == 2).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_answer_says_of_its_freshness_shortens_the_interval() {
    let keys = keys(&Arc::new(Metrics::new().unwrap()));
    let fetches = AtomicU64::new(0);
    let fetch = || {
        fetches.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Fetched {
            keys: set(&[("a", 0)]),
            max_age: Some(Duration::from_secs(15)),
            issuer: None,
            clock_skew: None,
        }))
    };
    let _ = tokio::time::timeout(HOUR, keys.keep_fresh(0, HOUR, fetch, virtual_clock())).await;
    let fetches = fetches.into_inner();
    assert!((11..=14).contains(&fetches), "each five minutes, not each 15 seconds: {fetches}");
}

#[tokio::test(start_paused = true)]
async fn another_issuer_in_the_discovery_document_is_an_alarm_and_changes_nothing() {
    let (log, _listening) = Log::listen();
    let metrics = Arc::new(Metrics::new().unwrap());
    let keys = keys(&metrics);
    let clock = virtual_clock();
    let fetch = || {
        let late = clock() > Timestamp::from_seconds(1_700_000_000).plus(HOUR / 2);
        let issuer = if late { "https://fabrikam.com/" } else { "https://contoso.com/" };
        std::future::ready(Ok(Fetched { keys: set(&[("a", 0)]), max_age: None, issuer: Some(issuer.into()), clock_skew: None }))
    };
    let _ = tokio::time::timeout(4 * HOUR, keys.keep_fresh(0, HOUR, fetch, virtual_clock())).await;
    assert_eq!(keys.store.discovered_issuers(), ["https://contoso.com/".into()]);
    assert_eq!(metrics.jwks.issuer_changes.with_label_values(&["contoso"]).get(), 1);
    let alarms = log.lines().into_iter().filter(|line| line.contains("ERROR")).collect::<Vec<_>>();
    assert!(alarms.len() == 1 && alarms[0].contains("https://fabrikam.com/"), "{alarms:?}");
}

#[tokio::test]
async fn a_file_that_kubernetes_swaps_is_followed_and_what_left_it_is_gone() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let version = |name: &str, keys: &[(&str, usize)]| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("keys.json"), document(keys)).unwrap();
        let link = folder.path().join("..data_tmp");
        std::os::unix::fs::symlink(name, &link).unwrap();
        std::fs::rename(link, folder.path().join("..data")).unwrap();
    };
    version("..1", &[("a", 0), ("b", 1)]);
    std::os::unix::fs::symlink("..data/keys.json", folder.path().join("keys.json")).unwrap();
    let settings = JwksSettings {
        refresh: Duration::from_millis(20),
        ..JwksSettings::new(vec![KeySource::File(folder.path().join("keys.json"))])
    };
    let refresher = Refresher::new("contoso", &settings, &Arc::default(), Arc::new(Metrics::new().unwrap())).unwrap();
    let (store, stop) = (refresher.store(), CancellationToken::new());
    let task = tokio::spawn(refresher.run(stop.clone()));
    let shows = |kids: &[&str]| store.load(now()).keys().iter().filter_map(|key| key.kid()).eq(kids.iter().copied());
    until("both keys are there", || shows(&["a", "b"])).await;
    version("..2", &[("b", 1), ("c", 2)]);
    until("one key is gone, another is there", || shows(&["b", "c"])).await;
    std::fs::remove_file(folder.path().join("..data")).unwrap();
    until("the loss of the file is noticed", || store.view(now()).sources[0].status.failures > 0).await;
    assert!(shows(&["b", "c"]), "a file that cannot be read takes nothing away");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn after_a_restart_without_the_provider_the_snapshot_serves_and_extends_nothing() {
    install_crypto();
    let provider = TestProvider::start().await;
    provider.set("/keys", Answer::Body(document(&[("a", 0)])));
    let folder = tempfile::tempdir().unwrap();
    let settings = JwksSettings {
        snapshot_file: Some(folder.path().join("contoso.json")),
        ..JwksSettings::new(vec![KeySource::Jwks(provider.url("http", "/keys"))])
    };
    let start = || Refresher::new("contoso", &settings, &Arc::default(), Arc::new(Metrics::new().unwrap())).unwrap();
    let first = start();
    let (store, stop) = (first.store(), CancellationToken::new());
    let task = tokio::spawn(first.run(stop.clone()));
    until("the snapshot is written", || folder.path().join("contoso.json").exists()).await;
    stop.cancel();
    task.await.unwrap();
    drop(provider);
    let seen = |store: &KeyStore| store.view(now()).keys.iter().map(|key| (key.last_seen, key.end)).collect::<Vec<_>>();
    let again = start().store();
    assert_eq!((again.load(now()).keys().len(), seen(&again)), (1, seen(&store)));
    assert_eq!(again.last_success(), None, "a snapshot is no answer of the provider");
    let third = start().store();
    assert_eq!(seen(&third), seen(&store), "nor does a second restart");
}

#[test]
fn jitter_is_anywhere_between_nothing_and_all() {
    let numbers: Vec<f64> = (0..1_000).map(|_| random()).collect();
    assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
    for tenth in 0..10 {
        let range = f64::from(tenth) / 10.0..f64::from(tenth + 1) / 10.0;
        assert!(numbers.iter().any(|number| range.contains(number)), "{range:?}");
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

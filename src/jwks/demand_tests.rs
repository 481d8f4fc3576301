use super::*;

fn demand(places: &[&str]) -> Demand {
    let places = places.iter().map(|place| (*place).to_owned()).collect();
    Demand::new(places, &UnknownKidSettings { wait: Duration::from_secs(2), ..UnknownKidSettings::default() }, None)
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_700_000_000)
}

/// One fetch.
fn fetched(demand: &Demand, index: usize, failures: u32) {
    demand.begin(index, Trigger::Start, now());
    demand.end(index, |source| source.failures = failures);
}

#[test]
fn all_were_tried_when_each_was() {
    let demand = demand(&["a", "b"]);
    assert!(!demand.was_tried());
    fetched(&demand, 0, 0);
    assert!(!demand.was_tried());
    fetched(&demand, 1, 3);
    assert!(demand.was_tried());
}

#[tokio::test(start_paused = true)]
async fn who_waits_looks_again_after_each_fetch_until_none_is_under_way() {
    let demand = demand(&["a", "b"]);
    fetched(&demand, 0, 0);
    fetched(&demand, 1, 0);
    let started = Instant::now();
    let mut awaited = demand.miss(now());
    for index in [0, 1] {
        demand.begin(index, Trigger::Timer, now());
    }
    demand.end(0, |_| {});
    assert!(awaited.next().await, "the other one is still under way");
    demand.end(1, |_| {});
    assert!(awaited.next().await);
    assert!(!awaited.next().await, "nothing is under way");
    assert_eq!(started.elapsed(), Duration::ZERO);
    // A fetch that does not end is waited for as long as the settings say.
    let mut awaited = demand.miss(now());
    assert!(!awaited.next().await);
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

#[tokio::test]
async fn a_source_goes_on_as_the_one_at_its_place_was_doing() {
    let old = demand(&["a", "b", "c"]);
    for (index, failures) in [(0, 1), (1, 2), (2, 3)] {
        fetched(&old, index, failures);
    }
    old.miss(now());
    for index in [0, 1, 2] {
        old.begin(index, Trigger::Timer, now());
    }
    let new = demand(&["c", "x", "a"]);
    new.inherit(&old);
    let doing: Vec<_> = new.sources().iter().map(|source| (source.failures, source.last_attempt)).collect();
    assert_eq!(doing, [(3, Some(now())), (0, None), (1, Some(now()))]);
    assert!(!new.was_tried(), "x was not");
    // What the old ones were doing is not under way here.
    assert!(!new.state.borrow().is_under_way());
    new.miss(now());
    for index in [0, 1, 2] {
        tokio::time::timeout(Duration::from_secs(20), new.wanted(index)).await.unwrap();
    }
}

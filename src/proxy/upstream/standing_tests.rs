use super::*;

#[test]
fn one_that_refuses_is_tried_again_by_one_request_at_a_time() {
    let standing = Standing::new("a".to_owned());
    assert!(standing.refused(5) && !standing.refused(5));
    assert!(!standing.claim(10_004));
    assert!(standing.claim(10_005) && !standing.claim(10_005) && !standing.claim(20_004));
    // The attempt took its time; another one.
    assert!(standing.claim(20_005));
    assert!(standing.accepted(20_006) && !standing.accepted(20_006));
    assert_eq!(standing.state(), AddressState::Serving);
    assert!(!standing.claim(u64::MAX));
}

#[test]
fn five_failures_in_a_row_take_it_out_for_longer_each_time() {
    let standing = Standing::new("a".to_owned());
    let mut now = 1_000_000;
    for _ in 0..4 {
        assert!(!standing.failed());
    }
    assert!(!standing.served(|| now), "it was not out");
    let fail = || (0..5).map(|_| standing.failed()).last().unwrap();
    assert!(fail());
    standing.take_out(now);
    for times in [1, 2, 3, 10, 10, 10] {
        let span = 30_000 * times;
        if times > 3 {
            // Up to ten times as long.
            standing.times_out.store(20, Relaxed);
            standing.take_out(now);
        }
        assert_eq!(standing.state(), AddressState::Out);
        assert!(!standing.failed() && !standing.served(|| now), "what began before says nothing");
        assert!(!standing.claim(now + span - 1), "{times}");
        now += span;
        assert!(standing.claim(now), "{times}");
        assert!(standing.failed(), "the trial");
        standing.take_out(now);
    }
    now += 300_000;
    assert!(standing.claim(now) && standing.served(|| now));
    assert_eq!(standing.state(), AddressState::Serving);
    // After a while in peace the first time is the first again.
    now += 600_001;
    assert!(fail());
    standing.take_out(now);
    assert!(!standing.claim(now + 29_999) && standing.claim(now + 30_000));
}

#[test]
fn the_share_of_one_that_returns_grows_for_ten_seconds() {
    let standing = Standing::new("a".to_owned());
    assert_eq!(standing.share(0), 256);
    standing.begin_fresh(1_000);
    assert_eq!([1_000, 2_000, 6_000, 10_999, 11_000].map(|now| standing.share(now)), [16, 25, 128, 255, 256]);
    assert!(standing.is_plain());
}

#[tokio::test(start_paused = true)]
async fn sockets_are_closed_evenly_over_the_spread() {
    let standing = Arc::new(Standing::new("a".to_owned()));
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..100 {
        standing.begin_socket();
        let (standing, ended) = (Arc::clone(&standing), ended.clone());
        tokio::spawn(async move {
            standing.drained().await;
            ended.send(Instant::now()).unwrap();
        });
    }
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(ends.try_recv().is_err());
    let began = Instant::now();
    standing.drain(Duration::from_secs(50));
    for number in 0..50 {
        let took = (ends.recv().await.unwrap() - began).as_millis();
        assert!((number * 500..=number * 500 + 2).contains(&took), "{number}: {took}");
    }
    standing.undrain(0);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(ends.try_recv().is_err(), "those that are left stay");
    standing.drain(Duration::ZERO);
    ends.recv().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 124);
}

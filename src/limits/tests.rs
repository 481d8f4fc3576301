use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The definition: a bucket that holds `burst`, into which one falls after each interval.
struct Bucket {
    credit: f64,
    at: Duration,
}

#[test]
fn a_burst_and_then_the_rate() {
    let rates = Rates::new(Rate::per_second(10, 3), 64);
    let key = Keys::default().of_number(1);
    let start = Instant::now() + ms(5);
    for _ in 0..3 {
        assert_eq!(rates.take(key, start), Ok(()));
    }
    let wait = rates.take(key, start).unwrap_err();
    assert!(ms(99) <= wait && wait <= ms(100), "{wait:?}");
    assert_eq!(rates.peek(key, start).unwrap_err(), wait);
    assert_eq!(rates.take(key, start + ms(101)), Ok(()));
    assert!(rates.take(key, start + ms(102)).is_err());
    // A long pause gives the burst, and no more.
    let later = start + Duration::from_secs(86_400);
    assert_eq!((0..10).filter(|_| rates.take(key, later).is_ok()).count(), 3);
    assert_eq!(rates.peek(Keys::default().of_number(2), later), Ok(()));
}

#[test]
fn a_slow_rate_is_kept_as_well() {
    let rates = Rates::new(Rate { count: 1, per: Duration::from_secs(3_600), burst: 1 }, 8);
    let key = Keys::default().of_number(1);
    let start = Instant::now();
    assert_eq!(rates.take(key, start), Ok(()));
    let wait = rates.take(key, start + Duration::from_secs(1_800)).unwrap_err();
    assert!((1_785..=1_800).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(rates.take(key, start + Duration::from_secs(3_601)), Ok(()));
}

proptest! {
    /// However often it is asked, at whatever times: what a bucket gives, to within the table's unit.
    #[test]
    fn it_gives_what_a_bucket_gives(
        count in 1..1_000_u32,
        burst in 1..50_u32,
        pauses in prop::collection::vec(0..200_u64, 1..200),
    ) {
        let rates = Rates::new(Rate::per_second(count, burst), 8);
        let key = Keys::default().of_number(7);
        let start = Instant::now() + ms(10);
        let mut bucket = Bucket { credit: f64::from(burst), at: Duration::ZERO };
        let mut at = Duration::ZERO;
        for pause in pauses {
            at += ms(pause);
            let refilled = bucket.credit + (at - bucket.at).as_secs_f64() * f64::from(count);
            bucket = Bucket { credit: refilled.min(f64::from(burst)), at };
            let taken = rates.take(key, start + at).is_ok();
            // Each one taken may have been rounded by a 256th.
            let slack = 0.3;
            if bucket.credit >= 1.0 + slack {
                prop_assert!(taken, "refused with {} in the bucket", bucket.credit);
            }
            if bucket.credit < 1.0 - slack {
                prop_assert!(!taken, "given with {} in the bucket", bucket.credit);
            }
            if taken {
                bucket.credit -= 1.0;
            }
        }
    }
}

#[test]
fn a_flood_of_made_up_keys_takes_no_memory_and_frees_nobody_who_is_limited() {
    let rates = Rates::new(Rate::per_second(1, 5), 4_096);
    let (bytes, keys) = (rates.bytes(), Keys::default());
    assert!(bytes <= 4_096 * 8, "{bytes}");
    let now = Instant::now();
    let limited: Vec<_> = (0..100).map(|number| keys.of_number(1_000_000_000 + number)).collect();
    for key in &limited {
        while rates.take(*key, now).is_ok() {}
    }
    let refused = (0..1_000_000).filter(|number| rates.take(keys.of_number(*number), now).is_err()).count();
    assert_eq!(rates.bytes(), bytes);
    assert_eq!(limited.iter().filter(|key| rates.take(**key, now).is_ok()).count(), 0);
    // Nobody who asks once is taken for another.
    assert!(refused <= 10, "{refused} of a million were refused");
}

#[test]
fn counts_are_of_what_there_is() {
    let counts = Arc::new(Counts::new(100));
    let keys = Keys::default();
    let (one, other) = (keys.of_number(1), keys.of_number(2));
    let mut held: Vec<_> = (0..3).map(|_| Counts::hold(&counts, one, 3).unwrap()).collect();
    assert!(Counts::hold(&counts, one, 3).is_none() && Counts::hold(&counts, other, 1).is_some());
    held.pop();
    held.push(Counts::hold(&counts, one, 3).unwrap());
    assert!(Counts::hold(&counts, one, 3).is_none() && counts.total() == 3);
    drop(held);
    assert_eq!(counts.total(), 0);
}

#[test]
fn those_of_an_attacker_keep_nobody_out() {
    const THINGS: usize = 10_000;
    let counts = Arc::new(Counts::new(THINGS));
    assert!(counts.bytes() <= THINGS * 64, "{}", counts.bytes());
    let keys = Keys::default();
    let attackers: Vec<_> = (0..THINGS as u64).map(|number| Counts::hold(&counts, keys.of_number(number), 1).unwrap()).collect();
    // Almost all are counted.
    assert!(counts.total() >= THINGS as u64 - 20, "{}", counts.total());
    for number in 0..1_000 {
        let key = keys.of_number(1_000_000 + number);
        let first = Counts::hold(&counts, key, 1);
        assert!(first.is_some(), "{number}");
    }
    drop(attackers);
    assert_eq!(counts.total(), 0);
}

proptest! {
    /// A map is the oracle.
    #[test]
    fn counts_are_those_of_a_map(steps in prop::collection::vec((0..6_u64, any::<bool>()), 0..200)) {
        let counts = Arc::new(Counts::new(64));
        let keys = Keys::default();
        let mut expected: HashMap<u64, Vec<Held>> = HashMap::new();
        for (number, adds) in steps {
            let held = expected.entry(number).or_default();
            if adds {
                let one = Counts::hold(&counts, keys.of_number(number), 4);
                prop_assert_eq!(one.is_some(), held.len() < 4);
                held.extend(one);
            } else {
                held.pop();
            }
            prop_assert_eq!(counts.total(), expected.values().map(|held| held.len() as u64).sum::<u64>());
        }
    }
}

#[test]
fn threads_count_together() {
    let counts = Arc::new(Counts::new(100));
    let rates = Arc::new(Rates::new(Rate::per_second(1, 1_000), 64));
    let key = Keys::default().of_number(1);
    let now = Instant::now();
    let (mut held, mut taken) = (0, 0);
    std::thread::scope(|scope| {
        let work = || {
            let held: Vec<_> = (0..2_000).filter_map(|_| Counts::hold(&counts, key, 1_000)).collect();
            let taken = (0..2_000).filter(|_| rates.take(key, now).is_ok()).count();
            (held, taken)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        let all: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        held = all.iter().map(|(held, _)| held.len()).sum();
        taken = all.iter().map(|(_, taken)| taken).sum();
    });
    // Whoever meets another too often is let through.
    assert!((1_000..1_100).contains(&held) && (1_000..1_100).contains(&taken), "{held} {taken}");
    assert_eq!(counts.total(), 0);
}

#[test]
fn an_address_of_ipv6_is_its_network() {
    let keys = Keys::default();
    let of = |text: &str| keys.of_address(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
    assert_eq!(of("203.0.113.7"), of("::ffff:203.0.113.7"));
    assert_ne!(keys.of_user("a", "bc"), keys.of_user("ab", "c"));
    assert_ne!(Keys::default().of_number(1), Keys::default().of_number(1));
}

#[test]
fn the_defaults_do_not_limit_a_company_behind_one_address() {
    let limits = Limits::new(LimitSettings::default(), 10_000);
    let address = IpAddr::from([203, 0, 113, 7]);
    let mut now = Instant::now();
    // All devices come back at once, each with two connections, then each ten seconds with tokens that have ended.
    let held: Vec<_> = (0..1_000).map(|_| limits.connect(address, now).unwrap()).collect();
    for _ in 0..10 {
        for device in 0..500 {
            let user = format!("user-{device}");
            limits.may_verify(address, now).unwrap();
            limits.refused(address, now);
            limits.may_verify(address, now).unwrap();
            limits.request("contoso", &user, || now).unwrap();
            limits.mint("contoso", &user, now).unwrap();
            drop(limits.open_socket("contoso", &user).unwrap());
        }
        now += Duration::from_secs(10);
    }
    drop(held);
}

#[test]
fn each_limit_is_reached_and_says_when_to_come_again() {
    let rate = |count, burst| Some(Rate::per_second(count, burst));
    let settings = LimitSettings {
        address: AddressLimits { connections: Some(2), new: rate(1, 3), handshakes: Some(1), refused: rate(1, 2) },
        user: UserLimits {
            requests: Some(Rate { count: 1, per: Duration::from_secs(60), burst: 1 }),
            sockets: Some(1),
            mints: rate(1, 1),
        },
    };
    let limits = Limits::new(settings.clone(), 100);
    let (one, now) = (IpAddr::from([203, 0, 113, 7]), Instant::now());
    let exceeded = |limit, retry_after| Exceeded { limit, retry_after };
    let open = (limits.connect(one, now).unwrap(), limits.connect(one, now).unwrap());
    assert_eq!(limits.connect(one, now).unwrap_err(), exceeded(Limit::Connections, 5));
    assert_eq!(limits.connect(one, now).unwrap_err(), exceeded(Limit::New, 1));
    drop(open);
    let hands = limits.shake_hands(one).unwrap();
    assert_eq!(limits.shake_hands(one).unwrap_err(), exceeded(Limit::Handshakes, 5));
    assert!(limits.shake_hands(IpAddr::from([10, 0, 0, 1])).is_ok());
    drop(hands);
    assert!(limits.shake_hands(one).is_ok());
    for _ in 0..3 {
        limits.refused(one, now);
    }
    assert_eq!(limits.may_verify(one, now).unwrap_err(), exceeded(Limit::Refused, 1));
    assert_eq!(limits.may_verify(IpAddr::from([203, 0, 113, 8]), now), Ok(()));
    limits.request("contoso", "alice", || now).unwrap();
    assert_eq!(limits.request("contoso", "alice", || now + ms(500)).unwrap_err(), exceeded(Limit::Requests, 60));
    limits.request("fabrikam", "alice", || now).unwrap();
    limits.mint("contoso", "alice", now).unwrap();
    assert_eq!(limits.mint("contoso", "alice", now).unwrap_err(), exceeded(Limit::Mints, 1));
    let socket = limits.open_socket("contoso", "alice").unwrap();

    // Others from now on: what is open counts, and a rate that is the same goes on.
    let user = UserLimits { mints: rate(9, 9), ..settings.user.clone() };
    let changed = limits.reconfigured(LimitSettings { user, ..settings });
    assert_eq!(changed.open_socket("contoso", "alice").unwrap_err(), exceeded(Limit::Sockets, 5));
    assert!(changed.may_verify(one, now).is_err() && changed.mint("contoso", "alice", now).is_ok());
    drop(socket);
    assert!(changed.open_socket("contoso", "alice").is_ok());
    let names: std::collections::HashSet<_> = Limit::ALL.iter().flat_map(|limit| [limit.label(), limit.setting()]).collect();
    assert_eq!(names.len(), 2 * Limit::ALL.len());
}

//! How long a minted token is used, and when it is replaced. Time is what the callers say it is.

use serde_json::Value;

use super::{
    tests::{LIFETIME, OTHER, USER_ID, World, at, payload, token, until},
    *,
};

/// A request, not a socket.
async fn request(world: &World, token: &str, profile: ProfileId, now: Timestamp) -> Result<Admission, Rejection> {
    let identity = world.identify(token, now).await?;
    world.exchange.admit(&identity, profile, Lifetime::Ttl, now).await
}

/// `iat` and `exp`, in seconds from second 0.
fn dates(admission: &Admission) -> (i64, i64) {
    let payload: Value = payload(admission);
    let date = |name: &str| payload[name].as_i64().unwrap() - at(0).as_seconds();
    (date("iat"), date("exp"))
}

fn renewals(world: &World) -> u64 {
    world.lookups("minted", "renewal")
}

#[tokio::test]
async fn a_request_gets_a_short_token_and_a_socket_one_to_the_end() {
    let world = World::new();
    let token = token("alice");
    let short = request(&world, &token, USER_ID, at(0)).await.unwrap();
    let long = world.exchange(&token, USER_ID, at(0)).await.unwrap();
    assert_eq!((dates(&short), dates(&long)), ((-10, 300), (-10, LIFETIME + 60)));
    assert_eq!(short.end(), long.end(), "what rests on the token ends with the client's in both cases");
    assert_eq!(request(&world, &token, USER_ID, at(1)).await.unwrap().authorization(), short.authorization());
    assert_eq!(world.exchange(&token, USER_ID, at(1)).await.unwrap().authorization(), long.authorization());
    assert_eq!(world.work(), (1, 2));
}

#[tokio::test]
async fn a_profile_may_demand_the_end_for_all() {
    let world = World::with_profile(|profile| profile.lifetime = Lifetime::End);
    let token = token("alice");
    let first = request(&world, &token, USER_ID, at(0)).await.unwrap();
    assert_eq!(dates(&first), (-10, LIFETIME + 60));
    assert_eq!(world.exchange(&token, USER_ID, at(1)).await.unwrap().authorization(), first.authorization());
    assert_eq!(world.work(), (1, 1), "one place for both");
}

#[tokio::test]
async fn a_token_is_renewed_in_the_background_when_a_fifth_of_its_life_is_left() {
    let world = World::new();
    let token = token("alice");
    let first = request(&world, &token, USER_ID, at(0)).await.unwrap();
    request(&world, &token, USER_ID, at(239)).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!((world.work().1, renewals(&world)), (1, 0));

    let old = request(&world, &token, USER_ID, at(240)).await.unwrap();
    assert_eq!(old.authorization(), first.authorization(), "the old one serves meanwhile");
    until(|| renewals(&world) == 1).await;
    let renewed = request(&world, &token, USER_ID, at(241)).await.unwrap();
    assert_eq!(dates(&renewed), (230, 540));
    assert_eq!((world.work().1, world.lookups("minted", "miss")), (2, 1), "nobody waited for it");
}

#[tokio::test]
async fn of_a_short_life_ten_seconds_are_left_for_the_renewal() {
    let world = World::with_profile(|profile| profile.ttl = Duration::from_secs(30));
    let token = token("alice");
    request(&world, &token, USER_ID, at(0)).await.unwrap();
    request(&world, &token, USER_ID, at(19)).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(world.work().1, 1);
    request(&world, &token, USER_ID, at(20)).await.unwrap();
    until(|| renewals(&world) == 1).await;
}

#[tokio::test]
async fn while_nobody_can_sign_the_old_token_serves_until_five_seconds_before_its_end() {
    let world = World::new();
    let token = token("alice");
    let first = request(&world, &token, USER_ID, at(0)).await.unwrap();
    let blocker = world.block_signing().await;
    for second in [240, 250, 294] {
        let old = request(&world, &token, USER_ID, at(second)).await.unwrap();
        assert_eq!(old.authorization(), first.authorization(), "second {second}");
    }
    // From second 295 on it is not used: this request waits for a new one.
    let identity = world.identify(&token, at(295)).await.unwrap();
    let exchange = Arc::clone(&world.exchange);
    let waiting = tokio::spawn(async move { exchange.admit(&identity, USER_ID, Lifetime::Ttl, at(295)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(blocker);
    let fresh = waiting.await.unwrap().unwrap();
    assert!(dates(&fresh).1 >= 540, "signed by a renewal that waited, or by the request itself");
}

#[tokio::test]
async fn many_requests_in_the_last_fifth_renew_once() {
    let world = World::new();
    let token = token("alice");
    request(&world, &token, USER_ID, at(0)).await.unwrap();
    let blocker = world.block_signing().await;
    for _ in 0..100 {
        request(&world, &token, USER_ID, at(240)).await.unwrap();
    }
    drop(blocker);
    until(|| renewals(&world) == 1).await;
    request(&world, &token, USER_ID, at(240)).await.unwrap();
    assert_eq!((world.work().1, renewals(&world)), (2, 1));
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_after_a_pause() {
    let world = World::new();
    let token = token("alice");
    request(&world, &token, USER_ID, at(0)).await.unwrap();
    let blocker = world.block_signing().await;
    // Two others fill the queue, so that the renewal finds no place in it.
    let mut others = Vec::new();
    for user in ["bob", "bert"] {
        let identity = world.identify(&tests::token(user), at(240)).await.unwrap();
        let exchange = Arc::clone(&world.exchange);
        others.push(tokio::spawn(async move { exchange.admit(&identity, USER_ID, Lifetime::Ttl, at(240)).await }));
    }
    until(|| world.lookups("minted", "miss") == 3).await;
    request(&world, &token, USER_ID, at(240)).await.unwrap();
    tokio::task::yield_now().await;
    drop(blocker);
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(renewals(&world), 0);
    let paused = at(240).plus(Duration::from_millis(999));
    request(&world, &token, USER_ID, paused).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(renewals(&world), 0);
    request(&world, &token, USER_ID, at(241)).await.unwrap();
    until(|| renewals(&world) == 1).await;
}

#[tokio::test]
async fn a_token_that_ends_with_its_identity_is_used_to_the_end_and_not_renewed() {
    let world = World::new();
    let (token, end) = (token("alice"), LIFETIME + 60);
    let last = request(&world, &token, USER_ID, at(end - 300)).await.unwrap();
    assert_eq!(dates(&last).1, end);
    let moment_before = at(end).minus(Duration::from_millis(1));
    let used = request(&world, &token, USER_ID, moment_before).await.unwrap();
    assert_eq!(used.authorization(), last.authorization());
    tokio::task::yield_now().await;
    assert_eq!((world.work().1, renewals(&world)), (1, 0));
    assert_eq!(request(&world, &token, USER_ID, at(end)).await.unwrap_err(), Rejection::Expired);
}

#[tokio::test]
async fn a_longest_life_that_is_shorter_than_the_identity_makes_tokens_to_the_end_renewable() {
    let world = World::with_profile(|profile| profile.max_lifetime = Some(Duration::from_secs(610)));
    let token = token("alice");
    let first = world.exchange(&token, USER_ID, at(0)).await.unwrap();
    assert_eq!(dates(&first), (-10, 600));
    world.exchange(&token, USER_ID, at(480)).await.unwrap();
    until(|| renewals(&world) == 1).await;
    assert_eq!(dates(&world.exchange(&token, USER_ID, at(481)).await.unwrap()), (470, 1080));
}

#[tokio::test]
async fn the_issue_date_of_an_identity_never_goes_back_with_the_clock() {
    let world = World::new();
    let token = token("alice");
    let first = request(&world, &token, USER_ID, at(1_000)).await.unwrap();
    assert_eq!(dates(&first), (990, 1_300));
    // The clock is corrected by a minute. The cached token is good for longer then, and a new one is not dated before it.
    assert_eq!(request(&world, &token, USER_ID, at(940)).await.unwrap().authorization(), first.authorization());
    assert_eq!(dates(&request(&world, &token, OTHER, at(940)).await.unwrap()), (990, 1_300));
    assert_eq!(dates(&request(&world, &tests::token("bob"), USER_ID, at(940)).await.unwrap()), (930, 1_240), "nobody else's");
    // With another key everything is minted again: not earlier either.
    world.exchange.replace_signing_key(SigningKey::generate_rsa(2048).unwrap());
    assert_eq!(dates(&request(&world, &token, USER_ID, at(941)).await.unwrap()), (990, 1_300));
}

#[tokio::test]
async fn a_short_step_of_the_clock_is_over_with_the_step() {
    let world = World::new();
    let (here, there) = (token("alice"), token("bob"));
    request(&world, &here, USER_ID, at(0)).await.unwrap();
    // 50 minutes ahead for a moment, in which one who was here and one who was not come.
    for user in [&here, &there] {
        request(&world, user, USER_ID, at(3_000)).await.unwrap();
    }
    // Half an hour is left of these tokens, or they are new, or they came meanwhile: all are minted by the clock of now.
    let ending = tests::token_until(1_800, "carol", "a", 0);
    for (user, second) in [(&here, 3), (&there, 3), (&ending, 4), (&token("dora"), 5)] {
        for profile in [USER_ID, OTHER] {
            let admission = request(&world, user, profile, at(second)).await.unwrap();
            assert_eq!(dates(&admission), (second - 10, second + 300));
        }
    }
}

#[tokio::test]
async fn an_issue_date_that_is_kept_does_not_end_a_token() {
    let world = World::new();
    let (token, end) = (token("alice"), LIFETIME + 60);
    request(&world, &token, USER_ID, at(end - 1)).await.unwrap();
    let identity = world.identify(&token, at(end).minus(Duration::from_millis(1))).await.unwrap();
    // In its last second nothing can be minted that has not ended; it leaves its mark on the time all the same.
    let last = world.exchange.admit(&identity, OTHER, Lifetime::Ttl, at(end).minus(Duration::from_millis(1))).await;
    assert!(last.is_ok());
    let corrected = request(&world, &token, OTHER, at(end - 30)).await.unwrap();
    assert_eq!(dates(&corrected).1, end);
}

#[tokio::test]
async fn a_leap_of_the_clock_that_mints_nothing_leaves_no_trace() {
    let world = World::new();
    let token = token("alice");
    let identity = world.identify(&token, at(0)).await.unwrap();
    // A year ahead every token has ended; nobody is admitted.
    let year = at(365 * 86_400);
    assert_eq!(world.exchange.admit(&identity, USER_ID, Lifetime::Ttl, year).await.unwrap_err(), Rejection::Expired);
    assert_eq!(dates(&request(&world, &token, USER_ID, at(5)).await.unwrap()), (-5, 305));
}

#[tokio::test]
async fn every_minted_token_has_its_own_id() {
    let world = World::with_profile(|profile| profile.token_id = true);
    let mut ids = std::collections::BTreeSet::new();
    for user in ["alice", "bob", "carol"] {
        let payload = payload(&request(&world, &tests::token(user), USER_ID, at(0)).await.unwrap());
        let id = payload["jti"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 22, "128 bits in base64url");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn what_a_profile_refuses_is_refused_on_every_request_and_not_kept() {
    let world = World::with_profile(|profile| profile.user_ids = crate::token::UserIdForm::Uuid);
    let token = token("alice");
    for _ in 0..2 {
        assert_eq!(request(&world, &token, USER_ID, at(0)).await.unwrap_err(), Rejection::UserIdUnsuitable);
    }
    request(&world, &token, OTHER, at(0)).await.unwrap();
}

#[test]
fn outside_of_a_runtime_a_token_serves_and_is_not_renewed() {
    use futures_util::FutureExt as _;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new();
    let token = token("alice");
    let first = runtime.block_on(request(&world, &token, USER_ID, at(0))).unwrap();
    drop(runtime);
    let again = request(&world, &token, USER_ID, at(240)).now_or_never().unwrap().unwrap();
    assert_eq!(again.authorization(), first.authorization());
}

#[test]
fn a_scrape_always_finds_the_signing_key() {
    let world = World::new();
    let keys = [SigningKey::generate_rsa(2048).unwrap(), SigningKey::generate_rsa(2048).unwrap()];
    let shown = || world.metrics().render().unwrap().matches("syncgate_signing_key_info{").count();
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| (0..2_000).for_each(|turn| world.exchange.replace_signing_key(keys[turn % 2].clone())));
        while !changing.is_finished() {
            assert!((1..=2).contains(&shown()));
        }
    });
    assert_eq!(shown(), 1);
}

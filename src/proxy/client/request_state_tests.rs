//! How a request's deadline ends it.

use super::*;

fn request() -> Arc<RequestState> {
    Arc::new(RequestState::new(Duration::from_millis(50)))
}

#[tokio::test]
async fn a_header_that_takes_too_long_ends_the_request() {
    let request = request();
    request.received_bytes();
    let key_watch = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&request, &key_watch, Duration::ZERO);
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::HeaderTimeout));
}

#[tokio::test]
async fn the_clock_of_a_later_header_starts_with_its_first_pause() {
    let request = request();
    request.received_bytes();
    request.request_began();
    request.request_ended();
    let key_watch = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&request, &key_watch, Duration::ZERO);
    assert!(poll_fn(|task| Poll::Ready(timer.poll(task))).await.is_pending());
    request.received_bytes();
    assert!(request.is_in_header());
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::HeaderTimeout));
}

#[tokio::test]
async fn a_complete_header_stops_the_clock_and_the_token_sets_another() {
    let request = request();
    request.received_bytes();
    request.request_began();
    let key_watch = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&request, &key_watch, Duration::ZERO);
    assert!(poll_fn(|task| Poll::Ready(timer.poll(task))).await.is_pending());
    request.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::TokenEnd));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_unseen_does_not_hide_the_next() {
    let request = request();
    request.received_bytes();
    let key_watch = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&request, &key_watch, Duration::ZERO);
    let mut polled = async || poll_fn(|task| Poll::Ready(timer.poll(task))).await;
    assert!(polled().await.is_pending());
    request.request_began();
    // The time of the header passes while a request has none.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(polled().await.is_pending());
    request.set_deadline(Timestamp::from(SystemTime::now()).plus(Duration::from_millis(500)), Cut::TokenEnd);
    let started = Instant::now();
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::TokenEnd));
    assert!(started.elapsed() < Duration::from_secs(5), "nobody was woken");
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_being_written_may_be_taken_within_the_grace() {
    let request = request();
    request.request_began();
    request.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    request.blocks_writes(true);
    let key_watch = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&request, &key_watch, Duration::from_secs(2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(poll_fn(|task| Poll::Ready(timer.poll(task))).await.is_pending());
    request.blocks_writes(false);
    assert_eq!(poll_fn(|task| timer.poll(task)).await, Cut::TokenEnd);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_after_the_grace() {
    let request = request();
    request.request_began();
    request.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    request.blocks_writes(true);
    let started = Instant::now();
    let key_watch = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&request, &key_watch, Duration::from_secs(2));
    assert_eq!(poll_fn(|task| timer.poll(task)).await, Cut::TokenEnd);
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn work_that_never_rests_does_not_hold_up_the_end() {
    let request = request();
    request.request_began();
    let key_watch = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&request, &key_watch, Duration::ZERO);
    request.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    let cut = poll_fn(|task| {
        // All of the task's share of time is used up.
        while pin!(tokio::task::consume_budget()).poll(task).is_ready() {}
        timer.poll(task)
    });
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), cut).await, Ok(Cut::TokenEnd));
}

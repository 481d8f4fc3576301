//! How a connection's deadline ends it.

use super::*;
use crate::metrics::IntGauge;

fn connection() -> Arc<Connection> {
    let intake = Intake::new(1_024, IntGauge::new("held", "held").unwrap());
    Arc::new(Connection::new(SocketAddr::from(([127, 0, 0, 1], 1)), None, Duration::from_millis(50), intake))
}

#[tokio::test]
async fn a_header_that_takes_too_long_ends_the_connection() {
    let connection = connection();
    connection.received_bytes();
    let trust = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&connection, &trust, Duration::ZERO);
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::HeaderTimeout));
}

#[test]
fn an_address_of_ipv4_is_told_as_one() {
    let intake = || Intake::new(1_024, IntGauge::new("held", "held").unwrap());
    let peer = |address: &str| Connection::new(address.parse().unwrap(), None, Duration::ZERO, intake()).peer().to_owned();
    assert_eq!(peer("[::ffff:127.0.0.1]:5"), "127.0.0.1:5");
    assert_eq!(peer("[2001:db8::1]:5"), "[2001:db8::1]:5");
}

#[tokio::test]
async fn the_clock_of_a_later_header_starts_with_its_first_pause() {
    let connection = connection();
    connection.received_bytes();
    connection.request_began();
    connection.request_ended();
    let trust = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&connection, &trust, Duration::ZERO);
    assert!(poll_fn(|task| Poll::Ready(timer.poll(task))).await.is_pending());
    connection.received_bytes();
    assert!(connection.is_in_header());
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::HeaderTimeout));
}

#[tokio::test]
async fn a_complete_header_stops_the_clock_and_the_token_sets_another() {
    let connection = connection();
    connection.received_bytes();
    connection.request_began();
    let trust = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&connection, &trust, Duration::ZERO);
    assert!(poll_fn(|task| Poll::Ready(timer.poll(task))).await.is_pending());
    connection.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::TokenEnd));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_unseen_does_not_hide_the_next() {
    let connection = connection();
    connection.received_bytes();
    let trust = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&connection, &trust, Duration::ZERO);
    let mut polled = async || poll_fn(|task| Poll::Ready(timer.poll(task))).await;
    assert!(polled().await.is_pending());
    connection.request_began();
    // The time of the header passes while a request has none.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(polled().await.is_pending());
    connection.set_deadline(Timestamp::from(SystemTime::now()).plus(Duration::from_millis(500)), Cut::TokenEnd);
    let started = Instant::now();
    let cut = tokio::time::timeout(Duration::from_secs(5), poll_fn(|task| timer.poll(task))).await;
    assert_eq!(cut, Ok(Cut::TokenEnd));
    assert!(started.elapsed() < Duration::from_secs(5), "nobody was woken");
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_being_written_may_be_taken_within_the_grace() {
    let connection = connection();
    connection.request_began();
    connection.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    connection.blocks_writes(true);
    let trust = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&connection, &trust, Duration::from_secs(2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(poll_fn(|task| Poll::Ready(timer.poll(task))).await.is_pending());
    connection.blocks_writes(false);
    assert_eq!(poll_fn(|task| timer.poll(task)).await, Cut::TokenEnd);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_after_the_grace() {
    let connection = connection();
    connection.request_began();
    connection.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    connection.blocks_writes(true);
    let started = Instant::now();
    let trust = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&connection, &trust, Duration::from_secs(2));
    assert_eq!(poll_fn(|task| timer.poll(task)).await, Cut::TokenEnd);
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn work_that_never_rests_does_not_hold_up_the_end() {
    let connection = connection();
    connection.request_began();
    let trust = KeyWatch::without_keys();
    let mut timer = DeadlineTimer::new(&connection, &trust, Duration::ZERO);
    connection.set_deadline(Timestamp::from(SystemTime::now()), Cut::TokenEnd);
    let cut = poll_fn(|task| {
        // All of the task's share of time is used up.
        while pin!(tokio::task::consume_budget()).poll(task).is_ready() {}
        timer.poll(task)
    });
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), cut).await, Ok(Cut::TokenEnd));
}

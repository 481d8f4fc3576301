use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

fn pool(threads: usize, queue: usize) -> (Arc<SigningPool>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    (Arc::new(SigningPool::new(threads, queue, Arc::clone(&metrics)).unwrap()), metrics)
}

type Occupied = (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), SigningRefused>>);

/// Occupies a thread of the pool until the sender is dropped or used. Returns when the job is under way, with the thread's name.
async fn occupy_any(pool: &Arc<SigningPool>) -> (String, Occupied) {
    let (release, released) = mpsc::channel();
    let (begin, begun) = oneshot::channel();
    let pool = Arc::clone(pool);
    let job = tokio::spawn(async move {
        pool.run(move || {
            let _ = begin.send(thread::current().name().map(str::to_owned));
            let _ = released.recv_timeout(DEADLINE);
        })
        .await
    });
    let name = timeout(DEADLINE, begun).await.unwrap().unwrap();
    (name.unwrap(), (release, job))
}

/// As [`occupy_any`], but not the relief, which is first where the machine leaves the others no time.
async fn occupy(pool: &Arc<SigningPool>) -> Occupied {
    for _ in 0..1_000 {
        let (name, occupied) = occupy_any(pool).await;
        if name != "signing-relief" {
            return occupied;
        }
    }
    panic!("only the relief works");
}

/// Puts a job into the queue and returns its future, polled once.
fn enqueue<'a, T: Send + 'static>(
    pool: &'a SigningPool,
    job: impl FnOnce() -> T + Send + 'static,
) -> std::pin::Pin<Box<dyn Future<Output = Result<T, SigningRefused>> + Send + 'a>> {
    let mut future = Box::pin(pool.run(job));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    future
}

#[tokio::test]
async fn a_job_runs_on_a_thread_of_the_pool() {
    let (pool, metrics) = pool(2, 8);
    let name = timeout(DEADLINE, pool.run(|| thread::current().name().map(str::to_owned))).await.unwrap().unwrap().unwrap();
    assert!(name.starts_with("signing-"), "{name}");
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn many_callers_each_get_their_own_result() {
    let (pool, _metrics) = pool(0, 64);
    let jobs: Vec<_> = (0..64)
        .map(|number| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.run(move || number * 2).await })
        })
        .collect();
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(timeout(DEADLINE, job).await.unwrap().unwrap(), Ok(number * 2));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_accepts_again() {
    let (pool, metrics) = pool(1, 2);
    let (release, first) = occupy(&pool).await;
    let (_, (release_relief, relief)) = occupy_any(&pool).await;
    let (second, third) = (enqueue(&pool, || 2), enqueue(&pool, || 3));
    assert_eq!(metrics.exchange.signing_queue.get(), 4);

    assert_eq!(timeout(DEADLINE, pool.run(|| 4)).await.unwrap(), Err(SigningRefused::QueueFull));
    assert_eq!(metrics.exchange.signing_queue.get(), 4);

    release.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, first).await.unwrap().unwrap(), Ok(()));
    assert_eq!(timeout(DEADLINE, second).await.unwrap(), Ok(2));
    assert_eq!(timeout(DEADLINE, third).await.unwrap(), Ok(3));
    assert_eq!(timeout(DEADLINE, pool.run(|| 5)).await.unwrap(), Ok(5));
    release_relief.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, relief).await.unwrap().unwrap(), Ok(()));
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn the_job_of_a_caller_that_left_is_skipped_and_the_others_are_done() {
    let (pool, metrics) = pool(1, 8);
    let (release, first) = occupy(&pool).await;
    let (_, (release_relief, relief)) = occupy_any(&pool).await;
    let ran = Arc::new(AtomicBool::new(false));
    let abandoned = enqueue(&pool, {
        let ran = Arc::clone(&ran);
        move || ran.store(true, Ordering::SeqCst)
    });
    let kept = enqueue(&pool, || "done");
    drop(abandoned);

    release.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, kept).await.unwrap(), Ok("done"));
    assert_eq!(timeout(DEADLINE, first).await.unwrap().unwrap(), Ok(()));
    // One free thread and a queue in order: the abandoned job's turn was before the one that is done.
    assert!(!ran.load(Ordering::SeqCst));
    release_relief.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, relief).await.unwrap().unwrap(), Ok(()));
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_job_runs_disturbs_nobody() {
    let (pool, _metrics) = pool(1, 8);
    let (release, first) = occupy(&pool).await;
    first.abort();
    assert!(timeout(DEADLINE, first).await.unwrap().unwrap_err().is_cancelled());
    release.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, pool.run(|| 1)).await.unwrap(), Ok(1));
}

#[tokio::test]
async fn while_no_thread_gets_on_the_relief_takes_what_waits() {
    let (pool, _metrics) = pool(2, 8);
    let _occupied = [occupy(&pool).await, occupy(&pool).await];
    for number in 0..3 {
        let job = move || (number, thread::current().name().map(str::to_owned));
        let done = timeout(DEADLINE, pool.run(job)).await.unwrap().unwrap();
        assert_eq!(done, (number, Some("signing-relief".to_owned())));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn signing_gives_way_at_once_and_its_relief_by_priority() {
    use rustix::process::getpriority_process;
    use std::collections::HashMap;
    use thread_priority::{
        NormalThreadSchedulePolicy::{Idle, Other},
        ThreadSchedulePolicy::Normal,
        thread_schedule_policy,
    };

    let (pool, _metrics) = pool(1, 8);
    let asked_for = move || {
        let name = thread::current().name().unwrap().to_owned();
        (name, (thread_schedule_policy().unwrap(), getpriority_process(None).unwrap()))
    };
    let own = asked_for().1.1;
    let mut seen = HashMap::new();
    let started = std::time::Instant::now();
    let mut occupied = None;
    while seen.len() < 2 {
        assert!(started.elapsed() < DEADLINE, "{seen:?}");
        seen.extend([timeout(DEADLINE, pool.run(asked_for)).await.unwrap().unwrap()]);
        if seen.contains_key("signing-0") && occupied.is_none() {
            occupied = Some(occupy(&pool).await);
        }
    }
    assert_eq!(seen["signing-0"].0, Normal(Idle));
    assert_eq!(seen["signing-relief"], (Normal(Other), (own + 10).min(19)));
}

#[tokio::test]
async fn a_panic_fails_its_own_job_only() {
    let (pool, metrics) = pool(1, 8);
    for _ in 0..3 {
        let failed = timeout(DEADLINE, pool.run(|| -> u8 { panic!("a job of the test panics on purpose") })).await.unwrap();
        assert_eq!(failed, Err(SigningRefused::Panicked));
    }
    assert_eq!(timeout(DEADLINE, pool.run(|| 1)).await.unwrap(), Ok(1));
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn the_threads_end_with_the_pool() {
    struct AtThreadEnd(mpsc::Sender<()>);
    impl Drop for AtThreadEnd {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    thread_local!(static GUARD: std::cell::RefCell<Option<AtThreadEnd>> = const { std::cell::RefCell::new(None) });

    let (pool, _metrics) = pool(1, 8);
    let (ended, end) = mpsc::channel();
    let guard = AtThreadEnd(ended);
    timeout(DEADLINE, pool.run(move || GUARD.set(Some(guard)))).await.unwrap().unwrap();
    assert_eq!(end.try_recv(), Err(mpsc::TryRecvError::Empty));

    drop(pool);
    assert_eq!(end.recv_timeout(DEADLINE), Ok(()));
}

use std::{
    collections::BTreeSet,
    sync::{Mutex, atomic::AtomicBool, mpsc},
};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::*;

/// The threads give way to everything else that the machine does.
const DEADLINE: Duration = Duration::from_secs(60);

fn pool(threads: usize, queue: usize) -> (Arc<SigningPool>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    (Arc::new(SigningPool::new(threads, queue, Arc::clone(&metrics)).unwrap()), metrics)
}

const RELIEF: &str = "signing-relief";

fn own_name() -> String {
    thread::current().name().unwrap().to_owned()
}

/// Occupies a thread of the pool, not the relief, until the sender is dropped or used. The relief answers in its place.
async fn occupy(pool: &SigningPool) -> mpsc::Sender<()> {
    for _ in 0..1_000 {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let is_occupied = Arc::new(AtomicBool::new(false));
        let occupied = Arc::clone(&is_occupied);
        let job = move || {
            if own_name() != RELIEF {
                occupied.store(true, Ordering::SeqCst);
                let _ = released.lock().unwrap().recv();
            }
        };
        timeout(DEADLINE, pool.run(job)).await.unwrap().unwrap();
        if is_occupied.load(Ordering::SeqCst) {
            return release;
        }
    }
    panic!("only the relief works");
}

/// Occupies the relief, while the others are, until the sender is dropped or used.
async fn occupy_relief(pool: &Arc<SigningPool>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), SigningRefused>>) {
    let (release, released) = mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let (released, begin) = (Mutex::new(released), Mutex::new(Some(begin)));
    let pool = Arc::clone(pool);
    let job = tokio::spawn(async move {
        pool.run(move || {
            // It is in the queue, too: for another thread there is nothing left to do.
            let begin = begin.lock().unwrap().take();
            if let Some(begin) = begin {
                let _ = begin.send(own_name());
                let _ = released.lock().unwrap().recv();
            }
        })
        .await
    });
    assert_eq!(timeout(DEADLINE, begun).await.unwrap().unwrap(), RELIEF);
    (release, job)
}

/// Puts a job into the queue and returns its future, polled once.
fn enqueue<'a, T: Send + 'static>(
    pool: &'a SigningPool,
    job: impl Fn() -> T + Send + Sync + 'static,
) -> std::pin::Pin<Box<dyn Future<Output = Result<T, SigningRefused>> + Send + 'a>> {
    let mut future = Box::pin(pool.run(job));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    future
}

#[tokio::test]
async fn a_job_runs_on_a_thread_of_the_pool() {
    let (pool, metrics) = pool(2, 8);
    let name = timeout(DEADLINE, pool.run(own_name)).await.unwrap().unwrap();
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
    let (pool, metrics) = pool(1, 3);
    let release = occupy(&pool).await;
    let (release_relief, relief) = occupy_relief(&pool).await;
    let mut waiting = Vec::new();
    let refused = loop {
        let number = waiting.len();
        let mut job = Box::pin(pool.run(move || number));
        match job.as_mut().now_or_never() {
            None => waiting.push(job),
            Some(refused) => break refused,
        }
    };
    assert_eq!(refused, Err(SigningRefused::QueueFull));
    // One place may be taken by what the relief does: that is in the queue, too.
    assert!((2..=3).contains(&waiting.len()), "{}", waiting.len());
    assert_eq!(metrics.exchange.signing_queue.get(), 1 + waiting.len() as i64);

    release.send(()).unwrap();
    for (number, job) in waiting.into_iter().enumerate() {
        assert_eq!(timeout(DEADLINE, job).await.unwrap(), Ok(number));
    }
    assert_eq!(timeout(DEADLINE, pool.run(|| 5)).await.unwrap(), Ok(5));
    release_relief.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, relief).await.unwrap().unwrap(), Ok(()));
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn the_job_of_a_caller_that_left_is_skipped_and_the_others_are_done() {
    let (pool, metrics) = pool(1, 8);
    let release = occupy(&pool).await;
    let (release_relief, relief) = occupy_relief(&pool).await;
    let ran = Arc::new(AtomicBool::new(false));
    let abandoned = enqueue(&pool, {
        let ran = Arc::clone(&ran);
        move || ran.store(true, Ordering::SeqCst)
    });
    let kept = enqueue(&pool, || "done");
    drop(abandoned);

    release.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, kept).await.unwrap(), Ok("done"));
    // One free thread and a queue in order: the abandoned job's turn was before the one that is done.
    assert!(!ran.load(Ordering::SeqCst));
    release_relief.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, relief).await.unwrap().unwrap(), Ok(()));
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_job_runs_disturbs_nobody() {
    let (pool, metrics) = pool(1, 8);
    let _release = occupy(&pool).await;
    let (release, job) = occupy_relief(&pool).await;
    job.abort();
    assert!(timeout(DEADLINE, job).await.unwrap().unwrap_err().is_cancelled());
    release.send(()).unwrap();
    assert_eq!(timeout(DEADLINE, pool.run(|| 1)).await.unwrap(), Ok(1));
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn while_no_thread_gets_on_the_relief_takes_what_waits() {
    let (pool, metrics) = pool(2, 8);
    let _occupied = [occupy(&pool).await, occupy(&pool).await];
    for number in 0..3 {
        let done = timeout(DEADLINE, pool.run(move || (number, own_name()))).await.unwrap().unwrap();
        assert_eq!(done, (number, RELIEF.to_owned()));
    }
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
}

#[tokio::test]
async fn what_a_thread_has_begun_and_gets_no_time_for_is_done_by_the_relief() {
    let (pool, metrics) = pool(1, 8);
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let ran = Arc::new(AtomicU64::new(0));
    let runs = Arc::clone(&ran);
    let job = move || {
        runs.fetch_add(1, Ordering::SeqCst);
        if own_name() != RELIEF {
            let _ = released.lock().unwrap().recv();
        }
        own_name()
    };
    assert_eq!(timeout(DEADLINE, pool.run(job)).await.unwrap(), Ok(RELIEF.to_owned()));
    assert_eq!(metrics.exchange.signing_queue.get(), 0);
    drop(release);
    assert_eq!(timeout(DEADLINE, pool.run(|| 1)).await.unwrap(), Ok(1));
    assert!(ran.load(Ordering::SeqCst) <= 2);
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
    let asked_for = || (own_name(), (thread_schedule_policy().unwrap(), getpriority_process(None).unwrap()));
    let own = asked_for().1.1;
    let mut seen = HashMap::new();
    let mut occupied = None;
    for _ in 0..1_000 {
        seen.extend([timeout(DEADLINE, pool.run(asked_for)).await.unwrap().unwrap()]);
        if seen.contains_key("signing-0") && occupied.is_none() {
            occupied = Some(occupy(&pool).await);
        }
        if seen.len() == 2 {
            break;
        }
    }
    assert_eq!(seen.len(), 2, "in a thousand jobs, one of the threads got no time");
    assert_eq!(seen["signing-0"].0, Normal(Idle));
    assert_eq!(seen[RELIEF], (Normal(Other), (own + 10).min(19)));
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
    struct AtThreadEnd(mpsc::Sender<String>);
    impl Drop for AtThreadEnd {
        fn drop(&mut self) {
            let _ = self.0.send(own_name());
        }
    }
    thread_local!(static GUARD: std::cell::RefCell<Option<AtThreadEnd>> = const { std::cell::RefCell::new(None) });

    let (pool, _metrics) = pool(1, 8);
    let (ended, end) = mpsc::channel();
    let mut begun = BTreeSet::new();
    while begun.len() < 2 {
        // The thread that begins first waits, so that the job comes to the other one, too.
        let (ended, (begin, begins)) = (ended.clone(), mpsc::channel());
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let job = move || {
            if GUARD.with_borrow(Option::is_none) {
                GUARD.set(Some(AtThreadEnd(ended.clone())));
            }
            begin.send(own_name()).unwrap();
            if own_name() != RELIEF {
                let _ = released.lock().unwrap().recv();
            }
        };
        timeout(DEADLINE, pool.run(job)).await.unwrap().unwrap();
        drop(release);
        begun.extend(begins.try_iter());
    }
    assert_eq!(end.try_recv(), Err(mpsc::TryRecvError::Empty));

    drop((pool, ended));
    let mut has_ended = BTreeSet::new();
    while let Ok(name) = end.recv_timeout(DEADLINE) {
        has_ended.insert(name);
    }
    assert_eq!(has_ended, begun);
}

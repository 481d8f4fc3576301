//! A run: connections are opened, hot users made known, then the clock starts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::body::Bytes;
use tokio::{
    runtime::{Builder, Handle},
    signal::ctrl_c,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    Failure,
    args::{Args, Common, HttpArgs, Mode},
    client::{Client, Shared, load, open, warm_up},
    http::{HttpClient, Question},
    report::{Report, milliseconds},
    schedule::{Schedule, requests},
    tally::{Problem, Tally},
    target::Target,
    tokens::Tokens,
};

/// Runs what the command line says.
pub fn run(args: Args) -> Result<(), Failure> {
    let Mode::Http(args) = args.mode;
    let threads = usize::from(args.common.threads);
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Trouble(format!("cannot start threads: {error}")))?;
    let report = runtime.block_on(http(&args))?;
    show(&args.common, &report)
}

async fn http(args: &HttpArgs) -> Result<Report, Failure> {
    let (common, rate) = (&args.common, args.pace.rate);
    let cold_share = args.cold_share.or_else(|| Some(args.cold_rate? / rate?)).unwrap_or(0.0).min(1.0);
    let cold = rate.map_or(0.0, |rate| requests(rate, common.duration) as f64 * cold_share) as u64;
    let tokens = Tokens::load(&common.users, cold, cold_share)?;
    let url = common.target.url.clone().ok_or_else(|| Failure::Trouble("--url is missing".into()))?;
    let question = Arc::new(Question {
        target: Arc::new(Target::resolve(&common.target, url).await?),
        method: args.method.clone(),
        body: Bytes::from(args.body.clone().unwrap_or_default()),
        token_header: tokens.name.clone(),
    });
    let tally = Tally::new().map_err(|error| Failure::Trouble(error.to_string()))?;
    let shared = Arc::new(Shared { tokens, tally, timeout: args.timeout, hold: Duration::ZERO, waits_at_end: true });
    let mut clients = open((0..common.connections).map(|_| HttpClient::new(Arc::clone(&question))), &shared).await?;
    if !args.no_warm_up {
        clients = warm_up(clients, &shared).await;
    }
    measure("http", common, rate, clients, &shared).await
}

/// Lets the clock run.
async fn measure<C: Client>(
    mode: &'static str,
    common: &Common,
    rate: Option<f64>,
    clients: Vec<C>,
    shared: &Arc<Shared>,
) -> Result<Report, Failure> {
    let connections = clients.len();
    let busy_before = busy_time();
    let schedule = Arc::new(Schedule::start_now(rate, common.duration));
    let mut work = JoinSet::new();
    for client in clients {
        let (shared, schedule) = (Arc::clone(shared), Arc::clone(&schedule));
        work.spawn(async move { load(client, &shared, &schedule).await });
    }
    let pacer = Arc::clone(&schedule);
    let pacing = tokio::spawn(async move { pacer.pace(connections).await });
    tokio::select! {
        () = async { while work.join_next().await.is_some() {} } => {}
        () = progress(&shared.tally, &schedule), if !common.quiet => {}
        _ = ctrl_c() => schedule.stop(),
    }
    // What was under way at a Ctrl-C is given up.
    work.abort_all();
    while work.join_next().await.is_some() {}
    pacing.await.map_err(|error| Failure::Trouble(error.to_string()))?.map_err(|error| Failure::Trouble(error.to_string()))?;
    schedule.unsent().for_each(|due| shared.tally.failed(Problem::NotSent, Some(due)));
    let took = schedule.started().elapsed();
    let mut report = Report::new(mode, &shared.tally.so_far(), took);
    report.wanted_rate = rate;
    report.behind_schedule = schedule.late();
    report.generator_load = busy_time().saturating_sub(busy_before).as_secs_f64() / took.as_secs_f64() / f64::from(common.threads);
    Ok(report)
}

/// A line each second, without end.
async fn progress(tally: &Tally, schedule: &Schedule) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    seconds.tick().await;
    let mut before = (0, Instant::now());
    let mut empty = tally.so_far().recent;
    loop {
        seconds.tick().await;
        let (completed, failures, mut recent) = tally.take_recent(empty);
        let rate = (completed - before.0) as f64 / before.1.elapsed().as_secs_f64();
        before = (completed, Instant::now());
        eprintln!(
            "{:>4.0} s  {rate:>7.0}/s  p50 {} ms  p99 {} ms  max {} ms  answers {}  errors {}",
            schedule.started().elapsed().as_secs_f64(),
            milliseconds(recent.value_at_quantile(0.5)),
            milliseconds(recent.value_at_quantile(0.99)),
            milliseconds(recent.max()),
            completed,
            failures,
        );
        recent.reset();
        empty = recent;
    }
}

/// For how long the generator's threads have not been waiting.
fn busy_time() -> Duration {
    let metrics = Handle::current().metrics();
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

/// Prints the report, and fails if it is not what was expected.
fn show(common: &Common, report: &Report) -> Result<(), Failure> {
    let text = if common.json { serde_json::to_string(report).unwrap_or_default() } else { report.to_string() };
    println!("{}", text.trim_end());
    if report.sent > 0 && report.completed == 0 {
        return Err(Failure::Trouble("not one request was answered".into()));
    }
    let Some(expected) = common.expect_status else { return Ok(()) };
    let others: u64 = report.statuses.iter().filter(|(status, _)| **status != expected).map(|(_, count)| count).sum();
    let errors: u64 = report.errors.values().sum();
    match (others, errors) {
        (0, 0) => Ok(()),
        _ => Err(Failure::Unexpected(format!("{others} answers had another status than {expected}, {errors} did not come"))),
    }
}

//! A run: connections are opened, hot users made known, then the clock starts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::body::Bytes;
use tokio::{
    runtime::{Builder, Handle},
    signal::ctrl_c,
    time::{MissedTickBehavior, interval},
};

use crate::{
    Failure,
    args::{Args, Common, HttpArgs, LongPollArgs, Mode, WebSocketArgs},
    demo::Demo,
    load::{
        Trouble,
        client::{Client, Shared, close, load, open, warm_up},
        http::{HttpClient, Question},
        raise_descriptors,
        schedule::{Pace, Schedule},
        tally::Tally,
        target::Target,
        tokens::Tokens,
        websocket::SocketClient,
    },
    report::{Report, milliseconds},
    users,
};

/// Descriptors beside those of connections.
const OTHER_DESCRIPTORS: usize = 100;

/// Runs what the command line says.
pub fn run(args: Args) -> Result<(), Failure> {
    let common = match &args.mode {
        Mode::Http(args) => &args.common,
        Mode::LongPoll(args) => &args.common,
        Mode::Websocket(args) => &args.common,
    };
    let descriptors = raise_descriptors();
    if common.connections as usize > descriptors.saturating_sub(OTHER_DESCRIPTORS) {
        let text =
            format!("--connections {}: only {descriptors} files can be open; raise the limit (ulimit -n)", common.connections);
        return Err(Trouble(text).into());
    }
    let demo = common.target.demo.then(Demo::start).transpose()?;
    let threads = usize::from(common.threads);
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::with("cannot start threads", error))?;
    let demo = demo.as_ref();
    let report = runtime.block_on(async {
        match &args.mode {
            Mode::Http(args) => http(args, demo).await,
            Mode::LongPoll(args) => long_poll(args, demo).await,
            Mode::Websocket(args) => websocket(args, demo).await,
        }
    })?;
    show(common, &report)
}

async fn http(args: &HttpArgs, demo: Option<&Demo>) -> Result<Report, Trouble> {
    let common = &args.common;
    let pace = args.rate.map_or(Pace::Answers, Pace::Rate);
    let cold_share = args.cold_share.or_else(|| Some(args.cold_rate? / args.rate?)).unwrap_or(0.0).min(1.0);
    let cold = (pace.requests(common.duration) as f64 * cold_share) as u64;
    let tokens = tokens(common, demo, cold, cold_share)?;
    let question = Arc::new(Question {
        target: Arc::new(target(common, demo, "/echo").await?),
        method: args.method.clone(),
        body: Bytes::from(args.body.clone().unwrap_or_default()),
        token_header: tokens.name.clone(),
    });
    let shared = Arc::new(Shared { tokens, tally: Tally::new()?, timeout: args.timeout, hold: Duration::ZERO, waits_at_end: true });
    let mut clients = open((0..common.connections).map(|_| HttpClient::new(Arc::clone(&question))), &shared).await?;
    if !args.no_warm_up {
        clients = warm_up(clients, &shared).await;
    }
    measure("http", common, pace, clients, &shared).await
}

async fn long_poll(args: &LongPollArgs, demo: Option<&Demo>) -> Result<Report, Trouble> {
    let common = &args.common;
    let tokens = tokens(common, demo, 0, 0.0)?;
    let question = Arc::new(Question {
        target: Arc::new(target(common, demo, &format!("/changes?feed=longpoll&timeout={}", args.hold.as_millis())).await?),
        method: hyper::Method::GET,
        body: Bytes::new(),
        token_header: tokens.name.clone(),
    });
    let shared = Arc::new(Shared { tokens, tally: Tally::new()?, timeout: args.timeout, hold: args.hold, waits_at_end: false });
    let clients = open((0..common.connections).map(|_| HttpClient::new(Arc::clone(&question))), &shared).await?;
    measure("long-poll", common, Pace::Answers, clients, &shared).await
}

async fn websocket(args: &WebSocketArgs, demo: Option<&Demo>) -> Result<Report, Trouble> {
    let common = &args.common;
    let tokens = tokens(common, demo, 0, 0.0)?;
    let target = Arc::new(target(common, demo, "/live").await?);
    let shared = Arc::new(Shared { tokens, tally: Tally::new()?, timeout: args.timeout, hold: Duration::ZERO, waits_at_end: true });
    let pace = if args.idle { Pace::Idle } else { args.rate.map_or(Pace::Answers, Pace::Rate) };
    let client = |user| SocketClient::new(&target, &shared, user, args.message.as_deref());
    let clients = open((0..u64::from(common.connections)).map(client), &shared).await?;
    measure("websocket", common, pace, clients, &shared).await
}

fn tokens(common: &Common, demo: Option<&Demo>, cold: u64, cold_share: f64) -> Result<Tokens, Trouble> {
    let mint = match demo {
        Some(demo) => Some(demo.mint()?),
        None => users::mint(&common.users)?,
    };
    users::tokens(&common.users, mint, cold, cold_share)
}

async fn target(common: &Common, demo: Option<&Demo>, demo_path: &str) -> Result<Target, Trouble> {
    let demo_url = demo.map(|demo| demo.url(demo_path).parse().map_err(|error| Trouble::with("the demo", error))).transpose()?;
    let url = demo_url.or_else(|| common.target.url.clone()).ok_or_else(|| Trouble("--url is missing".into()))?;
    Target::resolve(&url, &common.target.header, common.target.ca_file.as_deref()).await
}

/// Lets the clock run. Ctrl-C ends it early, with a report.
async fn measure<C: Client>(
    mode: &'static str,
    common: &Common,
    pace: Pace,
    clients: Vec<C>,
    shared: &Arc<Shared>,
) -> Result<Report, Trouble> {
    let busy_before = busy_time();
    let schedule = Arc::new(Schedule::start_now(pace, common.duration));
    let clients = tokio::select! {
        clients = load(clients, shared, &schedule) => clients.map_err(|error| Trouble::with("the generator", error))?,
        () = progress(&shared.tally, &schedule), if !common.quiet => Vec::new(),
        _ = ctrl_c() => Vec::new(),
    };
    let took = schedule.started().elapsed();
    let busy = busy_time().saturating_sub(busy_before);
    close(clients).await;
    let mut report = Report::new(mode, &shared.tally.so_far(), took);
    report.wanted_rate = if let Pace::Rate(rate) = pace { Some(rate) } else { None };
    report.behind_schedule = schedule.late();
    report.generator_load = busy.as_secs_f64() / took.as_secs_f64() / f64::from(common.threads);
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
            "{:>4.0} s  {rate:>7.0}/s  p50 {} ms  p99 {} ms  max {} ms  answers {completed}  errors {failures}",
            schedule.started().elapsed().as_secs_f64(),
            milliseconds(recent.value_at_quantile(0.5)),
            milliseconds(recent.value_at_quantile(0.99)),
            milliseconds(recent.max()),
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
    if report.sent > 0 && report.completed == 0 && report.statuses.is_empty() {
        return Err(Trouble("no request was answered".into()).into());
    }
    let Some(expected) = common.expect_status else { return Ok(()) };
    match (report.statuses_other_than(expected), report.errors.values().sum()) {
        (0, 0) => Ok(()),
        (others, errors) => {
            Err(Failure::Unexpected(format!("{others} responses had a status other than {expected}, {errors} were missing")))
        }
    }
}

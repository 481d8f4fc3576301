//! A hit among many cached users, and the memory that each of them takes.
//!
//! Everything of a user's token is really there: it is made, verified and exchanged. Client and user tokens are signed with ES256, so
//! that a million of them take seconds; the size of the user token is known and taken off.

use std::{
    error::Error,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use syncgate::{
    exchange::Exchange,
    metrics::Metrics,
    signing::{NewKey, PrivateKeyPem, SigningKey},
    token::{Lifetime, Rejection, Timestamp},
};
use tokio::runtime::Runtime;

use crate::{
    PROFILE,
    bench::Bench,
    measure::{cpu_time, is_test},
};

/// Where the figures go for plots, beside the table that is printed.
const DATA: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/exchange-users.json");
/// Users that one task makes.
const CHUNK: usize = 500;
/// Hits between two looks at the clock.
const BATCH: usize = 64;

/// Exchanges with more and more users each.
pub fn measure(bench: &Arc<Bench>, runtime: &Runtime) -> Result<(), Box<dyn Error>> {
    let most = match std::env::var("USERS") {
        Ok(users) => users.parse()?,
        Err(_) if is_test() => 2_000,
        Err(_) => 1_000_000,
    };
    let counts: Vec<_> = [1, 1_000, 100_000].into_iter().filter(|count| *count < most).chain([most]).collect();
    let signing_key = PrivateKeyPem::generate(NewKey::Ec(256))?.signing_key()?;
    eprintln!("making {most} tokens");
    let tokens = Arc::new(runtime.block_on(make_tokens(bench, most))?);
    let mut populations = Vec::new();
    for count in counts {
        populations.push(Population::admit(bench, runtime, &signing_key, &tokens, count)?);
    }
    let times = hit_times(&populations, &tokens)?;
    report(&populations, &times, tokens.length)
}

/// The tokens of all users, one after the other in memory that is taken before anything is measured.
struct Tokens {
    length: usize,
    chunks: Vec<Vec<u8>>,
}

impl Tokens {
    fn of(&self, user: usize) -> &[u8] {
        let chunk = self.chunks.get(user / CHUNK).map_or(&[][..], Vec::as_slice);
        chunk.chunks(self.length).nth(user % CHUNK).unwrap_or_default()
    }
}

async fn make_tokens(bench: &Arc<Bench>, count: usize) -> Result<Tokens, Box<dyn Error>> {
    let progress = Arc::new(Progress::new(count, "tokens"));
    let length = bench.issuer.es256(&user(0)).len();
    let make = |start: usize| {
        let (bench, progress) = (Arc::clone(bench), Arc::clone(&progress));
        tokio::spawn(async move {
            let users = start..count.min(start + CHUNK);
            progress.advance(users.len());
            users.flat_map(|number| bench.issuer.es256(&user(number)).into_bytes()).collect::<Vec<u8>>()
        })
    };
    let chunks: Vec<_> = stream::iter((0..count).step_by(CHUNK)).map(make).buffered(8).try_collect().await?;
    if chunks.iter().map(Vec::len).sum::<usize>() != count * length {
        return Err("the tokens differ in length".into());
    }
    Ok(Tokens { length, chunks })
}

/// All names are equally long.
fn user(number: usize) -> String {
    format!("user {number:08}")
}

/// An exchange that has admitted so many users.
struct Population {
    exchange: Arc<Exchange>,
    users: usize,
    /// Bytes for each user.
    resident: usize,
    counted: usize,
    minted: usize,
}

impl Population {
    fn admit(
        bench: &Arc<Bench>,
        runtime: &Runtime,
        key: &SigningKey,
        tokens: &Arc<Tokens>,
        users: usize,
    ) -> Result<Self, Box<dyn Error>> {
        // Room for more, since the parts of the cache are not equally full.
        let exchange = Arc::new(bench.exchange(2 * users + 1_000, key, &Arc::new(Metrics::new()?))?);
        let progress = Arc::new(Progress::new(users, "users"));
        let admit = |start: usize| {
            let (exchange, tokens, progress) = (Arc::clone(&exchange), Arc::clone(tokens), Arc::clone(&progress));
            tokio::spawn(async move {
                let mut minted = 0;
                let numbers = start..users.min(start + CHUNK);
                progress.advance(numbers.len());
                for number in numbers {
                    let now = Timestamp::from(SystemTime::now());
                    let identity = exchange.identify(tokens.of(number), now).await.map_err(Rejection::label)?;
                    let admission = exchange.admit(&identity, PROFILE, Lifetime::End, now).await.map_err(Rejection::label)?;
                    minted += admission.authorization().len();
                }
                Ok::<_, &str>(minted)
            })
        };
        let before = resident_bytes()?;
        let chunks = stream::iter((0..users).step_by(CHUNK)).map(admit).buffered(64);
        let minted: Vec<_> = runtime.block_on(chunks.try_collect())?;
        let minted = minted.into_iter().sum::<Result<usize, _>>()?;
        if exchange.cached_identities() != users {
            return Err(format!("{} of {users} users are cached", exchange.cached_identities()).into());
        }
        let resident = resident_bytes()?.saturating_sub(before) / users;
        let counted = usize::try_from(exchange.cached_bytes())? / users;
        Ok(Self { exchange, users, resident, counted, minted: minted / users })
    }

    /// CPU time of one hit, over users in no order that a processor could foresee.
    fn time_hits(&self, tokens: &Tokens, random: &mut Random) -> Result<f64, Box<dyn Error>> {
        let now = Timestamp::from(SystemTime::now());
        // As a request brings its token: just read from the socket.
        let brought: Vec<_> = (0..BATCH).map(|_| tokens.of(random.below(self.users)).to_vec()).collect();
        let started = cpu_time();
        for token in &brought {
            let identity = self.exchange.identify(token, now).now_or_never().ok_or("not a hit")?.map_err(Rejection::label)?;
            let admission = self.exchange.admit(&identity, PROFILE, Lifetime::End, now).now_or_never().ok_or("not a hit")?;
            admission.map_err(Rejection::label)?;
        }
        Ok(cpu_time().saturating_sub(started).as_secs_f64() / BATCH as f64)
    }
}

/// For each population the times of a hit, measured in turns.
fn hit_times(populations: &[Population], tokens: &Tokens) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let rounds = if is_test() { 5 } else { 5_001 };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut times = vec![Vec::with_capacity(rounds); populations.len()];
    for _ in 0..rounds {
        for (population, times) in populations.iter().zip(&mut times) {
            times.push(population.time_hits(tokens, &mut random)?);
        }
    }
    Ok(times)
}

fn report(populations: &[Population], times: &[Vec<f64>], token_length: usize) -> Result<(), Box<dyn Error>> {
    let alone = times.first().map_or(1.0, |times| median(times));
    println!("\na hit (identify and admit) among cached users; client's token of {token_length} bytes; bytes for each user");
    let head = ["users", "CPU us", "ratio", "resident", "minted", "beyond it", "bound", "counted"];
    println!("{}", head.map(|name| format!("{name:>10}")).concat());
    let mut rows = Vec::new();
    for (population, times) in populations.iter().zip(times) {
        let Population { users, resident, minted, counted, .. } = population;
        let (time, beyond) = (median(times), resident.saturating_sub(*minted));
        let row = json!({
            "users": users, "hit_cpu_us": time * 1e6, "ratio": time / alone, "resident_bytes": resident,
            "minted_bytes": minted, "beyond_bytes": beyond, "counted_bytes": counted,
        });
        // Of a few users nothing can be said: memory comes in large pieces.
        let memory = if *users < 10_000 { ["", ""].map(str::to_owned) } else { [resident, &beyond].map(ToString::to_string) };
        let [resident, beyond] = memory;
        println!(
            "{users:>10}{:>10.3}{:>10.2}{resident:>10}{minted:>10}{beyond:>10}{:>10}{counted:>10}",
            time * 1e6,
            time / alone,
            1_200
        );
        rows.push(row);
    }
    fs::write(DATA, json!({ "token_bytes": token_length, "rows": rows }).to_string())?;
    println!("also in {DATA}");
    Ok(())
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Marsaglia's xorshift: the same users in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap_or(0)
    }
}

/// A line on standard error every few seconds.
struct Progress {
    what: &'static str,
    all: usize,
    done: AtomicUsize,
    started: Instant,
    /// Lines so far.
    lines: AtomicUsize,
}

impl Progress {
    fn new(all: usize, what: &'static str) -> Self {
        Self { what, all, done: AtomicUsize::new(0), started: Instant::now(), lines: AtomicUsize::new(0) }
    }

    fn advance(&self, count: usize) {
        const PAUSE: Duration = Duration::from_secs(2);
        let done = self.done.fetch_add(count, Ordering::Relaxed);
        let pauses = usize::try_from(self.started.elapsed().as_secs() / PAUSE.as_secs()).unwrap_or(0);
        if self.lines.fetch_max(pauses, Ordering::Relaxed) < pauses {
            eprintln!("{done} of {} {}", self.all, self.what);
        }
    }
}

/// Physical memory of the process.
fn resident_bytes() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")).ok_or("no VmRSS")?;
    Ok(kibibytes.trim().parse::<usize>()? * 1024)
}

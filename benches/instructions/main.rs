//! How many instructions a request, an exchange and a verification take, outside of the kernel, counted by valgrind: a busy machine does not
//! disturb that.
//!
//! The bench starts itself again in other roles. A cached request is counted in the gateway's process between two dumps of
//! callgrind, with 64 clients in a closed loop; a verification likewise, in a process that does nothing else.
//! Each may take 3 % more than the figure here, or the bench fails: who changes one says so in this file.
//!
//! A warm token exchange is held against a request without its upstream part: one whose cached token lacks a scope of the route. The gateway
//! reads it, finds the user, looks for the route and the permission, and writes an answer of its own. (An upstream without an address would
//! not do: each such request waits for the name, and its connection ends with the answer.)
//!
//! `cargo bench --bench instructions`; with `-- --test` it only says whether valgrind is there.

#![allow(clippy::duplicate_mod, reason = "both harnesses make the same token")]

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../measure/mod.rs"]
#[allow(dead_code, reason = "no bench needs all of it")]
mod measure;

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use harness::{
    closed_loop::{ClosedLoop, Question},
    process::{RoleProcess, folder_in_memory},
    role::{self, Part, Role},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of a request with a cached token, and its answer.
const REQUEST: f64 = 39_900.0;
/// Of an exchange of a cached token for a cached one, at the token endpoint.
const EXCHANGE: f64 = 47_500.0;
/// Of a request with a cached token that lacks a scope.
const REFUSAL: f64 = 38_500.0;
/// How many times such a request an exchange may take.
const MOST_OF_EXCHANGE: f64 = 1.3;
/// Of an RS256 token with a key of 2048 bits.
const VERIFICATION: f64 = 321_900.0;
/// How much more is too much.
const TOLERANCE: f64 = 1.03;

const CONNECTIONS: usize = 64;
const REQUESTS: usize = 6_400;
/// Of so many rounds the least counts: a token may be signed late, by a thread that had no time before.
const ROUNDS: usize = 3;
const VERIFICATIONS: usize = 200;
const VERIFY: &str = "--verify";

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(part) = Part::of_this_process()? {
        return role::play(part);
    }
    let arguments: Vec<_> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == VERIFY) {
        return verify();
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Err("valgrind is missing: on Debian, apt-get install valgrind".into());
    }
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let folder = folder_in_memory()?;
    eprintln!("counting nine times {REQUESTS} requests, then {VERIFICATIONS} verifications, under valgrind: some minutes");
    let request = request(folder.path())?;
    let [exchange, refusal] = endpoint(folder.path())?;
    let verification = verification(folder.path())?;
    println!("{:<34} {:>12} {:>12} {:>7}", "instructions", "now", "figure", "ratio");
    let mut is_too_much = false;
    for (what, now, figure) in [
        ("a request with a cached token", request, REQUEST),
        ("a warm token exchange", exchange, EXCHANGE),
        ("a request that lacks a scope", refusal, REFUSAL),
        ("a verification, RS256", verification, VERIFICATION),
    ] {
        println!("{what:<34} {now:>12.0} {figure:>12.0} {:>7.3}", now / figure);
        is_too_much |= now > figure * TOLERANCE;
    }
    let ratio = exchange / refusal;
    println!("an exchange is {ratio:.3} requests without an upstream; bound {MOST_OF_EXCHANGE}");
    if is_too_much {
        return Err(format!("more than {TOLERANCE} of the figure; where it cannot be helped, change the figure").into());
    }
    if ratio > MOST_OF_EXCHANGE { Err("an exchange is too dear".into()) } else { Ok(()) }
}

/// Instructions of one request.
fn request(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let core = *role::cores()?.first().ok_or("no core to run on")?;
    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core, upstream: None })?;
    let part = Part { role: Role::Gateway { log: true }, core, upstream: Some(upstream.address()) };
    let gateway = RoleProcess::start_under(&callgrind(&folder.join("request")), &part)?;
    of_each(folder, "requests", &gateway, Question::with_token(gateway.token()))
}

/// Instructions of one exchange, and of one request that is answered without an upstream.
fn endpoint(folder: &Path) -> Result<[f64; 2], Box<dyn Error>> {
    let core = *role::cores()?.first().ok_or("no core to run on")?;
    let part = Part { role: Role::TokenEndpoint, core, upstream: None };
    let gateway = RoleProcess::start_under(&callgrind(&folder.join("endpoint")), &part)?;
    let exchange = of_each(folder, "exchanges", &gateway, Question::exchange(gateway.token()))?;
    let refusal = of_each(folder, "refusals", &gateway, Question::with_token(gateway.token()).answered(403))?;
    Ok([exchange, refusal])
}

/// Instructions of a gateway for each of many such requests.
fn of_each(folder: &Path, name: &str, gateway: &RoleProcess, question: Question) -> Result<f64, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut load = runtime.block_on(ClosedLoop::connect(gateway.address(), CONNECTIONS, question))?;
    // Pools and caches are filled.
    runtime.block_on(load.run(REQUESTS / 4))?;
    dump(gateway.id(), &format!("{name}-before"))?;
    let mut least = u64::MAX;
    for round in 0..ROUNDS {
        let round = format!("{name}-{round}");
        runtime.block_on(load.run(REQUESTS))?;
        dump(gateway.id(), &round)?;
        least = least.min(counted(folder, &round)?);
    }
    Ok(least as f64 / REQUESTS as f64)
}

/// Instructions of one verification.
fn verification(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let command = callgrind(&folder.join("verification"));
    let [program, arguments @ ..] = &command[..] else { return Err("no command".into()) };
    let mut child = Command::new(program)
        .args(arguments)
        .arg(std::env::current_exe()?)
        .arg(VERIFY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (mut told, said) = (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
    let mut said = BufReader::new(said).lines();
    let mut hear = || said.next().ok_or("the verifications broke off")?.map_err(Box::<dyn Error>::from);
    hear()?;
    dump(child.id(), "before")?;
    writeln!(told, "go")?;
    hear()?;
    dump(child.id(), "verifications")?;
    drop(told);
    child.wait()?;
    Ok(counted(folder, "verifications")? as f64 / VERIFICATIONS as f64)
}

fn callgrind(out: &Path) -> Vec<String> {
    let out = format!("--callgrind-out-file={}", out.display());
    ["valgrind", "--tool=callgrind", "--dump-line=no", "--dump-instr=no", &out].map(str::to_owned).to_vec()
}

/// Has callgrind write what it has counted since the last time.
fn dump(process: u32, name: &str) -> Result<(), Box<dyn Error>> {
    let status =
        Command::new("callgrind_control").arg(format!("--dump={name}")).arg(process.to_string()).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("callgrind_control ended with {status}").into()) }
}

/// The instructions in the dump of this name.
fn counted(folder: &Path, name: &str) -> Result<u64, Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        let trigger = text.lines().find_map(|line| line.strip_prefix("desc: Trigger: ")).unwrap_or_default();
        if trigger.ends_with(name) {
            return total(&text);
        }
    }
    Err(format!("no dump of the {name}").into())
}

fn total(dump: &str) -> Result<u64, Box<dyn Error>> {
    let totals = dump.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(totals.and_then(|totals| totals.split_whitespace().next()).ok_or("a dump without a total")?.parse()?)
}

/// Verifies a token: once for what is made at the first time, and many times when it is told to. Says when it has.
fn verify() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let issuer = runtime.block_on(measure::tokens::Issuer::start())?;
    let gate = measure::gate::Gate::new(&issuer)?;
    let token = issuer.rs256("alice").sign();
    gate.accept(&token);
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    (0..VERIFICATIONS).for_each(|_| gate.accept(&token));
    println!("done");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

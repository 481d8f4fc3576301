//! The two loads: `wrk` as fast as the proxy answers, and `syncgate-load` at a fixed rate.

use std::{error::Error, io::Write as _, path::PathBuf, process::Command};

use serde_json::Value;

use crate::{contender::Contender, results::Percentiles};

/// What both ask for.
const PATH: &str = "/docs/42?include=meta";

/// Requests answered in a second, by a closed loop of connections that are kept open.
pub fn rate(contender: &Contender, connections: usize) -> Result<f64, Box<dyn Error>> {
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), "-d1s", "--timeout", "10s"])
        .args(["-H", "Accept: application/json", "-H", &format!("Authorization: Bearer {}", contender.token)])
        .arg(format!("http://{}{PATH}", contender.address()))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_clean = output.status.success() && !text.contains("Non-2xx") && !text.contains("Socket errors");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).and_then(|number| number.trim().parse().ok());
    rate.filter(|rate| is_clean && *rate > 0.0)
        .ok_or_else(|| format!("wrk on {}: {text}{}", contender.case.title(), String::from_utf8_lossy(&output.stderr)).into())
}

/// Latencies at a fixed rate of requests per second, each counted from when it was due.
pub fn open_loop(contender: &Contender, connections: usize, rate: u64, seconds: u64) -> Result<Percentiles, Box<dyn Error>> {
    let mut tokens = tempfile::NamedTempFile::new()?;
    writeln!(tokens, "{}", contender.token)?;
    let output = Command::new(load_generator()?)
        .args(["http", "--url", &format!("http://{}{PATH}", contender.address()), "--tokens"])
        .arg(tokens.path())
        .args([
            "--connections",
            &connections.to_string(),
            "--rate",
            &rate.to_string(),
            "--duration",
            &seconds.to_string(),
            "--json",
        ])
        .output()?;
    let complaint = || format!("syncgate-load on {}: {}", contender.case.title(), String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", complaint()))?;
    let statuses = report["statuses"].as_object().ok_or_else(complaint)?;
    if statuses.is_empty() || statuses.keys().any(|status| status != "200") {
        return Err(format!("{} answers {}", contender.case.title(), report["statuses"]).into());
    }
    let percentile = |name: &str| report["latency_us"][name].as_f64().ok_or_else(complaint);
    Ok(Percentiles { p50: percentile("p50")?, p90: percentile("p90")?, p99: percentile("p99")?, p999: percentile("p999")? })
}

/// The example `syncgate-load`, built with the same profile as this bench. Benches are in `deps`, examples beside it.
pub fn load_generator() -> Result<PathBuf, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let path = own.ancestors().nth(2).ok_or("no folder above the bench")?.join("examples/syncgate-load");
    if path.exists() { Ok(path) } else { Err(format!("{} is missing: `make bench-peers` builds it", path.display()).into()) }
}

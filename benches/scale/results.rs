//! [`Results`]: tables for people, points for plots.

use std::{fmt, fs, io, path::Path};

use serde_json::json;

use crate::{cold, connections, sign_ins, sockets, users};

/// What was measured; a part that was not is empty.
#[derive(Debug, Default)]
pub struct Results {
    pub users: Vec<users::Point>,
    pub connections: Vec<connections::Point>,
    pub sockets: Vec<sockets::Point>,
    pub cold: Option<cold::Outcome>,
    pub sign_ins: Option<sign_ins::Outcome>,
}

impl Results {
    /// Writes `target/bench/scale.json`, a test `scale-test.json`. What was not measured now stays as it was.
    pub fn save(&self, is_test: bool) -> io::Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        fs::create_dir_all(&folder)?;
        let file = folder.join(if is_test { "scale-test.json" } else { "scale.json" });
        let before = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut all =
            before.filter(serde_json::Value::is_object).unwrap_or_else(|| json!({ "users": [], "connections": [], "sockets": [] }));
        let sockets: Vec<_> = self.sockets.iter().map(|point| (point.sockets, point.rss)).collect();
        for (name, is_there, points) in [
            ("users", !self.users.is_empty(), json!(self.users)),
            ("connections", !self.connections.is_empty(), json!(self.connections)),
            ("sockets", !sockets.is_empty(), json!(sockets)),
            ("cold", self.cold.is_some(), json!(self.cold)),
            ("sign_ins", self.sign_ins.is_some(), json!(self.sign_ins)),
        ] {
            if is_there {
                all[name] = points;
            }
        }
        fs::write(file, all.to_string())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.users.is_empty() {
            writeln!(out, "{:>12} {:>14} {:>10}", "cached users", "CPU us/request", "ratio")?;
            self.users.iter().try_for_each(|(users, cost, ratio)| writeln!(out, "{users:>12} {cost:>14.1} {ratio:>10.3}"))?;
            writeln!(out)?;
        }
        if !self.connections.is_empty() {
            writeln!(out, "{:>12} {:>14}", "connections", "CPU us/request")?;
            self.connections.iter().try_for_each(|(number, cost)| writeln!(out, "{number:>12} {cost:>14.1}"))?;
            writeln!(out)?;
        }
        self.write_sockets(out)?;
        self.cold.iter().try_for_each(|cold| write_cold(out, cold))?;
        if self.cold.is_some() && self.sign_ins.is_some() {
            writeln!(out)?;
        }
        self.sign_ins.iter().try_for_each(|sign_ins| write!(out, "{sign_ins}"))
    }
}

impl Results {
    fn write_sockets(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(none) = self.sockets.first() else { return Ok(()) };
        writeln!(out, "{:>12} {:>10} {:>10} {:>14}", "idle sockets", "RSS MB", "PSS MB", "KB each")?;
        for point in &self.sockets {
            let each = match point.sockets {
                0 => String::new(),
                sockets => format!("{:.1}", point.rss.saturating_sub(none.rss) as f64 / 1e3 / sockets as f64),
            };
            let [rss, pss] = [point.rss, point.pss].map(|bytes| bytes as f64 / 1e6);
            writeln!(out, "{:>12} {rss:>10.1} {pss:>10.1} {each:>14}", point.sockets)?;
        }
        writeln!(out)
    }
}

fn write_cold(out: &mut fmt::Formatter<'_>, cold: &cold::Outcome) -> fmt::Result {
    let cold::Outcome { hot_rate, cold_rate, .. } = cold;
    writeln!(out, "{hot_rate:.0} requests/s of hot users, without and with {cold_rate:.0} new tokens/s (RS256-2048)")?;
    writeln!(out, "{:>34} {:>10} {:>10} {:>8} {:>8}", "", "quiet", "cold", "ratio", "bound")?;
    let (quiet_p99, cold_p99) = (cold.quiet_p99_us / 1e3, cold.cold_p99_us / 1e3);
    let verdict = if cold.ratio > 2.0 { "  over" } else { "" };
    writeln!(out, "{:>34} {quiet_p99:>10.2} {cold_p99:>10.2} {:>8.2} {:>8}{verdict}", "p99 of hot users, ms", cold.ratio, 2)?;
    writeln!(out, "{:>34} {:>10} {:>10} {:>8.2}", "p50 of hot users", "", "", cold.p50_ratio)?;
    writeln!(out, "{:>34} {:>10.2} {:>10.2}", "cores that the gateway uses", cold.quiet_busy, cold.cold_busy)?;
    writeln!(out, "{:>34} {:>10} {:>10}", "hot users refused", "", cold.hot_refused)?;
    writeln!(out, "{:>34} {:>10} {:>10}", "cold users served", "", cold.cold_served)?;
    writeln!(out, "{:>34} {:>10} {:>10}", "cold users refused", "", cold.cold_refused)?;
    writeln!(out, "{:>34} {:>10} {:>10.2}", "p50 of cold users, ms", "", cold.cold_users_p50_us / 1e3)
}

//! The machine and the programs, in their own words.

use std::{fs, process::Command};

use crate::results::Fact;

/// What the figures depend on besides the programs.
pub fn machine() -> Vec<Fact> {
    let cpu = said("lscpu", &[]);
    let field = |name: &str| field(&cpu, name);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: f64 = self::field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let virtual_by = field("Hypervisor vendor");
    facts([
        ("processor", field("Model name")),
        ("family, model, stepping", ["CPU family", "Model", "Stepping"].map(field).join(", ")),
        ("cores", field("CPU(s)")),
        ("caches", ["L2 cache", "L3 cache"].map(|cache| format!("{cache} {}", field(cache))).join(", ")),
        ("hypervisor", if virtual_by.is_empty() { "none".to_owned() } else { virtual_by }),
        ("memory", format!("{:.0} GiB", kib / 1024.0 / 1024.0)),
        ("kernel", said("uname", &["-sr"]).split('-').next().unwrap_or_default().to_owned()),
        ("load average before the run", load.split(' ').next().unwrap_or_default().to_owned()),
    ])
}

/// The exact versions of all programs that take part.
pub fn versions() -> Vec<Fact> {
    let lto = option_env!("CARGO_PROFILE_BENCH_LTO").unwrap_or("fat");
    let profile = if cfg!(debug_assertions) {
        "debug build: its figures mean nothing".to_owned()
    } else {
        format!("release profile, LTO {lto}")
    };
    facts([
        ("syncgate", format!("{}, {profile}", env!("CARGO_PKG_VERSION"))),
        ("rustc", said("rustc", &["--version"])),
        ("nginx", said("nginx", &["-v"])),
        ("HAProxy", said("haproxy", &["-v"])),
        // Without the path that it puts before.
        ("Envoy", field(&said("envoy", &["--version"]).replace("  ", "\n"), "version")),
        ("wrk", said("wrk", &["-v"])),
    ])
}

fn facts<const N: usize>(facts: [(&str, String); N]) -> Vec<Fact> {
    facts.into_iter().map(|(name, value)| Fact { name: name.to_owned(), value }).collect()
}

/// The value behind `name:`.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// What a program prints; for `lscpu` all of it, else the first line.
fn said(program: &str, arguments: &[&str]) -> String {
    // `wrk -v` and `nginx -v` print to standard error, `wrk -v` with a failure.
    let Ok(output) = Command::new(program).args(arguments).env("LC_ALL", "C").output() else { return String::new() };
    let text = if output.stdout.iter().all(u8::is_ascii_whitespace) { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text);
    if arguments.is_empty() { text.into_owned() } else { text.trim().lines().next().unwrap_or_default().trim().to_owned() }
}

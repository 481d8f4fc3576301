//! What grows with users, connections and sockets: tables and plots.

use serde::Deserialize;

use crate::{
    Part,
    document::table,
    plot::{Axis, Line, Lines, Tone},
};

/// What the bench `scale` found out.
#[derive(Deserialize)]
pub struct Scale {
    /// Cached users, CPU time for each request in microseconds, and its ratio to that of one user.
    users: Vec<(f64, f64, f64)>,
    /// Connections, CPU time for each request in microseconds.
    connections: Vec<(f64, f64)>,
    /// Idle WebSockets, resident bytes of the gateway.
    sockets: Vec<(f64, f64)>,
    /// Active users while others log in; none if it was not measured.
    cold: Option<Cold>,
}

/// What new tokens do to users that are admitted already.
#[derive(Deserialize)]
struct Cold {
    /// Requests a second of active users, and tokens a second never seen before.
    hot_rate: f64,
    cold_rate: f64,
    /// Of active users, without and with the others, in microseconds.
    quiet_p99_us: f64,
    cold_p99_us: f64,
    /// Median of the rounds' own ratios.
    ratio: f64,
    hot_refused: u64,
    cold_served: u64,
    cold_refused: u64,
}

/// The part of the page.
pub fn part(scale: &Scale) -> Part {
    let mut part = Part { text: String::new(), plots: Vec::new() };
    users(&mut part, &scale.users);
    connections(&mut part, &scale.connections);
    sockets(&mut part, &scale.sockets);
    if let Some(cold) = &scale.cold {
        part.text += &logins(cold);
    }
    part
}

fn users(part: &mut Part, found: &[(f64, f64, f64)]) {
    if found.is_empty() {
        return;
    }
    let rows = found.iter().map(|(users, cost, ratio)| vec![count(*users), format!("{cost:.1}"), format!("{ratio:.2}")]);
    let table = table(&["cached users", "CPU us/request", "ratio to one user"], true, rows);
    part.text += &format!("### Users\n\n![Cost of a request by cached users](plots/scale-users.svg)\n\n{table}\n");
    let points = found.iter().map(|(users, cost, _)| (*users, *cost)).collect();
    part.plots.push((
        "scale-users.svg",
        cost_plot("What a request costs among many users", "cached users, each with a token of its own", points),
    ));
}

fn connections(part: &mut Part, found: &[(f64, f64)]) {
    if found.is_empty() {
        return;
    }
    let rows = found.iter().map(|(connections, cost)| vec![count(*connections), format!("{cost:.1}")]);
    let table = table(&["connections", "CPU us/request"], true, rows);
    part.text += &format!("### Connections\n\n![Cost of a request by connections](plots/scale-connections.svg)\n\n{table}\n");
    part.plots.push((
        "scale-connections.svg",
        cost_plot("What a request costs among many connections", "keep-alive connections", found.to_vec()),
    ));
}

fn cost_plot(title: &str, label: &str, points: Vec<(f64, f64)>) -> String {
    Lines {
        title,
        subtitle: "CPU time of the gateway for each request",
        x: Axis::log(label, points.iter().map(|(x, _)| *x)),
        y: Axis::linear("CPU time in microseconds", largest(&points)),
        lines: vec![Line { name: "syncgate".to_owned(), tone: Tone::Accent, is_dashed: false, points }],
    }
    .svg()
}

fn sockets(part: &mut Part, found: &[(f64, f64)]) {
    let (Some((fewest, least)), Some((most, largest))) = (found.first(), found.last()) else { return };
    let each = (largest - least) / (most - fewest).max(1.0) / 1024.0;
    let in_mib: Vec<_> = found.iter().map(|(sockets, bytes)| (*sockets, bytes / 1024.0 / 1024.0)).collect();
    let rows = in_mib.iter().map(|(sockets, mib)| vec![count(*sockets), format!("{mib:.1}")]);
    let table = table(&["idle WebSockets", "resident MiB"], true, rows);
    part.text += &format!(
        "### Idle WebSockets\n\n**{each:.1} KiB** of resident memory each, from {} to {} of them.\n\n\
         ![Memory by idle WebSockets](plots/scale-sockets.svg)\n\n{table}\n",
        count(*fewest),
        count(*most)
    );
    let plot = Lines {
        title: "What idle WebSockets keep in memory",
        subtitle: &format!("Resident memory of the gateway; {each:.1} KiB for each socket"),
        x: Axis::linear("open WebSockets", *most),
        y: Axis::linear("resident memory in MiB", self::largest(&in_mib)),
        lines: vec![Line { name: "syncgate".to_owned(), tone: Tone::Accent, is_dashed: false, points: in_mib }],
    };
    part.plots.push(("scale-sockets.svg", plot.svg()));
}

fn logins(cold: &Cold) -> String {
    /// How many times longer active users may wait while others log in.
    const BOUND: f64 = 2.0;
    let Cold { hot_rate, cold_rate, quiet_p99_us, cold_p99_us, ratio, hot_refused, cold_served, cold_refused } = cold;
    let verdict = if *ratio <= BOUND { "met" } else { "**not met**" };
    let rows = [
        ("p99 of active users, quiet, ms", format!("{:.2}", quiet_p99_us / 1e3)),
        ("p99 of active users, while others log in, ms", format!("{:.2}", cold_p99_us / 1e3)),
        ("ratio, the median of those of the rounds; at most 2", format!("{ratio:.2}, {verdict}")),
        ("active users refused", hot_refused.to_string()),
        ("new users served", cold_served.to_string()),
        ("new users refused (503, to try again)", cold_refused.to_string()),
    ];
    let table = table(&["", ""], true, rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
    format!(
        "### Active users while others log in\n\n{} requests/s of active users, without and with {} new tokens/s, each of which costs a \
         verification and a signature with RSA-2048.\n\n{table}\n",
        count(*hot_rate),
        count(*cold_rate)
    )
}

fn largest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, y)| *y).fold(0.0, f64::max)
}

/// With commas.
fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

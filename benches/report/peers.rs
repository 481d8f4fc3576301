//! The comparison with other proxies: tables and plots.

use crate::{
    Part,
    document::table,
    plot::{Axis, Bar, Bars, Line, Lines, Tone},
    results::{Case, Fact, Percentiles, Proxy, Results, Setting},
};

/// What the gateway is to cost at most, as a multiple of another proxy in the same run.
const BOUNDS: [(Case, f64); 4] =
    [(Case::HaproxyJwtVerify, 0.7), (Case::EnvoyJwtAuthnCache, 0.5), (Case::Pingora, 1.05), (Case::Nginx, 1.3)];

/// Ratios without a bound.
const BESIDE: [Case; 3] = [Case::PingoraWithoutLog, Case::NginxWithoutLog, Case::EnvoyJwtAuthn];

/// Lines of the plot of latencies.
const LATENCIES: [Case; 7] = [
    Case::Nginx,
    Case::Haproxy,
    Case::HaproxyJwtVerify,
    Case::EnvoyJwtAuthn,
    Case::EnvoyJwtAuthnCache,
    Case::Pingora,
    Case::Syncgate,
];

/// The part of the page, or what the results lack.
pub fn part(results: &Results) -> Result<Part, String> {
    let setting = &results.setting;
    let has_latency = setting.latency_rate > 0;
    let mut text = format!("![CPU time for each request](plots/peers-cpu.svg)\n\n{}\n{}", proxies(results)?, measured(setting));
    text += &format!("\n### Targets\n\n{}", targets(results)?);
    if has_latency {
        text += "\n### Latency\n\n![Latency at the same rate](plots/peers-latency.svg)\n";
    }
    text += &format!("\n### Machine and versions\n\n{}", facts(results.machine.iter().chain(&results.versions)));
    let mut plots = vec![("peers-cpu.svg", cpu_plot(results))];
    if has_latency {
        plots.push(("peers-latency.svg", latency_plot(results)));
    }
    Ok(Part { text, plots })
}

fn proxies(results: &Results) -> Result<String, String> {
    let nginx = find(results, Case::Nginx)?;
    let has_latency = results.setting.latency_rate > 0;
    let mut sorted: Vec<_> = results.proxies.iter().collect();
    sorted.sort_by(|one, other| median(&one.cpu_us).total_cmp(&median(&other.cpu_us)));
    let rows = sorted.into_iter().map(|proxy| {
        let name = if is_own(proxy.case) { format!("**{}**", proxy.case.title()) } else { proxy.case.title().to_owned() };
        let mut row =
            vec![name, work(proxy.case).to_owned(), format!("{:.1}", median(&proxy.cpu_us)), format!("{:.2}", ratio(proxy, nginx))];
        if has_latency {
            row.extend(
                PERCENTILES.map(|(_, percentile)| latency(proxy, percentile).map_or("-".to_owned(), |us| format!("{us:.0}"))),
            );
        }
        row
    });
    let head = ["proxy", "does", "CPU us/request", "x nginx", "p50 us", "p90 us", "p99 us", "p99.9 us"];
    Ok(table(if has_latency { &head } else { &head[..4] }, true, rows))
}

fn work(case: Case) -> &'static str {
    match case {
        _ if case.is_syncgate() => "verify, exchange",
        _ if case.verifies() => "verify",
        _ => "forward",
    }
}

fn measured(setting: &Setting) -> String {
    let Setting { connections, token_bytes, starts, cpu_rounds, cpu_requests, latency_rounds, latency_seconds, latency_rate } =
        setting;
    let mut text = format!(
        "A token of {token_bytes} bytes, {connections} connections. CPU time: all proxies are started {starts} times; median of {} interleaved \
         turns of {cpu_requests} requests each in a closed loop.",
        starts * cpu_rounds
    );
    if *latency_rate > 0 {
        text += &format!(
            " Latency: median of {latency_rounds} interleaved rounds of {latency_seconds} s each at {latency_rate} requests/s for all, \
             which is 30 % of what the slowest of them answered wrk at the first start."
        );
    }
    text + "\n"
}

fn targets(results: &Results) -> Result<String, String> {
    let own = find(results, Case::Syncgate)?;
    let mut rows = Vec::new();
    let mut compare = |own: &Proxy, other: &Proxy, bound: Option<f64>| {
        let ratio = ratio(own, other);
        let verdict = bound.map_or("", |bound| if ratio <= bound { "met" } else { "**not met**" });
        let bound = bound.map_or("-".to_owned(), |bound| format!("{bound:.2}"));
        let what = format!("{} / {}", own.case.title(), other.case.title());
        rows.push(vec![what, format!("{ratio:.2}"), bound, verdict.to_owned()]);
    };
    for (case, bound) in BOUNDS {
        compare(own, find(results, case)?, Some(bound));
    }
    for case in BESIDE {
        compare(own, find(results, case)?, None);
    }
    if let Ok(profiled) = find(results, Case::SyncgateProfiled) {
        for (case, bound) in BOUNDS {
            compare(profiled, find(results, case)?, Some(bound));
        }
    }
    Ok(table(&["CPU time of one request", "ratio", "at most", ""], true, rows.into_iter()))
}

fn facts<'a>(facts: impl Iterator<Item = &'a Fact>) -> String {
    table(&["", ""], false, facts.map(|fact| vec![fact.name.clone(), fact.value.clone()]))
}

fn cpu_plot(results: &Results) -> String {
    let tone = |case: Case| match work(case) {
        "forward" => Tone::Grey,
        "verify" => Tone::Blue,
        _ => Tone::Accent,
    };
    let bars = results.proxies.iter().map(|proxy| {
        let case = proxy.case;
        Bar { name: case.title().to_owned(), value: median(&proxy.cpu_us), tone: tone(case) }
    });
    Bars {
        title: "What one request costs",
        subtitle: &format!(
            "One core, {} keep-alive connections, an RS256 token of {} bytes, an answer of 43 bytes; with access log unless said otherwise",
            results.setting.connections, results.setting.token_bytes
        ),
        label: "CPU time of the proxy for each request, in microseconds",
        legend: &[
            (Tone::Grey, "forwards, without authentication"),
            (Tone::Blue, "verifies the token"),
            (Tone::Accent, "verifies the token and puts its own in its place"),
        ],
        bars: bars.collect(),
    }
    .svg()
}

type Percentile = fn(&Percentiles) -> f64;

/// How rare the requests beyond a percentile are, one in so many, and where the percentile is found.
const PERCENTILES: [(f64, Percentile); 4] =
    [(2.0, |latency| latency.p50), (10.0, |latency| latency.p90), (100.0, |latency| latency.p99), (1000.0, |latency| latency.p999)];

fn latency_plot(results: &Results) -> String {
    let shown = LATENCIES.into_iter().filter_map(|case| results.proxies.iter().find(|proxy| proxy.case == case));
    let lines: Vec<_> = shown
        .map(|proxy| Line {
            name: proxy.case.title().to_owned(),
            tone: tone_of_maker(proxy.case),
            is_dashed: !proxy.case.verifies(),
            points: PERCENTILES.into_iter().filter_map(|(rarity, at)| Some((rarity, latency(proxy, at)?))).collect(),
        })
        .collect();
    let values = lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    Lines {
        title: "How long a request takes",
        subtitle: &format!(
            "{} requests/s for all, counted from when each was due; dashed: without authentication",
            results.setting.latency_rate
        ),
        x: Axis::percentiles("percentile of all requests"),
        y: Axis::log("latency in microseconds", values),
        lines,
    }
    .svg()
}

fn tone_of_maker(case: Case) -> Tone {
    match case {
        Case::Nginx | Case::NginxWithoutLog => Tone::Grey,
        Case::Haproxy | Case::HaproxyJwtVerify => Tone::Blue,
        Case::Envoy | Case::EnvoyJwtAuthn | Case::EnvoyJwtAuthnCache => Tone::Violet,
        Case::Pingora | Case::PingoraWithoutLog => Tone::Green,
        Case::Syncgate | Case::SyncgateWithoutLog | Case::SyncgateProfiled => Tone::Accent,
    }
}

fn is_own(case: Case) -> bool {
    case.is_syncgate()
}

fn find(results: &Results, case: Case) -> Result<&Proxy, String> {
    let found = results.proxies.iter().find(|proxy| proxy.case == case && !proxy.cpu_us.is_empty());
    found.ok_or_else(|| format!("the results lack {}", case.title()))
}

/// Of each round, then the median: what slows the machine down for a while slows both.
fn ratio(own: &Proxy, other: &Proxy) -> f64 {
    median(&own.cpu_us.iter().zip(&other.cpu_us).map(|(own, other)| own / other).collect::<Vec<_>>())
}

fn latency(proxy: &Proxy, percentile: Percentile) -> Option<f64> {
    let rounds: Vec<_> = proxy.latency_us.iter().map(percentile).collect();
    (!rounds.is_empty()).then(|| median(&rounds))
}

/// The middle one; 0 of none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

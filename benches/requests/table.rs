//! The medians of all rounds and starts, as a table.

use std::fmt;

use crate::harness::median;

/// CPU time and throughput of each proxy, round by round. The first proxy is the yardstick.
pub struct Table {
    titles: Vec<String>,
    starts: Vec<Start>,
}

/// The rounds of one start: of each proxy a list.
struct Start {
    cpu: Vec<Vec<f64>>,
    rate: Vec<Vec<f64>>,
}

impl Table {
    pub fn new(titles: Vec<String>) -> Self {
        Self { titles, starts: Vec::new() }
    }

    /// The rounds to come are those of processes that have been started again.
    pub fn begin_start(&mut self) {
        let columns = vec![Vec::new(); self.titles.len()];
        self.starts.push(Start { cpu: columns.clone(), rate: columns });
    }

    /// One round of one proxy: seconds of CPU time for each request, requests per second.
    pub fn add(&mut self, proxy: usize, cpu: f64, rate: f64) {
        if let Some(start) = self.starts.last_mut() {
            start.cpu[proxy].push(cpu);
            start.rate[proxy].push(rate);
        }
    }

    /// Of the CPU time of two proxies: of each round, then the median of each start, then of all.
    pub fn ratio(&self, own: usize, other: usize) -> f64 {
        median(&self.of_starts(|start| start.ratio(own, other)))
    }

    /// A figure of each start, in order of size.
    fn of_starts(&self, figure: impl Fn(&Start) -> f64) -> Vec<f64> {
        let mut figures: Vec<_> = self.starts.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures
    }
}

impl Start {
    /// Of each round, then the median: what slows the machine down for a while slows both.
    fn ratio(&self, own: usize, other: usize) -> f64 {
        let ratios: Vec<_> = self.cpu[own].iter().zip(&self.cpu[other]).map(|(own, other)| own / other).collect();
        median(&ratios)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<20} {:>14} {:>12} {:>10} {:>16}", "proxy", "CPU us/request", "requests/s", "ratio", "of the starts")?;
        for (proxy, title) in self.titles.iter().enumerate() {
            let cpu = median(&self.of_starts(|start| median(&start.cpu[proxy])));
            let rate = median(&self.of_starts(|start| median(&start.rate[proxy])));
            let ratios = self.of_starts(|start| start.ratio(proxy, 0));
            let (least, most) = (ratios.first().copied().unwrap_or_default(), ratios.last().copied().unwrap_or_default());
            let spread = format!("{least:.3} to {most:.3}");
            writeln!(out, "{title:<20} {:>14.1} {rate:>12.0} {:>10.3} {spread:>16}", cpu * 1e6, median(&ratios))?;
        }
        Ok(())
    }
}

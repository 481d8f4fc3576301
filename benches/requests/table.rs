//! The medians of all rounds, as a table.

use std::fmt;

use crate::harness::median;

/// CPU time and throughput of each proxy, round by round. The first proxy is the yardstick.
pub struct Table {
    titles: Vec<String>,
    cpu: Vec<Vec<f64>>,
    rate: Vec<Vec<f64>>,
}

impl Table {
    pub fn new(titles: Vec<String>) -> Self {
        let columns = vec![Vec::new(); titles.len()];
        Self { titles, cpu: columns.clone(), rate: columns }
    }

    /// One round of one proxy: seconds of CPU time for each request, requests a second.
    pub fn add(&mut self, proxy: usize, cpu: f64, rate: f64) {
        self.cpu[proxy].push(cpu);
        self.rate[proxy].push(rate);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<20} {:>14} {:>12} {:>10}", "proxy", "CPU us/request", "requests/s", "ratio")?;
        for (proxy, title) in self.titles.iter().enumerate() {
            // Of each round, then the median: what slows the machine down for a while slows both.
            let ratios = self.cpu[proxy].iter().zip(&self.cpu[0]).map(|(own, yardstick)| own / yardstick);
            let (cpu, rate, ratio) = (median(&self.cpu[proxy]), median(&self.rate[proxy]), median(&ratios.collect::<Vec<_>>()));
            writeln!(out, "{title:<20} {:>14.1} {rate:>12.0} {ratio:>10.3}", cpu * 1e6)?;
        }
        Ok(())
    }
}

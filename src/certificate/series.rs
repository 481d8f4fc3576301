//! [`Series`]: what operators see of a listener's certificates.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use super::{
    life::{Life, seconds},
    server_tls::Current,
};
use crate::metrics::Metrics;

/// What operators see of a listener's certificates. Dropped, it ends its series.
pub(super) struct Series {
    metrics: Arc<Metrics>,
    /// File and number of each certificate that is shown.
    certificates: BTreeSet<(String, String)>,
    lists: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Series {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, certificates: BTreeSet::new(), lists: BTreeSet::new(), files: BTreeSet::new() }
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Shows what is in use, and no longer what is not. `is_good` says whether a file was last found to be usable.
    pub(super) fn show(&mut self, current: &Current, is_good: impl Fn(&PathBuf) -> bool) {
        let before = (std::mem::take(&mut self.certificates), std::mem::take(&mut self.lists), std::mem::take(&mut self.files));
        for pair in &current.pairs {
            self.show_lives(&pair.files.chain, "", &pair.lives, &is_good);
        }
        for trust in current.trusts.0.iter().flatten() {
            let (file, lives) = &trust.authorities;
            self.show_lives(file, "authority-", lives, &is_good);
            for (file, next) in &trust.lists {
                let Some(next) = next else { continue };
                let file = file.display().to_string();
                self.metrics.certificates.next_update.with_label_values(&[&file]).set(seconds(*next));
                self.lists.insert(file);
            }
        }
        self.end(before.0.difference(&self.certificates), before.1.difference(&self.lists), before.2.difference(&self.files));
    }

    fn show_lives(&mut self, path: &PathBuf, kind: &str, lives: &[Life], is_good: &impl Fn(&PathBuf) -> bool) {
        let file = path.display().to_string();
        let series = &self.metrics.certificates;
        for (index, life) in lives.iter().enumerate() {
            let number = format!("{kind}{}", index + 1);
            series.not_before.with_label_values(&[&file, &number]).set(seconds(life.not_before));
            series.not_after.with_label_values(&[&file, &number]).set(seconds(life.not_after));
            self.certificates.insert((file.clone(), number));
        }
        series.last_reload_success.with_label_values(&[&file]).set(i64::from(is_good(path)));
        self.files.insert(file);
    }

    /// A series that is gone already is no error: another listener may have the same file.
    fn end<'a>(
        &self,
        certificates: impl Iterator<Item = &'a (String, String)>,
        lists: impl Iterator<Item = &'a String>,
        files: impl Iterator<Item = &'a String>,
    ) {
        let series = &self.metrics.certificates;
        for (file, number) in certificates {
            let _ = series.not_before.remove_label_values(&[file, number]);
            let _ = series.not_after.remove_label_values(&[file, number]);
        }
        lists.for_each(|file| drop(series.next_update.remove_label_values(&[file])));
        files.for_each(|file| drop(series.last_reload_success.remove_label_values(&[file])));
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.end(self.certificates.iter(), self.lists.iter(), self.files.iter());
    }
}

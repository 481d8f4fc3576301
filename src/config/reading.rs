//! [`Reading`]: the findings collected while a file is read.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use crate::config::{
    outside::Reference,
    problem::{Findings, Position, Problem},
};

/// Maximum number of problems that are kept of one file. For more, only their number is reported.
const MAX_PROBLEMS: usize = 100;

/// What is collected while a file is read. Shared by every reader, hence the cell.
#[derive(Debug)]
pub(super) struct Reading {
    base_dir: PathBuf,
    collected: RefCell<Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    findings: Findings,
    left_out: usize,
    references: Vec<Reference>,
}

impl Reading {
    /// Relative paths in the file are relative to `base_dir`.
    pub(super) fn new(base_dir: &Path) -> Self {
        Self { base_dir: base_dir.to_owned(), collected: RefCell::default() }
    }

    /// Reports a mistake.
    pub(super) fn problem(&self, at: Position, key: &str, text: impl Into<String>) {
        let mut collected = self.collected.borrow_mut();
        if collected.findings.problems.len() < MAX_PROBLEMS {
            collected.findings.problems.push(Problem { at, key: key.to_owned(), text: text.into() });
        } else {
            collected.left_out += 1;
        }
    }

    /// Whether one more problem would be kept.
    pub(super) fn has_room(&self) -> bool {
        self.collected.borrow().findings.problems.len() < MAX_PROBLEMS
    }

    /// Reports something to think about.
    pub(super) fn warning(&self, at: Position, key: &str, text: impl Into<String>) {
        let mut collected = self.collected.borrow_mut();
        if collected.findings.warnings.len() < MAX_PROBLEMS {
            collected.findings.warnings.push(Problem { at, key: key.to_owned(), text: text.into() });
        }
    }

    /// A path as seen from the working directory.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.base_dir.join(path)
    }

    /// Remembers something outside that the config names.
    pub(super) fn reference(&self, reference: Reference) {
        self.collected.borrow_mut().references.push(reference);
    }

    /// What was found, in the order of the file.
    pub(super) fn finish(self) -> (Findings, Vec<Reference>) {
        let Collected { mut findings, left_out, mut references } = self.collected.into_inner();
        findings.problems.sort_by_key(|problem| problem.at);
        findings.warnings.sort_by_key(|warning| warning.at);
        references.sort_by_key(|reference| reference.at);
        if let (1.., Some(last)) = (left_out, findings.problems.last()) {
            let text = format!("and {left_out} more problem{}", if left_out == 1 { "" } else { "s" });
            findings.problems.push(Problem { at: last.at, key: String::new(), text });
        }
        (findings, references)
    }
}

//! [`Problem`]: one mistake in a config file, with its place. [`Reading`]: what is collected while a file is read.

use std::{
    cell::RefCell,
    fmt,
    path::{Path, PathBuf},
};

use crate::config::outside::Reference;

/// Most problems that are kept of one file. A file with more is told how many there are.
const MOST_PROBLEMS: usize = 100;

/// A place in the config file. Lines and columns count from 1; a column is a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The first character of the file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A mistake in the config file, or something to think about (a warning).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub at: Position,
    /// The key, for example `issuers[0].leeway`. Empty: the file as a whole.
    pub key: String,
    /// What is wrong, and what is accepted.
    pub text: String,
}

impl Problem {
    /// The key and what is wrong, without the place.
    pub fn what(&self) -> String {
        if self.key.is_empty() { self.text.clone() } else { format!("{}: {}", self.key, self.text) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.at.line, self.at.column, self.what())
    }
}

/// Everything that was found in one file, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Mistakes: the file cannot be used.
    pub problems: Vec<Problem>,
    /// Things to think about: the file can be used.
    pub warnings: Vec<Problem>,
}

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
        if collected.findings.problems.len() < MOST_PROBLEMS {
            collected.findings.problems.push(Problem { at, key: key.to_owned(), text: text.into() });
        } else {
            collected.left_out += 1;
        }
    }

    /// Whether one more problem would be kept.
    pub(super) fn has_room(&self) -> bool {
        self.collected.borrow().findings.problems.len() < MOST_PROBLEMS
    }

    /// Reports something to think about.
    pub(super) fn warning(&self, at: Position, key: &str, text: impl Into<String>) {
        let mut collected = self.collected.borrow_mut();
        if collected.findings.warnings.len() < MOST_PROBLEMS {
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

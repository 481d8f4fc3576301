//! [`Problem`]: one mistake in a config file, with its place. [`Reading`]: what is collected while a file is read.

use std::{
    cell::RefCell,
    fmt,
    path::{Path, PathBuf},
};

use crate::config::files::NamedFile;

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
    files: Vec<NamedFile>,
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

    /// Reports something to think about.
    pub(super) fn warning(&self, at: Position, key: &str, text: impl Into<String>) {
        let mut collected = self.collected.borrow_mut();
        if collected.findings.warnings.len() < MOST_PROBLEMS {
            collected.findings.warnings.push(Problem { at, key: key.to_owned(), text: text.into() });
        }
    }

    /// Remembers a file that the config names, and gives its path as seen from the working directory.
    pub(super) fn file(&self, mut file: NamedFile) -> PathBuf {
        file.path = self.base_dir.join(&file.path);
        let path = file.path.clone();
        self.collected.borrow_mut().files.push(file);
        path
    }

    /// What was found, in the order of the file.
    pub(super) fn finish(self) -> (Findings, Vec<NamedFile>) {
        let Collected { mut findings, left_out, files } = self.collected.into_inner();
        findings.problems.sort_by_key(|problem| problem.at);
        findings.warnings.sort_by_key(|warning| warning.at);
        if let (1.., Some(last)) = (left_out, findings.problems.last()) {
            let text = format!("and {left_out} more problems");
            findings.problems.push(Problem { at: last.at, key: String::new(), text });
        }
        (findings, files)
    }
}

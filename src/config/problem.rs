//! [`Problem`]: one mistake in a config file, with its position.

use std::fmt;

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
    /// Its position.
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

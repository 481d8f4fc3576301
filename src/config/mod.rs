//! One YAML file to the typed settings of each room. Every mistake is reported at once, with its place in the file.
//!
//! ```text
//! text -> document (nodes with places) -> read/* (one reader for each part) -> Config, or Findings
//! ```
//!
//! A reader is a plain list of keys. What it hands on is checked: the other rooms take it as it is.

mod document;
mod field;
mod formats;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod json;
mod load;
mod outside;
mod print;
mod problem;
mod read;
mod reading;
mod section;
mod settings;
mod suggest;
mod syntax;
mod units;

#[cfg(test)]
mod tests;

pub use load::{ConfigError, Loaded, Report};
pub use outside::{Reference, Target};
pub use print::{Effective, Written};
pub use problem::{Findings, Position, Problem};
pub use read::metadata::token_endpoint_metadata;
pub use settings::{Config, IssuerConfig, LogFormat, LogLevel, LogSettings};

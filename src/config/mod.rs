//! One YAML file to the typed settings of each room. Every mistake is reported at once, with its position in the file.
//!
//! ```text
//! text -> document (nodes with places) -> read/* (one reader for each part) -> Config, or Findings
//! ```
//!
//! A reader is a plain list of keys. Its results are checked: the other rooms use them as they are.

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

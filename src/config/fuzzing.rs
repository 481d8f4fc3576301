//! What must hold of any text that is read as a config file.

use std::path::Path;

use super::{Config, Effective, Findings};

/// Reads bytes as a config file. What is accepted means the same when it is printed and read again; what is not is told at least one
/// mistake, each on one line of printable text.
///
/// # Errors
/// What does not hold.
pub fn hold_config(bytes: &[u8]) -> Result<(), String> {
    let folder = Path::new("/etc/syncgate");
    match Config::parse(bytes, folder) {
        Ok(loaded) => {
            let printed = Effective(&loaded.config).to_string();
            match Config::parse(&printed, folder) {
                Ok(again) if again.config == loaded.config => Ok(()),
                _ => Err(format!("printed and read again it means something else:\n{printed}")),
            }
        }
        Err(Findings { problems, .. }) if !(1..=101).contains(&problems.len()) => Err(format!("{} problems", problems.len())),
        Err(Findings { problems, warnings }) => {
            let is_told = |problem: &super::Problem| {
                problem.at.line > 0 && problem.at.column > 0 && !problem.to_string().contains(char::is_control)
            };
            match problems.iter().chain(&warnings).find(|problem| !is_told(problem)) {
                Some(problem) => Err(format!("{problem:?}")),
                None => Ok(()),
            }
        }
    }
}

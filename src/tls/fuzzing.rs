//! What must hold of any bytes that are read as a file of authorities.

use super::Authorities;

/// Reads bytes as `ca_file`. What is accepted can be connected with; what is not is told in one line of printable text.
///
/// # Errors
/// What does not hold.
pub fn hold_authorities(bytes: &[u8]) -> Result<(), String> {
    match Authorities::parse(bytes).map(|authorities| authorities.client_config()) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(problem)) => Err(format!("it was accepted: {problem}")),
        Err(problem) => match problem.to_string() {
            text if text.is_empty() || text.contains(char::is_control) || text.len() > 1_000 => Err(format!("{text:?}")),
            _ => Ok(()),
        },
    }
}

//! The checks of files without a listener, for `syncgate check`.

use std::time::SystemTime;

use super::{
    CertificateError, ClientRules, PairFiles,
    pair::Pair,
    trust::{Trust, TrustContent},
};

/// Whether a certificate with its key can be used. What is to think about, one line for each.
pub fn check_pair(files: &PairFiles, now: SystemTime) -> Result<Vec<String>, CertificateError> {
    Pair::read(files, now).map(|pair| pair.warnings)
}

/// Whether clients can be verified by these rules. What is to think about, one line for each.
pub fn check_rules(rules: &ClientRules, now: SystemTime) -> Result<Vec<String>, CertificateError> {
    let Some(content) = TrustContent::read(rules)? else { return Ok(Vec::new()) };
    Trust::of(&content, now).map(|trust| trust.warnings)
}

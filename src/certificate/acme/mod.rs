//! Certificates that an authority issues by itself (ACME, RFC 8555), for single machines.
//!
//! What is issued becomes a file like any other: chain and key in one, so that both are replaced at once, and the watch finds it.
//! Whatever fails here, what serves goes on serving.

mod challenges;
mod keeper;
mod order;
#[cfg(test)]
mod renewal_tests;
mod schedule;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(super) use self::{challenges::Challenges, keeper::Pace};
use super::{AcmeSettings, PairFiles};

impl AcmeSettings {
    /// Where the certificate is, and its key.
    pub(super) fn pair(&self) -> PairFiles {
        let file = self.file(&format!("{}.pem", self.domains.first().map_or("certificate", String::as_str)));
        PairFiles { chain: file.clone(), key: file }
    }

    /// Where the account is: one for each authority.
    fn account_file(&self) -> PathBuf {
        let host = self.directory.split('/').nth(2).unwrap_or_default();
        let name: String = host.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        self.file(&format!("account-{name}.json"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

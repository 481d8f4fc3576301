//! [`Purged`]: what operators have denied, by issuer, for the life of the process.

use std::{collections::HashMap, sync::Arc};

use crate::jwks::{KeySource, Purges};

/// What operators have denied of each issuer: also of issuers that a reload took away, since another may bring them back.
#[derive(Debug, Default)]
pub(super) struct Purged {
    by_name: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    sources: Vec<KeySource>,
    purges: Arc<Purges>,
}

impl Purged {
    /// What is denied of the issuer of this name, or of the one whose keys came from one of these sources under another name.
    pub(super) fn of(&mut self, name: &str, sources: &[KeySource]) -> Arc<Purges> {
        if let Some(known) = self.by_name.get_mut(name) {
            known.sources = sources.to_vec();
            return Arc::clone(&known.purges);
        }
        let same = self.by_name.values().find(|known| known.sources.iter().any(|source| sources.contains(source)));
        let purges = match (same, self.by_name.values().next()) {
            (Some(same), _) => Arc::clone(&same.purges),
            (None, Some(another)) => Arc::new(another.purges.of_another()),
            (None, None) => Arc::default(),
        };
        self.by_name.insert(name.to_owned(), Known { sources: sources.to_vec(), purges: Arc::clone(&purges) });
        purges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_keeps_its_list_under_another_name_and_after_a_time_away() {
        let source = |name: &str| KeySource::Jwks(format!("https://{name}.contoso.com/keys"));
        let mut purged = Purged::default();
        let one = purged.of("one", &[source("a"), source("b")]);
        let other = purged.of("other", &[source("c")]);
        assert!(!Arc::ptr_eq(&one, &other));
        assert!(Arc::ptr_eq(&one, &purged.of("one", &[source("d")])));
        assert!(Arc::ptr_eq(&one, &purged.of("renamed", &[source("d")])));
        assert!(!Arc::ptr_eq(&one, &purged.of("new", &[source("b")])));
    }
}

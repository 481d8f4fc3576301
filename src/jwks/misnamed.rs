//! Documents that name another issuer than the config: how a [`KeyStore`] records and logs them.

use std::sync::Arc;

use super::{
    KeyStore,
    named_issuer::{fits, names},
    printable::printable,
};
use crate::token::IssuerRule;

impl KeyStore {
    /// Compares what the discovery documents name with this rule from now on, for the issuer of this configured name. Tells the operator at
    /// once where they differ.
    pub fn expect_issuer(&self, issuer: &str, rule: IssuerRule) {
        self.expected.store(Some(Arc::new(rule)));
        self.tell_misnamed(issuer);
    }

    /// The issuers that discovery documents name and the config does not take.
    pub fn misnamed(&self) -> Vec<Arc<str>> {
        let Some(rule) = self.expected.load_full() else { return Vec::new() };
        let published = self.published();
        let mut misnamed: Vec<_> =
            published.answers.iter().filter_map(|answer| answer.named.clone()).filter(|named| !fits(&rule, named)).collect();
        misnamed.sort();
        misnamed.dedup();
        misnamed
    }

    /// Whether tokens with this `iss` are those of a provider whose name the config has wrong.
    pub fn is_misnamed(&self, iss: &str) -> bool {
        self.misnamed().iter().any(|named| names(named, iss))
    }

    /// Notes what a source's document names now. Tells the operator what has changed.
    pub(crate) fn name(&self, source: usize, named: &Arc<str>, issuer: &str) {
        if self.published().answers.get(source).is_some_and(|answer| answer.named.as_ref() != Some(named)) {
            self.change_answer(source, |answer| answer.named = Some(Arc::clone(named)));
        }
        self.tell_misnamed(issuer);
    }

    fn tell_misnamed(&self, issuer: &str) {
        let misnamed = self.misnamed();
        let told = self.told_misnamed.swap(Arc::new(misnamed.clone()));
        for named in misnamed.iter().filter(|named| !told.contains(named)) {
            let expected = self.expected.load_full();
            let configured = printable(&expected.as_deref().map(words).unwrap_or_default());
            tracing::error!(
                issuer,
                named = printable(named),
                configured,
                "the discovery document names another issuer than the config: its tokens are answered with 503 (issuer_mismatch). \
                 Correct `issuer` in the config, byte for byte; if it is right, set `jwks_uri` instead of `discovery`"
            );
        }
        if misnamed.is_empty() && !told.is_empty() {
            tracing::info!(issuer, "the discovery document names the configured issuer again");
        }
    }
}

fn words(rule: &IssuerRule) -> String {
    match rule {
        IssuerRule::Discovered => "discovered".to_owned(),
        IssuerRule::Exact(issuers) => issuers.join(", "),
        IssuerRule::Template { patterns, .. } => patterns.join(", "),
    }
}

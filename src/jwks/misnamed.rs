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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jwks::test_log::Log, token::TenantRule};

    #[test]
    fn an_issuer_that_the_config_has_wrong_is_told_once_and_so_is_its_correction() {
        let (log, _listening) = Log::listen();
        let store = KeyStore::new(2);
        let told = |act: &dyn Fn()| {
            let before = log.lines().len();
            act();
            log.lines().split_off(before).join("\n")
        };
        let name = |source: usize, named: &str| told(&|| store.name(source, &named.into(), "contoso"));
        assert_eq!(name(0, "https://one/"), "", "nothing is expected yet");
        let rule = IssuerRule::Exact(vec!["https://a/".into(), "https://b/".into()]);
        let line = told(&|| store.expect_issuer("contoso", rule.clone()));
        assert!(line.contains("named=\"https://one/\"") && line.contains("configured=\"https://a/, https://b/\""), "{line}");
        assert_eq!((name(0, "https://one/"), name(1, "https://b/")), (String::new(), String::new()));
        assert_eq!(store.misnamed(), ["https://one/".into()]);
        assert!(store.is_misnamed("https://one/") && !store.is_misnamed("https://b/"));
        let line = name(0, "https://two/");
        assert!(line.contains("https://two/") && !line.contains("https://one/"), "{line}");
        let line = name(0, "https://a/");
        assert!(line.contains("names the configured issuer again"), "{line}");
        assert_eq!(name(0, "https://a/"), "");
        assert!(store.misnamed().is_empty());
        let template = IssuerRule::Template { patterns: vec!["https://x/{tenantid}/".into()], tenants: TenantRule::Any };
        let line = told(&|| store.expect_issuer("contoso", template.clone()));
        assert!(line.contains("configured=\"https://x/{tenantid}/\""), "{line}");
        let line = told(&|| store.expect_issuer("contoso", IssuerRule::Discovered));
        assert!(line.contains("again"), "{line}");
    }
}

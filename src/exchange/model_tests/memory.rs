//! What a cache without bounds remembers, by the rules alone.

use std::collections::HashMap;

use super::reference::{Minted, Published, Settings, Who};
use crate::token::Rejection;

/// A profile, and whether a token of it lives to the end.
pub(super) type Place = (usize, bool);

/// Identities by their token.
#[derive(Debug, Default)]
pub(super) struct Memory {
    identities: HashMap<usize, Remembered>,
    /// How often what makes identities of each issuer has changed.
    versions: [usize; 2],
    signing_key: usize,
}

#[derive(Debug)]
struct Remembered {
    who: Who,
    version: usize,
    minted: HashMap<Place, (Minted, usize)>,
}

impl Memory {
    pub(super) fn len(&self) -> usize {
        self.identities.len()
    }

    /// Whether the identity may be used without another verification. What may not is forgotten.
    pub(super) fn recall(
        &mut self,
        token: usize,
        expected: &Result<Who, Rejection>,
        settings: &Settings,
        published: &[Published; 2],
        now: i64,
    ) -> bool {
        // One that is too large for the settings is not even looked for.
        if *expected == Err(Rejection::TokenTooLarge) {
            return false;
        }
        let holds = self.identities.get(&token).is_some_and(|known| known.holds(&self.versions, settings, published, now));
        if !holds {
            self.identities.remove(&token);
        }
        holds
    }

    pub(super) fn verified(&mut self, token: usize, who: &Who, settings: &Settings) {
        debug_assert!(who.issuer == 0 || settings.partner);
        let version = self.versions[who.issuer];
        self.identities.insert(token, Remembered { who: who.clone(), version, minted: HashMap::new() });
    }

    /// When the user token was made that may be sent.
    pub(super) fn minted(&self, token: usize, place: Place, end: i64, now: i64) -> Option<i64> {
        let (minted, key) = self.identities.get(&token)?.minted.get(&place)?;
        (*key == self.signing_key && minted.is_usable(end, now)).then_some(minted.at)
    }

    pub(super) fn signed(&mut self, token: usize, place: Place, minted: Minted) {
        let key = self.signing_key;
        if let Some(identity) = self.identities.get_mut(&token) {
            identity.minted.insert(place, (minted, key));
        }
    }

    pub(super) fn signing_key_replaced(&mut self) {
        self.signing_key += 1;
    }

    /// Limits and profiles make every identity; rules make those of their issuer.
    pub(super) fn reloaded(&mut self, old: &Settings, new: &Settings) {
        let changes_all = old.limits() != new.limits() || old.profiles() != new.profiles() || old.leeway != new.leeway;
        if changes_all || old.other_audience != new.other_audience {
            self.versions[0] += 1;
        }
        if changes_all || old.partner != new.partner {
            self.versions[1] += 1;
        }
    }

    pub(super) fn sweep(&mut self, settings: &Settings, published: &[Published; 2], now: i64) {
        let versions = self.versions;
        self.identities.retain(|_, known| known.holds(&versions, settings, published, now));
    }
}

impl Remembered {
    fn holds(&self, versions: &[usize; 2], settings: &Settings, published: &[Published; 2], now: i64) -> bool {
        let Who { issuer, kid, end, .. } = &self.who;
        let is_in_use = *issuer == 0 || settings.partner;
        is_in_use && self.version == versions[*issuer] && now < *end && published[*issuer].trusts(kid, now)
    }
}

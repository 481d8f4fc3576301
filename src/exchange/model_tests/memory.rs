//! What a cache without bounds remembers, and each connection beside it, by the rules alone.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::{
    corpus::TOKENS,
    reference::{Minted, Published, Settings, Who},
};
use crate::token::Rejection;

/// A profile, and whether a token of it lives to the end.
pub(super) type Place = (usize, bool);

/// Connections of clients.
pub(super) const CONNECTIONS: usize = 3;
/// Each time of so many the cache is asked for a token that its connection remembers.
const CHECK_INTERVAL: usize = 8;
/// A connection remembers no longer token. Bytes.
const MAX_BYTES: usize = 4_096;

/// Identities by their token.
#[derive(Debug, Default)]
pub(super) struct Memory {
    identities: HashMap<usize, Rc<Remembered>>,
    connections: [Option<Last>; CONNECTIONS],
    /// How often what makes identities of each issuer has changed.
    versions: [usize; 2],
    signing_key: usize,
}

/// What one verification made.
#[derive(Debug)]
pub(super) struct Remembered {
    who: Who,
    version: usize,
    minted: RefCell<HashMap<Place, (Minted, usize)>>,
}

/// The token that a connection brought last and that was taken.
#[derive(Debug)]
struct Last {
    token: usize,
    identity: Rc<Remembered>,
    uses: usize,
}

impl Memory {
    pub(super) fn len(&self) -> usize {
        self.identities.len()
    }

    /// The identity that the connection remembers for this token, or why it is looked for in the cache. What may not be used is forgotten.
    /// When it is time to ask a cache that has lost it, what the connection remembers goes back there.
    pub(super) fn recall_on(
        &mut self,
        (connection, token): (usize, usize),
        is_cached: bool,
        settings: &Settings,
        published: &[Published; 2],
        now: i64,
    ) -> Result<Rc<Remembered>, &'static str> {
        let place = &mut self.connections[connection];
        let last = place.as_mut().filter(|last| last.token == token).ok_or("connection: another token")?;
        last.uses += 1;
        let is_asked = last.uses.is_multiple_of(CHECK_INTERVAL);
        let cached = self.identities.get(&token).filter(|_| is_cached && is_asked);
        if cached.is_some_and(|cached| cached.holds(&self.versions, settings, published, now)) {
            return Err("connection: the cache is asked");
        }
        let identity = Rc::clone(&last.identity);
        let holds = identity.check(&self.versions, settings, published, now);
        match holds {
            Ok(()) if is_asked => drop(self.identities.insert(token, Rc::clone(&identity))),
            Ok(()) => {}
            Err(_) => *place = None,
        }
        holds.map(|()| identity)
    }

    /// The identity, if it may be used without another verification. What may not is forgotten.
    pub(super) fn recall(
        &mut self,
        token: usize,
        expected: &Result<Who, Rejection>,
        settings: &Settings,
        published: &[Published; 2],
        now: i64,
    ) -> Option<Rc<Remembered>> {
        // One that is too large for the settings is not even looked for.
        if *expected == Err(Rejection::TokenTooLarge) {
            return None;
        }
        let known = self.identities.remove(&token).filter(|known| known.holds(&self.versions, settings, published, now))?;
        self.identities.insert(token, Rc::clone(&known));
        Some(known)
    }

    pub(super) fn verified(&mut self, token: usize, who: &Who, settings: &Settings) -> Rc<Remembered> {
        debug_assert!(who.issuer == 0 || settings.partner);
        let version = self.versions[who.issuer];
        let identity = Rc::new(Remembered { who: who.clone(), version, minted: RefCell::default() });
        self.identities.insert(token, Rc::clone(&identity));
        identity
    }

    /// To be called when the cache has said, or a verification, whose the token is that came on this connection.
    pub(super) fn taken_on(&mut self, connection: usize, token: usize, identity: &Rc<Remembered>) {
        let is_short = TOKENS[token].len() <= MAX_BYTES;
        self.connections[connection] = is_short.then(|| Last { token, identity: Rc::clone(identity), uses: 0 });
    }

    /// When the user token was made that may be sent.
    pub(super) fn minted(&self, identity: &Remembered, place: Place, now: i64) -> Option<i64> {
        let minted = identity.minted.borrow();
        let (minted, key) = minted.get(&place)?;
        (*key == self.signing_key && minted.is_usable(identity.who.end, now)).then_some(minted.at)
    }

    pub(super) fn signed(&self, identity: &Remembered, place: Place, minted: Minted) {
        identity.minted.borrow_mut().insert(place, (minted, self.signing_key));
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
        self.check(versions, settings, published, now).is_ok()
    }

    /// Whether it may be used, or else why not.
    fn check(&self, versions: &[usize; 2], settings: &Settings, published: &[Published; 2], now: i64) -> Result<(), &'static str> {
        let Who { issuer, kid, end, .. } = &self.who;
        let is_in_use = *issuer == 0 || settings.partner;
        if !is_in_use || self.version != versions[*issuer] {
            return Err("connection: of other settings");
        }
        if now >= *end {
            return Err("connection: ended");
        }
        match &published[*issuer] {
            issuer if issuer.trusts(kid, now) => Ok(()),
            issuer if issuer.has_purged(kid) => Err("connection: of a key that was purged"),
            _ => Err("connection: of a key that has ended"),
        }
    }
}

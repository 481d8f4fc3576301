//! What happens in a life.

use proptest::{collection::vec, option::weighted, prelude::*, sample::select};

use super::{corpus::TOKENS, memory::CONNECTIONS};
use crate::token::Lifetime;

/// What may happen next.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Present { connection: Option<usize>, token: usize, profile: usize, lifetime: Lifetime },
    PresentAgain { connection: usize, profile: usize, times: usize },
    Pass { seconds: i64 },
    PassToEnd { seconds_before: i64 },
    Publish { issuer: usize, keys: usize },
    Purge { issuer: usize, key: usize },
    ReplaceSigningKey(usize),
    ReloadWith(usize),
    ReloadTheSame,
    Sweep,
}

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let connection = || weighted(0.6, 0..CONNECTIONS);
    let lifetime = select(vec![Lifetime::Ttl, Lifetime::End]);
    let event = prop_oneof![
        40 => (connection(), 0..TOKENS.len(), 0..3_usize, lifetime)
            .prop_map(|(connection, token, profile, lifetime)| Event::Present { connection, token, profile, lifetime }),
        // A few tokens often, so that there is something to remember.
        40 => (connection(), 0..4_usize, 0..3_usize)
            .prop_map(|(connection, token, profile)| Event::Present { connection, token, profile, lifetime: Lifetime::Ttl }),
        // What the connection brought last, whatever became of it.
        40 => (0..CONNECTIONS, 0..3_usize, 1..10_usize)
            .prop_map(|(connection, profile, times)| Event::PresentAgain { connection, profile, times }),
        12 => select(vec![1, 5, 30, 61, 235, 241, 290, 600, 1_200]).prop_map(|seconds| Event::Pass { seconds }),
        // Of whom was admitted last.
        1 => (0..2_i64).prop_map(|seconds_before| Event::PassToEnd { seconds_before }),
        5 => (0..2_usize, 0..8_usize).prop_map(|(issuer, keys)| Event::Publish { issuer, keys }),
        3 => (0..2_usize, 0..3_usize).prop_map(|(issuer, key)| Event::Purge { issuer, key }),
        2 => (0..3_usize).prop_map(Event::ReplaceSigningKey),
        2 => (0..6_usize).prop_map(Event::ReloadWith),
        3 => Just(Event::ReloadTheSame),
        2 => Just(Event::Sweep),
    ];
    vec(event, 1..120)
}

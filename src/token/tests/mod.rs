//! Hostile tokens with the exact reason for which each is refused, and the shapes that must be accepted.
//!
//! Each row changes one thing in a token that is accepted otherwise, and signs the result again unless it says so: what a row
//! asserts is the check that it names, not a broken signature.

mod accepted;
mod attempt;
mod audience;
mod explained_forms;
mod explanation;
mod header;
mod identity;
mod issuer;
mod keys;
mod kind;
mod minted_claims;
mod minting;
mod permission;
mod random;
mod shape;
mod signature;
mod time;

use std::collections::BTreeSet;

use crate::token::Rejection;

/// One hostile token: what it is, what came of it, what must.
struct Row {
    name: &'static str,
    outcome: Result<(), Rejection>,
    expected: Rejection,
}

fn rows() -> Vec<Row> {
    [
        audience::rows(),
        header::rows(),
        identity::rows(),
        issuer::rows(),
        keys::rows(),
        kind::rows(),
        minted_claims::rows(),
        minting::rows(),
        permission::rows(),
        shape::rows(),
        signature::rows(),
        time::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_hostile_token_is_refused_for_its_own_reason() {
    let rows = rows();
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| row.outcome != Err(row.expected))
        .map(|row| format!("{}: {:?}, expected {:?}", row.name, row.outcome, row.expected))
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));

    let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have one name");
    let docs = include_str!("../../../docs/verification.md");
    assert!(docs.contains(&format!("each with its exact reason: {} |", rows.len())), "{} rows", rows.len());
}

#[test]
fn who_may_bring_a_token_gets_a_challenge_and_who_meets_our_trouble_may_try_again() {
    use Rejection::{Expired, KeysUnavailable, MissingScope, MissingToken, NoRoute, SigningOverloaded};
    let answers = |rejection: Rejection| (rejection.challenges(), rejection.is_temporary());
    assert_eq!([MissingToken, Expired, MissingScope].map(answers), [(true, false); 3]);
    assert_eq!([KeysUnavailable, SigningOverloaded, NoRoute].map(answers), [(false, true), (false, true), (false, false)]);
}

#[test]
fn every_rejection_is_produced_by_a_row_or_belongs_to_another_room() {
    let produced: BTreeSet<_> = rows().into_iter().map(|row| row.expected).collect();
    let elsewhere: BTreeSet<_> = OF_OTHER_ROOMS.iter().copied().collect();
    assert!(produced.is_disjoint(&elsewhere), "{:?}", produced.intersection(&elsewhere));
    assert_eq!(produced.union(&elsewhere).copied().collect::<Vec<_>>(), Rejection::ALL);
}

/// What no token brings about: the edge refuses these requests for what surrounds the token, the exchange for want of keys or of signers.
/// tests/suite/every_rejection.rs reads this list and produces each of them.
const OF_OTHER_ROOMS: &[Rejection] = &[
    Rejection::AmbiguousPath,
    Rejection::AmbiguousToken,
    Rejection::AuthorizationMalformed,
    Rejection::BodyMalformed,
    Rejection::BodyNotJson,
    Rejection::BodyTimeout,
    Rejection::BodyTooLarge,
    Rejection::CallerUnauthenticated,
    Rejection::CertificateMismatch,
    Rejection::CertificateRequired,
    Rejection::CodingUnsupported,
    Rejection::EndpointRequestMalformed,
    Rejection::GrantTypeUnsupported,
    Rejection::HeadersTooLarge,
    Rejection::HostMalformed,
    Rejection::IssuerMismatch,
    Rejection::KeyNotFetchedYet,
    Rejection::KeysUnavailable,
    Rejection::LengthMalformed,
    Rejection::LoginNotAllowed,
    Rejection::MethodNotAllowed,
    Rejection::Misdirected,
    Rejection::MissingToken,
    Rejection::NoRoute,
    Rejection::OriginNotAllowed,
    Rejection::PreflightNotConfigured,
    Rejection::RateLimited,
    Rejection::RequestMalformed,
    Rejection::ScopeNotGranted,
    Rejection::SigningOverloaded,
    Rejection::SubjectTokenUnsupported,
    Rejection::TargetMalformed,
    Rejection::TargetUnknown,
    Rejection::VersionNotSupported,
    Rejection::WrongUser,
];

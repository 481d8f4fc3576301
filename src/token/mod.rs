//! The core: from a client's bytes to a verified identity, and from that to our own token.
//!
//! Pure: no clock, no I/O, no locks, no framework. Time is an argument. Nothing here knows the other rooms.
//!
//! ```text
//! bytes -> BearerToken -> UnverifiedToken -> (TrustedIssuer + KeySet + now) -> VerifiedToken -> (Minter + signer + now) -> UserToken
//! ```
//!
//! [`Explanation`] runs the same checks for operators and records what each expected and found.
//!
//! `VerifiedToken` and `UserToken` are proofs: only [`TrustedIssuer::verify`] makes the one and only [`Minter::mint`] the other,
//! so a path that skips a check does not compile. A token can also be minted for an [`AssertedUser`], whom an identity provider vouches
//! for in the middle of a sign-in.

mod algorithm;
mod bearer;
mod claims;
mod explanation;
mod guid;
mod issuer;
mod json;
mod jwk;
mod key_set;
mod kind;
mod memory;
mod mint;
mod party;
mod permission;
mod raw_members;
mod rejection;
mod remedy;
mod tenant;
mod time;
mod user_id;
mod verifier;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use algorithm::algorithm_from_name;
pub(crate) use algorithm::{Scheme, algorithms_of, public_key_algorithms, signing_algorithms};
pub(crate) use bearer::one_token;
pub use bearer::{BearerToken, TokenLimits};
pub use claims::UnverifiedToken;
pub(crate) use explanation::quoted;
pub use explanation::{Circumstances, Demands, Explanation, KeysAtHand, Outcome, Step, Verdict};
pub(crate) use guid::{GUID_BYTES, is_guid, is_tenant_id};
pub use issuer::{IssuerRule, IssuerSettings, Provider, TakenAt, TenantRule, TrustedIssuer};
pub(crate) use json::{is_strict_object, strict_object};
pub use jwk::{KeyId, SkipReason, VerificationKey};
pub use key_set::{KeySet, KeySetError, KeySetLimits, SkippedKey};
pub use kind::{TokenKind, TokenKinds};
pub use mint::{
    AssertedUser, ClaimTable, ClaimValue, ClaimValueError, Lifetime, Minter, MintingProfile, Piece, Place, Source, Subject,
    TokenKeyId, TokenSigner, UserIdForm, UserToken,
};
pub use party::Party;
pub use permission::{ClaimRule, NonceRule, Permission, PermissionSettings};
pub(crate) use raw_members::RawMembers;
pub use rejection::Rejection;
pub(crate) use tenant::{CLOUDS, Cloud};
pub use time::Timestamp;
pub use user_id::UserIdRule;
pub(crate) use user_id::names_nobody;
pub use verifier::{Check, VerifiedToken};

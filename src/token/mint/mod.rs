//! The contents of a minted token, and minting it.
//!
//! ```text
//! config: "${claim:dept:-none}" -> ClaimValue -> MintingProfile -> Minter
//! Subject + Minter + TokenSigner + now -> claims (checked for power) -> UserToken
//! ```
//!
//! A minted token contains what its profile names and nothing else. Users may have chosen the values of some claims at the
//! provider, so a value that grants power in a known backend comes only from the config: see [`power`].

mod claims;
mod minter;
mod place;
pub(in crate::token) mod power;
mod profile;
mod subject;
mod table;
mod value;

pub use minter::{Minter, TokenSigner, UserToken};
pub use place::{Place, Source};
pub use profile::{Lifetime, MintingProfile, TokenKeyId, UserIdForm};
pub use subject::{AssertedUser, Subject};
pub use table::ClaimTable;
pub use value::{ClaimValue, ClaimValueError, Piece};

//! [`MintingProfile`]: the contents of the tokens for one kind of backend.

use std::{collections::BTreeMap, time::Duration};

use crate::token::{ClaimTable, ClaimValue, Source, is_guid};

/// What a minted token says. One profile for each kind of backend. Plain data; the config room checks it before it comes here.
#[derive(Clone, Debug, PartialEq)]
pub struct MintingProfile {
    /// The name in the config.
    pub name: String,
    /// The claims by their names. Never one of [`RESERVED`](Self::RESERVED).
    pub claims: BTreeMap<String, ClaimValue>,
    /// The tables that the claims look into.
    pub tables: Vec<ClaimTable>,
    /// Which user ids the backend takes.
    pub user_ids: UserIdForm,
    /// `typ` in the header; none: it is left out. Default `JWT`.
    pub token_type: Option<String>,
    /// `kid` in the header.
    pub key_id: TokenKeyId,
    /// How long tokens live where the caller leaves it to the profile.
    pub lifetime: Lifetime,
    /// Life of a token with [`Lifetime::Ttl`]. Default 300 s; 30 s to 24 h.
    pub ttl: Duration,
    /// Maximum `exp` - `iat`, for backends that refuse more; none: the client's token alone decides. At least 60 s.
    pub max_lifetime: Option<Duration>,
    /// How far `iat` is set back, for backends with slow clocks. Default 10 s; 0 to 300 s.
    pub backdate: Duration,
    /// Whether there is an `nbf`, equal to `iat`. Default no: some backends compare it strictly.
    pub not_before: bool,
    /// Whether there is a `jti`, 128 random bits in base64url. Default no.
    pub token_id: bool,
}

/// How long a minted token lives. Never longer than the client's token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// `exp` = the earlier of the client's end and now + ttl: for requests.
    #[default]
    Ttl,
    /// `exp` = the client's end: for sockets and streams, and for backends that close at the `exp` of the token.
    End,
}

/// The `kid` in the header of minted tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenKeyId {
    /// None: some backends refuse one that they do not know even if the key is right.
    #[default]
    None,
    /// The key's RFC 7638 thumbprint.
    Thumbprint,
    /// This text.
    Text(String),
}

/// Which user ids a backend takes. What a user id is at least: 1 to 256 bytes without control characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserIdForm {
    /// Any.
    #[default]
    Any,
    /// Equal to its `encodeURIComponent`: letters, digits and `-_.!~*'()` (Realm Object Server).
    UriComponent,
    /// No colon, and no underscore at the start (CouchDB's rule for names).
    CouchDb,
    /// Letters, digits and `-_+.@%` (Couchbase Sync Gateway's rule for names).
    Couchbase,
    /// A UUID (RFC 9562 section 4): Supabase's `auth.uid()` converts `sub`.
    Uuid,
}

impl MintingProfile {
    /// Claims that the gateway sets itself.
    pub const RESERVED: [&'static str; 4] = ["exp", "iat", "jti", "nbf"];

    /// The name of the profile where there is one alone.
    pub const NAME: &'static str = "default";
    /// The claim that holds the user id, where nothing else is said.
    pub const USER_ID_CLAIM: &'static str = "userId";

    /// A profile with the defaults: the user id under this claim.
    pub fn new(name: &str, user_id_claim: &str) -> Self {
        Self {
            name: name.to_owned(),
            claims: BTreeMap::from([(user_id_claim.to_owned(), ClaimValue::user_id())]),
            tables: Vec::new(),
            user_ids: UserIdForm::Any,
            token_type: Some("JWT".to_owned()),
            key_id: TokenKeyId::None,
            lifetime: Lifetime::Ttl,
            ttl: Duration::from_secs(300),
            max_lifetime: None,
            backdate: Duration::from_secs(10),
            not_before: false,
            token_id: false,
        }
    }

    /// Everything of the identity that the profile uses: of what it does not use, nothing need be kept.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let places = self.claims.values().flat_map(ClaimValue::places).map(|place| &place.source);
        places.chain(self.tables.iter().map(|table| &table.from))
    }
}

impl Default for MintingProfile {
    fn default() -> Self {
        Self::new(Self::NAME, Self::USER_ID_CLAIM)
    }
}

impl UserIdForm {
    /// Whether the backend takes this id.
    pub fn takes(self, id: &str) -> bool {
        let of = |also: &str| id.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
        match self {
            Self::Any => true,
            Self::UriComponent => of("-_.!~*'()"),
            Self::CouchDb => !id.starts_with('_') && !id.contains(':'),
            Self::Couchbase => of("-_+.@%"),
            Self::Uuid => is_guid(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_differ_in_the_ids_they_take() {
        const GUID: &str = "ab3ec3b2-a435-45e4-b93a-56a005e88bb7";
        let forms = [UserIdForm::Any, UserIdForm::UriComponent, UserIdForm::CouchDb, UserIdForm::Couchbase, UserIdForm::Uuid];
        for (id, taken) in [
            (GUID, [true; 5]),
            ("AB3EC3B2-A435-45E4-B93A-56A005E88BB7", [true; 5]),
            ("chris", [true, true, true, true, false]),
            ("chris@contoso.com", [true, false, true, true, false]),
            ("_users", [true, true, false, true, false]),
            ("org:chris", [true, false, false, false, false]),
            ("it's (a) ~*!", [true, false, true, false, false]),
            ("it's(a)~*!", [true, true, true, false, false]),
            ("é", [true, false, true, false, false]),
            ("a/../b", [true, false, true, false, false]),
            ("ab3ec3b2a43545e4b93a56a005e88bb7", [true, true, true, true, false]),
            ("ab3ec3b2-a435-45e4-b93a-56a005e88bbg", [true, true, true, true, false]),
            ("--------------------------------ab3e", [true, true, true, true, false]),
        ] {
            assert_eq!(forms.map(|form| form.takes(id)), taken, "{id}");
        }
    }
}

//! The presets of minting profiles: what each known backend expects in a token. docs/backends.md has the backend's side of the
//! config.
//!
//! A preset expands to plain settings; a key or a claim in the file overrides it.

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::Algorithm::{self, ES256, ES384, EdDSA, HS256, PS256, PS384, PS512, RS256, RS384, RS512};
use serde_json::{Value, json};

use crate::token::{ClaimValue, Lifetime, MintingProfile, UserIdForm};

/// A known backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum MintPreset {
    /// Realm Object Server.
    Realm,
    /// Apache CouchDB, PouchDB Server.
    CouchDb,
    /// PowerSync.
    PowerSync,
    /// Rocicorp Zero.
    Zero,
    /// Triplit.
    Triplit,
    /// Hasura.
    Hasura,
    /// PostgREST.
    PostgRest,
    /// Supabase.
    Supabase,
    /// Couchbase Sync Gateway.
    Couchbase,
}

/// The names of the presets.
pub(in crate::config) const MINT_PRESETS: [(&str, MintPreset); 9] = [
    ("realm", MintPreset::Realm),
    ("couchdb", MintPreset::CouchDb),
    ("powersync", MintPreset::PowerSync),
    ("zero", MintPreset::Zero),
    ("triplit", MintPreset::Triplit),
    ("hasura", MintPreset::Hasura),
    ("postgrest", MintPreset::PostgRest),
    ("supabase", MintPreset::Supabase),
    ("couchbase", MintPreset::Couchbase),
];

/// PowerSync refuses tokens that live longer, by its documentation; by its source, a day.
const POWERSYNC_MAX_LIFETIME: Duration = Duration::from_secs(3_600);

impl MintPreset {
    /// Its name in the file.
    pub(in crate::config) fn name(self) -> &'static str {
        MINT_PRESETS.iter().find(|(_, preset)| *preset == self).map_or("", |(name, _)| name)
    }

    /// The settings that it expands to.
    pub(in crate::config) fn profile(self, name: &str) -> MintingProfile {
        let mut profile = MintingProfile { claims: claims(self.claims()), ..MintingProfile::new(name, "sub") };
        match self {
            Self::Realm => profile.user_ids = UserIdForm::UriComponent,
            Self::CouchDb => profile.user_ids = UserIdForm::CouchDb,
            Self::Couchbase => profile.user_ids = UserIdForm::Couchbase,
            Self::Supabase => profile.user_ids = UserIdForm::Uuid,
            Self::PowerSync => profile.max_lifetime = Some(POWERSYNC_MAX_LIFETIME),
            Self::Zero | Self::Triplit | Self::Hasura | Self::PostgRest => {}
        }
        // These close a connection at the `exp` of the token that it began with.
        if matches!(self, Self::PowerSync | Self::Zero | Self::Triplit | Self::Hasura) {
            profile.lifetime = Lifetime::End;
        }
        profile
    }

    fn claims(self) -> Value {
        match self {
            Self::Realm => json!({ "userId": "${user_id}" }),
            Self::Hasura => json!({
                "sub": "${user_id}",
                "https://hasura.io/jwt/claims": {
                    "x-hasura-user-id": "${user_id}",
                    "x-hasura-default-role": "user",
                    "x-hasura-allowed-roles": ["user"],
                },
            }),
            Self::Supabase => json!({ "sub": "${user_id}", "aud": "authenticated", "role": "authenticated" }),
            Self::CouchDb | Self::PowerSync | Self::Zero | Self::Triplit | Self::PostgRest | Self::Couchbase => {
                json!({ "sub": "${user_id}" })
            }
        }
    }

    /// Claims that the backend wants and that only the operator knows.
    pub(in crate::config) fn required_claims(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::PowerSync => &[("aud", "one of client_auth.audience in the service's config")],
            Self::PostgRest => &[("role", "the database role that requests run as")],
            Self::Couchbase => &[
                ("iss", "the issuer in local_jwt of the database's config"),
                ("aud", "the client_id in local_jwt of the database's config"),
            ],
            Self::Realm | Self::CouchDb | Self::Zero | Self::Triplit | Self::Hasura | Self::Supabase => &[],
        }
    }

    /// The algorithms that the backend verifies.
    pub(in crate::config) fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Realm => &[RS256],
            Self::Triplit => &[RS256, HS256],
            Self::CouchDb => &[RS256, RS384, RS512, ES256, ES384, HS256],
            Self::PostgRest => &[RS256, RS384, RS512, ES256, ES384, HS256],
            Self::PowerSync | Self::Hasura | Self::Supabase => &[RS256, RS384, RS512, ES256, ES384, EdDSA, HS256],
            Self::Couchbase => &[RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA],
            Self::Zero => &[RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256],
        }
    }
}

/// The claims of a preset. They are written by us, so each can be read: a test expands every preset.
fn claims(written: Value) -> BTreeMap<String, ClaimValue> {
    match ClaimValue::from_json(written) {
        Ok(ClaimValue::Object(claims)) => claims,
        _ => BTreeMap::new(),
    }
}

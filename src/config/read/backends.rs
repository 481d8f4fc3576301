//! The presets of `routes`: what known backends and their unchanged clients need.
//!
//! A preset changes the defaults of the keys beside it; keys in the file override it. `realm` is two routes: the login, and the
//! rest. It includes the minting preset of its name, unless the file defines what is minted.

use crate::{
    config::read::mint_presets::MintPreset,
    proxy::{Access, BodyCondition, BodyPlace, ErrorShape, OnInvalid, ProtocolForm, RouteSettings, TokenPlace},
};

/// A backend that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Backend {
    /// Realm Object Server.
    Realm,
    /// Apache CouchDB, PouchDB Server.
    CouchDb,
    /// PowerSync over HTTP streams.
    PowerSync,
    /// Rocicorp Zero.
    Zero,
    /// Triplit.
    Triplit,
}

/// The names of the presets.
pub(in crate::config) const BACKENDS: [(&str, Backend); 5] = [
    ("realm", Backend::Realm),
    ("couchdb", Backend::CouchDb),
    ("powersync", Backend::PowerSync),
    ("zero", Backend::Zero),
    ("triplit", Backend::Triplit),
];

/// The path of Realm's login below that of its site.
const REALM_LOGIN: &str = "/auth";

impl Backend {
    /// Its name in the file.
    pub(in crate::config) fn name(self) -> &'static str {
        BACKENDS.iter().find(|(_, backend)| *backend == self).map_or("", |(name, _)| name)
    }

    /// What it wants to read in a token.
    pub(in crate::config) fn minting(self) -> MintPreset {
        match self {
            Self::Realm => MintPreset::Realm,
            Self::CouchDb => MintPreset::CouchDb,
            Self::PowerSync => MintPreset::PowerSync,
            Self::Zero => MintPreset::Zero,
            Self::Triplit => MintPreset::Triplit,
        }
    }

    /// The defaults of a route to it.
    pub(in crate::config) fn defaults(self) -> RouteSettings {
        let route = RouteSettings { name: self.name().to_owned(), ..RouteSettings::default() };
        match self {
            Self::Realm => RouteSettings { token_in: vec![realm_login()], errors: ErrorShape::Realm, ..route },
            Self::CouchDb => RouteSettings { errors: ErrorShape::CouchDb, ..route },
            Self::PowerSync => {
                let token =
                    |scheme: &str| TokenPlace::Header { name: http::header::AUTHORIZATION, scheme: Some(scheme.to_owned()) };
                RouteSettings { token_in: vec![token("Token"), token("Bearer")], ..route }
            }
            Self::Zero => RouteSettings {
                token_in: vec![TokenPlace::Protocol(ProtocolForm::Zero)],
                user_query: Some("userID".to_owned()),
                on_invalid: OnInvalid::LetBackendRefuse,
                ..route
            },
            Self::Triplit => RouteSettings {
                token_in: vec![TokenPlace::Query("token".to_owned()), TokenPlace::bearer()],
                on_invalid: OnInvalid::LetBackendRefuse,
                ..route
            },
        }
    }

    /// The routes that one route with this preset expands to.
    pub(in crate::config) fn expand(self, route: RouteSettings) -> Vec<RouteSettings> {
        if self != Self::Realm {
            return vec![route];
        }
        let login = RouteSettings {
            name: format!("{}-login", route.name),
            path: format!("{}{REALM_LOGIN}", route.path.trim_end_matches('/')),
            exact: true,
            methods: vec!["POST".to_owned()],
            ..route.clone()
        };
        // After the login Realm's clients show tokens of Realm's own.
        let rest = RouteSettings {
            access: Access::Public { pass_authorization: true },
            permission: Default::default(),
            token_in: vec![TokenPlace::bearer()],
            token_out: None,
            ..route
        };
        vec![login, rest]
    }
}

/// `{"provider":"jwt","data":"<token>"}`; with `"provider":"realm"` the data is a token of Realm's own.
fn realm_login() -> TokenPlace {
    let condition =
        BodyCondition { member: "provider".to_owned(), exchange: vec!["jwt".to_owned()], pass: vec!["realm".to_owned()] };
    TokenPlace::Body(BodyPlace { member: "data".to_owned(), condition: Some(condition) })
}

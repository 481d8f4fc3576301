//! What an endpoint is told. Plain data; the config room checks it before it comes here.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;

/// One endpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointSettings {
    /// RFC 8693.
    TokenExchange(TokenExchangeSettings),
    /// An identity provider asks in the middle of a sign-in.
    SignIn(SignInSettings),
    /// The public half of the signing key, as a key set (RFC 7517 section 5).
    KeySet,
    /// A fixed JSON document: metadata of RFC 8414 or RFC 9728.
    Metadata(String),
}

/// The token endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenExchangeSettings {
    /// What a client can ask for by `audience` or `resource`. Without either it gets what the route mints.
    pub targets: Vec<TargetSettings>,
    /// Who may ask. Empty: whoever has a user's token, without authentication of their own.
    pub clients: Vec<ClientSettings>,
    /// The URL by which clients know this authorization server, whose metadata (RFC 8414) is then published. None: it is not.
    pub issuer: Option<String>,
}

/// What an `audience` or a `resource` stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSettings {
    /// The value of the parameter, compared exactly.
    pub name: String,
    /// Index into the minting profiles.
    pub profile: usize,
}

/// A client of the token endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSettings {
    /// Its `client_id`.
    pub id: String,
    /// Where its secret is. None: it is a public client, and exchanges its own users' tokens alone.
    pub secret_file: Option<PathBuf>,
}

/// An endpoint for the sign-in of an identity provider.
#[derive(Clone, Debug, PartialEq)]
pub struct SignInSettings {
    /// Who asks, and how it wants to be answered.
    pub dialect: Dialect,
    /// Who may ask; never empty.
    pub callers: Vec<CallerSettings>,
    /// The claim in which the caller gets the token.
    pub token_claim: String,
    /// The member of the request that holds the user id. [`Dialect::Entra`] has a place of its own.
    pub user_id: String,
    /// Which user ids are taken.
    pub user_ids: UserIds,
    /// Most life of the minted token. Default 1 h; 1 min to 1 h: the provider's own token, which carries it, lives as long by default.
    pub lifetime: Duration,
    /// How long an answer may take. Default 700 ms; 100 ms to 20 s: Microsoft waits 1 s by default before a sign-in fails.
    pub deadline: Duration,
    /// What becomes of a sign-in for which no token can be minted.
    pub on_failure: OnFailure,
    /// What the user reads if the sign-in fails for that.
    pub user_message: String,
    /// [`Dialect::Entra`]: the tenants that are taken; never empty there.
    pub tenants: Vec<String>,
    /// [`Dialect::Entra`]: the applications to which users may sign in (their ids). Empty: any for which the tenant has set this up.
    pub applications: Vec<String>,
}

/// The protocol of a sign-in's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The RESTful technical profile of a B2C custom policy.
    B2cPolicy,
    /// The API connector of a B2C user flow, before claims are included in the token.
    B2cUserFlow,
    /// The custom authentication extension of Entra ID and External ID for the event `OnTokenIssuanceStart`.
    Entra,
}

/// How a caller proves who it is.
#[derive(Clone, Debug, PartialEq)]
pub enum CallerSettings {
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        username: String,
        /// Where the password is.
        password_file: PathBuf,
    },
    /// A secret as a bearer token.
    Bearer {
        /// Where the secret is.
        secret_file: PathBuf,
    },
    /// A secret in a header.
    ApiKey {
        /// The header.
        header: HeaderName,
        /// Where the secret is.
        secret_file: PathBuf,
    },
    /// A client certificate that the listener has verified, by either of these.
    Certificate {
        /// SHA-256 of the certificate in DER.
        thumbprints: Vec<[u8; 32]>,
        /// An alternative name of it, compared exactly.
        names: Vec<String>,
    },
    /// A token of this issuer, by its name in the config.
    Issuer(String),
}

/// Which user ids a caller may vouch for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserIds {
    /// GUIDs, as the object ids of Microsoft are.
    #[default]
    Guid,
    /// Whatever the minting profile takes, but for what looks like an e-mail address: those change hands.
    Profile,
}

/// What becomes of a sign-in for which no token can be minted. A caller that is not authenticated is always refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes on without the claim: users can sign in while the gateway has trouble.
    #[default]
    Omit,
    /// It fails.
    Fail,
}

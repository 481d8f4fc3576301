//! [`TrustedIssuer`]: whose tokens are accepted, and under which rules.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use crate::token::{
    Cloud, Rejection, TokenKinds, UnverifiedToken, UserIdRule, VerificationKey,
    tenant::{names, names_tenant_of_entra},
    user_id::UserIdSource,
};

/// The rules for the tokens of one issuer, as configured. Plain data; the config room checks it before it comes here.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerSettings {
    /// The name in the config: used in logs and as a metric label. Never from a token.
    pub name: String,
    /// Whose words the remedies use. Decides about no token.
    pub provider: Provider,
    /// What its tokens are for.
    pub taken_at: TakenAt,
    /// Which `iss` is accepted.
    pub issuer: IssuerRule,
    /// The token's `aud` must hold one of these, exactly. Not empty, unless there are `client_ids`.
    pub audiences: Vec<String>,
    /// Of a token without `aud` (Amazon Cognito), the `client_id` must be one of these. Empty: `aud` is required.
    pub client_ids: Vec<String>,
    /// Accepted algorithms. Default RS256. HMAC is never accepted, even if listed here.
    pub algorithms: Vec<Algorithm>,
    /// Policies (`tfp`, else `acr`), compared without regard to ASCII case. Empty: any.
    pub policies: Vec<String>,
    /// Authorised parties (`azp`, else `appid`, `client_id`, `cid`). Empty: any.
    pub authorized_parties: Vec<String>,
    /// The accepted kinds of token.
    pub kinds: TokenKinds,
    /// Whether tokens that are bound to a key of their client (`cnf`, RFC 7800) other than that of a certificate are accepted as bearer
    /// tokens, without checking that key (RFC 9449 section 7.1 permits it). Default yes. Those bound to a certificate are checked anyway.
    pub takes_sender_constrained: bool,
    /// Whether tokens are accepted without their groups, since the user has too many. Default yes.
    pub takes_group_overage: bool,
    /// Where the user id comes from.
    pub user_id: UserIdRule,
    /// The claim that holds the display name, if a profile uses it. .NET: `NameClaimType`.
    pub name_claim: String,
    /// The claim that holds the roles. .NET: `RoleClaimType`. Default `roles`.
    pub role_claim: String,
    /// Tolerated clock difference. Default 60 s, at most 300 s.
    pub leeway: Duration,
    /// Maximum accepted `exp` - `iat`; with it, `iat` is required. Default: no limit (Entra issues tokens of up to 28 h).
    pub max_lifetime: Option<Duration>,
    /// Claims that routes and profiles name; no other claim is kept.
    pub kept_claims: Vec<String>,
    /// The Microsoft cloud of the issuer, as `cloud_instance_name` in key sets names it: a key that names another is not used.
    pub cloud_instance: Option<String>,
    /// Whether a key that a discovery document led to speaks only for the party that the document names. Default no: with one source
    /// there are no keys of anybody else.
    pub binds_keys: bool,
}

impl IssuerSettings {
    /// The defaults: access tokens of users, signed with RS256, the user id in `sub`.
    pub fn new(name: &str, issuer: IssuerRule, audiences: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            provider: Provider::Other,
            taken_at: TakenAt::Routes,
            issuer,
            audiences,
            client_ids: Vec::new(),
            algorithms: vec![Algorithm::RS256],
            policies: Vec::new(),
            authorized_parties: Vec::new(),
            kinds: TokenKinds::default(),
            takes_sender_constrained: true,
            takes_group_overage: true,
            user_id: UserIdRule::Claims(vec!["sub".to_owned()]),
            name_claim: "name".to_owned(),
            role_claim: "roles".to_owned(),
            leeway: Duration::from_secs(60),
            max_lifetime: None,
            kept_claims: Vec::new(),
            cloud_instance: None,
            binds_keys: false,
        }
    }
}

/// Who issues the tokens: remedies speak of its portal and its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// Azure AD B2C.
    B2c,
    /// Microsoft Entra ID.
    Entra,
    /// Microsoft Entra External ID.
    ExternalId,
    /// Anybody else.
    #[default]
    Other,
}

/// Where the tokens of an issuer are taken. Those of one use are worth nothing at the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakenAt {
    /// On routes, as tokens of clients; and at the token exchange, as subject tokens.
    #[default]
    Routes,
    /// At endpoints that mint tokens, as credentials of callers who vouch for users.
    Endpoints,
}

/// Which `iss` claims belong to one configured issuer.
#[derive(Clone, Debug, PartialEq)]
pub enum IssuerRule {
    /// What the discovery document says. Takes nothing until that is known; see [`TrustedIssuer::discovered`].
    Discovered,
    /// One of these, byte for byte.
    Exact(Vec<String>),
    /// Templates with `{tenantid}` in them: the token's `tid`, put in its place, must give the `iss` by one of them.
    Template {
        /// For example `https://login.microsoftonline.com/{tenantid}/v2.0` and `https://sts.windows.net/{tenantid}/`.
        patterns: Vec<String>,
        /// Whose tokens are accepted.
        tenants: TenantRule,
    },
}

/// Tenants that a templated issuer takes.
#[derive(Clone, Debug, PartialEq)]
pub enum TenantRule {
    /// These tenant ids (GUIDs, lower case).
    Only(Vec<String>),
    /// Any tenant at all: anybody can open one. The config requires `any_tenant: true` for it.
    Any,
}

/// One issuer, ready to verify its tokens. The checks are in [`Check`](crate::token::Check).
#[derive(Debug)]
pub struct TrustedIssuer {
    name: Arc<str>,
    name_claim: Arc<str>,
    settings: IssuerSettings,
    kept_claims: Vec<Arc<str>>,
    user_id: UserIdSource,
}

impl TrustedIssuer {
    /// Prepares the rules for use.
    pub fn new(settings: IssuerSettings) -> Self {
        Self {
            name: settings.name.as_str().into(),
            name_claim: settings.name_claim.as_str().into(),
            kept_claims: settings.kept_claims.iter().map(|name| name.as_str().into()).collect(),
            user_id: UserIdSource::new(&settings.user_id),
            settings,
        }
    }

    /// The same rules for the `iss` values that discovery documents name. For [`IssuerRule::Discovered`].
    pub fn discovered(&self, issuers: Vec<String>) -> Self {
        Self::new(IssuerSettings { issuer: IssuerRule::Exact(issuers), ..self.settings.clone() })
    }

    /// The issuer's name in the config.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules as configured.
    pub fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// The issuer that a token says it comes from, as an index: its keys are the ones to try. Several may take one template, each
    /// for its own tenants; where two take the same `iss`, the first is chosen.
    ///
    /// Errors: [`Rejection::GraphToken`] and [`Rejection::OtherKind`] (a signed request) before anything else,
    /// [`Rejection::WrongTenant`] where only the tenant is on no list, [`Rejection::UnknownIssuer`].
    pub fn choose<'i>(issuers: impl IntoIterator<Item = &'i Self>, token: &UnverifiedToken<'_>) -> Result<usize, Rejection> {
        let mut rejection = Rejection::UnknownIssuer;
        if token.is_for_graph() {
            return Err(Rejection::GraphToken);
        }
        if token.is_signed_request() {
            return Err(Rejection::OtherKind);
        }
        for (index, issuer) in issuers.into_iter().enumerate() {
            match (issuer.takes_iss(token), issuer.takes_tenant(token)) {
                (true, true) => return Ok(index),
                (true, false) => rejection = Rejection::WrongTenant,
                (false, _) => {}
            }
        }
        Err(rejection)
    }

    /// Whether the `iss` is one of this issuer's.
    pub(in crate::token) fn takes_iss(&self, token: &UnverifiedToken<'_>) -> bool {
        token.issuer().is_some_and(|issuer| self.takes_name(issuer, token.tenant()))
    }

    /// Whether this is an `iss` of this issuer's, in a token of this tenant.
    fn takes_name(&self, issuer: &str, tenant: Option<&str>) -> bool {
        match &self.settings.issuer {
            IssuerRule::Discovered => false,
            IssuerRule::Exact(issuers) => issuers.iter().any(|known| known == issuer),
            IssuerRule::Template { patterns, .. } => {
                tenant.is_some_and(|tenant| patterns.iter().any(|pattern| fill(pattern, tenant) == issuer))
            }
        }
    }

    /// Whether the tenant is on the list, if there is one.
    pub(in crate::token) fn takes_tenant(&self, token: &UnverifiedToken<'_>) -> bool {
        match &self.settings.issuer {
            IssuerRule::Template { tenants: TenantRule::Only(tenants), .. } => {
                token.tenant().is_some_and(|tenant| tenants.iter().any(|known| known == tenant))
            }
            IssuerRule::Discovered | IssuerRule::Exact(_) | IssuerRule::Template { tenants: TenantRule::Any, .. } => true,
        }
    }

    pub(in crate::token) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    pub(in crate::token) fn shared_name_claim(&self) -> &Arc<str> {
        &self.name_claim
    }

    pub(in crate::token) fn kept_claims(&self) -> &[Arc<str>] {
        &self.kept_claims
    }

    pub(in crate::token) fn user_id(&self) -> &UserIdSource {
        &self.user_id
    }

    /// Whether a key may speak for the issuer of this token. One key set of Microsoft holds keys of several issuers and clouds.
    pub(in crate::token) fn check_key(&self, key: &VerificationKey, token: &UnverifiedToken<'_>) -> Result<(), Rejection> {
        let same_cloud = match (&self.settings.cloud_instance, key.cloud_instance()) {
            (Some(ours), Some(its)) => ours == its,
            _ => true,
        };
        let speaks = match (key.issuer(), token.issuer(), token.tenant()) {
            (None, ..) => true,
            (Some(_), None, _) => false,
            (Some(bound), Some(issuer), tenant) if bound.contains(TENANT) => {
                tenant.is_some_and(|tenant| self.is_same_issuer(&fill(bound, tenant), issuer, Some(tenant)))
            }
            (Some(bound), Some(issuer), tenant) => self.is_same_issuer(bound, issuer, tenant),
        };
        let is_of_party = match (key.party().filter(|_| self.settings.binds_keys), token.issuer()) {
            (None, _) => true,
            (Some(party), issuer) => issuer.is_some_and(|issuer| party.issues(issuer, token.tenant())),
        };
        if same_cloud && speaks && is_of_party { Ok(()) } else { Err(Rejection::KeyOfOtherIssuer) }
    }

    /// Whether the issuer that a key is bound to is that of the token, under this name or under its other one.
    ///
    /// A tenant has two names, and its keys bear one of them: a key of `https://login.microsoftonline.com/<tid>/v2.0` signs tokens with
    /// the `iss` `https://sts.windows.net/<tid>/` too. Both must name the token's tenant, and the name of the key must be one that this
    /// issuer takes, or the second name of a version 1 `iss` in its own cloud.
    fn is_same_issuer(&self, bound: &str, issuer: &str, tenant: Option<&str>) -> bool {
        if bound == issuer {
            return !names_tenant_of_entra(bound) || tenant.is_some_and(|tenant| names(bound, tenant));
        }
        let Some(tenant) = tenant.filter(|tenant| names(bound, tenant) && names(issuer, tenant)) else { return false };
        let is_second_name = Cloud::named(self.settings.cloud_instance.as_deref())
            .is_some_and(|cloud| issuer == cloud.issuer_1(tenant) && bound == cloud.issuer_2(tenant));
        self.takes_name(bound, Some(tenant)) || is_second_name
    }
}

/// Where the tenant id goes in issuer templates, as Microsoft's discovery documents write it.
const TENANT: &str = "{tenantid}";

fn fill(pattern: &str, tenant: &str) -> String {
    pattern.replace(TENANT, tenant)
}

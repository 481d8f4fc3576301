//! [`TrustedIssuer`]: whose tokens are taken, and under which rules.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use crate::token::{Rejection, TokenKinds, UnverifiedToken, UserIdRule, VerificationKey, user_id::UserIdSource};

/// The rules for the tokens of one issuer, as configured. Plain data; the config room checks it before it comes here.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerSettings {
    /// The name in the config: used in logs and as a metric label. Never taken from a token.
    pub name: String,
    /// Which `iss` is taken.
    pub issuer: IssuerRule,
    /// The token's `aud` must hold one of these, exactly. Never empty.
    pub audiences: Vec<String>,
    /// Algorithms that are taken. Default RS256. HMAC is never taken, whatever stands here.
    pub algorithms: Vec<Algorithm>,
    /// Policies (`tfp`, else `acr`), compared without regard to ASCII case. Empty: any.
    pub policies: Vec<String>,
    /// Authorised parties (`azp`, else `appid`). Empty: any.
    pub authorized_parties: Vec<String>,
    /// Which kinds of token are taken.
    pub kinds: TokenKinds,
    /// Where the user id comes from.
    pub user_id: UserIdRule,
    /// The claim that holds the display name, if a profile uses it. .NET: `NameClaimType`.
    pub name_claim: String,
    /// The claim that holds the roles. .NET: `RoleClaimType`. Default `roles`.
    pub role_claim: String,
    /// Tolerated clock difference. Default 60 s, at most 300 s.
    pub leeway: Duration,
    /// Longest accepted `exp` - `iat`; with it, `iat` is required. Default: no limit (Entra issues tokens of up to 28 h).
    pub max_lifetime: Option<Duration>,
    /// Claims that routes and profiles name; no other claim is kept.
    pub kept_claims: Vec<String>,
    /// The Microsoft cloud of the issuer, as `cloud_instance_name` in key sets names it: a key that names another is not used.
    pub cloud_instance: Option<String>,
}

/// Which `iss` claims belong to one configured issuer.
#[derive(Clone, Debug, PartialEq)]
pub enum IssuerRule {
    /// What the discovery document says. Takes nothing until that is known; see [`TrustedIssuer::discovered`].
    Discovered,
    /// One of these, byte for byte.
    Exact(Vec<String>),
    /// A template with `{tenantid}` in it: the token's `tid`, put in its place, must give the `iss`.
    Template {
        /// For example `https://login.microsoftonline.com/{tenantid}/v2.0`.
        pattern: String,
        /// Whose tokens are taken.
        tenants: TenantRule,
    },
}

/// Tenants that a templated issuer takes.
#[derive(Clone, Debug, PartialEq)]
pub enum TenantRule {
    /// These tenant ids (GUIDs, lower case).
    Only(Vec<String>),
    /// Any tenant at all: anybody can open one. The config demands `any_tenant: true` for it.
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
    /// Errors: [`Rejection::WrongTenant`] where only the tenant is on no list, [`Rejection::UnknownIssuer`],
    /// [`Rejection::GraphToken`].
    pub fn choose<'i>(issuers: impl IntoIterator<Item = &'i Self>, token: &UnverifiedToken<'_>) -> Result<usize, Rejection> {
        let mut rejection = token.of_unknown_issuer();
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
        let Some(issuer) = token.issuer() else { return false };
        match &self.settings.issuer {
            IssuerRule::Discovered => false,
            IssuerRule::Exact(issuers) => issuers.iter().any(|known| known == issuer),
            IssuerRule::Template { pattern, .. } => token.tenant().is_some_and(|tenant| fill(pattern, tenant) == issuer),
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
        let speaks = match (key.issuer(), token.issuer()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pattern), Some(issuer)) if pattern.contains(TENANT) => {
                token.tenant().is_some_and(|tenant| self.same_tenant_issuer(&fill(pattern, tenant), issuer, tenant))
            }
            (Some(bound), Some(issuer)) => bound == issuer,
        };
        if same_cloud && speaks { Ok(()) } else { Err(Rejection::KeyOfOtherIssuer) }
    }

    /// A tenant has two names: a key bound to `https://login.microsoftonline.com/{tenantid}/v2.0` signs tokens with the `iss`
    /// `https://sts.windows.net/<tid>/` too. Both must be configured, and both must name the token's tenant.
    fn same_tenant_issuer(&self, bound: &str, issuer: &str, tenant: &str) -> bool {
        let configured = |name: &str| match &self.settings.issuer {
            IssuerRule::Exact(issuers) => issuers.iter().any(|known| known == name),
            IssuerRule::Discovered | IssuerRule::Template { .. } => false,
        };
        bound == issuer || (configured(bound) && issuer.contains(tenant))
    }
}

/// Where the tenant id goes in issuer templates, as Microsoft's discovery documents write it.
const TENANT: &str = "{tenantid}";

fn fill(pattern: &str, tenant: &str) -> String {
    pattern.replace(TENANT, tenant)
}

//! What a route requires of a [`VerifiedToken`]: scopes, roles, claims. Checked on every request, before anything is minted.

use serde_json::Value;

use crate::token::{Rejection, VerifiedToken};

/// What a route requires, as configured. The default requires nothing beyond a verified token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionSettings {
    /// Every one of these scopes. Their characters: RFC 6749 section 3.3, since the challenge names them.
    pub all_scopes: Vec<String>,
    /// At least one of these scopes, if there are any.
    pub any_scopes: Vec<String>,
    /// Every one of these roles.
    pub all_roles: Vec<String>,
    /// At least one of these roles, if there are any.
    pub any_roles: Vec<String>,
    /// Every one of these claims with one of its values.
    pub all_claims: Vec<ClaimRule>,
    /// At least one of these claims, if there are any.
    pub any_claims: Vec<ClaimRule>,
    /// What is required of the `nonce` claim.
    pub nonce: NonceRule,
}

/// A claim that must have one of some values. The issuer's settings must keep the claim: one that is not kept is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim's name.
    pub claim: String,
    /// Values of which one must match a string, number or boolean claim, or an element of an array; numbers as JSON writes them.
    /// Empty: the claim must be there and not null.
    pub values: Vec<String>,
}

/// What a route requires of the `nonce` claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NonceRule {
    /// Nothing.
    #[default]
    Ignored,
    /// There must be none.
    Forbidden,
    /// It must equal the value of this request header.
    EqualsHeader(String),
}

/// What a route requires. The default requires nothing beyond a verified token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    settings: PermissionSettings,
    challenge_scope: Option<String>,
}

impl Permission {
    /// Prepares what is configured for use.
    pub fn new(settings: PermissionSettings) -> Self {
        // Of "any of these" the first is named: a client that asks for what the challenge says gets in, and gets no more.
        let any_is_met = settings.any_scopes.iter().any(|scope| settings.all_scopes.contains(scope));
        let one_of_any = settings.any_scopes.first().filter(|_| !any_is_met);
        let scopes: Vec<&str> = settings.all_scopes.iter().chain(one_of_any).map(String::as_str).collect();
        let challenge_scope = (!scopes.is_empty()).then(|| scopes.join(" "));
        Self { settings, challenge_scope }
    }

    /// What was configured.
    pub fn settings(&self) -> &PermissionSettings {
        &self.settings
    }

    /// Checks a token. `nonce` is the value of the header that [`NonceRule::EqualsHeader`] names, if the request has it exactly once.
    ///
    /// Errors: [`Rejection::NonceMismatch`], [`Rejection::MissingScope`], [`Rejection::MissingRole`],
    /// [`Rejection::ClaimNotAllowed`], looked for in this order; instead of the last two [`Rejection::GroupOverage`], if the role or
    /// claim is elsewhere since the user has too many groups.
    pub fn check(&self, token: &VerifiedToken, nonce: Option<&[u8]>) -> Result<(), Rejection> {
        let demands = &self.settings;
        let has_scope = |scope: &String| token.scopes().any(|granted| granted == scope);
        let has_role = |role: &String| token.roles().any(|granted| granted == role);
        let has_claim = |rule: &ClaimRule| token.claim(&rule.claim).is_some_and(|value| rule.matches(value));

        if !demands.nonce.matches(token.nonce(), nonce) {
            return Err(Rejection::NonceMismatch);
        }
        if !meets(&demands.all_scopes, &demands.any_scopes, has_scope) {
            return Err(Rejection::MissingScope);
        }
        if !meets(&demands.all_roles, &demands.any_roles, has_role) {
            return Err(if token.roles_stand_elsewhere() { Rejection::GroupOverage } else { Rejection::MissingRole });
        }
        if !meets(&demands.all_claims, &demands.any_claims, has_claim) {
            let mut rules = demands.all_claims.iter().chain(&demands.any_claims);
            let is_elsewhere = rules.any(|rule| !has_claim(rule) && token.stands_elsewhere(&rule.claim));
            return Err(if is_elsewhere { Rejection::GroupOverage } else { Rejection::ClaimNotAllowed });
        }
        Ok(())
    }

    /// The scopes to name in the challenge (RFC 6750 section 3), separated by spaces.
    pub fn challenge_scope(&self) -> Option<&str> {
        self.challenge_scope.as_deref()
    }
}

impl ClaimRule {
    /// The value of a kept claim, which is never null.
    fn matches(&self, value: &Value) -> bool {
        match value {
            _ if self.values.is_empty() => true,
            Value::Array(elements) => elements.iter().any(|element| self.matches_scalar(element)),
            scalar => self.matches_scalar(scalar),
        }
    }

    fn matches_scalar(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.values.contains(text),
            Value::Number(_) | Value::Bool(_) => self.values.contains(&value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        }
    }
}

impl NonceRule {
    fn matches(&self, claim: Option<&str>, header: Option<&[u8]>) -> bool {
        match self {
            Self::Ignored => true,
            Self::Forbidden => claim.is_none(),
            Self::EqualsHeader(_) => claim.is_some() && claim.map(str::as_bytes) == header,
        }
    }
}

fn meets<T>(all: &[T], any: &[T], has: impl Fn(&T) -> bool) -> bool {
    all.iter().all(&has) && (any.is_empty() || any.iter().any(&has))
}

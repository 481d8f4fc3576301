//! [`Explanation`]: why a token is accepted or refused, check by check, for an operator.
//!
//! It runs the code that decides about requests and records what each check expected and found. It continues after the first
//! failure, so that everything that is wrong is shown at once. It shows the header members and claims that checks read, never
//! the signature, and no claim that looks like a token itself. All text from the token is quoted, escaped and truncated.

mod findings;
mod form;
mod text;

pub(crate) use self::text::quoted;

use self::findings::Findings;
use crate::token::{
    BearerToken, Check, IssuerRule, KeySet, Permission, Provider, Rejection, SkippedKey, Timestamp, TokenLimits, TrustedIssuer,
    UnverifiedToken,
};

/// What decides about a token beside the token itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The configured issuers.
    pub issuers: &'a [TrustedIssuer],
    /// How large the token's parts may be.
    pub limits: &'a TokenLimits,
    /// The keys of the issuer that [`Explanation::issuer_of`] names.
    pub keys: KeysAtHand<'a>,
    /// What a route requires, if one is checked.
    pub demands: Option<Demands<'a>>,
    /// When the token comes.
    pub now: Timestamp,
}

/// The keys of one issuer, and what is known to be missing from them.
#[derive(Clone, Copy, Debug)]
pub struct KeysAtHand<'a> {
    /// The keys that can be used.
    pub set: &'a KeySet,
    /// The keys that the provider publishes and that cannot be used.
    pub skipped: &'a [SkippedKey],
    /// The names of keys that the config denies.
    pub denied: &'a [String],
    /// The keys that the provider publishes and that the config denies, by whatever name.
    pub denied_keys: &'a KeySet,
    /// Why there may be more keys: a source that could not be fetched.
    pub missing: Option<&'a str>,
}

/// What a route requires of the token, and the request's part of it.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'a> {
    /// The route's rule.
    pub permission: &'a Permission,
    /// The value of the route's nonce header.
    pub nonce: Option<&'a [u8]>,
}

/// What came of a token, check by check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The configured issuer whose rules were applied. None if the token belongs to none of several.
    pub issuer: Option<String>,
    /// Whose words remedies use: that issuer's provider, else that of the only issuer.
    provider: Provider,
    /// The checks in their order, as far as they could be made.
    pub steps: Vec<Step>,
}

/// One check. The texts hold printable ASCII only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name: `token`, `claims`, `trusted_issuer`, the label of a [`Check`], or `permission`.
    pub name: &'static str,
    /// What would pass.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed(Rejection),
    /// Unknown, since keys are missing.
    Unknown,
    /// It was not made, since it depends on another one that failed.
    NotMade,
}

/// What the gateway would do with the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it in.
    Accepted,
    /// Refuse it.
    Refused(Rejection),
    /// That depends on keys that are not available.
    Unknown,
}

impl Explanation {
    /// The index of the issuer whose rules and keys a token is held against: the one that it says it comes from, else the only one.
    pub fn issuer_of(bytes: &[u8], limits: &TokenLimits, issuers: &[TrustedIssuer]) -> Option<usize> {
        let bearer = BearerToken::parse(bytes, limits).ok()?;
        let token = UnverifiedToken::open(&bearer).ok()?;
        TrustedIssuer::choose(issuers, &token)
            .ok()
            .or_else(|| issuers.iter().position(|issuer| issuer.takes_iss(&token)))
            .or_else(|| (issuers.len() == 1).then_some(0))
    }

    /// Makes every check that can be made.
    pub fn of(bytes: &[u8], around: &Circumstances<'_>) -> Self {
        let provider = match around.issuers {
            [only] => only.settings().provider,
            _ => Provider::Other,
        };
        let mut explanation = Self { issuer: None, provider, steps: Vec::new() };
        explanation.walk(bytes, around);
        explanation
    }

    /// What to change so that a check passes, in the words of the provider.
    pub fn change(&self, step: &Step) -> Option<&'static str> {
        match (step.name, step.outcome) {
            ("claims", Outcome::Failed(Rejection::ClaimsMalformed)) => Some(
                "Provider: the payload must be one JSON object in UTF-8, without a byte order mark. This one cannot be parsed.",
            ),
            (_, Outcome::Failed(rejection)) => Some(rejection.remedy_of(self.provider)),
            (_, Outcome::Unknown) => Some(Rejection::KeysUnavailable.remedy_of(self.provider)),
            (_, Outcome::Passed | Outcome::NotMade) => None,
        }
    }

    /// The first failure decides, as it does for a request.
    pub fn verdict(&self) -> Verdict {
        match self.decisive().map(|step| step.outcome) {
            None => Verdict::Accepted,
            Some(Outcome::Failed(rejection)) => Verdict::Refused(rejection),
            Some(_) => Verdict::Unknown,
        }
    }

    /// The check that decides, unless all hold.
    pub fn decisive(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.outcome != Outcome::Passed)
    }

    /// Stops where a check takes away what the following ones would look at.
    fn walk(&mut self, bytes: &[u8], around: &Circumstances<'_>) {
        let bearer = BearerToken::parse(bytes, around.limits);
        self.note("token", findings::compact_form(around.limits), findings::form_of(bytes, &bearer, around.limits), &bearer);
        let Ok(bearer) = bearer else { return };
        let token = UnverifiedToken::open(&bearer);
        let payload = findings::payload_of(bearer.payload());
        self.note("claims", "a JSON object without duplicate members".into(), payload, &token);
        let Ok(token) = token else { return };
        let chosen = TrustedIssuer::choose(around.issuers, &token);
        let found = findings::origin(&token);
        self.note("trusted_issuer", findings::trusted(around.issuers), found, &chosen);
        // As the exchange sees it: an issuer that was not discovered yet may be the one.
        if let (Err(Rejection::UnknownIssuer), Some(step)) = (&chosen, self.steps.last_mut())
            && around.issuers.iter().any(is_undiscovered)
        {
            step.outcome = Outcome::Unknown;
        }
        let index = Self::issuer_of(bytes, around.limits, around.issuers);
        let Some(issuer) = index.and_then(|index| around.issuers.get(index)) else { return };
        self.issuer = Some(issuer.name().to_owned());
        self.provider = issuer.settings().provider;
        self.checks(issuer, &token, around);
        if let Some(demands) = &around.demands {
            self.permission(issuer, &token, around, demands);
        }
    }

    fn checks(&mut self, issuer: &TrustedIssuer, token: &UnverifiedToken<'_>, around: &Circumstances<'_>) {
        let findings = Findings { issuer, token, keys: around.keys, now: around.now };
        for check in Check::ALL {
            let rests_on = match check {
                Check::Key => Some(Check::Algorithm),
                Check::KeyIssuer | Check::Signature => Some(Check::Key),
                _ => None,
            };
            let outcome = match issuer.check(check, token, around.keys.set, around.now) {
                Ok(()) => Outcome::Passed,
                Err(_) if rests_on.is_some_and(|other| !self.passed(other)) => Outcome::NotMade,
                Err(Rejection::UnknownKey) if findings.is_denied() => Outcome::Failed(Rejection::UnknownKey),
                // As the exchange sees it: without all keys nobody can say that there is none of this name.
                Err(Rejection::UnknownKey) if around.keys.missing.is_some() => Outcome::Unknown,
                Err(Rejection::UnknownIssuer) if is_undiscovered(issuer) => Outcome::Unknown,
                Err(rejection) => Outcome::Failed(rejection),
            };
            let found = if outcome == Outcome::NotMade { "not checked".to_owned() } else { findings.found(check, outcome) };
            self.steps.push(Step { name: check.label(), expected: findings.expected(check), found, outcome });
        }
    }

    fn permission(
        &mut self,
        issuer: &TrustedIssuer,
        token: &UnverifiedToken<'_>,
        around: &Circumstances<'_>,
        demands: &Demands<'_>,
    ) {
        let expected = findings::demanded(demands.permission.settings());
        let Ok(verified) = issuer.verify(token, around.keys.set, around.now) else {
            let found = "the token is not verified".to_owned();
            return self.steps.push(Step { name: "permission", expected, found, outcome: Outcome::NotMade });
        };
        let outcome = demands.permission.check(&verified, demands.nonce);
        self.note("permission", expected, findings::granted(&verified, demands), &outcome);
    }

    fn passed(&self, check: Check) -> bool {
        self.steps.iter().any(|step| step.name == check.label() && step.outcome == Outcome::Passed)
    }

    fn note<T>(&mut self, name: &'static str, expected: String, found: String, outcome: &Result<T, Rejection>) {
        let outcome = outcome.as_ref().map_or_else(|rejection| Outcome::Failed(*rejection), |_| Outcome::Passed);
        self.steps.push(Step { name, expected, found, outcome });
    }
}

/// Whether the `iss` of this issuer is in a discovery document that is not available.
fn is_undiscovered(issuer: &TrustedIssuer) -> bool {
    issuer.settings().issuer == IssuerRule::Discovered
}

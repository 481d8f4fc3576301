//! What each check expects and what it finds, in words.

use super::{
    Demands, KeysAtHand, Outcome, form,
    text::{bytes as count_of_bytes, claim, date, list, quoted, span},
};
use crate::token::{
    BearerToken, Check, ClaimRule, IssuerRule, NonceRule, PermissionSettings, Rejection, TenantRule, Timestamp, TokenKind,
    TokenLimits, TrustedIssuer, UnverifiedToken, UserIdRule, VerificationKey, VerifiedToken, algorithm_from_name,
    claims::{CERTIFICATE_HASH, PARTIES},
    json::{self, Value},
};

/// The form of a token.
pub(super) fn compact_form(limits: &TokenLimits) -> String {
    format!("three base64url segments, at most {} bytes; a header without critical parameters", limits.token)
}

/// The form of these bytes, which may be anything.
pub(super) fn form_of(bytes: &[u8], bearer: &Result<BearerToken<'_>, Rejection>, limits: &TokenLimits) -> String {
    let segments = bytes.split(|byte| *byte == b'.').count();
    let form = format!("{}, {segments} segment{}", count_of_bytes(bytes.len()), if segments == 1 { "" } else { "s" });
    match bearer {
        Ok(bearer) => {
            let named = |name: &str, value: Option<&str>| value.map(|value| format!(", {name} {}", quoted(value)));
            let members = [("alg", Some(bearer.algorithm())), ("kid", bearer.key_id()), ("typ", bearer.media_type())];
            members.into_iter().fold(form, |form, (name, value)| form + &named(name, value).unwrap_or_default())
        }
        Err(rejection) => format!("{form}, {}", form::token_trouble(bytes, limits, *rejection)),
    }
}

/// The claims of a token, which may be anything.
pub(super) fn payload_of(payload: &[u8]) -> String {
    let size = count_of_bytes(payload.len());
    match json::parse_object(payload) {
        Ok(_) => size,
        Err(error) => {
            let trouble = form::json_trouble(payload, error);
            format!("{size}, which {}", if payload.len() == 1 { trouble } else { in_plural(&trouble) })
        }
    }
}

/// "is" to "are" and so on, for a plural of bytes.
fn in_plural(trouble: &str) -> String {
    let (verb, rest) = trouble.split_once(' ').unwrap_or((trouble, ""));
    let verb = match verb {
        "is" => "are",
        "has" => "have",
        "begins" => "begin",
        other => other,
    };
    format!("{verb} {rest}")
}

/// Every accepted `iss`.
pub(super) fn trusted(issuers: &[TrustedIssuer]) -> String {
    let of_each: Vec<_> = issuers.iter().map(|issuer| format!("{}: {}", issuer.name(), iss_of(issuer))).collect();
    of_each.join("; ")
}

/// Where the token says it comes from.
pub(super) fn origin(token: &UnverifiedToken<'_>) -> String {
    let tenant = token.get("tid").map(|tenant| format!(", tid {}", claim(Some(tenant))));
    let around = if token.is_signed_request() { "; it is a signed request, whose claim at holds the token" } else { "" };
    format!("iss {}{}{around}", claim(token.get("iss")), tenant.unwrap_or_default())
}

/// What a route requires.
pub(super) fn demanded(demands: &PermissionSettings) -> String {
    let mut parts = Vec::new();
    let mut part = |what: &str, values: &[String]| {
        if !values.is_empty() {
            parts.push(format!("{what} {}", list(values)));
        }
    };
    part("scopes", &demands.all_scopes);
    part("one of the scopes", &demands.any_scopes);
    part("roles", &demands.all_roles);
    part("one of the roles", &demands.any_roles);
    part("claims", &demands.all_claims.iter().map(claim_rule).collect::<Vec<_>>());
    part("one of the claims", &demands.any_claims.iter().map(claim_rule).collect::<Vec<_>>());
    match &demands.nonce {
        NonceRule::Ignored => {}
        NonceRule::Forbidden => parts.push("no nonce".to_owned()),
        NonceRule::EqualsHeader(name) => parts.push(format!("a nonce that equals the header {name}")),
    }
    if parts.is_empty() { "nothing but a verified token".to_owned() } else { parts.join("; ") }
}

/// What the token brings for it.
pub(super) fn granted(verified: &VerifiedToken, demands: &Demands<'_>) -> String {
    let settings = demands.permission.settings();
    let texts = |what: &str, texts: Vec<&str>| {
        if texts.is_empty() { format!("no {what}") } else { format!("{what} {}", list(texts)) }
    };
    const ELSEWHERE: &str = ": not in the token, since the user has too many groups";
    let elsewhere = |is_elsewhere: bool| if is_elsewhere { ELSEWHERE } else { "" };
    let roles = texts("roles", verified.roles().collect()) + elsewhere(verified.roles_stand_elsewhere());
    let mut parts = vec![texts("scopes", verified.scopes().collect()), roles];
    for rule in settings.all_claims.iter().chain(&settings.any_claims) {
        let value = verified.claim(&rule.claim).map_or_else(|| "none".to_owned(), |value| quoted(&value.to_string()));
        parts.push(format!("{} {value}{}", rule.claim, elsewhere(verified.stands_elsewhere(&rule.claim))));
    }
    match (&settings.nonce, verified.nonce()) {
        (NonceRule::Ignored, _) => {}
        (_, None) => parts.push("no nonce".to_owned()),
        (NonceRule::Forbidden, Some(_)) => parts.push("a nonce".to_owned()),
        (NonceRule::EqualsHeader(_), Some(nonce)) => parts.push(match demands.nonce {
            None => "a nonce, and no header value to compare it with".to_owned(),
            Some(header) if header == nonce.as_bytes() => "the same nonce".to_owned(),
            Some(_) => "another nonce".to_owned(),
        }),
    }
    parts.join("; ")
}

/// What the checks of one issuer look at.
pub(super) struct Findings<'a> {
    pub(super) issuer: &'a TrustedIssuer,
    pub(super) token: &'a UnverifiedToken<'a>,
    pub(super) keys: KeysAtHand<'a>,
    pub(super) now: Timestamp,
}

impl Findings<'_> {
    /// What would pass.
    pub(super) fn expected(&self, check: Check) -> String {
        let settings = self.issuer.settings();
        let one_of = |texts: &[String]| if texts.is_empty() { "any".to_owned() } else { format!("one of {}", list(texts)) };
        let latest = || format!("none, or at most {}", self.now.plus(settings.leeway));
        match check {
            Check::Algorithm => {
                let names: Vec<_> = settings.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
                one_of(&names)
            }
            Check::Issuer => iss_of(self.issuer),
            Check::Expiry => format!("after {}", self.now.minus(settings.leeway)),
            Check::NotBefore | Check::IssuedAt => latest(),
            Check::Lifetime => match settings.max_lifetime {
                None => "any".to_owned(),
                Some(longest) => format!("at most {}", span(longest)),
            },
            Check::Audience => match (settings.audiences.is_empty(), settings.client_ids.is_empty()) {
                (_, true) => one_of(&settings.audiences),
                (true, false) => format!("no aud, and a client_id that is one of {}", list(&settings.client_ids)),
                (false, false) => {
                    format!(
                        "one of {}; or no aud, and a client_id that is one of {}",
                        list(&settings.audiences),
                        list(&settings.client_ids)
                    )
                }
            },
            Check::Tenant => match &settings.issuer {
                IssuerRule::Template { tenants: TenantRule::Only(tenants), .. } => one_of(tenants),
                IssuerRule::Template { tenants: TenantRule::Any, .. } | IssuerRule::Exact(_) | IssuerRule::Discovered => {
                    "any".to_owned()
                }
            },
            Check::Policy => one_of(&settings.policies),
            Check::AuthorizedParty => one_of(&settings.authorized_parties),
            Check::Kind => {
                let taken = [
                    (settings.kinds.access, TokenKind::Access),
                    (settings.kinds.id, TokenKind::Id),
                    (settings.kinds.app_only, TokenKind::AppOnly),
                ];
                taken.iter().filter(|(taken, _)| *taken).map(|(_, kind)| kind_name(*kind)).collect::<Vec<_>>().join(" or ")
            }
            Check::SenderConstraint => if settings.takes_sender_constrained { "any" } else { "no cnf but x5t#S256" }.to_owned(),
            Check::GroupOverage => if settings.takes_group_overage { "any" } else { "all groups in the token" }.to_owned(),
            Check::UserId => match &settings.user_id {
                UserIdRule::Claims(names) if names.len() > 1 => format!("{}, which must agree", names.join(", or else ")),
                UserIdRule::Claims(names) => names.concat(),
                UserIdRule::Template(template) => template.clone(),
            },
            Check::Key => {
                let keys = self.keys.set.keys();
                let names = list(keys.iter().map(|key| key.kid().unwrap_or("(no kid)")));
                match keys.len() {
                    0 if !self.keys.skipped.is_empty() => {
                        let mut reasons: Vec<_> = self.keys.skipped.iter().map(|key| key.reason.label()).collect();
                        reasons.sort_unstable();
                        reasons.dedup();
                        format!("a key of the issuer; none of its published keys can be used: {}", reasons.join(", "))
                    }
                    0 => "a key of the issuer; it has none".to_owned(),
                    1 => format!("the key {names}"),
                    number => format!("one of {number} keys: {names}"),
                }
            }
            Check::KeyIssuer => {
                let cloud = settings.cloud_instance.as_ref().map(|cloud| format!(" and cloud {}", quoted(cloud)));
                format!("a key of the token's issuer{}, or one without an issuer", cloud.unwrap_or_default())
            }
            Check::Signature => "valid for the key".to_owned(),
        }
    }

    /// What is there.
    pub(super) fn found(&self, check: Check, outcome: Outcome) -> String {
        let token = self.token;
        let either = |first: &'static str, second: &'static str| {
            let name = if token.has(first) { first } else { second };
            token.get(name).map_or_else(|| "none".to_owned(), |value| format!("{name} {}", claim(Some(value))))
        };
        let moment = |name: &str| match token.date(name) {
            Ok(Some(moment)) => date(moment, self.now),
            _ => claim(token.get(name)),
        };
        match check {
            Check::Algorithm => quoted(token.bearer().algorithm()),
            Check::Issuer => claim(token.get("iss")),
            Check::Expiry => moment("exp"),
            Check::NotBefore => moment("nbf"),
            Check::IssuedAt => moment("iat"),
            Check::Lifetime => match (token.date("exp"), token.date("iat")) {
                (Ok(Some(expiry)), Ok(Some(issued_at))) => span(expiry.since(issued_at)),
                _ => "unknown without exp and iat".to_owned(),
            },
            Check::Audience => match (token.get("aud"), token.get("client_id")) {
                (None, Some(client)) => format!("none, client_id {}", claim(Some(client))),
                (audience, _) => claim(audience),
            },
            Check::Tenant => claim(token.get("tid")),
            Check::Policy => either("tfp", "acr"),
            Check::AuthorizedParty => {
                let party = PARTIES.iter().find_map(|name| token.get(name).map(|value| format!("{name} {}", claim(Some(value)))));
                party.unwrap_or_else(|| "none".to_owned())
            }
            Check::Kind => match TokenKind::told(token, &self.issuer.settings().role_claim) {
                Ok((kind, sign)) => format!("{}: {sign}", kind_name(kind)),
                Err(_) => format!("unknown: {}", self.malformed()),
            },
            Check::SenderConstraint => match token.get("cnf") {
                None => "no cnf".to_owned(),
                Some(Value::Object(members)) if members.is_only(CERTIFICATE_HASH) => {
                    format!("cnf with {CERTIFICATE_HASH}: accepted only on a connection with that certificate")
                }
                Some(Value::Object(members)) => {
                    let known = ["jkt", "x5t#S256", "jwk", "kid"].into_iter().find(|name| members.get(name).is_some());
                    known.map_or_else(|| "cnf".to_owned(), |name| format!("cnf with {name}"))
                }
                Some(_) => "cnf".to_owned(),
            },
            Check::GroupOverage => {
                let elsewhere = |name: &&str| token.stands_elsewhere(name);
                let role_claim = self.issuer.settings().role_claim.as_str();
                match ["groups", role_claim].iter().find(|name| elsewhere(name)) {
                    Some(name) => format!("{name} is not in the token, since the user has too many groups"),
                    None => "complete".to_owned(),
                }
            }
            Check::UserId => self.user_id(),
            Check::Key => self.key(outcome),
            Check::KeyIssuer => {
                self.found_key().map_or_else(|| "none".to_owned(), |key| binding(key, self.issuer.settings().binds_keys))
            }
            Check::Signature if outcome == Outcome::Passed => "valid".to_owned(),
            Check::Signature => "not valid".to_owned(),
        }
    }

    /// The claim that has the wrong type.
    fn malformed(&self) -> String {
        let name = self.token.malformed_claim(&self.issuer.settings().role_claim);
        let told = name.and_then(|name| {
            let found = match self.token.get(name)? {
                Value::Array(_) => "an array that does not hold only strings",
                value => form::type_of(value),
            };
            Some(format!("the claim {name} is {found}"))
        });
        told.unwrap_or_else(|| "a claim has the wrong type".to_owned())
    }

    /// The claims that the user id is made of, and what comes of them.
    fn user_id(&self) -> String {
        let source = self.issuer.user_id();
        let names = source.claims();
        let each: Vec<_> = names.iter().map(|name| format!("{name} {}", claim(self.token.get(name)))).collect();
        match source.read(self.token) {
            Ok(id) if names.len() > 1 => format!("{}: {}", each.join(", "), quoted(&id)),
            _ => each.join(", "),
        }
    }

    /// What the token says about its key, and why that key cannot be used.
    fn key(&self, outcome: Outcome) -> String {
        let bearer = self.token.bearer();
        let thumbprint = bearer.x5t().or(bearer.x5t_s256());
        let named = match (bearer.key_id(), thumbprint) {
            (Some(kid), _) => format!("kid {}", quoted(kid)),
            (None, Some(thumbprint)) => format!("x5t {}", quoted(thumbprint)),
            (None, None) => "neither kid nor x5t".to_owned(),
        };
        if let (Some(key), false) = (self.denied_key(), outcome == Outcome::Passed || self.is_denied_by_name()) {
            return format!("{named}: the key {}, which the config denies", key.id());
        }
        let skipped = self.keys.skipped.iter().find(|key| key.kid.is_some() && key.kid.as_deref() == bearer.key_id());
        match (outcome, skipped) {
            (Outcome::Passed, _) => named,
            _ if self.is_denied_by_name() => format!("{named}, which the config denies"),
            (_, Some(skipped)) => format!("{named}, which is published but not used: {}", skipped.reason.label()),
            (Outcome::Unknown, None) => format!("{named}; {}", self.keys.missing.unwrap_or_default()),
            _ => named,
        }
    }

    /// Whether the config denies the key of the token, so that other keys which are missing do not matter.
    pub(super) fn is_denied(&self) -> bool {
        self.is_denied_by_name() || self.denied_key().is_some()
    }

    fn is_denied_by_name(&self) -> bool {
        self.token.bearer().key_id().is_some_and(|kid| self.keys.denied.iter().any(|denied| denied == kid))
    }

    /// The denied key that signed the token.
    fn denied_key(&self) -> Option<&VerificationKey> {
        let (denied, bearer) = (self.keys.denied_keys, self.token.bearer());
        self.issuer.check(Check::Signature, self.token, denied, self.now).ok()?;
        denied.find(bearer, algorithm_from_name(bearer.algorithm())?).ok().map(AsRef::as_ref)
    }

    fn found_key(&self) -> Option<&VerificationKey> {
        let bearer = self.token.bearer();
        let speaks = |key: &VerificationKey| self.issuer.check_key(key, self.token).is_ok();
        self.keys.set.find_for(bearer, algorithm_from_name(bearer.algorithm())?, speaks).ok().map(AsRef::as_ref)
    }
}

/// The `iss` that an issuer takes.
fn iss_of(issuer: &TrustedIssuer) -> String {
    match &issuer.settings().issuer {
        IssuerRule::Discovered => "the issuer in its discovery document, which is not known here".to_owned(),
        IssuerRule::Exact(issuers) => list(issuers),
        IssuerRule::Template { patterns, tenants: TenantRule::Any } => format!("{} for any tid", list(patterns)),
        IssuerRule::Template { patterns, tenants: TenantRule::Only(tenants) } => {
            format!("{} for tid {}", list(patterns), list(tenants))
        }
    }
}

/// The issuer and cloud that a key is for.
fn binding(key: &VerificationKey, by_document: bool) -> String {
    let mut binding = "a key of ".to_owned();
    binding += &key.issuer().map_or_else(|| "any issuer".to_owned(), quoted);
    if let Some(cloud) = key.cloud_instance() {
        binding += &format!(" in cloud {}", quoted(cloud));
    }
    if let Some(party) = key.party().filter(|_| by_document) {
        binding += &format!(", from the discovery document of {}", quoted(party.as_str()));
    }
    binding
}

fn claim_rule(rule: &ClaimRule) -> String {
    if rule.values.is_empty() { rule.claim.clone() } else { format!("{}={}", rule.claim, rule.values.join("|")) }
}

fn kind_name(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Access => "an access token of a user",
        TokenKind::Id => "an id token",
        TokenKind::AppOnly => "a token of an application",
        TokenKind::Other => "another kind of token",
    }
}

//! [`VerifiedToken`], the proof that a token was verified, and the checks that make one.

use std::{fmt, sync::Arc};

use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::token::{
    KeyId, KeySet, Rejection, Timestamp, TokenKind, TrustedIssuer, UnverifiedToken, VerificationKey, algorithm_from_name,
    memory::{allocation, heap_bytes},
};

/// One thing that must hold of a token, in the order in which [`TrustedIssuer::verify`] looks: what is cheap first, the signature
/// late. What comes after it is told to the client, since the token is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// `alg` is in the issuer's list.
    Algorithm,
    /// `iss` belongs to the issuer.
    Issuer,
    /// `exp` is there and not past, leeway included.
    Expiry,
    /// `nbf`, if there, is reached, leeway included.
    NotBefore,
    /// `iat`, if there, is not in the future, leeway included.
    IssuedAt,
    /// `exp` - `iat` is within the issuer's longest lifetime, if it has one.
    Lifetime,
    /// `aud` holds one of ours; or there is none, and `client_id` is one of ours.
    Audience,
    /// `tid` is on the list of a templated issuer.
    Tenant,
    /// `tfp`, else `acr`, is on the list, if there is one.
    Policy,
    /// `azp`, else `appid`, `client_id`, `cid`, is on the list, if there is one.
    AuthorizedParty,
    /// It is an access token, or of another kind that the issuer takes.
    Kind,
    /// It is bound to no key of its client, unless the issuer's rule takes such tokens as bearer tokens.
    SenderConstraint,
    /// The claims name one user.
    UserId,
    /// The key is known and permits the algorithm.
    Key,
    /// The key belongs to the token's issuer and cloud.
    KeyIssuer,
    /// The signature holds.
    Signature,
    /// No groups are elsewhere, unless the issuer's rule takes such tokens.
    GroupOverage,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 17] = [
        Self::Algorithm,
        Self::Issuer,
        Self::Expiry,
        Self::NotBefore,
        Self::IssuedAt,
        Self::Lifetime,
        Self::Audience,
        Self::Tenant,
        Self::Policy,
        Self::AuthorizedParty,
        Self::Kind,
        Self::SenderConstraint,
        Self::UserId,
        Self::Key,
        Self::KeyIssuer,
        Self::Signature,
        Self::GroupOverage,
    ];

    /// Its name for operators.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Expiry => "expiry",
            Self::NotBefore => "not_before",
            Self::IssuedAt => "issued_at",
            Self::Lifetime => "lifetime",
            Self::Audience => "audience",
            Self::Tenant => "tenant",
            Self::Policy => "policy",
            Self::AuthorizedParty => "authorized_party",
            Self::Kind => "kind",
            Self::SenderConstraint => "sender_constraint",
            Self::UserId => "user_id",
            Self::Key => "key",
            Self::KeyIssuer => "key_issuer",
            Self::Signature => "signature",
            Self::GroupOverage => "group_overage",
        }
    }

    /// Whether the check looks at the issuer's keys.
    pub const fn needs_key(self) -> bool {
        matches!(self, Self::Key | Self::KeyIssuer | Self::Signature)
    }
}

impl TrustedIssuer {
    /// Verifies a token: every [`Check`] in its order. The only maker of [`VerifiedToken`].
    ///
    /// Errors: the [`Rejection`] of the first check that fails.
    pub fn verify(&self, token: &UnverifiedToken<'_>, keys: &KeySet, now: Timestamp) -> Result<VerifiedToken, Rejection> {
        for check in Check::ALL {
            self.check(check, token, keys, now)?;
        }
        VerifiedToken::new(self, token, self.key(token, keys)?.1)
    }

    /// Whether all would be well if key and signature were: such a token may spend a refresh of the key set.
    pub fn would_pass(&self, token: &UnverifiedToken<'_>, now: Timestamp) -> bool {
        let no_keys = KeySet::default();
        Check::ALL.iter().filter(|check| !check.needs_key()).all(|check| self.check(*check, token, &no_keys, now).is_ok())
    }

    /// Makes one check, whatever the others say.
    pub fn check(&self, check: Check, token: &UnverifiedToken<'_>, keys: &KeySet, now: Timestamp) -> Result<(), Rejection> {
        match check {
            Check::Algorithm => self.algorithm(token).map(drop),
            Check::Issuer => require(self.takes_iss(token), Rejection::UnknownIssuer),
            Check::Expiry => require(now < self.end(token)?, Rejection::Expired),
            Check::NotBefore => self.not_after(token.date("nbf")?, now, Rejection::NotYetValid),
            Check::IssuedAt => self.not_after(token.date("iat")?, now, Rejection::IssuedInFuture),
            Check::Lifetime => self.lifetime(token),
            Check::Audience => self.audience(token),
            Check::Tenant => require(self.takes_tenant(token), Rejection::WrongTenant),
            Check::Policy => listed(&self.settings().policies, token.policy(), str::eq_ignore_ascii_case, Rejection::WrongPolicy),
            Check::AuthorizedParty => {
                let known = &self.settings().authorized_parties;
                let parties = if known.is_empty() { return Ok(()) } else { token.authorized_parties()? };
                let all_known = parties.iter().all(|party| known.iter().any(|known| known == party));
                require(all_known && !parties.is_empty(), Rejection::WrongParty)
            }
            Check::Kind => self.settings().kinds.take(TokenKind::of(token, &self.settings().role_claim)?),
            Check::SenderConstraint => {
                let taken = self.settings().takes_sender_constrained || !token.has_unchecked_key();
                require(taken, Rejection::SenderConstrained)?;
                token.certificate().map(drop)
            }
            Check::UserId => self.user_id().read(token).map(drop),
            Check::Key => self.key(token, keys).map(drop),
            Check::KeyIssuer => self.check_key(self.key(token, keys)?.1, token),
            Check::Signature => {
                let (algorithm, key) = self.key(token, keys)?;
                key.verify(algorithm, token.bearer().signed_bytes(), token.bearer().signature())
            }
            Check::GroupOverage => {
                let elsewhere = token.stands_elsewhere("groups") || token.stands_elsewhere(&self.settings().role_claim);
                require(self.settings().takes_group_overage || !elsewhere, Rejection::GroupOverage)
            }
        }
    }

    fn algorithm(&self, token: &UnverifiedToken<'_>) -> Result<Algorithm, Rejection> {
        algorithm_from_name(token.bearer().algorithm())
            .filter(|algorithm| self.settings().algorithms.contains(algorithm))
            .ok_or(Rejection::AlgorithmNotAllowed)
    }

    fn key<'k>(&self, token: &UnverifiedToken<'_>, keys: &'k KeySet) -> Result<(Algorithm, &'k VerificationKey), Rejection> {
        let algorithm = self.algorithm(token)?;
        let key = keys.find_for(token.bearer(), algorithm, |key| self.check_key(key, token).is_ok())?;
        require(key.permits(algorithm), Rejection::KeyNotForAlgorithm)?;
        Ok((algorithm, key))
    }

    /// When everything based on this token ends. At exactly that time it has expired: RFC 7519 section 4.1.4.
    fn end(&self, token: &UnverifiedToken<'_>) -> Result<Timestamp, Rejection> {
        Ok(token.date("exp")?.ok_or(Rejection::ExpiryMissing)?.plus(self.settings().leeway))
    }

    fn not_after(&self, date: Option<Timestamp>, now: Timestamp, rejection: Rejection) -> Result<(), Rejection> {
        require(date.is_none_or(|date| date <= now.plus(self.settings().leeway)), rejection)
    }

    fn lifetime(&self, token: &UnverifiedToken<'_>) -> Result<(), Rejection> {
        let Some(longest) = self.settings().max_lifetime else { return Ok(()) };
        let (expiry, issued_at) = (token.date("exp")?, token.date("iat")?);
        let lifetime = expiry.zip(issued_at).map(|(expiry, issued_at)| expiry.since(issued_at));
        require(lifetime.is_some_and(|lifetime| lifetime <= longest), Rejection::LifetimeTooLong)
    }

    fn audience(&self, token: &UnverifiedToken<'_>) -> Result<(), Rejection> {
        let audiences = token.texts("aud")?;
        require(!token.is_for_graph(), Rejection::GraphToken)?;
        let settings = self.settings();
        if !token.has("aud") {
            let clients = token.names("client_id")?;
            let ours = |client| settings.client_ids.iter().any(|our| our == client);
            return require(!clients.is_empty() && clients.iter().all(ours), Rejection::WrongAudience);
        }
        let ours = |audience: &&str| settings.audiences.iter().any(|our| our == audience);
        require(audiences.iter().any(ours), Rejection::WrongAudience)
    }
}

/// A client's token whose signature and claims hold. Only [`TrustedIssuer::verify`] makes one.
///
/// Small, since the cache holds many: what a common token needs takes about 300 bytes. The claims that the settings keep can
/// be as large as the token limits allow. `Debug` shows no claims: they are personal data.
pub struct VerifiedToken {
    issuer_name: Arc<str>,
    user_id: Box<str>,
    end: Timestamp,
    issued_at: Option<Timestamp>,
    key_id: KeyId,
    scopes: Box<str>,
    roles: Box<[Box<str>]>,
    nonce: Option<Box<str>>,
    name_claim: Arc<str>,
    claims: Box<[(Arc<str>, Value)]>,
    /// The SHA-256 of the certificate that it is bound to. Rare, so it takes no room where there is none.
    certificate: Option<Box<[u8; 32]>>,
    /// The kept claims that the provider says are elsewhere.
    elsewhere: Box<[Arc<str>]>,
    roles_elsewhere: bool,
}

impl VerifiedToken {
    fn new(issuer: &TrustedIssuer, token: &UnverifiedToken<'_>, key: &VerificationKey) -> Result<Self, Rejection> {
        let kept = |name: &Arc<str>| token.claim(name).map(|value| (Arc::clone(name), value));
        Ok(Self {
            issuer_name: Arc::clone(issuer.shared_name()),
            user_id: issuer.user_id().read(token)?.into(),
            end: issuer.end(token)?,
            issued_at: token.date("iat")?,
            key_id: *key.id(),
            scopes: token.scopes()?.join(" ").into(),
            roles: token.texts(&issuer.settings().role_claim)?.into_iter().map(Into::into).collect(),
            nonce: token.name("nonce")?.map(|nonce| nonce.as_ref().into()),
            name_claim: Arc::clone(issuer.shared_name_claim()),
            claims: issuer.kept_claims().iter().filter_map(kept).collect(),
            certificate: token.certificate()?.map(Box::new),
            elsewhere: issuer.kept_claims().iter().filter(|name| token.stands_elsewhere(name)).map(Arc::clone).collect(),
            roles_elsewhere: token.stands_elsewhere(&issuer.settings().role_claim),
        })
    }

    /// The configured name of the issuer.
    pub fn issuer_name(&self) -> &Arc<str> {
        &self.issuer_name
    }

    /// Who it is: what goes into the user token. 1 to 256 bytes without control characters.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// When everything that rests on this token ends: its `exp` plus the issuer's leeway.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Checks that a token that is bound to a certificate comes with that one (RFC 8705 section 3). `shown` is the SHA-256 of the one
    /// whose key the client's connection has proved. To be called for each request: a token is known by itself, wherever it comes from.
    ///
    /// Errors: [`Rejection::CertificateMismatch`].
    pub fn check_certificate(&self, shown: Option<&[u8; 32]>) -> Result<(), Rejection> {
        match &self.certificate {
            None => Ok(()),
            Some(bound) => require(shown == Some(bound), Rejection::CertificateMismatch),
        }
    }

    /// When it was issued, if it says so.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// The key that verified it.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Its scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.split(' ').filter(|scope| !scope.is_empty())
    }

    /// The values of the issuer's role claim.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(AsRef::as_ref)
    }

    /// Its `nonce`.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// The display name: the issuer's name claim, if it is a text and the issuer's settings keep it.
    pub fn name(&self) -> Option<&str> {
        self.claim(&self.name_claim).and_then(Value::as_str)
    }

    /// Whether a claim that the settings keep was left out by the provider, since it would be too large: the user has too many groups.
    pub fn stands_elsewhere(&self, name: &str) -> bool {
        self.elsewhere.iter().any(|claim| **claim == *name)
    }

    /// The same for the issuer's role claim.
    pub fn roles_stand_elsewhere(&self) -> bool {
        self.roles_elsewhere
    }

    /// Whether anything that the settings use is elsewhere.
    pub fn has_group_overage(&self) -> bool {
        self.roles_elsewhere || !self.elsewhere.is_empty()
    }

    /// How much memory it takes beside its own size. Bytes, estimated.
    pub fn heap_bytes(&self) -> usize {
        let texts = [Some(&self.user_id), Some(&self.scopes), self.nonce.as_ref()].into_iter().flatten().chain(&self.roles);
        let lists = allocation(size_of_val(&*self.roles)) + allocation(size_of_val(&*self.claims));
        let lists = lists + allocation(size_of_val(&*self.elsewhere));
        let lists = lists + self.certificate.as_deref().map_or(0, |hash| allocation(hash.len()));
        let claims = self.claims.iter().map(|(_, value)| heap_bytes(value));
        texts.map(|text| allocation(text.len())).sum::<usize>() + lists + claims.sum::<usize>()
    }

    /// A claim, if the token has it and the issuer's settings keep it.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.iter().find(|(kept, _)| **kept == *name).map(|(_, value)| value)
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("VerifiedToken").field("issuer", &self.issuer_name).field("end", &self.end).finish_non_exhaustive()
    }
}

/// An empty list takes anything, also a token without the claim.
fn listed(
    list: &[String],
    claim: Result<Option<&str>, Rejection>,
    same: fn(&str, &str) -> bool,
    rejection: Rejection,
) -> Result<(), Rejection> {
    if list.is_empty() {
        return Ok(());
    }
    let claim = claim?;
    require(claim.is_some_and(|claim| list.iter().any(|entry| same(entry, claim))), rejection)
}

fn require(holds: bool, otherwise: Rejection) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(otherwise) }
}

//! The same service without a cache, as slow and as plain as can be: each token is verified and minted again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::corpus::{ISSUERS, SMALL_LIMIT};
use crate::{
    exchange::testing::{at, is_signed_by, iss, rules},
    signing::SigningKey,
    token::{IssuerSettings, Lifetime, MintingProfile, Rejection, TokenLimits},
};

/// Seconds after which a key that was not seen again ends.
pub(super) const KEEP: i64 = 1_500;
const BACKDATE: i64 = 10;
const MAX_LIFETIME: i64 = 610;

/// What a config says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) other_audience: bool,
    pub(super) leeway: i64,
    pub(super) small_limit: bool,
    pub(super) ttl: i64,
    pub(super) renamed: bool,
    pub(super) partner: bool,
}

impl Settings {
    pub(super) const FIRST: Self =
        Self { other_audience: false, leeway: 60, small_limit: false, ttl: 300, renamed: false, partner: true };

    /// The same with one setting changed.
    pub(super) fn with(self, setting: usize) -> Self {
        match setting {
            0 => Self { other_audience: !self.other_audience, ..self },
            1 => Self { leeway: 60 - self.leeway, ..self },
            2 => Self { small_limit: !self.small_limit, ..self },
            3 => Self { ttl: 420 - self.ttl, ..self },
            4 => Self { renamed: !self.renamed, ..self },
            _ => Self { partner: !self.partner, ..self },
        }
    }

    pub(super) fn limits(&self) -> TokenLimits {
        let default = TokenLimits::default();
        TokenLimits { token: if self.small_limit { SMALL_LIMIT } else { default.token }, ..default }
    }

    /// The rules of the issuers in use.
    pub(super) fn rules(&self) -> Vec<IssuerSettings> {
        let issuers = if self.partner { &ISSUERS[..] } else { &ISSUERS[..1] };
        let leeway = Duration::from_secs(self.leeway.unsigned_abs());
        let of = |(name, _): &(&str, _)| IssuerSettings { audiences: self.audiences(name), leeway, ..rules(name) };
        issuers.iter().map(of).collect()
    }

    fn audiences(&self, issuer: &str) -> Vec<String> {
        let second = (self.other_audience && issuer == ISSUERS[0].0).then_some("other");
        ["app"].into_iter().chain(second).map(str::to_owned).collect()
    }

    /// One for requests, one to the end, one that is bounded by itself.
    pub(super) fn profiles(&self) -> Vec<MintingProfile> {
        let mut profiles = ["requests", "sockets", "bounded"].map(|name| MintingProfile::new(name, self.claim(name)));
        profiles[0].ttl = Duration::from_secs(self.ttl.unsigned_abs());
        profiles[1].lifetime = Lifetime::End;
        profiles[2].max_lifetime = Some(Duration::from_secs(MAX_LIFETIME.unsigned_abs()));
        profiles[2].not_before = true;
        profiles.into()
    }

    fn claim(&self, profile: &str) -> &'static str {
        match profile {
            "requests" if self.renamed => "sub",
            "requests" => "userId",
            "sockets" => "uid",
            _ => "name",
        }
    }

    /// The token that the profile of this number makes at `now`.
    pub(super) fn mint(&self, who: &Who, profile: usize, lifetime: Lifetime, now: i64, key: &SigningKey) -> Minted {
        let (name, ttl) = [("requests", self.ttl), ("sockets", 300), ("bounded", 300)][profile];
        let asked = if profile == 1 || lifetime == Lifetime::End { who.end } else { who.end.min(now + ttl) };
        let expires = if profile == 2 { asked.min(now - BACKDATE + MAX_LIFETIME) } else { asked };
        let mut claims = Map::new();
        claims.insert(self.claim(name).to_owned(), who.user.clone().into());
        claims.insert("exp".to_owned(), at(expires).as_seconds().into());
        claims.insert("iat".to_owned(), at(now - BACKDATE).as_seconds().into());
        if profile == 2 {
            claims.insert("nbf".to_owned(), at(now - BACKDATE).as_seconds().into());
        }
        let encode = |json: String| URL_SAFE_NO_PAD.encode(json);
        let signed = format!(
            "{}.{}",
            encode(json!({ "alg": "EdDSA", "typ": "JWT" }).to_string()),
            encode(Value::Object(claims).to_string())
        );
        let signature = URL_SAFE_NO_PAD.encode(key.signer().try_sign(signed.as_bytes()).unwrap());
        Minted { text: format!("{signed}.{signature}"), at: now, expires }
    }
}

/// A user token, when it was made and when it ends.
#[derive(Debug)]
pub(super) struct Minted {
    pub(super) text: String,
    pub(super) at: i64,
    pub(super) expires: i64,
}

impl Minted {
    /// When one was made that is in use.
    pub(super) fn read_date(text: &str) -> i64 {
        let claims = json_of(text.split('.').nth(1).unwrap()).unwrap();
        claims["iat"].as_i64().unwrap() + BACKDATE - at(0).as_seconds()
    }

    /// Whether it may be sent: five seconds before its end no more, unless the identity ends with it.
    pub(super) fn is_usable(&self, end: i64, now: i64) -> bool {
        now < if self.expires < end { self.expires - 5 } else { self.expires }
    }

    /// Whether it is time for the next one.
    pub(super) fn is_due(&self, end: i64, now: i64) -> bool {
        self.expires < end && now >= self.expires - ((self.expires - self.at) / 5).max(10)
    }
}

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Who {
    pub(super) issuer: usize,
    pub(super) kid: String,
    pub(super) user: String,
    pub(super) end: i64,
}

/// What an issuer has published.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    last_seen: HashMap<String, i64>,
    purged: HashSet<String>,
    last: Option<(i64, Vec<String>)>,
}

impl Published {
    pub(super) fn publish(&mut self, kids: &[&str], now: i64) {
        for kid in kids {
            self.last_seen.insert((*kid).to_owned(), now);
        }
        self.last = Some((now, kids.iter().map(|kid| (*kid).to_owned()).collect()));
    }

    pub(super) fn purge(&mut self, kid: &str) {
        self.purged.insert(kid.to_owned());
    }

    pub(super) fn trusts(&self, kid: &str, now: i64) -> bool {
        self.last_seen.get(kid).is_some_and(|seen| now < seen + KEEP) && !self.has_purged(kid)
    }

    pub(super) fn has_purged(&self, kid: &str) -> bool {
        self.purged.contains(kid)
    }

    fn refusal(&self, kid: &str, made: i64, now: i64) -> Rejection {
        let has_keys = self.last_seen.keys().any(|kid| self.trusts(kid, now));
        match &self.last {
            _ if self.has_purged(kid) => Rejection::UnknownKey,
            Some((asked, kids)) if has_keys && *asked >= made && !kids.iter().any(|known| known == kid) => Rejection::UnknownKey,
            Some(_) if has_keys => Rejection::KeyNotFetchedYet,
            _ => Rejection::KeysUnavailable,
        }
    }
}

/// Verifies a token.
pub(super) fn verify(token: &str, settings: &Settings, published: &[Published; 2], now: i64) -> Result<Who, Rejection> {
    if token.len() > settings.limits().token {
        return Err(Rejection::TokenTooLarge);
    }
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err(Rejection::TokenMalformed) };
    let (Some(header_json), Some(claims)) = (json_of(header), json_of(payload)) else { return Err(Rejection::TokenMalformed) };
    let text = |name: &str| claims[name].as_str().unwrap_or_default();
    let date = |name: &str| claims[name].as_i64().map(|date| date - at(0).as_seconds());
    let trusted = if settings.partner { 2 } else { 1 };
    let known = ISSUERS[..trusted].iter().position(|(name, _)| iss(name) == text("iss"));
    let issuer = known.ok_or(Rejection::UnknownIssuer)?;
    let check = |holds: bool, otherwise: Rejection| if holds { Ok(()) } else { Err(otherwise) };

    check(header_json["alg"] == "EdDSA", Rejection::AlgorithmNotAllowed)?;
    let end = date("exp").ok_or(Rejection::ExpiryMissing)? + settings.leeway;
    check(now < end, Rejection::Expired)?;
    let from = |name: &str| date(name).is_none_or(|date| date <= now + settings.leeway);
    check(from("nbf"), Rejection::NotYetValid)?;
    check(from("iat"), Rejection::IssuedInFuture)?;
    check(settings.audiences(ISSUERS[issuer].0).iter().any(|ours| ours == text("aud")), Rejection::WrongAudience)?;
    let kid = header_json["kid"].as_str().unwrap_or_default();
    if !published[issuer].trusts(kid, now) {
        let made = date("iat").map_or(now, |issued| (issued + 1 + settings.leeway).min(now));
        return Err(published[issuer].refusal(kid, made, now));
    }
    let number = ISSUERS[issuer].1.iter().find(|(known, _)| *known == kid).unwrap().1;
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    check(is_signed_by(number, &format!("{header}.{payload}"), &signature), Rejection::BadSignature)?;
    Ok(Who { issuer, kid: kid.to_owned(), user: text("oid").to_owned(), end })
}

fn json_of(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

//! [`KeySet`]: the trusted keys of one issuer.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::token::{
    BearerToken, KeyId, Party, Rejection, SkipReason, VerificationKey,
    json::{self, JsonError, Value},
};

/// Bounds on a key set document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetLimits {
    /// Maximum bytes of the document. Default 512 KiB.
    pub bytes: usize,
    /// Maximum number of keys in it. Default 256.
    pub keys: usize,
}

impl Default for KeySetLimits {
    fn default() -> Self {
        Self { bytes: 512 * 1024, keys: 256 }
    }
}

/// A document that is not a key set at all, or one without a usable key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// More bytes or keys than the limits allow.
    #[error("the key set has more than {limit} {unit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// What it counts.
        unit: &'static str,
    },
    /// Not a JSON object with an array `keys`.
    #[error("not a key set: {0}")]
    Malformed(String),
    /// No key of the set can be used.
    #[error("no usable key among {}{}", skipped.len(), reasons(skipped))]
    NoUsableKey {
        /// The keys that were skipped, and why.
        skipped: Vec<SkippedKey>,
    },
}

/// A key that was passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Why.
    pub reason: SkipReason,
}

/// The keys of one issuer, found by `kid`.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<VerificationKey>>,
    /// More than one only where a token's algorithm, or whom the key is for, tells them apart.
    by_kid: HashMap<String, Vec<Arc<VerificationKey>>>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// Parses a JWKS document key by key: one odd key never costs the others.
    pub fn parse(document: &[u8], limits: &KeySetLimits) -> Result<Self, KeySetError> {
        Self::parse_of(document, limits, None)
    }

    /// The same for a document that the discovery document of this party led to.
    pub(crate) fn parse_of(document: &[u8], limits: &KeySetLimits, party: Option<&Party>) -> Result<Self, KeySetError> {
        if document.len() > limits.bytes {
            return Err(KeySetError::TooLarge { limit: limits.bytes, unit: "bytes" });
        }
        let jwks = raw_keys(document)?;
        if jwks.len() > limits.keys {
            return Err(KeySetError::TooLarge { limit: limits.keys, unit: "keys" });
        }
        let mut keys = Vec::with_capacity(jwks.len());
        let mut skipped = Vec::new();
        for jwk in jwks {
            match parse_key(jwk.get().as_bytes()) {
                Ok(key) => keys.push(Arc::new(key.published_by(party.cloned()))),
                Err(key) => skipped.push(key),
            }
        }
        let set = Self::assemble(keys, skipped);
        if set.keys.is_empty() { Err(KeySetError::NoUsableKey { skipped: set.skipped }) } else { Ok(set) }
    }

    /// A set of these keys.
    ///
    /// Their order decides nothing. Different keys under one `kid` for one algorithm are all passed over
    /// ([`SkipReason::DuplicateKid`]): whoever merges sets and knows which one is newer leaves the older out.
    pub fn from_keys(keys: impl IntoIterator<Item = Arc<VerificationKey>>) -> Self {
        Self::assemble(keys.into_iter().collect(), Vec::new())
    }

    /// The key that a token names by `kid`, or by `x5t` where it has no `kid`, for this algorithm.
    ///
    /// A token that names no key at all gets the only key that permits the algorithm. A key without `kid` serves only tokens without
    /// `kid`.
    ///
    /// # Errors
    /// [`Rejection::UnknownKey`], [`Rejection::KeyNotForAlgorithm`], [`Rejection::AmbiguousKey`].
    pub fn find(&self, bearer: &BearerToken<'_>, algorithm: Algorithm) -> Result<&Arc<VerificationKey>, Rejection> {
        self.find_for(bearer, algorithm, |_| true)
    }

    /// The same; of the entries that publish one key for several issuers, one that speaks for the token's, if there is one.
    pub(in crate::token) fn find_for(
        &self,
        bearer: &BearerToken<'_>,
        algorithm: Algorithm,
        speaks: impl Fn(&VerificationKey) -> bool,
    ) -> Result<&Arc<VerificationKey>, Rejection> {
        if let Some(kid) = bearer.key_id() {
            only_fitting(self.by_kid.get(kid).into_iter().flatten(), algorithm, speaks)
        } else if bearer.x5t().is_some() || bearer.x5t_s256().is_some() {
            only_fitting(self.keys.iter().filter(|key| key.is_named_by_thumbprint(bearer)), algorithm, speaks)
        } else {
            only_fitting(self.keys.iter(), algorithm, speaks)
        }
    }

    /// The entries, in the order of the document. One key has several if it is published for several issuers or with several
    /// certificates.
    pub fn keys(&self) -> &[Arc<VerificationKey>] {
        &self.keys
    }

    /// How many different keys there are, however many entries each has. Under two `kid`s a key counts twice.
    pub fn distinct(&self) -> usize {
        let mut seen = HashSet::with_capacity(self.keys.len());
        self.keys.iter().filter(|key| seen.insert((key.kid(), key.id()))).count()
    }

    /// How many keys there are here that another set lacks.
    pub(crate) fn missing_from(&self, other: &Self) -> usize {
        let missing: HashSet<_> = self.keys.iter().map(|key| key.id()).filter(|id| !other.contains(id)).collect();
        missing.len()
    }

    /// The keys that were passed over.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether the set holds this very key.
    pub fn contains(&self, id: &KeyId) -> bool {
        self.keys.iter().any(|key| key.id() == id)
    }

    fn assemble(keys: Vec<Arc<VerificationKey>>, skipped: Vec<SkippedKey>) -> Self {
        let mut named: HashMap<&str, Vec<&Arc<VerificationKey>>> = HashMap::new();
        for key in &keys {
            named.entry(key.kid().unwrap_or_default()).or_default().push(key);
        }
        let mut set = Self { skipped, ..Self::default() };
        for key in &keys {
            let namesakes = named.get(key.kid().unwrap_or_default()).map(Vec::as_slice).unwrap_or_default();
            if namesakes.iter().any(|other| key.is_rival_of(other)) {
                set.skipped.push(SkippedKey { kid: key.kid().map(str::to_owned), reason: SkipReason::DuplicateKid });
                continue;
            }
            // Of equal entries the first.
            let first = namesakes.iter().find(|other| key.is_equal_to(other));
            if !first.is_some_and(|first| Arc::ptr_eq(first, key)) {
                continue;
            }
            if let Some(kid) = key.kid() {
                set.by_kid.entry(kid.to_owned()).or_default().push(Arc::clone(key));
            }
            set.keys.push(Arc::clone(key));
        }
        set
    }
}

/// The only one of these keys that permits the algorithm. One key under two names is one key.
fn only_fitting<'k>(
    named: impl Iterator<Item = &'k Arc<VerificationKey>>,
    algorithm: Algorithm,
    speaks: impl Fn(&VerificationKey) -> bool,
) -> Result<&'k Arc<VerificationKey>, Rejection> {
    let mut named = named.peekable();
    if named.peek().is_none() {
        return Err(Rejection::UnknownKey);
    }
    let mut fitting = named.filter(|key| key.permits(algorithm));
    let mut found = fitting.next().ok_or(Rejection::KeyNotForAlgorithm)?;
    for other in fitting {
        if other.id() != found.id() {
            return Err(Rejection::AmbiguousKey);
        }
        if (speaks(other), found.compare(other)) > (speaks(found), std::cmp::Ordering::Equal) {
            found = other;
        }
    }
    Ok(found)
}

/// The elements of `keys`, unread: what is wrong inside one must not cost the others.
fn raw_keys(document: &[u8]) -> Result<Vec<&RawValue>, KeySetError> {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    // RFC 8259 section 8.1 lets a reader skip a byte order mark, which editors put there.
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    // serde would take an array of members for the object.
    if document.trim_ascii_start().first() != Some(&b'{') {
        return Err(KeySetError::Malformed("the document is not a JSON object".into()));
    }
    let document: Document<'_> = serde_json::from_slice(document).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        KeySetError::Malformed(match error.classify() {
            serde_json::error::Category::Data => "exactly one member `keys` with an array is required".into(),
            _ => format!("the JSON is truncated or invalid at line {line}, column {column}"),
        })
    })?;
    Ok(document.keys.into_iter().filter(|jwk| jwk.get() != "null").collect())
}

fn parse_key(text: &[u8]) -> Result<VerificationKey, SkippedKey> {
    let jwk = json::parse_object(text).map_err(|error| SkippedKey {
        kid: None,
        reason: match error {
            JsonError::Duplicate => SkipReason::DuplicateMember,
            JsonError::Malformed => SkipReason::Malformed,
        },
    })?;
    VerificationKey::from_jwk(&jwk).map(|key| key.with_document(text)).map_err(|reason| {
        let kid = jwk.get("kid").and_then(Value::as_str).filter(|_| reason != SkipReason::KidTooLong);
        SkippedKey { kid: kid.map(str::to_owned), reason }
    })
}

/// The labels of the reasons, each once, for the operator.
fn reasons(skipped: &[SkippedKey]) -> String {
    let mut labels: Vec<_> = skipped.iter().map(|key| key.reason.label()).collect();
    labels.sort_unstable();
    labels.dedup();
    if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) }
}

#[cfg(test)]
#[path = "key_set_order_tests.rs"]
mod order_tests;
#[cfg(test)]
#[path = "key_set_tests.rs"]
mod tests;

//! From one JWK (RFC 7517) to [`VerificationKey`], or the reason why it is skipped.
//!
//! A key is parsed once, when its document is fetched, for each algorithm that its type, its curve and its own `alg` permit; a
//! request then only verifies. The algorithms of one type of key are never used with another.

#[cfg(test)]
mod absent_tests;
mod certificate;
mod ec;
mod key_id;
mod members;
mod okp;
mod parsed_key;
mod public_key;
mod rsa;
mod skip_reason;
#[cfg(test)]
pub(in crate::token) mod test_keys;
#[cfg(test)]
mod tests;

use jsonwebtoken::{Algorithm, crypto::JwtVerifier, signature::Verifier};

pub use self::key_id::KeyId;
pub(in crate::token) use self::public_key::KeyType;
pub use self::skip_reason::SkipReason;
use self::{parsed_key::ParsedKey, public_key::PublicKey};
use crate::token::{BearerToken, Party, Rejection, algorithm_from_name, json::Object};

/// Maximum length of a key's `kid`, in bytes: the largest value that [`TokenLimits::kid`](crate::token::TokenLimits::kid) can be set to.
const MAX_KID: usize = 4 * 1024;
/// Maximum size of a JWK whose text is kept, in bytes. The longest ones of real providers, with a certificate, have 3 KiB.
const MAX_DOCUMENT: usize = 16 * 1024;

/// A public key of an issuer, parsed once, ready to verify.
#[derive(Debug)]
pub struct VerificationKey {
    id: KeyId,
    key_type: KeyType,
    kid: Option<String>,
    x5t: Option<String>,
    x5t_s256: Option<String>,
    issuer: Option<String>,
    cloud_instance: Option<String>,
    /// Whose discovery document led to it.
    party: Option<Party>,
    /// The JWK as it was published; none if it is longer than [`MAX_DOCUMENT`].
    document: Option<Box<str>>,
    /// One for each algorithm that the key permits. Never empty.
    parsed: Vec<ParsedKey>,
}

impl VerificationKey {
    /// Reads one JWK. Members that are not known are ignored (RFC 7517 section 4), and so are those that are null.
    ///
    /// A key whose private part is in the document is not used: anyone who read the document can sign with it.
    pub(in crate::token) fn from_jwk(jwk: &Object<'_>) -> Result<Self, SkipReason> {
        let key_type = KeyType::from_jwk(jwk)?;
        check_purpose(jwk)?;
        if PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some()) {
            return Err(SkipReason::PrivateKey);
        }
        let kid = members::owned_string(jwk, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(SkipReason::KidTooLong);
        }
        let declared = match members::string(jwk, "alg")?.filter(|name| !name.is_empty()) {
            Some(name) => Some(algorithm_from_name(name).ok_or(SkipReason::UnsupportedAlgorithm)?),
            None => None,
        };
        let public_key = public_key(jwk, key_type)?;
        let parsed = public_key.parse(|algorithm| declared.is_none_or(|declared| declared == algorithm))?;
        if parsed.is_empty() {
            return Err(SkipReason::AlgorithmMismatch);
        }
        Ok(Self {
            id: public_key.id(),
            key_type,
            kid,
            x5t: members::owned_string(jwk, "x5t")?,
            x5t_s256: members::owned_string(jwk, "x5t#S256")?,
            issuer: members::owned_string(jwk, "issuer")?,
            cloud_instance: members::owned_string(jwk, "cloud_instance_name")?,
            party: None,
            document: None,
            parsed,
        })
    }

    /// The same key with the text that it was read from.
    pub(in crate::token) fn with_document(self, text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_DOCUMENT);
        Self { document: text.map(Into::into), ..self }
    }

    /// The same key as one that the discovery document of this party led to.
    pub(in crate::token) fn published_by(self, party: Option<Party>) -> Self {
        Self { party, ..self }
    }

    /// Its identity.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The `kid` it was published under.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The JWK as it was published, to be stored and read again; none if it is longer than 16 KiB.
    pub fn document(&self) -> Option<&str> {
        self.document.as_deref()
    }

    /// Its `kty`.
    pub fn type_name(&self) -> &'static str {
        self.key_type.name()
    }

    /// The algorithms that it permits.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.parsed.iter().map(JwtVerifier::algorithm)
    }

    /// The per-key `issuer` (Microsoft): exact, or a template with `{tenantid}`.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The per-key `cloud_instance_name` (Microsoft).
    pub fn cloud_instance(&self) -> Option<&str> {
        self.cloud_instance.as_deref()
    }

    /// Whose discovery document led to it; none: there was no such document, or it names nobody.
    pub fn party(&self) -> Option<&Party> {
        self.party.as_ref()
    }

    /// Whether type, curve and the JWK's own `alg` permit this algorithm.
    pub fn permits(&self, algorithm: Algorithm) -> bool {
        self.parsed_for(algorithm).is_some()
    }

    /// Verifies a signature: for ECDSA `r || s`, never DER.
    ///
    /// # Errors
    /// [`Rejection::KeyNotForAlgorithm`] for an algorithm that the key does not permit, [`Rejection::BadSignature`].
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> Result<(), Rejection> {
        let key = self.parsed_for(algorithm).ok_or(Rejection::KeyNotForAlgorithm)?;
        key.verify(message, signature).map_err(|_| Rejection::BadSignature)
    }

    /// Whether a token could find both under their name, if they have one, for one algorithm.
    pub(in crate::token) fn is_rival_of(&self, other: &Self) -> bool {
        self.kid.is_some() && self.kid == other.kid && self.id != other.id && self.algorithms().any(|one| other.permits(one))
    }

    /// Whether both say the same: the key, its names, its algorithms, whom it is for.
    pub(crate) fn is_equal_to(&self, other: &Self) -> bool {
        self.names() == other.names() && self.id == other.id && self.algorithms().eq(other.algorithms())
    }

    fn names(&self) -> [Option<&str>; 6] {
        let [kid, x5t, x5t_s256, issuer, cloud] =
            [&self.kid, &self.x5t, &self.x5t_s256, &self.issuer, &self.cloud_instance].map(Option::as_deref);
        [kid, x5t, x5t_s256, issuer, cloud, self.party.as_ref().map(Party::as_str)]
    }

    /// An order that has nothing to do with where the key is in its document.
    pub(crate) fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.id.0.cmp(&other.id.0).then_with(|| self.names().cmp(&other.names()))
    }

    /// Whether the token names this key by `x5t` or `x5t#S256`. Both are opaque: some providers do not publish real thumbprints.
    pub(in crate::token) fn is_named_by_thumbprint(&self, bearer: &BearerToken<'_>) -> bool {
        let same = |own: &Option<String>, named: Option<&str>| named.is_some() && own.as_deref() == named;
        same(&self.x5t, bearer.x5t()) || same(&self.x5t_s256, bearer.x5t_s256())
    }

    fn parsed_for(&self, algorithm: Algorithm) -> Option<&ParsedKey> {
        self.parsed.iter().find(|key| key.algorithm() == algorithm)
    }
}

/// From the members, from `x5c`, or from both if they agree.
///
/// An unreadable `x5c` beside complete members removes nothing: the same document vouches for both.
fn public_key(jwk: &Object<'_>, key_type: KeyType) -> Result<PublicKey, SkipReason> {
    match (PublicKey::from_members(jwk, key_type)?, certificate::leaf_key(jwk)) {
        (Some(key), Some(Ok(certified))) if key != certified => Err(SkipReason::CertificateMismatch),
        (Some(key), _) => Ok(key),
        (None, Some(certified)) => certified?.matching(jwk, key_type),
        (None, None) => Err(SkipReason::MemberMissing),
    }
}

/// `use` and `key_ops`: for signatures, for verifying, and saying the same (RFC 7517 sections 4.2 and 4.3). Both may be missing
/// or empty: a browser that exports a public key writes `key_ops: []`.
fn check_purpose(jwk: &Object<'_>) -> Result<(), SkipReason> {
    let usage = members::string(jwk, "use")?.filter(|usage| !usage.is_empty());
    if usage.is_some_and(|usage| usage != "sig") {
        return Err(SkipReason::UseNotSig);
    }
    let Some(operations) = members::strings(jwk, "key_ops")?.filter(|operations| !operations.is_empty()) else { return Ok(()) };
    if !operations.contains(&"verify") {
        return Err(SkipReason::NotForVerifying);
    }
    if usage.is_some() && operations.iter().any(|operation| !matches!(*operation, "sign" | "verify")) {
        return Err(SkipReason::UseConflict);
    }
    Ok(())
}

/// The private members of RSA, EC and OKP keys (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

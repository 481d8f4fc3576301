//! Bytes to [`BearerToken`]: a strict compact JWS (RFC 7515 section 7.1), before any cryptography.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::token::{
    Rejection,
    json::{self, JsonError, Object},
};

/// How large the parts of a client's token may be. Bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// The whole token. Default 16 KiB; 1 KiB to 64 KiB.
    pub token: usize,
    /// The decoded header. Default 4 KiB; 256 B to 16 KiB.
    pub header: usize,
    /// The key id in the header. Default 512 B; 64 B to 4 KiB.
    pub kid: usize,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self { token: 16 * 1024, header: 4 * 1024, kid: 512 }
    }
}

/// These bytes, if they are one word of visible ASCII. Anything else is not a token, and would not survive as text.
///
/// # Errors
/// [`Rejection::AuthorizationMalformed`] for nothing at all, and for any other byte: a space, a control character, what is not ASCII.
pub(crate) fn one_token(bytes: &[u8]) -> Result<&[u8], Rejection> {
    // Without an early exit, so that many bytes are checked together.
    let is_graphic = bytes.iter().fold(true, |so_far, byte| so_far & byte.is_ascii_graphic());
    if bytes.is_empty() || !is_graphic { Err(Rejection::AuthorizationMalformed) } else { Ok(bytes) }
}

/// A client's token: well formed, unverified.
pub struct BearerToken<'a> {
    header: Header,
    payload: Vec<u8>,
    signed_bytes: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> BearerToken<'a> {
    /// Parses the compact serialization: size, three segments, strict base64url, the header's JSON and its forbidden members.
    ///
    /// The payload is decoded but not read. The header members `jwk`, `jku`, `x5u` and `x5c` are ignored: a token does not choose
    /// its key.
    ///
    /// # Errors
    /// [`Rejection::TokenTooLarge`] for a part beyond its limit, [`Rejection::TokenMalformed`] for what is no signed compact JWS (an
    /// empty signature included) or has a header member of the wrong type, [`Rejection::DuplicateMember`] in the header,
    /// [`Rejection::ForbiddenHeader`], and [`Rejection::AlgorithmNotAllowed`] for a header without `alg`.
    pub fn parse(bytes: &'a [u8], limits: &TokenLimits) -> Result<Self, Rejection> {
        if bytes.len() > limits.token {
            return Err(Rejection::TokenTooLarge);
        }
        let text = str::from_utf8(bytes).map_err(|_| Rejection::TokenMalformed)?;
        let (header, payload, signature) = split(text)?;
        // Three bytes from four characters, exactly: there is no padding.
        if header.len() * 3 / 4 > limits.header {
            return Err(Rejection::TokenTooLarge);
        }
        let signed_bytes = bytes.get(..header.len() + 1 + payload.len()).ok_or(Rejection::TokenMalformed)?;
        let header = Header::parse(&decode(header)?, limits)?;
        // The payload last: it is the longest.
        let signature = decode(signature)?;
        Ok(Self { header, payload: decode(payload)?, signed_bytes, signature })
    }

    /// The `alg` of the header, unchanged there.
    pub fn algorithm(&self) -> &str {
        &self.header.algorithm
    }

    /// The `kid` of the header.
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The `x5t` of the header: an opaque id for tokens without `kid`.
    pub fn x5t(&self) -> Option<&str> {
        self.header.x5t.as_deref()
    }

    /// The `x5t#S256` of the header: an opaque id for tokens without `kid`.
    pub fn x5t_s256(&self) -> Option<&str> {
        self.header.x5t_s256.as_deref()
    }

    /// The `typ` of the header.
    pub fn media_type(&self) -> Option<&str> {
        self.header.media_type.as_deref()
    }

    /// Whether the header has a member `nonce`, as tokens for Microsoft Graph have.
    pub fn has_header_nonce(&self) -> bool {
        self.header.has_nonce
    }

    /// The decoded payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What the signature covers: both first segments and the dot between them.
    pub fn signed_bytes(&self) -> &'a [u8] {
        self.signed_bytes
    }

    /// The decoded signature. A `Vec`, since that is what `JwtVerifier` takes. Never empty.
    pub fn signature(&self) -> &Vec<u8> {
        &self.signature
    }
}

/// A token opens what its user may open, so none of it is printed.
impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BearerToken").finish_non_exhaustive()
    }
}

/// The header members that something here reads.
struct Header {
    algorithm: String,
    key_id: Option<String>,
    x5t: Option<String>,
    x5t_s256: Option<String>,
    media_type: Option<String>,
    has_nonce: bool,
}

impl Header {
    fn parse(text: &[u8], limits: &TokenLimits) -> Result<Self, Rejection> {
        let object = json::parse_object(text).map_err(|error| match error {
            JsonError::Duplicate => Rejection::DuplicateMember,
            JsonError::Malformed => Rejection::TokenMalformed,
        })?;
        if FORBIDDEN_MEMBERS.iter().any(|name| object.has_member(name)) {
            return Err(Rejection::ForbiddenHeader);
        }
        let header = Self {
            algorithm: string(&object, "alg")?.ok_or(Rejection::AlgorithmNotAllowed)?,
            key_id: string(&object, "kid")?,
            x5t: string(&object, "x5t")?,
            x5t_s256: string(&object, "x5t#S256")?,
            media_type: string(&object, "typ")?,
            has_nonce: object.get("nonce").is_some(),
        };
        match &header.key_id {
            Some(key_id) if key_id.len() > limits.kid => Err(Rejection::TokenTooLarge),
            _ => Ok(header),
        }
    }
}

fn string(object: &Object<'_>, name: &str) -> Result<Option<String>, Rejection> {
    let Some(value) = object.get(name) else { return Ok(None) };
    value.as_str().map(|text| Some(text.to_owned())).ok_or(Rejection::TokenMalformed)
}

/// Exactly three segments, the last not empty. Stops at the third dot, so a text of dots costs nothing.
fn split(text: &str) -> Result<(&str, &str, &str), Rejection> {
    let mut segments = text.splitn(4, '.');
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some(header), Some(payload), Some(signature), None) if !signature.is_empty() => Ok((header, payload, signature)),
        _ => Err(Rejection::TokenMalformed),
    }
}

/// RFC 7515 section 2: base64url without padding, line breaks or other characters; trailing bits must be zero.
fn decode(segment: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Rejection::TokenMalformed)
}

/// Members that change what is signed (RFC 7515 section 4.1.11, RFC 7797), that belong to encryption (RFC 7516), or that say that
/// the payload is no claims set (RFC 7519 section 5.2).
const FORBIDDEN_MEMBERS: [&str; 5] = ["b64", "crit", "cty", "enc", "zip"];

#[cfg(test)]
#[path = "bearer_tests.rs"]
mod tests;

//! RSA keys restricted to PSS (RFC 4055): which JWT algorithms such a key is for.

use der::Sequence;
use jsonwebtoken::Algorithm;
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier};

use crate::signing::{KeyProblem, encryption::Hash};

/// `id-RSASSA-PSS`.
pub(super) const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
/// The salt and the trailer where none is named.
const DEFAULT_SALT: u32 = 20;
const DEFAULT_TRAILER: u32 = 1;

/// `RSASSA-PSS-params` (RFC 4055 section 3.1). SHA-1 is the default of both hash functions.
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt: Option<u32>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u32>,
}

/// What a key with this identifier may sign with: one hash function for the message and the mask, a salt as long as its digest (RFC 7518
/// section 3.5), which is at least as long as the key wants it. None: any; without parameters there is no restriction.
pub(super) fn algorithms(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Option<Algorithm>, KeyProblem> {
    let Some(parameters) = algorithm.parameters.filter(|parameters| !parameters.is_null()) else {
        return Ok(None);
    };
    let damaged = |error: der::Error| KeyProblem::Damaged(error.to_string());
    let PssParameters { hash, mask, salt, trailer } = parameters.decode_as().map_err(damaged)?;
    let mask = match mask {
        Some(mask) if mask.oid == MGF1 => mask.parameters.map(|any| any.decode_as::<AlgorithmIdentifierRef<'_>>()).transpose(),
        Some(mask) => return Err(KeyProblem::PssRestriction(format!("the mask {}", mask.oid))),
        None => Ok(None),
    };
    let (hash, mask) = (name(hash), name(mask.map_err(damaged)?));
    let (salt, trailer) = (salt.unwrap_or(DEFAULT_SALT), trailer.unwrap_or(DEFAULT_TRAILER));
    let restriction = || KeyProblem::PssRestriction(format!("{hash} with a mask of {mask} and a salt of at least {salt} bytes"));
    let known = match hash.as_str() {
        "SHA-256" => Some((Algorithm::PS256, 32)),
        "SHA-384" => Some((Algorithm::PS384, 48)),
        "SHA-512" => Some((Algorithm::PS512, 64)),
        _ => None,
    };
    match known {
        Some((algorithm, longest)) if hash == mask && salt <= longest && trailer == DEFAULT_TRAILER => Ok(Some(algorithm)),
        _ => Err(restriction()),
    }
}

fn name(hash: Option<AlgorithmIdentifierRef<'_>>) -> String {
    let Some(AlgorithmIdentifierRef { oid, .. }) = hash else { return "SHA-1".to_owned() };
    match Hash::of_digest(oid) {
        Some(Hash::Md5) => "MD5",
        Some(Hash::Sha1) => "SHA-1",
        Some(Hash::Sha224) => "SHA-224",
        Some(Hash::Sha256) => "SHA-256",
        Some(Hash::Sha384) => "SHA-384",
        Some(Hash::Sha512) => "SHA-512",
        Some(Hash::Sha512With224) => "SHA-512/224",
        Some(Hash::Sha512With256) => "SHA-512/256",
        None => return oid.to_string(),
    }
    .to_owned()
}

//! What must hold of any bytes that are read as a key file.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use jsonwebtoken::Algorithm;

use super::{SecretText, SigningKey, format::BYTE_ORDER_MARK};

/// Rounds of key derivation: as many as keep each input short.
const ROUNDS: u64 = 30_000;
/// As much text as no problem has by accident in common with a key.
const TELLING: usize = 16;

/// Reads what is behind the first line as a key file, which the first line is the passphrase of; without one if that is empty. A key that
/// opens signs what is verified by its public half; what does not open is told in one line of printable text, with nothing of the secrets.
///
/// # Errors
/// What does not hold.
pub fn hold_key_file(input: &[u8]) -> Result<(), String> {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (passphrase, file) = (input.get(..end).unwrap_or_default(), input.get(end + 1..).unwrap_or_default());
    let secret = (!passphrase.is_empty()).then(|| SecretText::from_bytes(passphrase.to_vec())).flatten();
    let problem = match SigningKey::parse_within(file, secret.as_ref(), None, ROUNDS) {
        Ok(key) => return hold_key(&key),
        Err(problem) => problem.to_string(),
    };
    hold_words(&problem, file)?;
    let passphrase = secret.as_ref().map_or("", SecretText::as_str);
    if passphrase.len() < TELLING || !problem.contains(passphrase) {
        return Ok(());
    }
    // A passphrase may be made of the very words that are said.
    let another = SecretText::from_bytes(b"another".to_vec());
    match SigningKey::parse_within(file, another.as_ref(), None, ROUNDS) {
        Err(same) if same.to_string() == problem => Ok(()),
        _ => Err(format!("the passphrase stands in it: {problem}")),
    }
}

fn hold_key(key: &SigningKey) -> Result<(), String> {
    let algorithm = key.signer.algorithm();
    let verification: &dyn VerificationAlgorithm = match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &ED25519,
        other => return Err(format!("it signs with {other:?} unasked")),
    };
    let public = key.public.as_ref().ok_or("it has no public half")?;
    let signature = key.signer.try_sign(b"a token").map_err(|error| format!("it does not sign: {error}"))?;
    let verified = UnparsedPublicKey::new(verification, public.bits()).verify(b"a token", &signature);
    verified.map_err(|_| format!("{algorithm:?}: its public half refuses its signature"))
}

fn hold_words(text: &str, file: &[u8]) -> Result<(), String> {
    if text.is_empty() || text.contains(char::is_control) || text.len() > 1_000 {
        return Err(format!("{text:?}"));
    }
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    // Labels and headers may be told; the same text elsewhere tells nothing more.
    let (told, kept): (Vec<_>, Vec<_>) =
        file.split(|byte| matches!(byte, b'\r' | b'\n')).partition(|line| line.starts_with(b"-----") || line.contains(&b':'));
    let is_in = |line: &[u8], part: &[u8]| line.windows(part.len()).any(|window| window == part);
    let mut parts = kept.iter().flat_map(|line| line.windows(TELLING)).filter(|part| is_in(text.as_bytes(), part));
    match parts.find(|part| part.iter().all(u8::is_ascii_alphanumeric) && !told.iter().any(|line| is_in(line, part))) {
        Some(part) => Err(format!("{} stands in it: {text}", part.escape_ascii())),
        None => Ok(()),
    }
}

//! `signing`: the key that signs user tokens.

use jsonwebtoken::Algorithm;

use crate::{
    config::{outside::Target, section::Section},
    signing::{SecretSource, SigningKeySource, SigningSettings},
    token::signing_algorithms,
};

/// Why a secret is refused.
const NO_SECRETS: &str = "secrets do not belong in the file; give passphrase_file: PATH or passphrase_env: VARIABLE";

pub(in crate::config) fn signing(mut section: Section<'_>) -> SigningSettings {
    let field = section.field("algorithm");
    let algorithm = field.as_ref().and_then(|field| field.choice(&signing_algorithms())).unwrap_or(SigningSettings::ALGORITHM);
    if let Some(field) = field.filter(|_| algorithm == Algorithm::HS256) {
        field.warning("HS256: anyone who can verify user tokens can mint them, including the backend; use it only if the backend can verify nothing else");
    }
    let key = if algorithm == Algorithm::HS256 { secret(&mut section) } else { private_key(&mut section) };
    section.refuse("passphrase", NO_SECRETS);
    section.refuse("password", NO_SECRETS);
    section.refuse("key", "secrets do not belong in the file; use key_file: PATH");
    section.refuse("secret", "secrets do not belong in the file; use secret_file: PATH or secret_env: VARIABLE");
    let default = SigningSettings::new(key);
    let settings = SigningSettings {
        algorithm,
        threads: section.number("threads", default.threads, 0..=1_024),
        queue: section.number("queue", default.queue, 1..=1_000_000),
        ..default
    };
    section.finish();
    settings
}

fn private_key(section: &mut Section<'_>) -> SigningKeySource {
    section.required("key_file", "the private key that signs user tokens; create one with: syncgate keys generate --out FILE");
    let file = section.file("key_file", Target::SigningKey).unwrap_or_default();
    let passphrase = one_source(section, "passphrase_file", "passphrase_env");
    for key in ["secret_file", "secret_env"] {
        section.refuse(key, "is valid only with algorithm: HS256");
    }
    SigningKeySource::PrivateKey { file, passphrase }
}

fn secret(section: &mut Section<'_>) -> SigningKeySource {
    if section.field("secret_file").is_none() && section.field("secret_env").is_none() {
        section.missing(
            "secret_file",
            "the secret shared with the backend (or set secret_env); create one with: openssl rand -base64 48",
        );
    }
    let source = one_source(section, "secret_file", "secret_env");
    for key in ["key_file", "passphrase_file", "passphrase_env"] {
        section.refuse(key, "has no effect with HS256, which signs with secret_file or secret_env");
    }
    SigningKeySource::Secret(source.unwrap_or(SecretSource::File(std::path::PathBuf::new())))
}

/// A secret from a file or from a variable, but not from both.
fn one_source(section: &mut Section<'_>, file: &'static str, variable: &'static str) -> Option<SecretSource> {
    if let Some(field) = section.field(variable).filter(|_| section.field(file).is_some()) {
        field.problem(format!("cannot be combined with {file}; remove one of them"));
        return None;
    }
    let from_file = section.file(file, Target::Secret).map(SecretSource::File);
    from_file.or_else(|| section.variable(variable).map(SecretSource::Environment))
}

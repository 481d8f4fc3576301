//! The small sections: `admin`, `token`, `signing`, `mint`, `cache`, `log`, `shutdown`.

use std::time::Duration;

use crate::{
    admin::AdminSettings,
    config::{LogFormat, LogLevel, LogSettings, formats::CLAIM, outside::Target, section::Section},
    exchange::CacheSettings,
    signing::{SecretSource, SigningSettings},
    token::{MintingProfile, TokenLimits},
};

/// Signatures that may wait for a thread.
const SIGNING_QUEUE: usize = 1_024;
/// The claim that holds the user id.
const USER_ID_CLAIM: &str = "userId";
/// Claims of a minted token that the gateway sets itself.
const OWN_CLAIMS: [&str; 3] = ["iat", "nbf", "exp"];
/// Why a secret is refused.
const NO_SECRETS: &str = "secrets do not stand in the file; give passphrase_file: PATH or passphrase_env: VARIABLE";

pub(in crate::config) const LOG_FORMATS: [(&str, LogFormat); 2] = [("json", LogFormat::Json), ("text", LogFormat::Text)];
pub(in crate::config) const LOG_LEVELS: [(&str, LogLevel); 4] =
    [("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];

pub(in crate::config) fn admin(mut section: Section<'_>) -> AdminSettings {
    let default = AdminSettings::default();
    let address = section.field("address");
    let settings = AdminSettings { address: section.address("address", default.address) };
    if let Some(field) = address.filter(|_| !settings.address.ip().is_loopback()) {
        field.warning("the admin listener asks for no credential; whoever reaches this address sees metrics and health");
    }
    section.finish();
    settings
}

pub(in crate::config) fn token_limits(mut section: Section<'_>) -> TokenLimits {
    let default = TokenLimits::default();
    let limits = TokenLimits {
        token: section.size("max_bytes", default.token, 1_024..=65_536),
        header: section.size("max_header_bytes", default.header, 256..=16_384),
        kid: section.size("max_kid_bytes", default.kid, 64..=4_096),
    };
    section.finish();
    limits
}

pub(in crate::config) fn signing(mut section: Section<'_>) -> SigningSettings {
    section.required("key_file", "the private key that signs user tokens; make one with: syncgate keys generate");
    let key_file = section.file("key_file", Target::SigningKey).unwrap_or_default();
    let passphrase = match section.field("passphrase_env").filter(|_| section.field("passphrase_file").is_some()) {
        Some(field) => {
            field.problem("excludes passphrase_file; give one of the two");
            None
        }
        None => {
            let file = section.file("passphrase_file", Target::Passphrase).map(SecretSource::File);
            file.or_else(|| section.variable("passphrase_env").map(SecretSource::Environment))
        }
    };
    section.refuse("passphrase", NO_SECRETS);
    section.refuse("password", NO_SECRETS);
    section.refuse("key", "secrets do not stand in the file; give key_file: PATH");
    let settings = SigningSettings {
        key_file,
        passphrase,
        threads: section.number("threads", 0, 0..=1_024),
        queue: section.number("queue", SIGNING_QUEUE, 1..=1_000_000),
    };
    section.finish();
    settings
}

/// The one minting profile.
pub(in crate::config) fn profile(mut section: Section<'_>) -> MintingProfile {
    let field = section.field("user_id_claim");
    let claim = field.as_ref().and_then(|field| field.text(&CLAIM)).unwrap_or_else(|| USER_ID_CLAIM.to_owned());
    if let Some(field) = field.filter(|_| OWN_CLAIMS.contains(&claim.as_str())) {
        field.problem(format!("{claim} is set by the gateway itself; accepted: any claim but {}", OWN_CLAIMS.join(", ")));
    }
    section.finish();
    MintingProfile { name: "default".to_owned(), user_id_claim: claim }
}

pub(in crate::config) fn cache(mut section: Section<'_>) -> CacheSettings {
    let settings = CacheSettings { entries: section.number("entries", CacheSettings::default().entries, 1..=10_000_000) };
    section.finish();
    settings
}

pub(in crate::config) fn log(mut section: Section<'_>) -> LogSettings {
    let default = LogSettings::default();
    let settings = LogSettings {
        format: section.choice("format", &LOG_FORMATS, default.format),
        level: section.choice("level", &LOG_LEVELS, default.level),
        requests: section.flag("requests", default.requests),
    };
    section.finish();
    settings
}

/// How the gateway stops: delay and grace.
pub(in crate::config) fn shutdown(mut section: Section<'_>, grace: Duration) -> (Duration, Duration) {
    let delay = section.duration("delay", Duration::ZERO, Duration::ZERO..=Duration::from_secs(300));
    let grace = section.duration("grace", grace, Duration::ZERO..=Duration::from_secs(3_600));
    section.finish();
    (delay, grace)
}

//! The small sections: `admin`, `token`, `cache`, `log`, `shutdown`.

use std::time::Duration;

use crate::{
    admin::AdminSettings,
    config::{Config, LogFormat, LogLevel, LogSettings, Target, section::Section, units::show_size},
    exchange::CacheSettings,
    token::TokenLimits,
};

pub(in crate::config) const LOG_FORMATS: [(&str, LogFormat); 2] = [("json", LogFormat::Json), ("text", LogFormat::Text)];
pub(in crate::config) const LOG_LEVELS: [(&str, LogLevel); 4] =
    [("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];

pub(in crate::config) fn admin(mut section: Section<'_>) -> AdminSettings {
    let default = AdminSettings::default();
    let address = section.field("address");
    let settings = AdminSettings {
        address: section.address("address", default.address),
        credential_file: section.file("credential_file", Target::Credential),
    };
    if let Some(field) = address.filter(|_| !settings.address.ip().is_loopback()) {
        field.warning("anyone who can reach this address can read metrics, health and public keys without a credential");
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

pub(in crate::config) fn cache(mut section: Section<'_>) -> CacheSettings {
    /// What one identity takes with one user token, signed with RSA-2048.
    const COMMON: usize = 1_200;
    const MIB: usize = 1024 * 1024;
    let default = CacheSettings::default();
    let entries = section.field("entries");
    let settings = CacheSettings {
        entries: section.number("entries", default.entries, 100..=10_000_000),
        bytes: section.size("bytes", default.bytes, 16 * MIB..=65_536 * MIB),
    };
    if let Some(field) = entries.filter(|_| settings.bytes / settings.entries < COMMON) {
        field.warning(format!(
            "too many for cache.bytes, which holds about {} of {COMMON} bytes each; set cache.bytes to {} or more",
            settings.bytes / COMMON,
            show_size((settings.entries * COMMON).next_multiple_of(MIB)),
        ));
    }
    section.finish();
    settings
}

pub(in crate::config) fn log(mut section: Section<'_>) -> LogSettings {
    let default = LogSettings::default();
    let refusals = section.number("refusals_per_second", default.refusals_per_second as usize, 1..=1_000_000);
    let settings = LogSettings {
        format: section.choice("format", &LOG_FORMATS, default.format),
        level: section.choice("level", &LOG_LEVELS, default.level),
        requests: section.flag("requests", default.requests),
        refusals_per_second: u32::try_from(refusals).unwrap_or(u32::MAX),
    };
    section.finish();
    settings
}

/// How the gateway stops: delay and grace.
pub(in crate::config) fn shutdown(mut section: Section<'_>) -> (Duration, Duration) {
    let delay = section.duration("delay", Duration::ZERO, Duration::ZERO..=Duration::from_secs(300));
    let grace = section.duration("grace", Config::SHUTDOWN_GRACE, Duration::ZERO..=Duration::from_secs(3_600));
    section.finish();
    (delay, grace)
}

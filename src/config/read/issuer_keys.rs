//! How an issuer's keys are fetched, and how long they are kept.

use std::time::Duration;

use crate::{
    config::{
        formats::{PROXY_URL, TEXT},
        outside::Target,
        section::Section,
    },
    jwks::{JwksSettings, KeySource, UnknownKidSettings},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// `keep` is the default of how long a key is kept after it was last seen.
pub(in crate::config) fn settings(section: &mut Section<'_>, sources: Vec<KeySource>, keep: Duration) -> JwksSettings {
    let default = JwksSettings::new(sources);
    let settings = JwksSettings {
        ca_file: section.file("ca_file", Target::Authorities),
        refresh: section.duration("refresh", default.refresh, MINUTE * 5..=DAY),
        keep: section.duration("keep", keep, MINUTE * 5..=DAY * 30),
        connect_timeout: section.duration("connect_timeout", default.connect_timeout, SECOND / 10..=SECOND * 30),
        timeout: section.duration("timeout", default.timeout, SECOND / 10..=MINUTE),
        proxy: section.text("proxy", &PROXY_URL),
        proxy_credentials_file: section.file("proxy_credentials_file", Target::Secret),
        unknown_kid: unknown_kid(section.section("unknown_kid")),
        deny_kids: section.texts("deny_kids", &TEXT),
        snapshot_file: section.file("snapshot_file", Target::Snapshot),
        sources: default.sources,
    };
    if settings.keep < settings.refresh
        && let Some(field) = section.field("keep").or_else(|| section.field("refresh"))
    {
        field.problem("keep is shorter than refresh: every key would expire before it is fetched again");
    }
    if section.field("proxy").is_none() {
        section.refuse("proxy_credentials_file", "is valid only with proxy");
    }
    settings
}

/// What a token with an unknown `kid` may cause.
fn unknown_kid(mut section: Section<'_>) -> UnknownKidSettings {
    let default = UnknownKidSettings::default();
    let budget = section.number("refreshes", default.budget as usize, 0..=100);
    let settings = UnknownKidSettings {
        budget: u32::try_from(budget).unwrap_or(default.budget),
        refill: section.duration("refill", default.refill, SECOND * 30..=DAY),
        wait: section.duration("wait", default.wait, Duration::ZERO..=SECOND * 10),
    };
    section.finish();
    settings
}

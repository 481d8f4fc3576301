//! `allowed_origins` and `cors` of a route: which web pages may use it, and what their browsers are told.

use std::time::Duration;

use crate::{
    config::{
        field::Field,
        formats::{Format, HEADER},
        section::Section,
    },
    proxy::{AllowedOrigins, CorsSettings, PreflightRule},
};

pub(in crate::config) const PREFLIGHTS: [(&str, PreflightRule); 2] =
    [("answer", PreflightRule::Answer), ("pass", PreflightRule::Pass)];

/// The word for every page.
pub(in crate::config) const ANY: &str = "any";

/// Browsers cut longer times (Chromium to 2 h, Firefox to 24 h).
const LONGEST_MAX_AGE: Duration = Duration::from_secs(24 * 3_600);

const ORIGIN: Format<String> =
    Format { accepted: "an origin as browsers send it, such as https://app.contoso.com", shown: true, parse: origin };

/// What a route says of web pages.
pub(in crate::config) struct Browsers {
    pub(in crate::config) origins: AllowedOrigins,
    pub(in crate::config) cors: Option<CorsSettings>,
}

/// `has_cookie`: whether a cookie may hold the token.
pub(in crate::config) fn browsers(section: &mut Section<'_>, has_cookie: bool) -> Browsers {
    let field = section.field("allowed_origins");
    let origins = field.as_ref().map(origins).unwrap_or_default();
    if let Some(field) = field.filter(|_| has_cookie && origins == AllowedOrigins::Any) {
        field.problem("any page could use the cookie of whoever looks at it; with a cookie under token.in, list the origins");
    }
    let cors = section.field("cors").map(|field| {
        if origins == AllowedOrigins::Unsaid {
            field.problem("names no pages; add allowed_origins beside it: a list of origins, or any");
        }
        cors(field.section())
    });
    Browsers { origins, cors }
}

fn origins(field: &Field<'_>) -> AllowedOrigins {
    if field.is_list() {
        return AllowedOrigins::Listed(field.texts(&ORIGIN));
    }
    match field.scalar("any, or a list of origins") {
        Some(ANY) => AllowedOrigins::Any,
        Some(_) => AllowedOrigins::Listed(field.texts(&ORIGIN)),
        None => AllowedOrigins::Unsaid,
    }
}

fn cors(mut section: Section<'_>) -> CorsSettings {
    let default = CorsSettings::default();
    let cors = CorsSettings {
        preflight: section.choice("preflight", &PREFLIGHTS, default.preflight),
        expose_headers: section.texts("expose_headers", &HEADER).iter().filter_map(|name| name.parse().ok()).collect(),
        max_age: section.duration("max_age", default.max_age, Duration::ZERO..=LONGEST_MAX_AGE),
    };
    section.finish();
    cors
}

fn origin(text: &str) -> Result<String, &'static str> {
    let parsed = url::Url::parse(text).map_err(|_| "is not an origin")?;
    let is_web = matches!(parsed.scheme(), "http" | "https");
    if is_web && parsed.origin().ascii_serialization() == text { Ok(text.to_owned()) } else { Err("is not an origin") }
}

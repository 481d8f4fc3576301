//! `allowed_origins` and `cors` of a route: which web pages may use it, and the CORS headers for their browsers.

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

/// What a browser sends for a page without an origin (RFC 6454 section 7.1).
pub(in crate::config) const NO_ORIGIN: &str = "null";

/// The word for every page.
pub(in crate::config) const ANY: &str = "any";

/// Browsers cut longer times (Chromium to 2 h, Firefox to 24 h).
const MAX_PREFLIGHT_AGE: Duration = Duration::from_secs(24 * 3_600);

/// The word for pages without an origin, whose browser sends `null`: sandboxed frames, files, some apps. Any page can make one.
pub(in crate::config) const NULL: &str = "null_origin";

const ORIGIN: Format<String> = Format {
    accepted: "an origin as browsers send it, such as https://app.contoso.com or capacitor://localhost; null_origin for pages that send null",
    shown: true,
    parse: origin,
};

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
        field.problem("any page could use its visitor's cookie; with a cookie under token.in, list the origins");
    }
    if let Some(field) = section.field("allowed_origins").filter(|_| has_cookie && origins.lists(NO_ORIGIN)) {
        field.problem(
            "any page can create a frame whose origin is null and use the cookie; with a cookie under token.in, remove null_origin",
        );
    }
    let cors = section.field("cors").map(|field| {
        if origins == AllowedOrigins::Unsaid {
            field.problem("has no effect without allowed_origins; add it: a list of origins, or any");
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
        max_age: section.duration("max_age", default.max_age, Duration::ZERO..=MAX_PREFLIGHT_AGE),
    };
    section.finish();
    cors
}

/// The origin as it is sent (RFC 6454 section 6.2): of a web page, or of the page of an app, which has its own scheme.
fn origin(text: &str) -> Result<String, &'static str> {
    match text {
        NULL => return Ok(NO_ORIGIN.to_owned()),
        NO_ORIGIN => return Err("is what sandboxed frames of any page send; to accept it, set null_origin"),
        "*" => return Err("is not an origin; to accept every page, write any instead of the list"),
        _ if text.contains('*') => return Err("has a wildcard, but origins are compared exactly; list each of them"),
        _ => {}
    }
    let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
    if matches!(scheme, "http" | "https") {
        let parsed = url::Url::parse(text).map_err(|_| "is not an origin")?;
        return match parsed.origin().ascii_serialization() {
            same if same == text => Ok(same),
            _ => Err("is not written as browsers send it: lower case, no path, no trailing slash, no default port of the scheme"),
        };
    }
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let is_host = host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_lowercase())
        && scheme.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
    // Only files have no host.
    let has_host = !host.is_empty() || (scheme == "file" && port.is_none());
    match is_scheme && is_host && is_port && has_host {
        true => Ok(text.to_owned()),
        false => Err("is not written as browsers send it: scheme://host or scheme://host:port, in lower case, nothing behind it"),
    }
}

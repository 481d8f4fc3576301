//! `routes`: which requests go where, and what their token must permit.

use std::collections::HashMap;

use crate::{
    config::{
        field::Field,
        formats::{CLAIM, Format, HEADER, HOST, NAME, SCOPE, TEXT},
        read::{mint::Profile, upstreams::Upstream},
        section::Section,
        suggest::shown,
    },
    proxy::RouteSettings,
    token::{ClaimRule, NonceRule, Permission, PermissionSettings},
};

const NONCE_ACCEPTED: &str = "ignored, forbidden, or {header: NAME}";

const PATH: Format<String> = Format {
    accepted: "a path such as / or /db: segments of A-Z a-z 0-9 - . _ ~ : @ $ + , = and no slash at the end",
    shown: true,
    parse: path,
};

pub(in crate::config) fn routes(
    field: Option<Field<'_>>,
    upstreams: &[Upstream<'_>],
    profiles: &[Profile<'_>],
) -> Vec<RouteSettings> {
    let Some(field) = field else { return vec![whole_site()] };
    let (mut names, mut places) = (HashMap::new(), HashMap::new());
    let mut used = vec![false; upstreams.len()];
    let mut routes = Vec::new();
    for element in field.elements() {
        let route = route(element.section(), upstreams, profiles);
        if let Some(first) = names.insert(route.name.clone(), element.key.clone()).filter(|_| !route.name.is_empty()) {
            element.problem(format!("name {} is that of {first} too; accepted: a name of its own for each", route.name));
        }
        if let Some(first) = places.insert((route.host.clone(), route.path.clone()), element.key.clone()) {
            element.problem(format!("host and path are those of {first} too; accepted: a path or host of its own for each"));
        }
        if let Some(used) = used.get_mut(route.upstream) {
            *used = true;
        }
        routes.push(route);
    }
    for (upstream, _) in upstreams.iter().zip(used).filter(|(_, used)| !used) {
        upstream.field.warning("no route leads here");
    }
    routes
}

/// The route of a file that names none.
fn whole_site() -> RouteSettings {
    let permission = Permission::default();
    RouteSettings { name: "default".to_owned(), path: "/".to_owned(), host: None, upstream: 0, profile: 0, permission }
}

fn route(mut section: Section<'_>, upstreams: &[Upstream<'_>], profiles: &[Profile<'_>]) -> RouteSettings {
    let route = RouteSettings {
        name: section.required("name", "it stands in logs and metrics").and_then(|field| field.text(&NAME)).unwrap_or_default(),
        path: section.text("path", &PATH).unwrap_or_else(|| "/".to_owned()),
        host: section.text("host", &HOST),
        upstream: upstream(&mut section, upstreams),
        profile: profile(&mut section, profiles),
        permission: Permission::new(PermissionSettings {
            all_scopes: section.texts("scopes", &SCOPE),
            any_scopes: section.texts("any_scopes", &SCOPE),
            all_roles: section.texts("roles", &TEXT),
            any_roles: section.texts("any_roles", &TEXT),
            all_claims: section.field("claims").map(|field| claims(&field)).unwrap_or_default(),
            any_claims: section.field("any_claims").map(|field| claims(&field)).unwrap_or_default(),
            nonce: section.field("nonce").and_then(|field| nonce(&field)).unwrap_or_default(),
        }),
    };
    section.finish();
    route
}

/// The index of the upstream that a route names; it need not name the only one.
fn upstream(section: &mut Section<'_>, upstreams: &[Upstream<'_>]) -> usize {
    let names: Vec<_> = upstreams.iter().map(|upstream| upstream.settings.name.as_str()).collect();
    let Some(field) = section.field("upstream") else {
        if names.len() > 1 {
            section.missing("upstream", &format!("there are several; accepted: {}", names.join(", ")));
        }
        return 0;
    };
    let name = field.text(&NAME);
    let found = name.as_ref().and_then(|name| names.iter().position(|known| known == name));
    if let (Some(name), None, false) = (name, found, names.is_empty()) {
        field.problem(format!("there is no upstream {}; accepted: {}", shown(&name), names.join(", ")));
    }
    found.unwrap_or(0)
}

/// The index of the minting profile that a route names; without one the first, that of `mint`.
fn profile(section: &mut Section<'_>, profiles: &[Profile<'_>]) -> usize {
    let Some(field) = section.field("mint") else { return 0 };
    let Some(name) = field.text(&NAME) else { return 0 };
    let found = profiles.iter().position(|profile| profile.settings.name == name);
    if found.is_none() {
        let names: Vec<_> = profiles.iter().map(|profile| profile.settings.name.as_str()).collect();
        field.problem(format!("there is no profile {}; accepted: {}", shown(&name), names.join(", ")));
    }
    found.unwrap_or(0)
}

/// Claims and the values that each may have; an empty list: the claim must be there.
fn claims(field: &Field<'_>) -> Vec<ClaimRule> {
    let rule = |(name, field): (&str, Field<'_>)| {
        let claim = (CLAIM.parse)(name).map_err(|wrong| field.problem(format!("{wrong}; accepted: {}", CLAIM.accepted))).ok()?;
        let values = if field.is_empty_list() { Vec::new() } else { field.texts(&TEXT) };
        Some(ClaimRule { claim, values })
    };
    field.entries().into_iter().filter_map(rule).collect()
}

fn nonce(field: &Field<'_>) -> Option<NonceRule> {
    if field.is_mapping() {
        let mut section = field.section();
        let header = section.required("header", "the request header whose value the nonce must equal");
        section.finish();
        return header.and_then(|field| field.text(&HEADER)).map(NonceRule::EqualsHeader);
    }
    match field.scalar(NONCE_ACCEPTED)? {
        "ignored" => Some(NonceRule::Ignored),
        "forbidden" => Some(NonceRule::Forbidden),
        other => {
            field.problem(format!("\"{}\" is not known; accepted: {NONCE_ACCEPTED}", shown(other)));
            None
        }
    }
}

/// Only what means the same under every reading: no escapes, no dot segments, no empty segments.
fn path(text: &str) -> Result<String, &'static str> {
    if text == "/" {
        return Ok(text.to_owned());
    }
    let rest = text.strip_prefix('/').filter(|_| text.len() <= 1_024).ok_or("does not start with a slash, or is too long")?;
    if rest.ends_with('/') {
        return Err("ends with a slash; /db takes /db, /db/ and everything below");
    }
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'$' | b'+' | b',' | b'=')
    };
    let fine = rest.split('/').all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(plain));
    if fine { Ok(text.to_owned()) } else { Err("has a character or segment that can be read in two ways") }
}

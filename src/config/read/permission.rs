//! What a token must permit: `scopes`, `roles`, `claims` and `nonce` of a route.

use crate::{
    config::{
        field::Field,
        formats::{CLAIM, HEADER, SCOPE, TEXT},
        section::Section,
        suggest::shown,
    },
    token::{ClaimRule, NonceRule, PermissionSettings},
};

const NONCE_ACCEPTED: &str = "ignored, forbidden, or {header: NAME}";

/// What the token must permit.
pub(in crate::config) fn permission(section: &mut Section<'_>) -> PermissionSettings {
    PermissionSettings {
        all_scopes: section.texts("scopes", &SCOPE),
        any_scopes: section.texts("any_scopes", &SCOPE),
        all_roles: section.texts("roles", &TEXT),
        any_roles: section.texts("any_roles", &TEXT),
        all_claims: section.field("claims").map(|field| claims(&field)).unwrap_or_default(),
        any_claims: section.field("any_claims").map(|field| claims(&field)).unwrap_or_default(),
        nonce: section.field("nonce").and_then(|field| nonce(&field)).unwrap_or_default(),
    }
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

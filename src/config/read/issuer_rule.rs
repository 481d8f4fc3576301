//! `issuer` and `tenants`: which `iss` is accepted.

use crate::{
    config::{formats::GUID, read::presets::TENANT_PLACE, section::Section, suggest::shown},
    token::{IssuerRule, TenantRule},
};

/// Instead of an `iss`: what the discovery document says.
pub(in crate::config) const DISCOVERED: &str = "discovered";

/// Which `iss` is accepted, and of which tenants.
pub(in crate::config) fn rule(section: &mut Section<'_>, issuers: Vec<String>) -> IssuerRule {
    let only = section.texts("tenants", &GUID);
    let any = section.flag("any_tenant", false);
    let templates = issuers.iter().filter(|issuer| issuer.contains(TENANT_PLACE)).count();
    if let Some(text) = issuers.iter().find(|issuer| issuer.replace(TENANT_PLACE, "").contains(['{', '}'])) {
        let text = format!("\"{}\" has a brace that is not part of {TENANT_PLACE}", shown(text));
        section.refuse("issuer", &text);
    }
    if templates == 0 {
        if !issuers.is_empty() {
            section.refuse("tenants", "is valid only for an issuer with {tenantid} in it");
            section.refuse("any_tenant", "is valid only for an issuer with {tenantid} in it");
        }
        return if issuers == [DISCOVERED] { IssuerRule::Discovered } else { IssuerRule::Exact(issuers) };
    }
    if issuers.len() > templates {
        section.refuse("issuer", "mixes elements with and without {tenantid}; accepted: {tenantid} in all of them, or in none");
    }
    let listed = section.field("tenants").is_some();
    match (listed, any) {
        (false, false) => {
            section.missing("tenants", "anyone can create a tenant; list the GUIDs of those to accept, or set any_tenant: true");
        }
        (true, true) => section.refuse("any_tenant", "cannot be combined with tenants; remove one of them"),
        _ => {}
    }
    let tenants = if any { TenantRule::Any } else { TenantRule::Only(only) };
    IssuerRule::Template { patterns: issuers, tenants }
}

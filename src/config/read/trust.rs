//! What must hold across issuers: each has its own name and its own `iss`, and their user ids cannot meet.

use std::collections::{BTreeSet, HashMap};

use crate::{
    config::read::{
        identity::{self, Collision},
        issuers::Issuer,
        presets::TENANT_PLACE,
    },
    token::{IssuerRule, TenantRule},
};

/// The way out for issuers that know the same people.
const SHARED: &str = "or shared_user_ids: true where one id always means one person";
/// Length of a GUID.
const GUID_BYTES: usize = 36;

pub(in crate::config) fn check(issuers: &[Issuer<'_>]) {
    names(issuers);
    iss_values(issuers);
    user_ids(issuers);
}

fn names(issuers: &[Issuer<'_>]) {
    let mut seen = HashMap::new();
    for issuer in issuers {
        let name = issuer.config.rules.name.as_str();
        if let Some(first) = seen.insert(name, &issuer.field.key).filter(|_| !name.is_empty()) {
            issuer.field.problem(format!("name {name} is that of {first} too; accepted: a name of its own for each (name: ...)"));
        }
    }
}

/// No `iss` may belong to two issuers: which rules hold for a token must be plain.
fn iss_values(issuers: &[Issuer<'_>]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut clashes = Vec::new();
    for (index, issuer) in issuers.iter().enumerate() {
        for iss in known_values(&issuer.config.rules.issuer) {
            match seen.get(&iss) {
                Some(first) if *first != index => clashes.push((*first, index, iss)),
                Some(_) => {}
                None => drop(seen.insert(iss, index)),
            }
        }
    }
    for (index, issuer) in issuers.iter().enumerate() {
        let IssuerRule::Template { pattern, tenants: TenantRule::Any } = &issuer.config.rules.issuer else { continue };
        let meets = seen.iter().filter(|(iss, other)| **other != index && fits(pattern, iss));
        clashes.extend(meets.map(|(iss, other)| (*other, index, iss.clone())));
        let twins = issuers.iter().enumerate().take(index).filter(|(_, other)| {
            matches!(&other.config.rules.issuer, IssuerRule::Template { pattern: same, tenants: TenantRule::Any } if same == pattern)
        });
        clashes.extend(twins.map(|(other, _)| (other, index, pattern.clone())));
    }
    let mut reported = BTreeSet::new();
    clashes.sort();
    for (one, other, iss) in clashes {
        let pair = (one.min(other), one.max(other));
        if let (true, Some(first), Some(second)) = (reported.insert(pair), issuers.get(pair.0), issuers.get(pair.1)) {
            second
                .field
                .problem(format!("takes the iss {iss}, which {} takes too; accepted: each iss in one issuer", first.field.key));
        }
    }
}

/// Every `iss` that a rule takes, unless it takes any tenant.
fn known_values(rule: &IssuerRule) -> Vec<String> {
    match rule {
        IssuerRule::Exact(issuers) => issuers.clone(),
        IssuerRule::Template { pattern, tenants: TenantRule::Only(tenants) } => {
            tenants.iter().map(|tenant| pattern.replace(TENANT_PLACE, tenant)).collect()
        }
        IssuerRule::Template { tenants: TenantRule::Any, .. } => Vec::new(),
    }
}

/// Whether some tenant, put into the pattern, gives this `iss`.
fn fits(pattern: &str, iss: &str) -> bool {
    let Some((before, _)) = pattern.split_once(TENANT_PLACE) else { return false };
    let tenant = iss.strip_prefix(before).and_then(|rest| rest.get(..GUID_BYTES));
    tenant.is_some_and(|tenant| pattern.replace(TENANT_PLACE, tenant) == iss)
}

fn user_ids(issuers: &[Issuer<'_>]) {
    let rules: Vec<_> = issuers.iter().map(|issuer| &issuer.config.rules).collect();
    let shared: Vec<_> = issuers.iter().map(|issuer| issuer.shared).collect();
    for (index, collision) in identity::collisions(&rules, &shared) {
        let Some(issuer) = issuers.get(index) else { continue };
        let text = match collision {
            Collision::Tenants => {
                format!("several tenants, and user_id does not hold the tenant; accepted: a join such as {{tid}}_{{oid}}, {SHARED}")
            }
            Collision::Issuers => format!(
                "several issuers, and user_id does not say which; accepted: a join or prefix such as {{tid}}_{{oid}} or partner_{{sub}}, {SHARED}"
            ),
            Collision::Prefix(other) => {
                let other = issuers.get(other).map(|issuer| issuer.field.key.as_str()).unwrap_or_default();
                format!("the prefixes of its user_id and that of {other} begin alike; accepted: prefixes that differ, {SHARED}")
            }
        };
        issuer.field.problem(format!("two people could get one user id: {text}"));
    }
}

//! Rules across issuers: each has its own name and its own `iss`, and their user ids cannot collide.

use std::collections::{BTreeMap, HashMap};

use crate::{
    config::read::{
        identity::{self, Collision},
        issuers::Issuer,
        presets::TENANT_PLACE,
    },
    token::{GUID_BYTES, IssuerRule, TakenAt, TenantRule, is_tenant_id},
};

/// The way out for issuers that know the same people.
const SHARED: &str = "or shared_user_ids: true where one id always means one person";

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
            issuer
                .field
                .problem(format!("name {name} is already used by {first}; accepted: a different name for each (name: ...)"));
        }
    }
}

/// No `iss` may belong to two issuers: which rules hold for a token must be plain.
fn iss_values(issuers: &[Issuer<'_>]) {
    let mut seen: HashMap<(bool, String), usize> = HashMap::new();
    let mut clashes = BTreeMap::new();
    let mut clash = |one: usize, other: usize, iss: &str| {
        let taken_at = |index: usize| issuers.get(index).map(|issuer| issuer.config.rules.taken_at);
        if one != other && taken_at(one) == taken_at(other) {
            clashes.entry((one.min(other), one.max(other))).or_insert_with(|| iss.to_owned());
        }
    };
    let open_patterns: Vec<_> = issuers
        .iter()
        .enumerate()
        .flat_map(|(index, issuer)| open_patterns(&issuer.config.rules.issuer).iter().map(move |pattern| (index, pattern)))
        .collect();
    for (index, issuer) in issuers.iter().enumerate() {
        for iss in values(&issuer.config.rules.issuer) {
            open_patterns.iter().filter(|(_, pattern)| fits(pattern, &iss)).for_each(|(other, _)| clash(*other, index, &iss));
            let is_for_routes = issuer.config.rules.taken_at == TakenAt::Routes;
            clash(*seen.entry((is_for_routes, iss.clone())).or_insert(index), index, &iss);
        }
    }
    for ((first, second), iss) in clashes {
        if let (Some(first), Some(second)) = (issuers.get(first), issuers.get(second)) {
            second.field.problem(format!(
                "accepts the iss {iss}, which {} also accepts; accepted: each iss in only one issuer",
                first.field.key
            ));
        }
    }
}

/// Every `iss` that a rule takes. For a template that takes any tenant it is the pattern itself, which is the `iss` of nobody else.
fn values(rule: &IssuerRule) -> Vec<String> {
    match rule {
        // What it will be is not known; where two issuers take one token, the first one counts.
        IssuerRule::Discovered => Vec::new(),
        IssuerRule::Exact(issuers) => issuers.clone(),
        IssuerRule::Template { patterns, tenants: TenantRule::Any } => patterns.clone(),
        IssuerRule::Template { patterns, tenants: TenantRule::Only(tenants) } => {
            let filled = |pattern: &String| tenants.iter().map(|tenant| pattern.replace(TENANT_PLACE, tenant)).collect::<Vec<_>>();
            patterns.iter().flat_map(filled).collect()
        }
    }
}

/// The patterns of a rule that takes any tenant.
fn open_patterns(rule: &IssuerRule) -> &[String] {
    match rule {
        IssuerRule::Template { patterns, tenants: TenantRule::Any } => patterns,
        IssuerRule::Discovered | IssuerRule::Exact(_) | IssuerRule::Template { tenants: TenantRule::Only(_), .. } => &[],
    }
}

/// Whether some tenant, put into the pattern, gives this `iss`.
fn fits(pattern: &str, iss: &str) -> bool {
    let Some((before, _)) = pattern.split_once(TENANT_PLACE) else { return false };
    let tenant = iss.strip_prefix(before).and_then(|rest| rest.get(..GUID_BYTES));
    tenant.is_some_and(|tenant| is_tenant_id(tenant) && pattern.replace(TENANT_PLACE, tenant) == iss)
}

fn user_ids(issuers: &[Issuer<'_>]) {
    let rules: Vec<_> = issuers.iter().map(|issuer| &issuer.config.rules).collect();
    let shared: Vec<_> = issuers.iter().map(|issuer| issuer.shared).collect();
    for (index, collision) in identity::collisions(&rules, &shared) {
        let Some(issuer) = issuers.get(index) else { continue };
        let text = match collision {
            Collision::Tenants => {
                format!(
                    "there are several tenants, and user_id does not contain the tenant; accepted: a combination such as {{tid}}_{{oid}}, {SHARED}"
                )
            }
            Collision::Issuers => format!(
                "there are several issuers, and user_id does not say which; accepted: a combination or prefix such as {{tid}}_{{oid}} or partner_{{sub}}, {SHARED}"
            ),
            Collision::Prefix(other) => {
                let other = issuers.get(other).map(|issuer| issuer.field.key.as_str()).unwrap_or_default();
                format!("the prefixes of its user_id and of {other} overlap; accepted: different prefixes, {SHARED}")
            }
        };
        issuer.field.problem(format!("two people could get the same user id: {text}"));
    }
}

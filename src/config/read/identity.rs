//! The user-id rule of one issuer, and whether those of several issuers could give one id to two people.

use crate::{
    config::{field::Field, formats::CLAIM, suggest::shown},
    token::{IssuerRule, IssuerSettings, TakenAt, TenantRule, UserIdRule},
};

/// Claims that people can change, or that pass from one person to another.
const MUTABLE_CLAIMS: [&str; 6] = ["email", "emails", "name", "preferred_username", "unique_name", "upn"];

/// What the file permits for this issuer.
pub(in crate::config) struct Permitted {
    /// A list of claims, of which the first counts: only where a provider gives the same id under several names (B2C).
    pub(in crate::config) list: bool,
    /// Claims that can change.
    pub(in crate::config) mutable: bool,
}

/// Reads `user_id`.
pub(in crate::config) fn user_id(field: &Field<'_>, permitted: &Permitted) -> Option<UserIdRule> {
    if field.is_list() {
        let claims = field.texts(&CLAIM);
        if claims.len() > 1 && !permitted.list {
            field.problem("is a list; a fallback is accepted only with preset b2c, since elsewhere one person could get two ids");
        }
        claims.iter().for_each(|claim| check_mutable(field, claim, permitted));
        return (!claims.is_empty()).then_some(UserIdRule::Claims(claims));
    }
    let text = field.scalar("a claim such as oid, or claims in braces such as {tid}_{oid}")?;
    if text.contains("${") {
        // Taken unchanged it would give every user another id than the claim.
        field.problem(format!(
            "\"{}\" has a $ before a brace; write a claim as {{sub}} here, ${{...}} is only for mint.claims",
            shown(text)
        ));
        return None;
    }
    if !text.contains(['{', '}']) {
        let claim = field.text(&CLAIM)?;
        check_mutable(field, &claim, permitted);
        return Some(UserIdRule::Claims(vec![claim]));
    }
    let Some(claims) = template_claims(text).filter(|_| text.len() <= 256) else {
        field.problem(format!("\"{}\" is not valid; accepted: claims in braces such as {{tid}}_{{oid}}", shown(text)));
        return None;
    };
    if text.contains("}{") {
        field.problem("two claims are adjacent, so different people could get one id; accepted: text between them");
    }
    claims.iter().for_each(|claim| check_mutable(field, claim, permitted));
    Some(UserIdRule::Template(text.to_owned()))
}

/// Whether users choose this claim, or it can change hands: as the user id, it would make one of them another.
pub(in crate::config) fn is_chosen(claim: &str) -> bool {
    const NAMES: [&str; 8] = [
        "displayName",
        "givenName",
        "given_name",
        "surname",
        "family_name",
        "userPrincipalName",
        "mail",
        "signInNames.emailAddress",
    ];
    MUTABLE_CLAIMS.contains(&claim) || NAMES.contains(&claim)
}

fn check_mutable(field: &Field<'_>, claim: &str, permitted: &Permitted) {
    if MUTABLE_CLAIMS.contains(&claim) && !permitted.mutable {
        field.problem(format!(
            "{claim} can be changed by its owner and reassigned to another person; accepted only with mutable_user_id: true"
        ));
    }
}

/// Whether the rule takes a claim that can change.
pub(in crate::config) fn is_mutable(rule: &UserIdRule) -> bool {
    let claims = match rule {
        UserIdRule::Claims(claims) => claims.iter().map(String::as_str).collect(),
        UserIdRule::Template(text) => template_claims(text).unwrap_or_default(),
    };
    claims.iter().any(|claim| MUTABLE_CLAIMS.contains(claim))
}

/// The claims of a template, at least one; none if a brace or a name is out of place.
fn template_claims(text: &str) -> Option<Vec<&str>> {
    let mut claims = Vec::new();
    let mut parts = text.split('{');
    if parts.next()?.contains('}') {
        return None;
    }
    for part in parts {
        let (claim, literal) = part.split_once('}')?;
        if literal.contains('}') || (CLAIM.parse)(claim).is_err() {
            return None;
        }
        claims.push(claim);
    }
    (!claims.is_empty()).then_some(claims)
}

/// Why the user ids of an issuer could collide with another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Collision {
    /// It takes several tenants, and the user id does not hold the tenant.
    Tenants,
    /// There are other issuers, and nothing marks the user id as coming from this one.
    Issuers,
    /// The issuer of this index marks its user ids alike.
    Prefix(usize),
}

/// Every issuer whose user ids could collide, and why. Those that are `shared` on purpose are left out.
pub(in crate::config) fn collisions(issuers: &[&IssuerSettings], shared: &[bool]) -> Vec<(usize, Collision)> {
    let mut found = Vec::new();
    // Those who call endpoints are no users.
    let of_users = || issuers.iter().enumerate().filter(|(_, issuer)| issuer.taken_at == TakenAt::Routes);
    let candidates: Vec<_> = of_users().filter(|(index, _)| shared.get(*index) != Some(&true)).collect();
    for (index, issuer) in &candidates {
        let (prefix, has_tenant) = marks(&issuer.user_id);
        if takes_several_tenants(&issuer.issuer) && !has_tenant {
            found.push((*index, Collision::Tenants));
        } else if of_users().count() > 1 && !has_tenant && prefix.is_empty() {
            found.push((*index, Collision::Issuers));
        } else if !prefix.is_empty() {
            let alike = candidates.iter().find(|(other, settings)| {
                let (other_prefix, _) = marks(&settings.user_id);
                *other != *index
                    && !other_prefix.is_empty()
                    && (prefix.starts_with(other_prefix) || other_prefix.starts_with(prefix))
            });
            found.extend(alike.map(|(other, _)| (*index, Collision::Prefix(*other))));
        }
    }
    found
}

/// The literal text that a user id starts with, and whether it holds the tenant.
fn marks(rule: &UserIdRule) -> (&str, bool) {
    match rule {
        UserIdRule::Claims(_) => ("", false),
        UserIdRule::Template(text) => (text.split('{').next().unwrap_or_default(), text.contains("{tid}")),
    }
}

fn takes_several_tenants(rule: &IssuerRule) -> bool {
    match rule {
        IssuerRule::Discovered | IssuerRule::Exact(_) => false,
        IssuerRule::Template { tenants: TenantRule::Only(tenants), .. } => tenants.len() > 1,
        IssuerRule::Template { tenants: TenantRule::Any, .. } => true,
    }
}

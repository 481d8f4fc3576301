//! The presets of `issuers`: where each provider's discovery documents are and what its `iss` looks like.
//!
//! A preset expands to plain settings; a key in the file overrides it.

use std::time::Duration;

use url::Url;

use crate::{
    config::{
        formats::{Format, GUID, HOST, LABEL},
        section::Section,
    },
    jwks::JwksSettings,
    token::{CLOUDS, Cloud, Provider, UserIdRule},
};

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Preset {
    /// Azure AD B2C.
    B2c,
    /// Microsoft Entra ID.
    Entra,
    /// Microsoft Entra External ID.
    ExternalId,
    /// Any OpenID provider.
    Oidc,
}

/// The names of the presets.
pub(in crate::config) const PRESETS: [(&str, Preset); 4] =
    [("b2c", Preset::B2c), ("entra", Preset::Entra), ("external-id", Preset::ExternalId), ("oidc", Preset::Oidc)];

/// The placeholder for the tenant in a templated issuer.
pub(in crate::config) const TENANT_PLACE: &str = "{tenantid}";

/// How long a key of the key sets for all tenants is kept after it was last seen. They lose keys for up to two days and bring them back.
const KEEP_ALL_TENANTS: Duration = Duration::from_secs(50 * 3_600);
/// Other providers withdraw a key when they mean it.
const KEEP_GENERIC: Duration = Duration::from_secs(3_600);

const MAX_POLICIES: usize = 100;
const MAX_DOMAINS: usize = 16;

/// What is beside a preset in the file.
pub(in crate::config) struct Given<'a> {
    /// The policies.
    pub(in crate::config) policies: &'a [String],
    /// The issuers; empty: expand them.
    pub(in crate::config) issuers: &'a [String],
    /// The discovery documents.
    pub(in crate::config) discovery: &'a [String],
    /// Whether there are sources of keys; if not: expand them.
    pub(in crate::config) sources: bool,
}

/// What a preset expands to.
#[derive(Debug)]
pub(in crate::config) struct Expansion {
    /// The default name; none: that of the host.
    pub(in crate::config) name: Option<String>,
    /// Discovery documents.
    pub(in crate::config) discovery: Vec<String>,
    /// Issuers; one with [`TENANT_PLACE`] in it is a template.
    pub(in crate::config) issuers: Vec<String>,
    /// Where the user id comes from.
    pub(in crate::config) user_id: UserIdRule,
    /// How long a key is kept after it was last seen.
    pub(in crate::config) keep: Duration,
}

impl Expansion {
    /// What holds without a preset.
    pub(in crate::config) fn plain() -> Self {
        Self { name: None, discovery: Vec::new(), issuers: Vec::new(), user_id: claims(&["sub"]), keep: KEEP_GENERIC }
    }

    /// What holds for a tenant of Microsoft's, with the user id from these claims.
    fn microsoft(user_id: &[&str]) -> Self {
        Self { user_id: claims(user_id), keep: JwksSettings::KEEP, ..Self::plain() }
    }
}

fn claims(names: &[&str]) -> UserIdRule {
    UserIdRule::Claims(names.iter().map(|name| (*name).to_owned()).collect())
}

impl Preset {
    /// Whose words remedies use.
    pub(in crate::config) fn provider(self) -> Provider {
        match self {
            Self::B2c => Provider::B2c,
            Self::Entra => Provider::Entra,
            Self::ExternalId => Provider::ExternalId,
            Self::Oidc => Provider::Other,
        }
    }

    /// Reads the preset's parameters. What is missing is reported only if something needs it.
    pub(in crate::config) fn expand(self, section: &mut Section<'_>, given: &Given<'_>) -> Expansion {
        match self {
            Self::B2c => b2c(section, given),
            Self::Entra => entra(section, given),
            Self::ExternalId => external_id(section, given),
            Self::Oidc => oidc(section, given),
        }
    }
}

/// A parameter that must be there if something needs it.
fn parameter(section: &mut Section<'_>, key: &'static str, format: &Format<String>, needed: bool, what: &str) -> Option<String> {
    let field = if needed { section.required(key, what) } else { section.field(key) };
    field?.text(format)
}

fn b2c(section: &mut Section<'_>, given: &Given<'_>) -> Expansion {
    let needed = given.issuers.is_empty() || !given.sources;
    let tenant = parameter(section, "tenant", &LABEL, needed, "the contoso of contoso.b2clogin.com");
    let tenant_id = parameter(section, "tenant_id", &GUID, given.issuers.is_empty(), "the tenant's GUID, which B2C puts into iss");
    let domains = section.texts("domains", &HOST);
    if !given.sources && section.field("policies").is_none() {
        section.missing("policies", "the user flows or custom policies that clients log in with, such as [B2C_1_signin]");
    }
    if domains.len() > MAX_DOMAINS || given.policies.len() > MAX_POLICIES {
        let key = if domains.len() > MAX_DOMAINS { "domains" } else { "policies" };
        section.refuse(key, &format!("has too many elements; accepted: {MAX_DOMAINS} domains, {MAX_POLICIES} policies"));
        return Expansion::plain();
    }
    let login = tenant.as_ref().map(|tenant| format!("{tenant}.b2clogin.com"));
    let mut expansion = Expansion { name: tenant.clone(), ..Expansion::microsoft(&["oid", "sub"]) };
    if let (Some(tenant), Some(login)) = (&tenant, &login) {
        expansion.discovery = given
            .policies
            .iter()
            .map(|policy| format!("https://{login}/{tenant}.onmicrosoft.com/{policy}/v2.0/.well-known/openid-configuration"))
            .collect();
    }
    // Without and with the policy: which form it is, is a setting of each policy ("issuer (iss) claim").
    if let Some(tenant_id) = tenant_id {
        for host in login.iter().chain(domains.iter().filter(|domain| Some(*domain) != login.as_ref())) {
            expansion.issuers.push(format!("https://{host}/{tenant_id}/v2.0/"));
            let policies = given.policies.iter().map(|policy| policy.to_ascii_lowercase());
            expansion.issuers.extend(policies.map(|policy| format!("https://{host}/tfp/{tenant_id}/{policy}/v2.0/")));
        }
    }
    expansion
}

const ENTRA_TENANT: Format<String> = Format {
    accepted: "the tenant's GUID, common or organizations",
    shown: true,
    parse: |text| match text {
        "common" | "organizations" => Ok(text.to_owned()),
        "consumers" => Err("is the tenant 9188040d-6c67-4c5b-b112-36a304b66dad of all personal accounts; write that GUID"),
        _ => (GUID.parse)(text),
    },
};

fn entra(section: &mut Section<'_>, given: &Given<'_>) -> Expansion {
    let needed = given.issuers.is_empty() || !given.sources;
    let tenant = parameter(section, "tenant", &ENTRA_TENANT, needed, ENTRA_TENANT.accepted);
    let cloud = cloud_of_discovery(section, given);
    let Some(tenant) = tenant else { return Expansion::microsoft(&["oid"]) };
    let discovery = vec![format!("{}/.well-known/openid-configuration", cloud.issuer_2(&tenant))];
    // Tokens of version 2 and of version 1: which it is, is a setting of the API's registration.
    let issuers = |tenant: &str| vec![cloud.issuer_2(tenant), cloud.issuer_1(tenant)];
    if matches!(tenant.as_str(), "common" | "organizations") {
        let user_id = UserIdRule::Template("{tid}_{oid}".to_owned());
        return Expansion { name: Some(tenant), discovery, issuers: issuers(TENANT_PLACE), user_id, keep: KEEP_ALL_TENANTS };
    }
    Expansion { name: Some(tenant.clone()), discovery, issuers: issuers(&tenant), ..Expansion::microsoft(&["oid"]) }
}

/// The cloud whose discovery documents are given; without any, the public one. The issuers are those of the same cloud.
fn cloud_of_discovery(section: &mut Section<'_>, given: &Given<'_>) -> &'static Cloud {
    let mut clouds = given.discovery.iter().filter_map(|url| cloud_of(url));
    let cloud = clouds.next();
    if clouds.any(|other| Some(other) != cloud) {
        section.refuse("discovery", "has documents of two clouds; accepted: those of one cloud, with an issuer for each");
    }
    cloud.unwrap_or(&CLOUDS[0])
}

/// The cloud that has this URL of version 2.
pub(in crate::config) fn cloud_of(url: &str) -> Option<&'static Cloud> {
    CLOUDS.iter().find(|cloud| url.starts_with(cloud.version_2))
}

const CIAM_LABEL: Format<String> = Format {
    accepted: "the first label of the host name, such as contoso of contoso.ciamlogin.com",
    shown: true,
    parse: LABEL.parse,
};

fn external_id(section: &mut Section<'_>, given: &Given<'_>) -> Expansion {
    let needed = given.issuers.is_empty() || !given.sources;
    let tenant = parameter(section, "tenant", &CIAM_LABEL, !given.sources, "the contoso of contoso.ciamlogin.com");
    let tenant_id = parameter(section, "tenant_id", &GUID, needed, "the tenant's GUID, which is part of iss, even of its host");
    let mut expansion = Expansion { name: tenant.clone(), ..Expansion::microsoft(&["oid"]) };
    if let (Some(tenant), Some(id)) = (&tenant, &tenant_id) {
        expansion.discovery = vec![format!("https://{tenant}.ciamlogin.com/{id}/v2.0/.well-known/openid-configuration")];
    }
    // The tenant is one of Entra too: tokens that were asked for at its other endpoint say so.
    let domains = section.texts("domains", &HOST);
    if domains.len() > MAX_DOMAINS {
        section.refuse("domains", &format!("has too many elements; accepted: {MAX_DOMAINS} domains"));
        return expansion;
    }
    if let Some(id) = &tenant_id {
        let own = format!("{id}.ciamlogin.com");
        let hosts = [own.as_str(), "login.microsoftonline.com"].into_iter().chain(domains.iter().map(String::as_str));
        for host in hosts {
            let issuer = format!("https://{host}/{id}/v2.0");
            if !expansion.issuers.contains(&issuer) {
                expansion.issuers.push(issuer);
            }
        }
    }
    expansion
}

fn oidc(section: &mut Section<'_>, given: &Given<'_>) -> Expansion {
    let mut expansion = Expansion::plain();
    let Some(field) = section.required("issuer", "the provider's iss, such as https://login.contoso.com") else {
        return expansion;
    };
    if let (false, [issuer, more @ ..]) = (given.sources, given.issuers) {
        if !more.is_empty() || issuer.contains(TENANT_PLACE) || Url::parse(issuer).is_err() {
            section.missing("discovery", "it can be derived from the issuer only if that is a single URL");
        } else {
            let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
            match (crate::config::formats::KEY_URL.parse)(&url) {
                Ok(url) => expansion.discovery = vec![url],
                Err(wrong) => field.problem(format!("cannot be used to find the discovery document: {wrong}; or set discovery")),
            }
        }
    }
    expansion
}

//! Whether a discovery document names the configured issuer. Pure.
//!
//! OpenID Connect Discovery 1.0 section 4.3 requires both to be identical. If they are not, every token of the provider would
//! be refused.

use url::{Host, Url};

use crate::token::{CLOUDS, Cloud, IssuerRule, TenantRule, is_guid};

/// The placeholder for the tenant in our templates and in Microsoft's discovery documents.
const TENANT: &str = "{tenantid}";
/// Where Microsoft issues tokens of version 1 and of version 2. A discovery document names the issuer of one, and its keys sign for both.
const MICROSOFT: [&str; 6] = [
    "sts.windows.net",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "sts.chinacloudapi.cn",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
];

/// Whether a document that names this issuer is one for the rule: the name is in the list, or fits the template.
pub(super) fn fits(rule: &IssuerRule, named: &str) -> bool {
    match rule {
        IssuerRule::Discovered => true,
        IssuerRule::Exact(issuers) => issuers.iter().any(|issuer| names(named, issuer) || are_of_one_tenant(named, issuer)),
        IssuerRule::Template { patterns, tenants } => patterns.iter().any(|pattern| fits_template(pattern, tenants, named)),
    }
}

fn fits_template(pattern: &str, tenants: &TenantRule, named: &str) -> bool {
    // The document names the issuer of one version, and its keys sign for both.
    let is_of = |cloud: &Cloud, url: &str| url == cloud.issuer_1(TENANT) || url == cloud.issuer_2(TENANT);
    if pattern == named || CLOUDS.iter().any(|cloud| is_of(cloud, pattern) && is_of(cloud, named)) {
        return true;
    }
    match (tenant_in(pattern, named), tenants) {
        (Some(tenant), TenantRule::Only(tenants)) => tenants.iter().any(|known| known == tenant),
        (tenant, TenantRule::Any) => tenant.is_some(),
        (None, TenantRule::Only(_)) => false,
    }
}

/// Whether tokens with this `iss` are those of the issuer that is named, which may be a template.
pub(super) fn names(named: &str, iss: &str) -> bool {
    named == iss || tenant_in(named, iss).is_some()
}

/// The tenant that makes the template this issuer.
fn tenant_in<'i>(template: &str, issuer: &'i str) -> Option<&'i str> {
    let (before, after) = template.split_once(TENANT)?;
    let tenant = issuer.strip_prefix(before)?.strip_suffix(after)?;
    is_guid(tenant).then_some(tenant)
}

/// Whether both are names that Microsoft has for one tenant.
fn are_of_one_tenant(one: &str, other: &str) -> bool {
    match (microsoft_tenant(one), microsoft_tenant(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn microsoft_tenant(issuer: &str) -> Option<String> {
    let url = Url::parse(issuer).ok()?;
    let is_microsoft = matches!(url.host(), Some(Host::Domain(host)) if MICROSOFT.contains(&host));
    let tenant = url.path_segments()?.next()?;
    (is_microsoft && is_guid(tenant)).then(|| tenant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "9c0c1f5e-0000-4000-8000-000000000001";
    const OTHER: &str = "9c0c1f5e-0000-4000-8000-000000000002";

    fn exact(issuers: &[&str]) -> IssuerRule {
        IssuerRule::Exact(issuers.iter().map(|issuer| (*issuer).to_owned()).collect())
    }

    #[test]
    fn a_list_is_fitted_byte_for_byte() {
        let rule = exact(&["https://login.contoso.com/a", "https://login.contoso.com/b"]);
        assert!(fits(&rule, "https://login.contoso.com/b"));
        for named in ["https://login.contoso.com/b/", "https://LOGIN.contoso.com/b", "http://login.contoso.com/b", "", "b"] {
            assert!(!fits(&rule, named), "{named}");
        }
        assert!(fits(&IssuerRule::Discovered, "https://anything.example"));
    }

    #[test]
    fn a_template_is_fitted_by_itself_and_by_its_tenants() {
        let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0".to_owned();
        let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
        let only = IssuerRule::Template { patterns: vec![pattern.clone()], tenants: TenantRule::Only(vec![ONE.to_owned()]) };
        let any = IssuerRule::Template { patterns: vec![pattern.clone()], tenants: TenantRule::Any };
        for (named, by_only, by_any) in [
            (pattern.as_str(), true, true),
            (&issuer(ONE), true, true),
            (&issuer(OTHER), false, true),
            (&issuer("common"), false, false),
            ("https://sts.windows.net/{tenantid}/", true, true),
            ("https://login.microsoftonline.us/{tenantid}/v2.0", false, false),
            (&format!("https://login.microsoftonline.com/{ONE}/v2.0/"), false, false),
        ] {
            assert_eq!((fits(&only, named), fits(&any, named)), (by_only, by_any), "{named}");
        }
    }

    #[test]
    fn a_document_for_all_tenants_fits_each_of_them_and_a_tenant_has_two_names() {
        let tenant = exact(&[&format!("https://login.microsoftonline.com/{ONE}/v2.0")]);
        assert!(fits(&tenant, "https://login.microsoftonline.com/{tenantid}/v2.0"));
        let version_1 = exact(&[&format!("https://sts.windows.net/{ONE}/")]);
        assert!(fits(&version_1, &format!("https://login.microsoftonline.com/{ONE}/v2.0")));
        assert!(!fits(&version_1, &format!("https://login.microsoftonline.com/{OTHER}/v2.0")));
        assert!(!fits(&version_1, &format!("https://login.microsoftonline.com.example/{ONE}/v2.0")));
        assert!(names("https://sts.windows.net/{tenantid}/", &format!("https://sts.windows.net/{ONE}/")));
        assert!(!names("https://sts.windows.net/{tenantid}/", "https://sts.windows.net/x/"));
    }
}

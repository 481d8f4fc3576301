//! [`Party`]: the provider behind an `iss`, under any of its names.

use std::sync::Arc;

use crate::token::guid::is_tenant_id;

/// The placeholder for the tenant in Microsoft's discovery documents.
const TENANT: &str = "{tenantid}";

/// Who issues tokens. Microsoft has several names for one tenant (versions, policies, custom domains), each with the tenant's GUID in its
/// path; of others, names that differ in scheme or in a slash at the end are one. A discovery document names a party, and its keys
/// speak for nobody else (OpenID Connect Discovery 1.0 section 4.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Party(Arc<str>);

impl Party {
    /// The party of an `iss`, or of the template of them that a discovery document names.
    pub fn of(issuer: &str) -> Self {
        let name = bare(issuer);
        let tenant = name.split('/').skip(1).find(|segment| is_tenant_id(segment) || *segment == TENANT);
        Self(tenant.unwrap_or(name).into())
    }

    /// The party of an `iss`, by its whole name: also where the path has a GUID in it, which is a tenant only at Microsoft.
    pub(crate) fn by_name(issuer: &str) -> Self {
        Self(bare(issuer).into())
    }

    /// As [`of`](Self::of) made it, from where it was stored.
    pub(crate) fn restored(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name, to be stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it issues tokens with this `iss` and this `tid`. Who issues for every tenant does so for the token's own.
    pub(in crate::token) fn issues(&self, issuer: &str, tenant: Option<&str>) -> bool {
        let other = Self::of(issuer);
        *self == other || (&*self.0 == TENANT && is_tenant_id(&other.0) && tenant.is_none_or(|tenant| tenant == &*other.0))
    }
}

fn bare(issuer: &str) -> &str {
    let name = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://")).unwrap_or(issuer);
    name.strip_suffix('/').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "9c0c1f5e-0000-4000-8000-000000000001";
    const OTHER: &str = "9c0c1f5e-0000-4000-8000-000000000002";

    #[test]
    fn the_names_of_one_tenant_are_one_party_and_so_are_spellings_of_one_name() {
        let tenant = [
            format!("https://contoso.b2clogin.com/{ONE}/v2.0/"),
            format!("https://contoso.b2clogin.com/tfp/{ONE}/b2c_1_signin/v2.0/"),
            format!("https://login.contoso.com/{ONE}/v2.0/"),
            format!("https://{ONE}.ciamlogin.com/{ONE}/v2.0"),
            format!("https://login.microsoftonline.com/{ONE}/v2.0"),
            format!("https://sts.windows.net/{ONE}/"),
        ];
        assert!(tenant.iter().all(|name| Party::of(name) == Party::of(&tenant[0])));
        assert!(tenant.iter().all(|name| Party::of(name) != Party::of(&name.replace(ONE, OTHER))));
        assert_eq!(Party::of("accounts.google.com"), Party::of("https://accounts.google.com"));
        assert_eq!(Party::of("https://login.contoso.com/"), Party::of("https://login.contoso.com"));
        let others = [
            "https://id.contoso.com/realms/a",
            "https://id.contoso.com/realms/b",
            "https://id.contoso.com",
            "https://a.contoso.com",
        ];
        for (index, one) in others.iter().enumerate() {
            assert!(others.iter().skip(index + 1).all(|other| Party::of(one) != Party::of(other)), "{one}");
        }
    }

    #[test]
    fn a_document_for_all_tenants_is_that_of_the_tokens_own() {
        let all = Party::of("https://login.microsoftonline.com/{tenantid}/v2.0");
        let iss = format!("https://sts.windows.net/{ONE}/");
        assert!(all.issues(&iss, Some(ONE)) && all.issues(&iss, None));
        assert!(!all.issues(&iss, Some(OTHER)));
        assert!(!all.issues("https://login.contoso.com", Some(ONE)));
        assert!(!Party::of(&iss).issues(&iss.replace(ONE, OTHER), Some(OTHER)));
    }
}

//! Microsoft's names of one tenant. An Entra tenant has two issuers, one for each version of its tokens, and its keys name the
//! second one: <https://learn.microsoft.com/entra/identity-platform/access-tokens>, "Validate the issuer".

/// A cloud of Microsoft's, by the name that `cloud_instance_name` in its key sets has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cloud {
    /// `cloud_instance_name`.
    pub(crate) name: &'static str,
    /// The text before the tenant in an `iss` of version 1. The American government's cloud has the public one's.
    pub(crate) version_1: &'static str,
    /// The text before the tenant in an `iss` of version 2. The host is that of the discovery documents too.
    pub(crate) version_2: &'static str,
}

/// The clouds that are known, the public one first.
pub(crate) const CLOUDS: [Cloud; 3] = [
    Cloud { name: "microsoftonline.com", version_1: "https://sts.windows.net/", version_2: "https://login.microsoftonline.com/" },
    Cloud { name: "microsoftonline.us", version_1: "https://sts.windows.net/", version_2: "https://login.microsoftonline.us/" },
    Cloud {
        name: "partner.microsoftonline.cn",
        version_1: "https://sts.chinacloudapi.cn/",
        version_2: "https://login.partner.microsoftonline.cn/",
    },
];

impl Cloud {
    /// The cloud of this name; the public one if there is not a name, none if the name is not known.
    pub(crate) fn named(name: Option<&str>) -> Option<&'static Self> {
        let name = name.unwrap_or(CLOUDS[0].name);
        CLOUDS.iter().find(|cloud| cloud.name == name)
    }

    /// The `iss` of a tenant's tokens of version 2. `tenant` may be a placeholder.
    pub(crate) fn issuer_2(&self, tenant: &str) -> String {
        format!("{}{tenant}/v2.0", self.version_2)
    }

    /// The `iss` of a tenant's tokens of version 1.
    pub(crate) fn issuer_1(&self, tenant: &str) -> String {
        format!("{}{tenant}/", self.version_1)
    }
}

/// Whether a URL is Entra's name of a tenant in some cloud and version: then the tenant in it must be the token's.
pub(in crate::token) fn names_tenant_of_entra(url: &str) -> bool {
    CLOUDS.iter().any(|cloud| url.starts_with(cloud.version_1) || url.starts_with(cloud.version_2))
}

/// Whether a URL has the tenant in its path.
pub(in crate::token) fn names(url: &str, tenant: &str) -> bool {
    url.split('/').skip(3).any(|segment| segment == tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_stands_in_the_path_and_not_in_the_host_alone() {
        let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
        assert!(names(&format!("https://sts.windows.net/{tenant}/"), tenant));
        assert!(names(&format!("https://{tenant}.ciamlogin.com/{tenant}/v2.0"), tenant));
        for url in
            [format!("https://{tenant}/v2.0"), format!("https://x/a{tenant}/"), format!("https://x/?t={tenant}"), tenant.into()]
        {
            assert!(!names(&url, tenant), "{url}");
        }
    }
}

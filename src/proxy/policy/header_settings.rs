//! Client headers that never reach an upstream: everything that a server behind the gateway could take as the user, the path,
//! the method or the host of a request.

use std::borrow::Cow;

use crate::proxy::address::ClientField;

/// Headers of the client that never reach an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderSettings {
    /// Names, or prefixes that end in `*`; compared without regard to case, all signs but letters and digits being the same.
    pub strip: Vec<String>,
}

impl HeaderSettings {
    /// The names that backends and frameworks are known to take an identity from, or another method or path than the request line has.
    pub const DEFAULT_STRIP: &'static [&'static str] = &[
        "$ws*",
        "affiliation",
        "assurance",
        "auth-cn",
        "auth-groups",
        "auth-mail",
        "auth-user",
        "cas-*",
        "cf-access-*",
        "client-cert*",
        "daphne-root-path",
        "entitlement",
        "eppn",
        "es-security-runas-user",
        "http-method-override",
        "impersonate-*",
        "iv-*",
        "l5d-*",
        "mellon-*",
        "method-override",
        "ms-aspnetcore-*",
        "ngrok-auth-*",
        "oam-*",
        "oblix-*",
        "oidc-*",
        "osso-*",
        "override-method",
        "pairwise-id",
        "path-info",
        "path-translated",
        "persistent-id",
        "proxy",
        "proxy-authorization",
        "redirect-*",
        "remote-*",
        "request-uri",
        "request-url",
        "script-*",
        "shib-*",
        "sm-*",
        "smuser",
        "ssl-cert",
        "ssl-client-*",
        "subject-id",
        "tailscale-user-*",
        "targeted-id",
        "teleport-jwt-assertion",
        "tls-client-*",
        "unscoped-affiliation",
        "wl-proxy-*",
        "x-accel-mapping",
        "x-access-token",
        "x-amzn-ava-*",
        "x-amzn-lambda-context",
        "x-amzn-mtls-*",
        "x-amzn-oidc-*",
        "x-amzn-request-context",
        "x-anonymous-consumer",
        "x-apigateway-api-userinfo",
        "x-appengine-*",
        "x-arr-clientcert",
        "x-auth-*",
        "x-authenticated-*",
        "x-authentik-*",
        "x-base-path",
        "x-cas-*",
        "x-client-cert*",
        "x-client-dn",
        "x-client-s-dn",
        "x-client-verify",
        "x-consumer-*",
        "x-context-path",
        "x-couchdb-requested-*",
        "x-couchdb-vhost-*",
        "x-credential-*",
        "x-email",
        "x-endpoint-api-userinfo",
        "x-envoy-internal",
        "x-envoy-original-*",
        "x-envoy-peer-metadata*",
        "x-f5-auth-token",
        "x-forwarded-access-token",
        "x-forwarded-base*",
        "x-forwarded-client-cert",
        "x-forwarded-context*",
        "x-forwarded-displayname",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-mail",
        "x-forwarded-method",
        "x-forwarded-name",
        "x-forwarded-path*",
        "x-forwarded-preferred-username",
        "x-forwarded-prefix",
        "x-forwarded-request-*",
        "x-forwarded-roles",
        "x-forwarded-root*",
        "x-forwarded-script-*",
        "x-forwarded-tls-client-*",
        "x-forwarded-uri",
        "x-forwarded-url",
        "x-forwarded-user",
        "x-forwarded-verb",
        "x-goog-authenticated-*",
        "x-goog-iap-*",
        "x-grafana-user",
        "x-groups",
        "x-hasura-*",
        "x-http-method*",
        "x-http-path*",
        "x-http-verb*",
        "x-id-token",
        "x-ingress-path",
        "x-invoke-*",
        "x-istio-attributes",
        "x-jfrog-override-base-url",
        "x-jwt-*",
        "x-knox-*",
        "x-matched-path",
        "x-method*",
        "x-middleware-*",
        "x-ms-client-principal*",
        "x-ms-original-url",
        "x-ms-token-*",
        "x-now-route-matches",
        "x-original-method",
        "x-original-path*",
        "x-original-query",
        "x-original-request*",
        "x-original-uri",
        "x-original-url",
        "x-override-method",
        "x-path*",
        "x-pomerium-*",
        "x-proxied-user",
        "x-proxiedentities*",
        "x-proxy-remote-user",
        "x-proxy-user",
        "x-proxycontextpath",
        "x-realm-access-token",
        "x-remote-*",
        "x-replaced-path",
        "x-request-base",
        "x-request-method",
        "x-request-path",
        "x-request-uri",
        "x-request-url",
        "x-rest-method",
        "x-rewrite-*",
        "x-role",
        "x-roles",
        "x-root-path",
        "x-saml-*",
        "x-sandstorm-*",
        "x-scope-orgid",
        "x-script-*",
        "x-sendfile-type",
        "x-shib-*",
        "x-ssl-cert*",
        "x-ssl-client*",
        "x-ssl-issuer",
        "x-syncgate-*",
        "x-team",
        "x-tls-client-*",
        "x-token-subject",
        "x-token-user-*",
        "x-traversal-path",
        "x-user",
        "x-user-email",
        "x-user-groups",
        "x-user-id",
        "x-user-name",
        "x-user-roles",
        "x-userinfo",
        "x-username",
        "x-vhm-*",
        "x-vouch-*",
        "x-waws-unencoded-url",
        "x-webauth-*",
        "ynh-*",
    ];

    /// The names that backends take another host from than `Host` has.
    const FORWARDED_HOSTS: &'static [&'static str] = &[
        "forwarded",
        "forwarded-host",
        "host-override",
        "x-backend-host",
        "x-envoy-original-host",
        "x-forwarded-domain",
        "x-forwarded-host*",
        "x-forwarded-server*",
        "x-forwarded-vhost",
        "x-host*",
        "x-http-host*",
        "x-original-forwarded-host",
        "x-original-host*",
        "x-proxyhost",
        "x-real-host",
        "x-server-name",
        "x-vhost*",
        "x-virtual-host",
    ];

    /// With what routes for these hosts need: where one is for a host, nothing may name another one.
    pub(in crate::proxy) fn for_hosts<'h>(&self, mut hosts: impl Iterator<Item = &'h Option<String>>) -> Cow<'_, Self> {
        if hosts.all(Option::is_none) {
            return Cow::Borrowed(self);
        }
        let strip = self.strip.iter().map(String::as_str).chain(Self::FORWARDED_HOSTS.iter().copied());
        Cow::Owned(Self { strip: strip.map(str::to_owned).collect() })
    }
}

impl HeaderSettings {
    /// With the field by which trusted proxies say who the client is.
    pub(in crate::proxy) fn with_client_field(mut self, field: &ClientField) -> Self {
        if let ClientField::Named(name) = field {
            self.strip.push(name.as_str().to_owned());
        }
        self
    }
}

impl Default for HeaderSettings {
    fn default() -> Self {
        Self { strip: Self::DEFAULT_STRIP.iter().map(|name| (*name).to_owned()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName};

    use super::*;
    use crate::proxy::policy::strip::StripList;

    /// What products say of their own headers, each of which an application behind takes for who asks, or for what is asked for.
    const DOCUMENTED: [(&str, &[&str]); 31] = [
        ("CGI and RFC 3875", &["Remote-User", "Remote_Addr", "Remote-Ident", "Path-Info", "Script-Name"]),
        ("mod_auth_openidc", &["OIDC_CLAIM_sub", "OIDC-Claim-Email", "OIDC_access_token", "OIDC_id_token"]),
        ("mod_auth_mellon", &["MELLON_NAME_ID", "Mellon-Uid"]),
        ("mod_auth_cas", &["CAS-User", "CAS_User", "X-CAS-User"]),
        ("Shibboleth", &["Shib-Session-ID", "Shib_Identity_Provider", "eppn", "affiliation", "persistent-id", "subject-id"]),
        ("SiteMinder", &["SM_USER", "SM-UNIVERSALID", "SM_SERVERSESSIONID", "SMUSER"]),
        ("WebSEAL", &["iv-user", "iv-user-l", "iv_groups", "iv-creds", "iv-remote-address"]),
        ("Oracle Access Manager", &["OAM_REMOTE_USER", "OAM_IDENTITY_DOMAIN", "OBLIX_UID", "Osso-User-Guid", "Osso-Subscriber"]),
        ("WebLogic", &["WL-Proxy-Client-Cert", "WL-Proxy-SSL", "WL_Proxy_Client_IP"]),
        ("WebSphere", &["$WSRU", "$WSCC", "$WSAT", "_WSRU"]),
        ("IIS and ASP.NET Core", &["X-ARR-ClientCert", "MS-ASPNETCORE-CLIENTCERT", "MS-ASPNETCORE-WINAUTHTOKEN"]),
        ("Azure App Service", &["X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID", "X-MS-TOKEN-AAD-ID-TOKEN"]),
        ("RFC 9440", &["Client-Cert", "Client-Cert-Chain"]),
        (
            "HAProxy and nginx",
            &["X-SSL-Client-Verify", "X-SSL-Client-DN", "X-SSL-Issuer", "SSL-Client-Cert", "X-SSL-Cert", "X-Client-Verify"],
        ),
        ("Traefik", &["X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info"]),
        ("AWS", &["X-Amzn-Oidc-Data", "X-Amzn-Mtls-Clientcert", "X-Amzn-Request-Context", "x-amzn-ava-user-context"]),
        ("Google", &["X-Goog-IAP-JWT-Assertion", "X-Goog-Authenticated-User-Email", "X-Appengine-User-Email", "X-Appengine-Cron"]),
        (
            "Cloudflare Access and Tailscale",
            &["Cf-Access-Authenticated-User-Email", "Cf-Access-Jwt-Assertion", "Tailscale-User-Login"],
        ),
        ("Teleport and ngrok", &["Teleport-Jwt-Assertion", "Ngrok-Auth-User-Email"]),
        ("Pomerium, Vouch, authentik", &["X-Pomerium-Claim-Email", "X-Vouch-User", "X-authentik-username"]),
        ("Authelia", &["Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email"]),
        (
            "oauth2-proxy and Keycloak Gatekeeper",
            &["X-Forwarded-User", "X-Forwarded-Groups", "X-Auth-Request-User", "X-Auth-Roles"],
        ),
        ("LemonLDAP::NG and YunoHost", &["Auth-User", "Auth-Mail", "Auth-Groups", "Ynh-User"]),
        ("caddy-security", &["X-Token-User-Name", "X-Token-User-Roles", "X-Token-Subject"]),
        (
            "Envoy, Istio, Linkerd",
            &["X-Forwarded-Client-Cert", "X-Envoy-Peer-Metadata", "X-Envoy-Peer-Metadata-Id", "l5d-client-id", "l5d-dst-override"],
        ),
        ("Kong and Kubernetes", &["X-Consumer-Username", "X-Anonymous-Consumer", "X-Remote-Extra-Scopes", "Impersonate-User"]),
        (
            "Jenkins, CloudBeaver, NiFi",
            &["X-Forwarded-DisplayName", "X-Forwarded-Mail", "X-Role", "X-Team", "X-ProxiedEntitiesChain", "X-ProxyContextPath"],
        ),
        ("Grafana and Loki", &["X-WEBAUTH-USER", "X-Grafana-User", "X-Scope-OrgID"]),
        ("Elasticsearch, Knox, F5", &["es-security-runas-user", "X-Knox-Actor-ID", "X-F5-Auth-Token"]),
        (
            "paths",
            &["X-Traversal-Path", "X-Accel-Mapping", "X-Sendfile-Type", "X-Vhm-Root", "X-Forwarded-Request-Uri", "X-Original-URL"],
        ),
        ("methods", &["X-HTTP-Method-Override", "X-Override-Method", "X-REST-Method", "X-Forwarded-Verb", "Override-Method"]),
    ];

    #[test]
    fn what_products_document_reaches_no_backend() {
        let list = StripList::new(&HeaderSettings::default(), &[]);
        let is_unwanted = list.unwanted_in(&HeaderMap::new()).unwrap();
        for (product, names) in DOCUMENTED {
            for name in names {
                assert!(is_unwanted(&HeaderName::from_bytes(name.as_bytes()).unwrap()), "{product}: {name}");
            }
        }
    }

    /// What clients say in earnest, and what proxies in front write of the connection.
    #[test]
    fn what_is_no_identity_stays() {
        let list = StripList::new(&HeaderSettings::default(), &[]);
        let is_unwanted = list.unwanted_in(&HeaderMap::new()).unwrap();
        for name in [
            "accept",
            "cookie",
            "origin",
            "referer",
            "user-agent",
            "if-match",
            "last-event-id",
            "x-requested-with",
            "x-csrf-token",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-real-ip",
            "forwarded",
            "x-request-id",
            "traceparent",
            "client-id",
            "x-client-version",
            "x-nextjs-data",
            "x-couch-full-commit",
            "prefer",
            "apikey",
            "x-client-info",
            "sec-fetch-mode",
        ] {
            assert!(!is_unwanted(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_says_nothing_twice() {
        let names = HeaderSettings::DEFAULT_STRIP;
        assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));
        let is_covered = |name: &&&str| {
            names.iter().any(|other| other != *name && other.strip_suffix('*').is_some_and(|start| name.starts_with(start)))
        };
        assert_eq!(names.iter().filter(is_covered).collect::<Vec<_>>(), Vec::<&&str>::new());
    }
}

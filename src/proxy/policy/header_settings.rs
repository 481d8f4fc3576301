//! Headers of a client that never reach an upstream: whatever a server behind the gateway could take for the user, the path, the method or the
//! host of a request.

use std::borrow::Cow;

use crate::proxy::policy::route::RouteSettings;

/// Headers of the client that never reach an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderSettings {
    /// Names, or prefixes that end in `*`; compared without regard to case, all signs but letters and digits being the same.
    pub strip: Vec<String>,
}

impl HeaderSettings {
    /// The names that backends and frameworks are known to take an identity from, or another method or path than the request line has.
    pub const DEFAULT_STRIP: &'static [&'static str] = &[
        "cf-access-*",
        "daphne-root-path",
        "http-method-override",
        "impersonate-*",
        "method-override",
        "path-info",
        "path-translated",
        "proxy",
        "proxy-authorization",
        "redirect-*",
        "remote-email",
        "remote-groups",
        "remote-name",
        "remote-user",
        "request-uri",
        "request-url",
        "script-*",
        "ssl-client-*",
        "tailscale-user-*",
        "x-access-token",
        "x-amzn-oidc-*",
        "x-apigateway-api-userinfo",
        "x-auth-*",
        "x-authenticated-*",
        "x-authentik-*",
        "x-base-path",
        "x-client-cert*",
        "x-consumer-*",
        "x-context-path",
        "x-couchdb-requested-*",
        "x-couchdb-vhost-*",
        "x-credential-*",
        "x-email",
        "x-endpoint-api-userinfo",
        "x-envoy-original-*",
        "x-forwarded-access-token",
        "x-forwarded-base*",
        "x-forwarded-client-cert",
        "x-forwarded-context*",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-method",
        "x-forwarded-path*",
        "x-forwarded-preferred-username",
        "x-forwarded-prefix",
        "x-forwarded-root*",
        "x-forwarded-script-*",
        "x-forwarded-uri",
        "x-forwarded-url",
        "x-forwarded-user",
        "x-goog-authenticated-*",
        "x-goog-iap-*",
        "x-hasura-*",
        "x-http-method*",
        "x-http-path*",
        "x-http-verb*",
        "x-id-token",
        "x-ingress-path",
        "x-invoke-*",
        "x-jwt-*",
        "x-matched-path",
        "x-method*",
        "x-middleware-*",
        "x-ms-client-principal*",
        "x-ms-original-url",
        "x-ms-token-*",
        "x-original-method",
        "x-original-path*",
        "x-original-query",
        "x-original-request*",
        "x-original-uri",
        "x-original-url",
        "x-path*",
        "x-pomerium-*",
        "x-realm-access-token",
        "x-remote-*",
        "x-replaced-path",
        "x-request-path",
        "x-request-uri",
        "x-request-url",
        "x-rewrite-*",
        "x-root-path",
        "x-script-*",
        "x-syncgate-*",
        "x-user",
        "x-user-email",
        "x-user-groups",
        "x-user-id",
        "x-user-name",
        "x-user-roles",
        "x-userinfo",
        "x-username",
        "x-vouch-*",
        "x-waws-unencoded-url",
        "x-webauth-*",
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
        "x-real-host",
        "x-server-name",
        "x-vhost*",
        "x-virtual-host",
    ];

    /// With what these routes need: where one is for a host, nothing may name another one.
    pub(in crate::proxy) fn for_routes(&self, routes: &[RouteSettings]) -> Cow<'_, Self> {
        if routes.iter().all(|route| route.host.is_none()) {
            return Cow::Borrowed(self);
        }
        let strip = self.strip.iter().map(String::as_str).chain(Self::FORWARDED_HOSTS.iter().copied());
        Cow::Owned(Self { strip: strip.map(str::to_owned).collect() })
    }
}

impl Default for HeaderSettings {
    fn default() -> Self {
        Self { strip: Self::DEFAULT_STRIP.iter().map(|name| (*name).to_owned()).collect() }
    }
}

//! The settings of a route.

use crate::{
    endpoint::EndpointSettings,
    proxy::policy::{
        close_codes::CloseCodes, cors::CorsSettings, error_format::ErrorShape, origin::AllowedOrigins, token_place::TokenPlace,
    },
    token::Permission,
};

/// One route. Of the routes that match a request the most specific one wins: the one with the longest path; of equally long ones an
/// exact one; then one that names the host; then one that names methods.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteSettings {
    /// The name in the config: in logs and as a metric label.
    pub name: String,
    /// Path prefix that ends at a segment boundary: `/db` matches `/db` and `/db/x`, not `/dbx`. Default `/`.
    pub path: String,
    /// Only this path, nothing below it. Default no.
    pub exact: bool,
    /// Only for this host (without port, lower case); none: any.
    pub host: Option<String>,
    /// Only for these methods, in upper case; `GET` includes `HEAD`. Empty: any.
    pub methods: Vec<String>,
    /// What the gateway answers itself on this route. None: requests go upstream.
    pub endpoint: Option<EndpointSettings>,
    /// What it protects, for the metadata of RFC 9728. None: it has none.
    pub resource: Option<ResourceSettings>,
    /// Index into the upstreams. Of no use with an endpoint.
    pub upstream: usize,
    /// Index into the minting profiles.
    pub profile: usize,
    /// Whether a token is required.
    pub access: Access,
    /// What the token must permit.
    pub permission: Permission,
    /// Where clients put their token; never empty. Exactly one of them may hold one.
    pub token_in: Vec<TokenPlace>,
    /// Where the upstream wants the user token. None: where the client's was.
    pub token_out: Option<TokenPlace>,
    /// Whether a connection without a client certificate is refused. Default no.
    pub requires_certificate: bool,
    /// What the upstream is told of the client's certificate. Default nothing.
    pub forward_certificate: ForwardCertificate,
    /// The query parameter in which clients name their user, who must be the `sub` of the minted token. None: they name none.
    pub user_query: Option<String>,
    /// Web pages that may open sockets, whose cookie counts for more than reading, and that `cors` is for.
    pub allowed_origins: AllowedOrigins,
    /// CORS for pages of other origins. None: no CORS; a preflight is a request like any other.
    pub cors: Option<CorsSettings>,
    /// The format of refusals.
    pub errors: ErrorShape,
    /// What becomes of a WebSocket whose token is invalid.
    pub on_invalid: OnInvalid,
    /// With which codes the gateway closes WebSockets.
    pub close_codes: CloseCodes,
}

/// A protected resource (RFC 9728).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSettings {
    /// The URL by which clients know it.
    pub url: String,
    /// Where clients get their tokens, by the name of the issuer. Empty: from the issuers of the config.
    pub authorization_servers: Vec<String>,
}

impl ResourceSettings {
    /// Where its metadata is (section 3.1).
    pub fn metadata_url(&self) -> String {
        let host_at = self.url.find("://").map_or(0, |scheme| scheme + 3);
        let path_at = self.url.get(host_at..).and_then(|rest| rest.find('/')).map_or(self.url.len(), |path| host_at + path);
        let (origin, path) = self.url.split_at(path_at);
        format!("{origin}/.well-known/oauth-protected-resource{}", path.trim_end_matches('/'))
    }
}

/// Whether a route requires a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    #[default]
    Protected,
    /// No. Every request is forwarded.
    Public {
        /// Whether `Authorization` and what else holds a credential is forwarded as it came, rather than dropped.
        pass_authorization: bool,
    },
}

/// What the upstream is told of the client's certificate (RFC 9440).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardCertificate {
    /// Nothing.
    #[default]
    None,
    /// The certificate, in `Client-Cert`.
    Certificate,
    /// And those that the client has sent with it, in `Client-Cert-Chain`.
    Chain,
}

/// What becomes of a WebSocket whose token was there and is invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// It is refused with 401.
    #[default]
    Reject,
    /// It is opened with a token that can never be valid, so that the backend says in its own protocol that the token is invalid.
    LetBackendRefuse,
}

impl Default for RouteSettings {
    /// The whole site, protected, with the token in `Authorization`.
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            path: "/".to_owned(),
            exact: false,
            host: None,
            methods: Vec::new(),
            endpoint: None,
            resource: None,
            upstream: 0,
            profile: 0,
            access: Access::default(),
            permission: Permission::default(),
            token_in: vec![TokenPlace::bearer()],
            token_out: None,
            requires_certificate: false,
            forward_certificate: ForwardCertificate::default(),
            user_query: None,
            allowed_origins: AllowedOrigins::default(),
            cors: None,
            errors: ErrorShape::default(),
            on_invalid: OnInvalid::default(),
            close_codes: CloseCodes::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_of_a_resource_is_between_its_host_and_its_path() {
        for (url, metadata) in [
            ("https://sync.test", "https://sync.test/.well-known/oauth-protected-resource"),
            ("https://sync.test/", "https://sync.test/.well-known/oauth-protected-resource"),
            ("https://sync.test:8443/db/a", "https://sync.test:8443/.well-known/oauth-protected-resource/db/a"),
            ("http://a/b/", "http://a/.well-known/oauth-protected-resource/b"),
        ] {
            let resource = ResourceSettings { url: url.to_owned(), authorization_servers: Vec::new() };
            assert_eq!(resource.metadata_url(), metadata);
        }
    }
}

//! Which route a request takes: by host, path and method; and what the route requires.
//!
//! The most specific route wins. A path that servers may read in several ways is checked against the rules of every route that
//! any of them may map it to, or refused: no spelling of a path bypasses the rules of its route. `docs/routes.md` describes
//! this for operators.

#[cfg(feature = "fuzzing")]
pub(in crate::proxy) mod fuzzing;
#[cfg(test)]
mod oracle_tests;
mod other_paths;
mod passage;
mod settings;
mod spelling;
mod table;
mod tree;

use std::sync::Arc;

use http::header;

pub use self::settings::{Access, ForwardCertificate, OnInvalid, ResourceSettings, RouteSettings};
pub(in crate::proxy) use self::{
    passage::{Passage, Placeholder},
    table::{Found, RouteTable},
};
use crate::{
    endpoint::{Endpoint, EndpointSettings},
    exchange::ProfileId,
    metrics::RouteMetrics,
    private_file::SecretError,
    proxy::policy::{
        close_codes::CloseCodes,
        cors::Cors,
        error_format::ErrorShape,
        header_settings::HeaderSettings,
        origin::AllowedOrigins,
        strip::StripList,
        token_place::{BodyPlace, TokenPlace},
    },
    token::Permission,
};

/// A route, ready for use.
#[derive(Debug)]
pub(in crate::proxy) struct Route {
    pub(in crate::proxy) name: String,
    pub(in crate::proxy) endpoint: Option<Arc<Endpoint>>,
    pub(in crate::proxy) resource_metadata: Option<String>,
    pub(in crate::proxy) upstream: usize,
    pub(in crate::proxy) profile: ProfileId,
    pub(in crate::proxy) permission: Permission,
    pub(in crate::proxy) token_in: Vec<TokenPlace>,
    pub(in crate::proxy) token_out: Option<TokenPlace>,
    pub(in crate::proxy) requires_certificate: bool,
    pub(in crate::proxy) forward_certificate: ForwardCertificate,
    pub(in crate::proxy) user_query: Option<String>,
    pub(in crate::proxy) allowed_origins: AllowedOrigins,
    /// The CORS headers, if the route serves pages of other origins.
    pub(in crate::proxy) cors: Option<Cors>,
    pub(in crate::proxy) errors: ErrorShape,
    pub(in crate::proxy) close_codes: CloseCodes,
    /// What clients may not say here.
    pub(in crate::proxy) strip: StripList,
    pub(in crate::proxy) metrics: RouteMetrics,
    /// Whether its upstream has a path of its own, which no request may leave.
    has_prefix: bool,
    path: String,
    exact: bool,
    host: Option<String>,
    methods: Vec<String>,
    access: Access,
    on_invalid: OnInvalid,
}

impl Route {
    pub(in crate::proxy) fn new(settings: &RouteSettings, headers: &HeaderSettings, metrics: RouteMetrics) -> Self {
        let mut methods = settings.methods.clone();
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        Self {
            name: settings.name.clone(),
            endpoint: None,
            resource_metadata: settings.resource.as_ref().map(ResourceSettings::metadata_url),
            upstream: settings.upstream,
            profile: ProfileId(settings.profile),
            permission: settings.permission.clone(),
            token_in: settings.token_in.clone(),
            token_out: settings.token_out.clone(),
            requires_certificate: settings.requires_certificate,
            forward_certificate: settings.forward_certificate,
            user_query: settings.user_query.clone(),
            allowed_origins: settings.allowed_origins.clone(),
            cors: settings.cors.as_ref().map(|cors| Cors::new(cors, &settings.allowed_origins)),
            errors: settings.errors,
            close_codes: settings.close_codes,
            strip: strip_list(settings, headers),
            metrics,
            has_prefix: false,
            path: settings.path.trim_end_matches('/').to_owned(),
            exact: settings.exact,
            host: settings.host.clone(),
            methods,
            access: settings.access,
            on_invalid: settings.on_invalid,
        }
    }

    /// The same, answered by the gateway itself if its settings name an endpoint, whose secrets are read.
    pub(in crate::proxy) fn with_endpoint(self, settings: Option<&EndpointSettings>) -> Result<Self, SecretError> {
        let endpoint = settings.map(Endpoint::new).transpose()?.map(Arc::new);
        Ok(Self { endpoint, ..self })
    }

    /// The same, to an upstream with this path of its own.
    pub(in crate::proxy) fn with_prefix(self, prefix: &str) -> Self {
        Self { has_prefix: !prefix.is_empty(), ..self }
    }

    /// Whether some server may take a path to lead out of that of the upstream.
    pub(in crate::proxy) fn may_be_left_by(&self, path: &[u8]) -> bool {
        self.has_prefix && spelling::may_lead_up(path)
    }

    /// Where in a JSON body clients put their token, if they do.
    pub(in crate::proxy) fn body_place(&self) -> Option<&BodyPlace> {
        self.token_in.iter().find_map(|place| if let TokenPlace::Body(place) = place { Some(place) } else { None })
    }

    /// Its path in the config, without a slash at the end.
    pub(in crate::proxy) fn path(&self) -> &str {
        &self.path
    }

    fn is_public(&self) -> bool {
        self.access != Access::Protected
    }

    /// Whether two routes treat a request alike, whatever they are called and however they answer.
    fn same_rules(&self, other: &Self) -> bool {
        self.permission == other.permission && self.same_but_for_permission(other)
    }

    /// Whether two routes treat a request alike that has the permission of both.
    fn same_but_for_permission(&self, other: &Self) -> bool {
        self.endpoint.as_ref().map(|endpoint| endpoint.settings()) == other.endpoint.as_ref().map(|endpoint| endpoint.settings())
            && self.upstream == other.upstream
            && self.profile == other.profile
            && self.access == other.access
            && self.token_in == other.token_in
            && self.token_out == other.token_out
            && self.requires_certificate == other.requires_certificate
            && self.forward_certificate == other.forward_certificate
            && self.user_query == other.user_query
            && self.allowed_origins == other.allowed_origins
            && self.cors == other.cors
            && self.on_invalid == other.on_invalid
    }

    fn matches_to(&self, host: &str, method: &str) -> bool {
        self.host.as_deref().is_none_or(|name| name.eq_ignore_ascii_case(host))
            && (self.methods.is_empty() || self.methods.iter().any(|name| name == method))
    }

    /// Whether every path is below the route's.
    fn takes_all(&self) -> bool {
        self.path.is_empty() && !self.exact
    }

    fn covers(&self, path: &[u8], fold_case: bool) -> bool {
        let Some((head, tail)) = path.split_at_checked(self.path.len()) else { return false };
        let own = self.path.as_bytes();
        let same = if fold_case { head.eq_ignore_ascii_case(own) } else { head == own };
        let is_root = self.path.is_empty() && tail == b"/";
        same && (tail.is_empty() || if self.exact { is_root } else { tail.starts_with(b"/") })
    }
}

/// What clients may not say on a route: the configured names, who they are, and the headers that the token is in.
fn strip_list(settings: &RouteSettings, headers: &HeaderSettings) -> StripList {
    /// Headers in which backends take a credential that they verify themselves.
    const CREDENTIALS: [&str; 2] = ["authorization", "x-realm-access-token"];
    /// What the upstream takes for ours there.
    const CERTIFICATES: [&str; 2] = ["client-cert", "client-cert-chain"];
    let certificates = if settings.forward_certificate == ForwardCertificate::None { &[][..] } else { &CERTIFICATES };
    if settings.access == (Access::Public { pass_authorization: true }) {
        return StripList::new(headers, certificates).with_tellings().except(&CREDENTIALS);
    }
    let places = settings.token_in.iter().chain(&settings.token_out);
    let named = places.filter_map(|place| if let TokenPlace::Header { name, .. } = place { Some(name.as_str()) } else { None });
    let written: Vec<_> = named.chain([header::AUTHORIZATION.as_str()]).chain(certificates.iter().copied()).collect();
    StripList::new(headers, &written).with_tellings()
}

//! Metadata that follows from other settings, and the routes at which it is read: RFC 8414 for the token endpoint, RFC 9728 for the
//! protected resources.

use std::collections::BTreeSet;

use serde_json::json;
use url::Url;

use crate::{
    config::{
        field::Field,
        formats::{ROUTE_PATH, URL},
        read::issuers::Issuer,
    },
    endpoint::{EndpointSettings, TokenExchangeSettings},
    proxy::{Access, ResourceSettings, RouteSettings, TokenPlace},
    token::{IssuerRule, TakenAt},
};

const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// `resource` of a route: the URL by which clients know what it protects.
pub(in crate::config) fn resource(field: &Field<'_>) -> Option<ResourceSettings> {
    let mut section = field.section();
    let url = section.required("url", "the URL by which clients know what the route protects").and_then(|field| field.text(&URL));
    let authorization_servers = section.texts("authorization_servers", &URL).iter().map(text).collect();
    section.finish();
    if let Some(url) = &url
        && url.path() != "/"
        && let Err(wrong) = (ROUTE_PATH.parse)(url.path())
    {
        field.problem(format!("the path of url {wrong}; accepted: {}", ROUTE_PATH.accepted));
    }
    Some(ResourceSettings { url: text(&url?), authorization_servers })
}

/// The routes at which metadata is read, each with the element of the file that it follows from.
pub(in crate::config) fn routes<'f>(
    routes: &[(Field<'f>, RouteSettings)],
    issuers: &[Issuer<'_>],
) -> Vec<(Field<'f>, RouteSettings)> {
    let key_set = routes.iter().find(|(_, route)| route.endpoint == Some(EndpointSettings::KeySet));
    let key_set = key_set.map(|(_, route)| route.path.as_str());
    let mut found = Vec::new();
    for (element, route) in routes {
        let of_token_endpoint = match &route.endpoint {
            Some(EndpointSettings::TokenExchange(settings)) => token_endpoint_metadata(route, settings, key_set),
            _ => None,
        };
        let of_resource = route.resource.as_ref().and_then(|resource| {
            let alike = routes.iter().map(|(_, route)| route).filter(|other| other.resource.as_ref() == Some(resource));
            of_resource(element, route, resource, alike, issuers)
        });
        // Several routes may protect one resource, by method or place of the token.
        let is_new = |route: &RouteSettings| {
            !found.iter().any(|(_, known): &(Field<'f>, RouteSettings)| known.path == route.path && known.host == route.host)
        };
        let of_resource = of_resource.filter(is_new);
        found.extend(of_token_endpoint.into_iter().chain(of_resource).map(|route| (element.clone(), route)));
    }
    found
}

/// The route of a token endpoint's metadata (RFC 8414 section 2), if the endpoint names its issuer. `key_set`: the path of our public key.
pub fn token_endpoint_metadata(
    route: &RouteSettings,
    settings: &TokenExchangeSettings,
    key_set: Option<&str>,
) -> Option<RouteSettings> {
    let issuer = Url::parse(settings.issuer.as_ref()?).ok()?;
    let origin = issuer.origin().ascii_serialization();
    let has_clients = |with_secret: bool| settings.clients.iter().any(|client| client.secret_file.is_some() == with_secret);
    let mut methods = Vec::new();
    if settings.clients.is_empty() || has_clients(false) {
        methods.push("none");
    }
    if has_clients(true) {
        methods.extend(["client_secret_basic", "client_secret_post"]);
    }
    let mut document = json!({
        "issuer": settings.issuer,
        "token_endpoint": format!("{origin}{}", route.path),
        "token_endpoint_auth_methods_supported": methods,
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "response_types_supported": [],
    });
    if let (Some(path), Some(members)) = (key_set, document.as_object_mut()) {
        members.insert("jwks_uri".to_owned(), format!("{origin}{path}").into());
    }
    Some(at(AUTHORIZATION_SERVER, &issuer, route, document.to_string()))
}

/// The metadata of what a route protects (RFC 9728 section 2). Where the route does not name the authorization servers, they are the issuers
/// that the config names exactly.
fn of_resource<'r>(
    element: &Field<'_>,
    route: &RouteSettings,
    resource: &ResourceSettings,
    alike: impl Iterator<Item = &'r RouteSettings>,
    issuers: &[Issuer<'_>],
) -> Option<RouteSettings> {
    let url = Url::parse(&resource.url).ok()?;
    let mut servers = resource.authorization_servers.clone();
    if servers.is_empty() {
        let of_users = issuers.iter().map(|issuer| &issuer.config.rules).filter(|rules| rules.taken_at == TakenAt::Routes);
        servers.extend(of_users.flat_map(|rules| match &rules.issuer {
            IssuerRule::Exact(names) => names.clone(),
            IssuerRule::Discovered | IssuerRule::Template { .. } => Vec::new(),
        }));
    }
    if servers.is_empty() {
        element
            .problem("resource.authorization_servers is required: no issuer is named exactly, so that its name could be published");
    }
    let (mut bearer_methods, mut scopes) = (BTreeSet::new(), BTreeSet::new());
    for route in alike {
        bearer_methods.extend(route.token_in.iter().filter_map(bearer_method));
        let permission = route.permission.settings();
        scopes.extend(permission.all_scopes.iter().chain(&permission.any_scopes));
    }
    let mut document =
        json!({ "resource": resource.url, "authorization_servers": servers, "bearer_methods_supported": bearer_methods });
    if let (false, Some(members)) = (scopes.is_empty(), document.as_object_mut()) {
        members.insert("scopes_supported".to_owned(), json!(scopes));
    }
    Some(at(PROTECTED_RESOURCE, &url, route, document.to_string()))
}

/// The word of RFC 6750 for a place, if it has one.
fn bearer_method(place: &TokenPlace) -> Option<&'static str> {
    match place {
        TokenPlace::Header { name, .. } if name == http::header::AUTHORIZATION => Some("header"),
        TokenPlace::Query(name) if name == "access_token" => Some("query"),
        _ => None,
    }
}

/// A URL as it is written: without the slash that stands for no path.
pub(in crate::config) fn text(url: &Url) -> String {
    let text = url.as_str();
    if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/').to_owned() } else { text.to_owned() }
}

fn at(prefix: &str, url: &Url, route: &RouteSettings, document: String) -> RouteSettings {
    let path = url.path().trim_end_matches('/');
    RouteSettings {
        name: format!("{}-metadata", route.name),
        path: format!("{prefix}{path}"),
        exact: true,
        host: route.host.clone(),
        access: Access::Public { pass_authorization: false },
        endpoint: Some(EndpointSettings::Metadata(document)),
        ..RouteSettings::default()
    }
}

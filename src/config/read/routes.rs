//! `routes`: which requests go where, and what their token must permit.

use jsonwebtoken::Algorithm;

use crate::{
    config::{
        field::Field,
        formats::{Format, HOST, NAME, ROUTE_PATH, TEXT},
        read::{
            backends::{BACKENDS, Backend},
            browsers::browsers,
            conflicts, endpoints, exposure,
            issuers::Issuer,
            metadata,
            mint::{self, Profile, profile_named},
            permission::permission,
            places,
            tls::{CLIENT_CERTIFICATE, FORWARD_CERTIFICATE},
            upstreams::Upstream,
        },
        section::Section,
        suggest::shown,
    },
    proxy::{Access, AllowedOrigins, CloseCodes, ErrorShape, ForwardCertificate, OnInvalid, RouteSettings, TokenPlace},
    token::{Permission, PermissionSettings},
};

pub(in crate::config) const ERROR_SHAPES: [(&str, ErrorShape); 3] =
    [("rfc6750", ErrorShape::Rfc6750), ("realm", ErrorShape::Realm), ("couchdb", ErrorShape::CouchDb)];
pub(in crate::config) const ON_INVALID: [(&str, OnInvalid); 2] =
    [("reject", OnInvalid::Reject), ("let_backend_refuse", OnInvalid::LetBackendRefuse)];
/// The word for nothing.
pub(in crate::config) const NONE: &str = "none";
/// The word for what follows from the subprotocol.
pub(in crate::config) const AUTO: &str = "auto";
/// Whether a route is public.
const ACCESS: [(&str, bool); 2] = [("protected", false), ("public", true)];

const CLOSE_CODE: Format<Option<u16>> =
    Format { accepted: "auto, or a close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999", shown: true, parse: close_code };

const METHOD: Format<String> = Format { accepted: "a method in capitals, such as POST", shown: true, parse: method };

/// Whether any of the routes forwards, rather than being answered by the gateway itself.
pub(in crate::config) fn forwards(field: Option<&Field<'_>>) -> bool {
    let has_endpoint = |element: &Field<'_>| element.is_mapping() && element.section().field("endpoint").is_some();
    field.is_none_or(|field| !field.is_list() || !field.elements().iter().all(has_endpoint))
}

/// What of the rest of the file a route may name.
pub(in crate::config) struct Rest<'r, 'f> {
    pub(in crate::config) upstreams: &'r [Upstream<'f>],
    pub(in crate::config) issuers: &'r [Issuer<'f>],
    pub(in crate::config) algorithm: Algorithm,
}

/// Routes with a preset may add a minting profile.
pub(in crate::config) fn routes<'f>(
    field: Option<Field<'f>>,
    rest: &Rest<'_, 'f>,
    profiles: &mut Vec<Profile<'f>>,
) -> Vec<RouteSettings> {
    let Some(field) = field else { return vec![RouteSettings::default()] };
    let upstreams = rest.upstreams;
    let mut used = vec![false; upstreams.len()];
    let mut routes: Vec<(Field<'_>, RouteSettings)> = Vec::new();
    for element in field.elements() {
        for route in route(element.section(), rest, profiles) {
            if route.endpoint.is_none() {
                used.get_mut(route.upstream).into_iter().for_each(|used| *used = true);
            }
            conflicts::check(&element, &route, &routes);
            routes.push((element.clone(), route));
        }
    }
    for (element, route) in metadata::routes(&routes, rest.issuers) {
        conflicts::check(&element, &route, &routes);
        routes.push((element, route));
    }
    exposure::check(&routes);
    for (upstream, _) in upstreams.iter().zip(used).filter(|(_, used)| !used) {
        upstream.field.warning("no route uses this upstream");
    }
    routes.into_iter().map(|(_, route)| route).collect()
}

/// One element of the list; several routes, if its preset expands to several.
fn route<'f>(mut section: Section<'f>, rest: &Rest<'_, 'f>, profiles: &mut Vec<Profile<'f>>) -> Vec<RouteSettings> {
    let preset = section.field("preset");
    let backend = preset.as_ref().and_then(|field| field.choice(&BACKENDS));
    let mut route = backend.map(Backend::defaults).unwrap_or_else(|| RouteSettings { name: String::new(), ..Default::default() });
    match section.field("name") {
        Some(field) => route.name = field.text(&NAME).unwrap_or_default(),
        None if preset.is_none() => section.missing("name", "it appears in logs and metrics"),
        None => {}
    }
    if let Some(path) = section.text("path", &ROUTE_PATH) {
        route.path = path;
    }
    // The dot that may end a full name is not compared.
    route.host = section.text("host", &HOST).map(|host| host.trim_end_matches('.').to_owned());
    if let Some(field) = section.field("endpoint") {
        return vec![endpoints::route(section, &field, route, profiles, rest.issuers)];
    }
    route.upstream = upstream(&mut section, rest.upstreams);
    route.profile = match (section.field("mint"), preset.as_ref().zip(backend)) {
        (Some(field), _) => profile_named(&field, profiles),
        (None, Some((field, backend))) => mint::profile_for(backend.minting(), field, profiles, rest.algorithm),
        (None, None) => 0,
    };
    if backend == Some(Backend::Realm) {
        for key in ["exact", "methods", "access", "pass_authorization"] {
            section.refuse(key, "the preset realm expands to two routes that differ in this; write them out to change it");
        }
    } else {
        route.exact = section.flag("exact", false);
        route.methods = section.texts("methods", &METHOD);
        route.access = access(&mut section);
    }
    let places = section.field("token");
    if let Some(field) = &places {
        places::places(field.section(), &mut route.token_in, &mut route.token_out);
    }
    route.requires_certificate = section.choice("client_certificate", &CLIENT_CERTIFICATE, false);
    route.forward_certificate = section.choice("forward_certificate", &FORWARD_CERTIFICATE, ForwardCertificate::None);
    let named_user = section.field("user_query");
    if let Some(field) = &named_user {
        let is_none = field.scalar("none, or the name of a query parameter").is_none_or(|text| text == NONE);
        route.user_query = if is_none { None } else { field.text(&TEXT) };
    }
    route.resource = section.field("resource").and_then(|field| metadata::resource(&field));
    let permission = permission(&mut section);
    let has_cookie = route.token_in.iter().any(|place| matches!(place, TokenPlace::Cookie(_)));
    let browsers = browsers(&mut section, has_cookie);
    (route.allowed_origins, route.cors) = (browsers.origins, browsers.cors);
    route.errors = section.choice("errors", &ERROR_SHAPES, route.errors);
    let on_invalid = section.field("on_invalid");
    route.on_invalid = section.choice("on_invalid", &ON_INVALID, route.on_invalid);
    route.close_codes = section.field("close_codes").map(|field| close_codes(field.section())).unwrap_or_default();

    if let Some(field) = places.filter(|_| has_cookie && route.allowed_origins == AllowedOrigins::Unsaid) {
        field.warning("without allowed_origins a cookie is accepted only for read-only methods; every other method and every WebSocket is refused");
    }
    let in_body = route.token_in.iter().any(|place| matches!(place, TokenPlace::Body(_)));
    if let Some(field) = on_invalid.filter(|_| route.on_invalid == OnInvalid::LetBackendRefuse && in_body) {
        field.problem("let_backend_refuse is for WebSockets, which have no body");
    }
    if route.access != Access::Protected {
        let demands = permission != PermissionSettings::default() || named_user.is_some_and(|_| route.user_query.is_some());
        check_public(&section, demands, in_body, route.resource.is_some());
        route.user_query = None;
    }
    if route.user_query.is_some() {
        check_named_user(&section, profiles.get(route.profile), in_body);
    }
    route.permission = Permission::new(permission);
    section.finish();
    match backend {
        Some(backend) => backend.expand(route),
        None => vec![route],
    }
}

/// A public route looks at no token: `requires` says that it requires something of one, `in_body` that it may be in a body.
fn check_public(section: &Section<'_>, demands: bool, in_body: bool, has_resource: bool) {
    if has_resource {
        section.problem("a public route protects nothing; remove resource");
    }
    if demands {
        section.problem("a public route checks no token; remove scopes, roles, claims, nonce and user_query");
    }
    if in_body {
        section.problem("a public route does not read bodies; accepted under token.in: header, query, protocol, cookie");
    }
}

/// Checks that there is something to compare the user of `user_query` with.
fn check_named_user(section: &Section<'_>, profile: Option<&Profile<'_>>, in_body: bool) {
    if in_body {
        section.problem("user_query cannot be combined with a token in a body; remove it");
    }
    if let Some(profile) = profile.filter(|profile| !profile.settings.claims.contains_key("sub")) {
        let name = shown(&profile.settings.name);
        section.problem(&format!(
            "user_query is compared with the claim sub, which the minting profile {name} lacks; add it, or set user_query: none"
        ));
    }
}

fn access(section: &mut Section<'_>) -> Access {
    let public = section.choice("access", &ACCESS, false);
    let field = section.field("pass_authorization");
    let pass_authorization = section.flag("pass_authorization", false);
    match (public, field) {
        (false, Some(field)) if pass_authorization => {
            field.problem("is for public routes; on others the token is exchanged");
            Access::Protected
        }
        (false, _) => Access::Protected,
        (true, _) => Access::Public { pass_authorization },
    }
}

/// The index of the upstream that a route names; it need not name the only one.
fn upstream(section: &mut Section<'_>, upstreams: &[Upstream<'_>]) -> usize {
    let names: Vec<_> = upstreams.iter().map(|upstream| upstream.settings.name.as_str()).collect();
    let Some(field) = section.field("upstream") else {
        if names.len() > 1 {
            section.missing("upstream", &format!("there are several upstreams; accepted: {}", shown_names(&names)));
        }
        return 0;
    };
    let name = field.text(&NAME);
    let found = name.as_ref().and_then(|name| names.iter().position(|known| known == name));
    if let (Some(name), None, false) = (name, found, names.is_empty()) {
        field.problem(format!("there is no upstream {}; accepted: {}", shown(&name), shown_names(&names)));
    }
    found.unwrap_or(0)
}

/// Names of the file, which may be none that can be used, for a message.
fn shown_names(names: &[&str]) -> String {
    names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ")
}

fn close_codes(mut section: Section<'_>) -> CloseCodes {
    let codes = CloseCodes {
        token_end: section.text("token_end", &CLOSE_CODE).flatten(),
        max_age: section.text("max_age", &CLOSE_CODE).flatten(),
        upstream_lost: section.text("upstream_lost", &CLOSE_CODE).flatten(),
    };
    section.finish();
    codes
}

/// A code that may be in a Close (RFC 6455 section 7.4), and in a browser's.
fn close_code(text: &str) -> Result<Option<u16>, &'static str> {
    if text == AUTO {
        return Ok(None);
    }
    match text.parse() {
        Ok(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)) => Ok(Some(code)),
        _ => Err("is not a valid close code"),
    }
}

fn method(text: &str) -> Result<String, &'static str> {
    let fine = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if fine { Ok(text.to_owned()) } else { Err("is not a method") }
}

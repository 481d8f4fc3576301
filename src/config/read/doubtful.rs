//! Values that are well formed but probably wrong, recognised by their format alone.

use url::Url;

use crate::config::{field::Field, section::Section, suggest::shown};

/// An `iss`. It is compared byte for byte, so what can be no `iss` is a mistake.
pub(in crate::config) fn parse_issuer(text: &str) -> Result<String, &'static str> {
    let text = one_line(text)?;
    if text.contains("${") {
        return Err("has a $ before a brace; write a template as {tenantid}");
    }
    match text.contains("/.well-known/") {
        true => Err("is the URL of a document; iss is the issuer in that document, usually the part before /.well-known/"),
        false => Ok(text),
    }
}

/// An `aud`. It is compared byte for byte too.
pub(in crate::config) fn parse_audience(text: &str) -> Result<String, &'static str> {
    match one_line(text)? {
        text if text.contains('*') => Err("has a wildcard, but is compared exactly, so no token can match"),
        text => Ok(text),
    }
}

fn one_line(text: &str) -> Result<String, &'static str> {
    match text {
        _ if !(1..=1024).contains(&text.len()) => Err("is empty or too long"),
        _ if text.trim() != text => Err("begins or ends with white space, which is significant; remove it"),
        text => Ok(text.to_owned()),
    }
}

/// Warns of an audience that looks like a scope, or like the number of something.
pub(in crate::config) fn audience(field: &Field<'_>, audience: &str) {
    let is_number = !audience.is_empty() && audience.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        field.warning(format!(
            "{audience} is a number, but Microsoft's tokens have a GUID or a URI; compare it with the aud of a token"
        ));
    }
    if let Some(resource) = resource_of_scope(audience) {
        field.warning(format!(
            "{} looks like a scope, which clients request; the aud of the token is {}, or the id of that registration",
            shown(audience),
            shown(resource)
        ));
    }
}

/// The text before the name of a scope, as in `https://contoso.onmicrosoft.com/api/docs.read` and `api://GUID/docs.read`.
fn resource_of_scope(text: &str) -> Option<&str> {
    let (resource, name) = text.rsplit_once('/')?;
    let is_api_uri = |rest: &str| !rest.is_empty() && !rest.contains('/');
    let has_name = match text.split_once("://")? {
        ("api", _) => resource.strip_prefix("api://").is_some_and(is_api_uri),
        ("https", rest) => {
            rest.split('/').next().is_some_and(|host| host.ends_with(".onmicrosoft.com")) && rest.matches('/').count() >= 2
        }
        _ => false,
    };
    (has_name && !name.is_empty()).then_some(resource)
}

/// Warns where a discovery document and a key set seem to be mixed up.
pub(in crate::config) fn key_sources(section: &mut Section<'_>, discovery: &[String], jwks_uris: &[String]) {
    let path = |url: &String| Url::parse(url).map(|url| url.path().to_ascii_lowercase()).unwrap_or_default();
    let is_key_set = |path: &str| path.ends_with("/keys") || path.ends_with("/certs") || path.contains("jwks");
    if let Some(field) = section.field("discovery")
        && discovery.iter().map(path).any(|path| is_key_set(&path))
    {
        field.warning("looks like the URL of a key set, which belongs in jwks_uri; discovery is the URL of the discovery document");
    }
    if let Some(field) = section.field("jwks_uri")
        && jwks_uris.iter().map(path).any(|path| path.contains("/.well-known/") && !is_key_set(&path))
    {
        field.warning("looks like the URL of a discovery document, which belongs in discovery");
    }
}

/// Warns of a path into nested claims. A name that is a URL may have dots.
pub(in crate::config) fn claim(field: &Field<'_>, claim: &str) {
    if claim.contains('.') && !claim.contains([':', '/']) {
        field.warning(format!(
            "{} has a dot: claims are matched by their whole name, and nested claims are not supported; have the provider issue it at the top level",
            shown(claim)
        ));
    }
}

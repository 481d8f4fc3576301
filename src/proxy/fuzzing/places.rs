//! Tokens in their places: what surrounds them stays byte for byte, and they are nowhere afterwards.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, REFERER, SEC_WEBSOCKET_PROTOCOL},
};

use crate::proxy::policy::{
    BodyCondition, BodyContent, BodyPlace, NewToken, Parts, ProtocolForm, Rewrite, TokenPlace, token_place,
};

/// What a client brings; the signature is what is looked for.
const OLD: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLXRoZS1jbGllbnQtdGhhdC1tdXN0LW5vdC1nby1vbg";
const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLXRoZS1jbGllbnQtdGhhdC1tdXN0LW5vdC1nby1vbg";
/// What the backend gets.
const NEW: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJiIn0.bmV3";

/// Puts a token between two texts, the parts of an input around its first NUL, in a place that its first byte chooses, with copies in
/// other places; exchanges it; and looks at what goes upstream.
///
/// # Errors
/// What has changed beside the token, or where it still is.
pub fn hold_place(input: &[u8]) -> Result<(), String> {
    let Some((how, texts)) = input.split_first() else { return Ok(()) };
    let mut parts = texts.splitn(2, |byte| *byte == 0);
    let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let with = |token: &str| [before, token.as_bytes(), after].concat();
    let (place, target, field) = match how % 5 {
        0 => (TokenPlace::Query("token".into()), [&b"/x?"[..], before, b"token=", OLD.as_bytes(), after].concat(), None),
        1 => (TokenPlace::Cookie("sid".into()), b"/x".to_vec(), Some((COOKIE, [before, b"sid=", OLD.as_bytes(), after].concat()))),
        2 => (
            TokenPlace::Protocol(ProtocolForm::List("bearer".into())),
            b"/x".to_vec(),
            Some((SEC_WEBSOCKET_PROTOCOL, [before, b"bearer, ", OLD.as_bytes(), after].concat())),
        ),
        3 => {
            let encoded = URL_SAFE_NO_PAD.encode(OLD);
            let value = [before, b"base64url.bearer.authorization.k8s.io.", encoded.as_bytes(), after].concat();
            (TokenPlace::Protocol(ProtocolForm::Kubernetes), b"/x".to_vec(), Some((SEC_WEBSOCKET_PROTOCOL, value)))
        }
        _ => (TokenPlace::bearer(), b"/x".to_vec(), Some((AUTHORIZATION, format!("Bearer {OLD}").into_bytes()))),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in field.iter() {
        let Ok(value) = HeaderValue::from_bytes(value) else { return Ok(()) };
        headers.append(name.clone(), value);
    }
    let whole = Parts { target: &target, headers: &headers };
    let places = [place];
    let Ok(found) = token_place::find(&places, whole) else { return Ok(()) };
    if *found.token != *OLD.as_bytes() {
        return Ok(());
    }
    let authorization = HeaderValue::try_from(format!("Bearer {NEW}")).map_err(|error| error.to_string())?;
    let exchanged = |parts| Rewrite::exchange(found.place, &places, None, parts, NewToken::from_authorization(&authorization));

    // By itself: only the token changes.
    let rewrite = exchanged(whole).map_err(|rejection| format!("{rejection:?}"))?;
    let (new_target, new_headers) = applied(&rewrite, whole);
    let renewed =
        |bytes: &[u8]| replaced_once(&replaced_once(bytes, OLD, NEW), &URL_SAFE_NO_PAD.encode(OLD), &URL_SAFE_NO_PAD.encode(NEW));
    if count(&target, SIGNATURE) <= 1 && new_target != renewed(&target) {
        return Err(format!("the target is {}", String::from_utf8_lossy(&new_target)));
    }
    for (name, value) in &headers {
        let one = count(value.as_bytes(), SIGNATURE) + count(value.as_bytes(), &URL_SAFE_NO_PAD.encode(OLD)) <= 1;
        if one && new_headers.get(name).map(HeaderValue::as_bytes) != Some(&renewed(value.as_bytes())) {
            return Err(format!("{name} is {:?}", new_headers.get(name)));
        }
    }

    // With copies everywhere else: none is left.
    let mut headers = headers.clone();
    for (name, value) in [
        (REFERER, [&b"https://app.test/?"[..], &with(OLD)].concat()),
        (HeaderName::from_static("x-copy"), with(OLD)),
        (COOKIE, [&b"a="[..], &with(OLD)].concat()),
        (SEC_WEBSOCKET_PROTOCOL, with(OLD)),
    ] {
        if let Ok(value) = HeaderValue::from_bytes(&value)
            && !headers.contains_key(&name)
        {
            headers.append(name, value);
        }
    }
    let target = [&target[..], if target.contains(&b'?') { b"&" } else { b"?" }, b"copy=", OLD.as_bytes()].concat();
    let whole = Parts { target: &target, headers: &headers };
    let Ok(mut rewrite) = exchanged(whole) else { return Ok(()) };
    if rewrite.take_copies(whole, OLD.as_bytes()).is_err() {
        return Ok(());
    }
    let (target, headers) = applied(&rewrite, whole);
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    match fields.chain([("the target", &target[..])]).find(|(_, value)| count(value, SIGNATURE) > 0) {
        Some((name, _)) => Err(format!("the token is still in {name}")),
        None => Ok(()),
    }
}

/// Reads a body as a login's, and exchanges its token.
///
/// # Errors
/// What has changed beside the token.
pub fn hold_body(body: &[u8]) -> Result<(), String> {
    let condition = BodyCondition { member: "provider".into(), exchange: vec!["jwt".into()], pass: vec!["realm".into()] };
    for condition in [None, Some(condition)] {
        let place = BodyPlace { member: "data".into(), condition };
        let Ok(BodyContent::Token(found)) = place.read(body) else { continue };
        let new = found.replaced(NEW);
        // A reader of its own, that takes the same for JSON but for numbers beyond a double.
        let Ok(mut expected) = serde_json::from_slice::<serde_json::Value>(body) else { continue };
        let member = expected.get_mut("data").ok_or("the member is not there")?;
        if member.as_str() != Some(&found.token) {
            return Err(format!("the token is {member}"));
        }
        *member = NEW.into();
        let read: serde_json::Value = serde_json::from_str(&new).map_err(|error| format!("no JSON any more: {error}"))?;
        if read != expected {
            return Err(format!("the body is {new}"));
        }
        let start = new.bytes().zip(body).take_while(|(one, other)| one == *other).count();
        let end = new.bytes().rev().zip(body.iter().rev()).take_while(|(one, other)| one == *other).count();
        let literal = NEW.len() + 2;
        if start + end + literal < new.len() {
            return Err(format!("more than the token has changed: {new}"));
        }
    }
    Ok(())
}

/// What goes upstream, as far as places are concerned.
fn applied(rewrite: &Rewrite, parts: Parts<'_>) -> (Vec<u8>, HeaderMap) {
    let mut headers = parts.headers.clone();
    for (name, value) in &rewrite.headers {
        headers.remove(name);
        if let Some(value) = value {
            headers.append(name.clone(), value.clone());
        }
    }
    (rewrite.target.clone().unwrap_or_else(|| parts.target.to_vec()), headers)
}

fn count(text: &[u8], part: &str) -> usize {
    text.windows(part.len()).filter(|window| *window == part.as_bytes()).count()
}

fn replaced_once(text: &[u8], old: &str, new: &str) -> Vec<u8> {
    match text.windows(old.len()).position(|window| window == old.as_bytes()) {
        Some(at) => [text.get(..at).unwrap_or_default(), new.as_bytes(), text.get(at + old.len()..).unwrap_or_default()].concat(),
        None => text.to_vec(),
    }
}

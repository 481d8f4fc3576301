//! [`Rewrite`]: what a request is changed to on its way upstream.

use std::ptr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{COOKIE, SEC_WEBSOCKET_PROTOCOL},
};

use super::{Parts, ProtocolForm, TokenPlace, cookie, header, protocol, query};
use crate::token::Rejection;

/// A token to be put in place of the client's: `Bearer <token>`, as a header value.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct NewToken<'a>(&'a HeaderValue);

impl<'a> NewToken<'a> {
    const SCHEME: &'static str = "Bearer ";

    /// A header value that starts with `Bearer ` and is visible ASCII.
    pub(in crate::proxy) fn from_authorization(value: &'a HeaderValue) -> Self {
        Self(value)
    }

    pub(super) fn authorization(&self) -> &'a HeaderValue {
        self.0
    }

    /// The token alone.
    pub(in crate::proxy) fn as_str(&self) -> &'a str {
        self.0.to_str().ok().and_then(|value| value.strip_prefix(Self::SCHEME)).unwrap_or_default()
    }
}

/// What changes in a request. Applied again to a fresh copy, it does the same again.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Rewrite {
    /// Path and query, if they change.
    pub(in crate::proxy) target: Option<Vec<u8>>,
    /// Headers that have this one value, or go.
    pub(in crate::proxy) headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// The whole body, if it was read.
    pub(in crate::proxy) body: Option<Bytes>,
    /// The subprotocol that the client offered in place of ours, where its backend answers with what was offered.
    pub(in crate::proxy) offered: Option<HeaderValue>,
}

impl Rewrite {
    /// Puts another token where the upstream looks: where the client's was found, if `to` is none. Takes the client's out, and whatever
    /// else stands in the places where clients put tokens.
    pub(in crate::proxy) fn exchange(
        found: &TokenPlace,
        places: &[TokenPlace],
        to: Option<&TokenPlace>,
        parts: Parts<'_>,
        token: NewToken<'_>,
    ) -> Result<Self, Rejection> {
        let to = to.unwrap_or(found);
        let mut rewrite = Self::default();
        // Most often it is the very same one.
        let is_unwanted = |place: &&TokenPlace| !ptr::eq(*place, to) && *place != to;
        // In place, if it can be: what surrounds the token stays as it is.
        if !places.iter().any(|place| is_unwanted(&place)) {
            rewrite.put(to, parts, token)?;
            return Ok(rewrite);
        }
        let (target, headers) = rewrite.take_all(places.iter().filter(is_unwanted), parts)?;
        rewrite.put(to, Parts { target: &target, headers: &headers }, token)?;
        Ok(rewrite)
    }

    /// Takes out whatever stands in these places.
    pub(in crate::proxy) fn drop_all(places: &[TokenPlace], parts: Parts<'_>) -> Result<Self, Rejection> {
        let mut rewrite = Self::default();
        rewrite.take_all(places, parts)?;
        Ok(rewrite)
    }

    /// Takes out one after another. What is left: the target and the headers.
    fn take_all<'p>(
        &mut self,
        places: impl IntoIterator<Item = &'p TokenPlace>,
        parts: Parts<'_>,
    ) -> Result<(Vec<u8>, HeaderMap), Rejection> {
        let (mut target, mut headers) = (parts.target.to_vec(), parts.headers.clone());
        for place in places {
            let known = self.headers.len();
            self.take(place, Parts { target: &target, headers: &headers })?;
            if let Some(rest) = &self.target {
                target.clone_from(rest);
            }
            for (name, value) in self.headers.iter().skip(known) {
                headers.remove(name);
                value.iter().for_each(|value| drop(headers.insert(name.clone(), value.clone())));
            }
        }
        Ok((target, headers))
    }

    fn take(&mut self, place: &TokenPlace, parts: Parts<'_>) -> Result<(), Rejection> {
        match place {
            TokenPlace::Header { name, .. } => self.headers.push((name.clone(), None)),
            TokenPlace::Query(name) => {
                let rest = query::without(parts.target, name);
                if rest != parts.target {
                    self.target = Some(rest);
                }
            }
            TokenPlace::Cookie(name) if parts.headers.contains_key(COOKIE) => {
                let rest = cookie::without(parts.headers, name);
                self.headers.push((COOKIE, (!rest.is_empty()).then(|| secret(&rest)).transpose()?));
            }
            TokenPlace::Protocol(form) if parts.headers.contains_key(SEC_WEBSOCKET_PROTOCOL) => {
                let rest = protocol::without(parts.headers, form)?;
                self.headers.push((SEC_WEBSOCKET_PROTOCOL, (!rest.is_empty()).then(|| secret(rest.as_bytes())).transpose()?));
            }
            TokenPlace::Cookie(_) | TokenPlace::Protocol(_) | TokenPlace::Body(_) => {}
        }
        Ok(())
    }

    fn put(&mut self, place: &TokenPlace, parts: Parts<'_>, token: NewToken<'_>) -> Result<(), Rejection> {
        match place {
            TokenPlace::Header { name, scheme } => {
                self.headers.push((name.clone(), Some(header::value(scheme.as_deref(), &token)?)));
            }
            TokenPlace::Query(name) => {
                self.target = Some(match query::find(parts.target, name)? {
                    Some(found) => query::replaced(parts.target, &found.value, token.as_str()),
                    None => query::extended(&query::without(parts.target, name), name, token.as_str()),
                });
            }
            TokenPlace::Cookie(name) => {
                let line = match cookie::find(parts.headers, name)? {
                    Some(found) => cookie::replaced(&found, token.as_str()),
                    None => cookie::extended(parts.headers, name, token.as_str()),
                };
                self.headers.push((COOKIE, Some(secret(&line)?)));
            }
            TokenPlace::Protocol(form) => {
                let value = secret(protocol::with(parts.headers, form, token.as_str())?.as_bytes())?;
                if *form == ProtocolForm::Zero {
                    self.offered = parts.headers.get(SEC_WEBSOCKET_PROTOCOL).cloned();
                }
                self.headers.push((SEC_WEBSOCKET_PROTOCOL, Some(value)));
            }
            TokenPlace::Body(_) => {}
        }
        Ok(())
    }
}

/// A header value that is not shown.
pub(super) fn secret(value: &[u8]) -> Result<HeaderValue, Rejection> {
    let mut value = HeaderValue::from_bytes(value).map_err(|_| Rejection::AuthorizationMalformed)?;
    value.set_sensitive(true);
    Ok(value)
}

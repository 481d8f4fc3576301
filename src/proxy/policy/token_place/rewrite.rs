//! [`Rewrite`]: the changes to a request on its way upstream.

use std::ptr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, REFERER, SEC_WEBSOCKET_PROTOCOL},
};

use super::{
    Parts, ProtocolForm, TokenPlace, cookie, header,
    new_token::{NewToken, secret},
    protocol, query,
    trace::Trace,
};
use crate::token::Rejection;

/// What changes in a request. Applied again to a fresh copy, it does the same again.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Rewrite {
    /// Path and query, if they change.
    pub(in crate::proxy) target: Option<Vec<u8>>,
    /// Headers that have this one value, or go.
    pub(in crate::proxy) headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// The whole body, if it was read.
    pub(in crate::proxy) body: Option<Bytes>,
    /// The subprotocol that the client offered instead of ours, where its backend answers with what was offered.
    pub(in crate::proxy) offered: Option<HeaderValue>,
    /// Whether the token was put into something that backends are known to send back.
    pub(in crate::proxy) may_come_back: bool,
}

impl Rewrite {
    /// Puts another token where the upstream looks: where the client's was found, if `to` is none. Takes the client's out, and whatever
    /// else is in the places where clients put tokens.
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
        if places.iter().any(|place| is_unwanted(&place)) {
            let (target, headers) = rewrite.take_all(places.iter().filter(is_unwanted), parts)?;
            rewrite.put(to, Parts { target: &target, headers: &headers }, token)?;
        } else {
            rewrite.put(to, parts, token)?;
        }
        rewrite.clean_referer(places, parts)?;
        Ok(rewrite)
    }

    /// Takes out what holds the client's token beside its place, which is another one than the gateway looks in. Of cookies,
    /// subprotocols and parameters those alone that hold it go; of all else the whole line.
    ///
    /// # Errors
    /// [`Rejection::AmbiguousToken`] for a path that holds it: without it, it would be another path.
    pub(in crate::proxy) fn take_copies(&mut self, parts: Parts<'_>, token: &[u8]) -> Result<(), Rejection> {
        let Some(trace) = Trace::of(token) else { return Ok(()) };
        let target = self.target.as_deref().unwrap_or(parts.target);
        if trace.is_in(target) {
            let rest = query::url_without(target, &trace);
            if trace.is_in(&rest) {
                return Err(Rejection::AmbiguousToken);
            }
            self.target = Some(rest);
        }
        // Most headers hold nothing that is long enough.
        let is_long = |value: &HeaderValue| value.len() >= trace.shortest_text();
        for (name, value) in parts.headers.iter().filter(|(_, value)| is_long(value)) {
            let written = self.headers.iter().rev().find(|(changed, _)| changed == name);
            let holds = match written {
                // What holds the new token alone is not looked through.
                Some((_, Some(written))) if *name == COOKIE || *name == SEC_WEBSOCKET_PROTOCOL => trace.is_in(written.as_bytes()),
                Some(_) => false,
                None => trace.is_in(value.as_bytes()),
            };
            if holds {
                let rest = self.line_without(name, parts.headers, &trace)?;
                self.headers.push((name.clone(), rest));
            }
        }
        Ok(())
    }

    /// What is left of a header without what holds a token.
    fn line_without(&self, name: &HeaderName, headers: &HeaderMap, trace: &Trace<'_>) -> Result<Option<HeaderValue>, Rejection> {
        let written = self.headers.iter().rev().find_map(|(changed, value)| value.as_ref().filter(|_| changed == name));
        let as_sent = |lines: Vec<u8>| written.map_or(lines, |written| written.as_bytes().to_vec());
        let rest = match *name {
            COOKIE => cookie::without_token(&as_sent(cookie::line(headers)), trace),
            SEC_WEBSOCKET_PROTOCOL => protocol::without_token(&as_sent(protocol::line(headers)?), trace),
            REFERER => only(headers, name).map(|value| query::url_without(value.as_bytes(), trace)).unwrap_or_default(),
            _ => Vec::new(),
        };
        if rest.is_empty() || trace.is_in(&rest) { Ok(None) } else { secret(&rest).map(Some) }
    }

    /// Takes out of `Referer`, which a browser fills with the URL of its page, the parameters in which clients put tokens. It may hold an
    /// older one than the request does.
    fn clean_referer(&mut self, places: &[TokenPlace], parts: Parts<'_>) -> Result<(), Rejection> {
        let names = places.iter().filter_map(|place| if let TokenPlace::Query(name) = place { Some(name) } else { None });
        for name in names.filter(|_| parts.headers.contains_key(REFERER)) {
            let written = self.headers.iter().rev().find(|(changed, _)| *changed == REFERER);
            let Some(sent) = written.map_or(only(parts.headers, &REFERER), |(_, value)| value.as_ref()) else {
                // Several of them: nobody knows which one counts.
                self.headers.push((REFERER, None));
                return Ok(());
            };
            let rest = query::without(sent.as_bytes(), name);
            if rest != sent.as_bytes() {
                self.headers.push((REFERER, Some(secret(&rest)?)));
            }
        }
        Ok(())
    }

    /// Takes out whatever is in these places.
    pub(in crate::proxy) fn drop_all(places: &[TokenPlace], parts: Parts<'_>) -> Result<Self, Rejection> {
        let mut rewrite = Self::default();
        rewrite.take_all(places, parts)?;
        rewrite.clean_referer(places, parts)?;
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
        self.may_come_back = !matches!(place, TokenPlace::Header { name, .. } if *name == AUTHORIZATION);
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

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

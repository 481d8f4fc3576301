//! A token in `Sec-WebSocket-Protocol` (RFC 6455 section 4.1): where browsers can put one, since they cannot set headers.

use std::{borrow::Cow, ops::Range};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header::SEC_WEBSOCKET_PROTOCOL};

use super::{ProtocolForm, Trace, zero};
use crate::token::{Rejection, one_token};

/// The text before the token in the form of Kubernetes.
const KUBERNETES: &str = "base64url.bearer.authorization.k8s.io.";

/// The token in this form.
pub(super) fn find<'a>(headers: &HeaderMap, form: &ProtocolForm) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
    let token = match form {
        ProtocolForm::Zero => zero::find(headers)?,
        ProtocolForm::Kubernetes => {
            let list = List::of(headers)?;
            match list.kubernetes()? {
                Some(at) => {
                    let encoded = list.text.get(at).unwrap_or_default();
                    let token = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Rejection::AuthorizationMalformed)?;
                    one_token(&token)?;
                    Some(token)
                }
                None => None,
            }
        }
        ProtocolForm::List(marker) => {
            let list = List::of(headers)?;
            match list.behind(marker)? {
                Some(at) => Some(one_token(list.text.get(at).unwrap_or_default().as_bytes())?.to_vec()),
                None => None,
            }
        }
    };
    Ok(token.map(Cow::Owned))
}

/// The value with this token: instead of the one that is there, or else at the end.
pub(super) fn with(headers: &HeaderMap, form: &ProtocolForm, token: &str) -> Result<String, Rejection> {
    let (at, element, whole) = match form {
        ProtocolForm::Zero => return zero::replaced(headers, token),
        ProtocolForm::Kubernetes => {
            let element = URL_SAFE_NO_PAD.encode(token);
            let whole = format!("{KUBERNETES}{element}");
            (List::of(headers)?.kubernetes()?, element, whole)
        }
        ProtocolForm::List(marker) => (List::of(headers)?.behind(marker)?, token.to_owned(), format!("{marker}, {token}")),
    };
    let list = List::of(headers)?;
    Ok(match at {
        Some(at) => {
            let before = list.text.get(..at.start).unwrap_or_default();
            let after = list.text.get(at.end..).unwrap_or_default();
            format!("{before}{element}{after}")
        }
        None if list.text.is_empty() => whole,
        None => format!("{}, {whole}", list.text),
    })
}

/// The value without the token and what marks it; empty if nothing else is left.
pub(super) fn without(headers: &HeaderMap, form: &ProtocolForm) -> Result<String, Rejection> {
    let list = List::of(headers)?;
    let (mut kept, mut elements) = (Vec::new(), list.elements());
    while let Some(at) = elements.next() {
        let element = list.element(&at);
        match form {
            ProtocolForm::Zero => {}
            ProtocolForm::Kubernetes if element.starts_with(KUBERNETES) => {}
            ProtocolForm::List(marker) if element.eq_ignore_ascii_case(marker) => drop(elements.next()),
            ProtocolForm::Kubernetes | ProtocolForm::List(_) => kept.push(element),
        }
    }
    Ok(kept.join(", "))
}

/// The subprotocols of a line but those that hold a token.
pub(super) fn without_token(line: &[u8], trace: &Trace<'_>) -> Vec<u8> {
    let elements = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    elements.filter(|element| !trace.is_in(element)).collect::<Vec<_>>().join(&b", "[..])
}

/// All subprotocols in one line.
pub(super) fn line(headers: &HeaderMap) -> Result<Vec<u8>, Rejection> {
    List::of(headers).map(|list| list.text.into_bytes())
}

/// The elements in one line; several headers mean the same as one.
struct List {
    text: String,
}

impl List {
    fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let values: Result<Vec<_>, _> = values.map(|value| value.to_str()).collect();
        Ok(Self { text: values.map_err(|_| Rejection::AuthorizationMalformed)?.join(", ") })
    }

    /// The places of the elements, the spaces around them left out.
    fn elements(&self) -> impl Iterator<Item = Range<usize>> {
        let mut next = 0;
        self.text.split(',').map(move |element| {
            let start = next + (element.len() - element.trim_ascii_start().len());
            next += element.len() + 1;
            start..start + element.trim_ascii().len()
        })
    }

    fn element(&self, at: &Range<usize>) -> &str {
        self.text.get(at.clone()).unwrap_or_default()
    }

    /// The place of what stands behind the one marker.
    fn behind(&self, marker: &str) -> Result<Option<Range<usize>>, Rejection> {
        let mut elements = self.elements();
        if !elements.by_ref().any(|at| self.element(&at).eq_ignore_ascii_case(marker)) {
            return Ok(None);
        }
        let token = elements.next().ok_or(Rejection::AuthorizationMalformed)?;
        if elements.any(|at| self.element(&at).eq_ignore_ascii_case(marker)) {
            return Err(Rejection::AmbiguousToken);
        }
        Ok(Some(token))
    }

    /// The place of the encoded token in the one element that has the prefix.
    fn kubernetes(&self) -> Result<Option<Range<usize>>, Rejection> {
        let mut prefixed = self.elements().filter(|at| self.element(at).starts_with(KUBERNETES));
        match (prefixed.next(), prefixed.next()) {
            (Some(at), None) => Ok(Some(at.start + KUBERNETES.len()..at.end)),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Rejection::AmbiguousToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap())).collect()
    }

    fn list() -> ProtocolForm {
        ProtocolForm::List("bearer".into())
    }

    fn found(values: &[&str], form: &ProtocolForm) -> Result<Option<String>, Rejection> {
        find(&headers(values), form).map(|token| token.map(|token| String::from_utf8(token.into_owned()).unwrap()))
    }

    #[test]
    fn the_element_behind_the_marker_is_the_token() {
        for values in [&["bearer, a.b.c"][..], &["v1,Bearer ,a.b.c,v2"], &["v1", "bearer", "a.b.c"]] {
            assert_eq!(found(values, &list()), Ok(Some("a.b.c".into())), "{values:?}");
        }
        assert_eq!(found(&[], &list()), Ok(None));
        assert_eq!(found(&["v1, a.b.c"], &list()), Ok(None));
        for value in ["bearer", "bearer,", "v1, bearer, a b"] {
            assert_eq!(found(&[value], &list()), Err(Rejection::AuthorizationMalformed), "{value}");
        }
        assert_eq!(found(&["bearer, a, bearer, b"], &list()), Err(Rejection::AmbiguousToken));
    }

    #[test]
    fn kubernetes_encodes_the_token() {
        let value = "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.YS5iLmM";
        assert_eq!(found(&[value], &ProtocolForm::Kubernetes), Ok(Some("a.b.c".into())));
        let new = with(&headers(&[value]), &ProtocolForm::Kubernetes, "new");
        assert_eq!(new.unwrap(), "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.bmV3");
        assert_eq!(without(&headers(&[value]), &ProtocolForm::Kubernetes).unwrap(), "v5.channel.k8s.io");
        let wrong = "base64url.bearer.authorization.k8s.io.YS5iLmM=";
        assert_eq!(found(&[wrong], &ProtocolForm::Kubernetes), Err(Rejection::AuthorizationMalformed));
        let twice = format!("{value}, base64url.bearer.authorization.k8s.io.YS5iLmM");
        assert_eq!(found(&[&twice], &ProtocolForm::Kubernetes), Err(Rejection::AmbiguousToken));
    }

    #[test]
    fn the_marker_goes_with_its_token() {
        for (value, rest) in [("bearer, a", ""), ("v1,bearer, a,v2, Bearer", "v1, v2"), ("v1", "v1"), ("", "")] {
            assert_eq!(without(&headers(&[value]), &list()).unwrap(), rest, "{value}");
        }
    }

    #[test]
    fn a_token_from_elsewhere_comes_last() {
        assert_eq!(with(&headers(&[]), &list(), "t").unwrap(), "bearer, t");
        assert_eq!(with(&headers(&["v1"]), &list(), "t").unwrap(), "v1, bearer, t");
    }

    proptest! {
        #[test]
        fn all_but_the_token_stays_byte_for_byte(before in "([a-z0-9]{1,5} ?, {0,2}){0,3}", after in "( ?, {0,2}[a-z0-9]{1,5}){0,3}", token in "[A-Z0-9_.-]{1,9}") {
            let value = |token: &str| format!("{before}bearer, {token}{after}");
            let sent = headers(&[&value(&token)]);
            prop_assert_eq!(find(&sent, &list()), Ok(Some(Cow::Owned(token.into_bytes()))));
            prop_assert_eq!(with(&sent, &list(), "NEW"), Ok(value("NEW")));
        }
    }
}

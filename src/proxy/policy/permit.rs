//! [`Permit`]: the right of a request to go upstream, with the changes made to it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use pingora::{Result, http::ResponseHeader};

use crate::{
    certificate::ClientCertificate,
    exchange::Admission,
    limits::Held,
    proxy::{
        http::Changes,
        policy::{
            route::{ForwardCertificate, Passage, Placeholder},
            token_place::{self, NewToken, Rewrite, Trace},
        },
    },
    token::{Rejection, Timestamp},
};

/// A request that may go upstream. Without one, nothing does.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Permit {
    right: Right,
    rewrite: Rewrite,
    /// The place that it takes up among those of its user.
    _held: Option<Arc<Held>>,
}

/// What permits it. Each can be made in one place only.
#[derive(Clone, Debug)]
enum Right {
    /// The exchange has admitted it.
    Admission(Admission),
    /// The route lets it pass without a token.
    Passage(Passage),
    /// The route leaves the refusal of its token to the backend.
    Placeholder(Placeholder),
}

impl Permit {
    /// Instead of a token that the backend is to refuse: a JWT of nobody, expired in 1970, whose signature is three zero bytes.
    pub(super) const PLACEHOLDER: HeaderValue =
        HeaderValue::from_static("Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIiLCJleHAiOjF9.AAAA");

    pub(in crate::proxy) fn admitted(admission: Admission, rewrite: Rewrite) -> Self {
        Self { right: Right::Admission(admission), rewrite, _held: None }
    }

    pub(in crate::proxy) fn passed(passage: Passage, rewrite: Rewrite) -> Self {
        Self { right: Right::Passage(passage), rewrite, _held: None }
    }

    pub(in crate::proxy) fn left_to_backend(placeholder: Placeholder, rewrite: Rewrite) -> Self {
        Self { right: Right::Placeholder(placeholder), rewrite, _held: None }
    }

    /// Tells the upstream of the client's certificate (RFC 9440), if the connection has one.
    pub(super) fn forward_certificate(&mut self, forward: ForwardCertificate, certificate: Option<&ClientCertificate>) {
        const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
        const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
        let Some(certificate) = certificate.filter(|_| forward != ForwardCertificate::None) else { return };
        let headers = &mut self.rewrite.headers;
        headers.push((CLIENT_CERT, Some(certificate.client_cert().clone())));
        if forward == ForwardCertificate::Chain
            && let Some(chain) = certificate.client_cert_chain()
        {
            headers.push((CLIENT_CERT_CHAIN, Some(chain.clone())));
        }
    }

    /// The same, with a place that is free again when it is gone.
    pub(in crate::proxy) fn holding(self, held: Option<Held>) -> Self {
        Self { _held: held.map(Arc::new), ..self }
    }

    /// When the token that it rests on ends.
    pub(in crate::proxy) fn end(&self) -> Option<Timestamp> {
        match &self.right {
            Right::Admission(admission) => Some(admission.end()),
            Right::Passage(_) | Right::Placeholder(_) => None,
        }
    }

    /// Whether it has a token of ours.
    pub(in crate::proxy) fn is_admitted(&self) -> bool {
        matches!(self.right, Right::Admission(_))
    }

    /// Why the backend, rather than the gateway, is to refuse it.
    pub(in crate::proxy) fn left_for(&self) -> Option<Rejection> {
        match &self.right {
            Right::Placeholder(placeholder) => Some(placeholder.rejection()),
            Right::Admission(_) | Right::Passage(_) => None,
        }
    }

    /// Whether it is a preflight: what it may show is in the header of its answer.
    pub(in crate::proxy) fn is_preflight(&self) -> bool {
        matches!(&self.right, Right::Passage(passage) if passage.is_preflight())
    }

    /// The body to send instead of the client's.
    pub(in crate::proxy) fn body(&self) -> Option<&Bytes> {
        self.rewrite.body.as_ref()
    }

    /// What the upstream gets instead of the client's value.
    pub(in crate::proxy) fn changes(&self) -> Changes<'_> {
        let mut changes = Changes::default();
        if let Some(target) = &self.rewrite.target {
            changes.set_target(target);
        }
        for (name, value) in &self.rewrite.headers {
            match value {
                Some(value) => changes.set(name.clone(), value.clone()),
                None => changes.remove(name.clone()),
            }
        }
        if let Some(body) = &self.rewrite.body {
            changes.remove(header::EXPECT);
            changes.remove(header::CONTENT_ENCODING);
            changes.set(header::CONTENT_LENGTH, body.len().into());
        }
        changes
    }

    /// Takes the user token out of an answer, where it was put into something that backends send back: a query, a cookie, a subprotocol,
    /// any header but `Authorization`. A redirect loses the parameter that holds it; any other line that does goes as a whole. Where a
    /// backend answers with the subprotocol that was offered, the client gets what it has offered itself.
    pub(in crate::proxy) fn hide_token(&self, answer: &mut ResponseHeader) -> Result<()> {
        if !self.rewrite.may_come_back {
            return Ok(());
        }
        self.write_protocol(answer)?;
        let Right::Admission(admission) = &self.right else { return Ok(()) };
        let token = NewToken::from_authorization(admission.authorization()).as_str();
        Trace::of(token.as_bytes()).map_or(Ok(()), |trace| answer_without(answer, &trace))
    }

    fn write_protocol(&self, answer: &mut ResponseHeader) -> Result<()> {
        let Some(offered) = &self.rewrite.offered else { return Ok(()) };
        let sent = self.rewrite.headers.iter().rev().find(|(name, _)| name == header::SEC_WEBSOCKET_PROTOCOL);
        let chosen = answer.headers.get(header::SEC_WEBSOCKET_PROTOCOL);
        match (chosen, sent) {
            (Some(chosen), Some((_, Some(sent)))) if chosen == sent => {
                answer.insert_header(header::SEC_WEBSOCKET_PROTOCOL, offered)
            }
            _ => Ok(()),
        }
    }
}

/// Takes out of an answer every line that holds a token.
fn answer_without(answer: &mut ResponseHeader, trace: &Trace<'_>) -> Result<()> {
    /// They hold one URL, which means something without a parameter, too.
    const LINKS: [HeaderName; 2] = [header::LOCATION, header::CONTENT_LOCATION];
    let holds = |value: &HeaderValue| trace.is_in(value.as_bytes());
    let mut names: Vec<_> = answer.headers.iter().filter(|(_, value)| holds(value)).map(|(name, _)| name.clone()).collect();
    names.dedup();
    for name in names {
        let lines: Vec<_> = answer.headers.get_all(&name).iter().cloned().collect();
        answer.remove_header(&name);
        for line in lines {
            if !holds(&line) {
                answer.append_header(name.clone(), line)?;
            } else if LINKS.contains(&name) {
                let rest = token_place::url_without(line.as_bytes(), trace);
                if let Some(rest) = HeaderValue::from_bytes(&rest).ok().filter(|rest| !holds(rest)) {
                    answer.append_header(name.clone(), rest)?;
                }
            }
        }
    }
    if answer.get_reason_phrase().is_some_and(|reason| trace.is_in(reason.as_bytes())) {
        answer.set_reason_phrase(None)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "permit_tests.rs"]
mod tests;

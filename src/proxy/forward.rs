//! [`Forward`]: the right of a request to go upstream, and what is changed in it on the way.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, header};
use pingora::{Result, http::ResponseHeader};

use crate::{
    exchange::Admission,
    proxy::{
        place::{NewToken, Rewrite},
        route::{Passage, Placeholder},
        upstream_session::Changes,
    },
    token::{Rejection, Timestamp},
};

/// A request that may go upstream. Without one, nothing does.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    right: Right,
    rewrite: Rewrite,
}

/// What permits it. Each can be made in one place only.
#[derive(Clone, Debug)]
enum Right {
    /// The exchange has admitted it.
    Admission(Admission),
    /// The route lets it pass without a token.
    Passage(#[expect(dead_code, reason = "it is the proof; there is nothing in it to read")] Passage),
    /// The route leaves the refusal of its token to the backend.
    Placeholder(Placeholder),
}

impl Forward {
    /// In place of a token that the backend is to refuse: a JWT of nobody, expired in 1970, whose signature is three zero bytes.
    pub(super) const PLACEHOLDER: HeaderValue =
        HeaderValue::from_static("Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIiLCJleHAiOjF9.AAAA");

    pub(super) fn admitted(admission: Admission, rewrite: Rewrite) -> Self {
        Self { right: Right::Admission(admission), rewrite }
    }

    pub(super) fn passed(passage: Passage, rewrite: Rewrite) -> Self {
        Self { right: Right::Passage(passage), rewrite }
    }

    pub(super) fn left_to_backend(placeholder: Placeholder, rewrite: Rewrite) -> Self {
        Self { right: Right::Placeholder(placeholder), rewrite }
    }

    /// When the token that it rests on ends.
    pub(super) fn end(&self) -> Option<Timestamp> {
        match &self.right {
            Right::Admission(admission) => Some(admission.end()),
            Right::Passage(_) | Right::Placeholder(_) => None,
        }
    }

    /// Why the backend, rather than the gateway, is to refuse it.
    pub(super) fn left_for(&self) -> Option<Rejection> {
        match &self.right {
            Right::Placeholder(placeholder) => Some(placeholder.rejection()),
            Right::Admission(_) | Right::Passage(_) => None,
        }
    }

    /// The body to send in place of the client's.
    pub(super) fn body(&self) -> Option<&Bytes> {
        self.rewrite.body.as_ref()
    }

    /// What the upstream sees in place of what the client said.
    pub(super) fn changes(&self) -> Changes<'_> {
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

    /// Makes the subprotocol of a 101 one that the client knows: its own, where the backend answers with what was offered; never a token.
    pub(super) fn write_protocol(&self, answer: &mut ResponseHeader) -> Result<()> {
        let Some(chosen) = answer.headers.get(header::SEC_WEBSOCKET_PROTOCOL) else { return Ok(()) };
        let sent = self.rewrite.headers.iter().rev().find(|(name, _)| name == header::SEC_WEBSOCKET_PROTOCOL);
        let Some((_, Some(sent))) = sent else { return Ok(()) };
        match &self.rewrite.offered {
            Some(offered) if chosen == sent => answer.insert_header(header::SEC_WEBSOCKET_PROTOCOL, offered),
            _ if self.holds_token(chosen.as_bytes()) => {
                answer.remove_header(&header::SEC_WEBSOCKET_PROTOCOL);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn holds_token(&self, value: &[u8]) -> bool {
        let Right::Admission(admission) = &self.right else { return false };
        let token = NewToken::from_authorization(admission.authorization()).as_str();
        let holds = |text: &str| !text.is_empty() && value.windows(text.len()).any(|window| window == text.as_bytes());
        holds(token) || holds(&URL_SAFE_NO_PAD.encode(token))
    }
}

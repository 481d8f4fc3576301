//! [`Reply`]: what an endpoint answers.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::token::Rejection;

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The header, but for the length of the body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body. It may hold a token.
    pub body: Bytes,
    /// Why nothing was minted, where something should have been: for the log and the metrics. The status may be that of a success.
    pub rejection: Option<Rejection>,
}

impl Reply {
    /// A JSON answer that nobody may store.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::text(status, Bytes::from(body.to_string()))
    }

    /// The same with a body that is written already.
    pub(super) fn text(status: StatusCode, body: Bytes) -> Self {
        Self {
            status,
            headers: vec![
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (header::PRAGMA, HeaderValue::from_static("no-cache")),
            ],
            body,
            rejection: None,
        }
    }

    /// The same where this was the reason.
    pub(super) fn because(mut self, rejection: Rejection) -> Self {
        self.rejection = Some(rejection);
        if rejection.is_temporary() {
            self.headers.push((header::RETRY_AFTER, HeaderValue::from_static("5")));
        }
        self
    }

    /// The same with one more line in its header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

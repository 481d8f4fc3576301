//! What the backend received.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use axum::{
    extract::Request,
    http::{HeaderMap, Method},
};

use super::UserClaims;

/// One request as the backend received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// Path and query of the request line, nothing decoded.
    pub target: String,
    /// The headers, names in lower case, in the order in which they came; values of one name stand together.
    pub headers: HeaderMap,
    /// The claims of its token, or what the backend's own check found wrong with it.
    pub token: Result<UserClaims, String>,
}

impl Received {
    /// How many requests are kept.
    pub const KEPT: usize = 10_000;

    /// The value of a header that is there once and is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => std::str::from_utf8(value.as_bytes()).ok(),
            _ => None,
        }
    }

    /// Whether a text stands anywhere in the target or in a header.
    pub fn contains(&self, text: &str) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(text.len().max(1)).any(|window| window == text.as_bytes());
        self.target.contains(text)
            || self.headers.iter().any(|(name, value)| name.as_str().contains(text) || holds(value.as_bytes()))
    }

    pub(super) fn of(request: &Request, token: Result<UserClaims, String>) -> Self {
        let headers = request.headers().clone();
        Self { method: request.method().clone(), target: request.uri().to_string(), headers, token }
    }
}

/// The last requests and the number of all.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    last: VecDeque<Received>,
    count: u64,
}

impl Log {
    pub(super) fn push(&self, received: Received) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.last.len() == Received::KEPT {
            kept.last.pop_front();
        }
        kept.last.push_back(received);
        kept.count += 1;
    }

    pub(super) fn all(&self) -> Vec<Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.iter().cloned().collect()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}

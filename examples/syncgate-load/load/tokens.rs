//! [`Tokens`]: which user each request belongs to.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderName, HeaderValue};

use super::{Trouble, target::header};

/// Where the token is in its header.
const PLACE: &str = "{token}";

/// The tokens of all users, each as the header value that carries it.
pub struct Tokens {
    /// The header.
    pub name: HeaderName,
    hot: Vec<HeaderValue>,
    cold: Vec<HeaderValue>,
    cold_share: f64,
    /// How many requests have been given their tokens.
    given: AtomicU64,
}

impl Tokens {
    /// The users have these tokens, and requests carry them in this header: `Name: value with {token}`. Every so many requests one
    /// is that of a cold user.
    pub fn new(header_line: &str, hot: &[String], cold: &[String], cold_share: f64) -> Result<Self, Trouble> {
        let (name, template) = header(header_line)?;
        let template = template.to_str().unwrap_or_default();
        let (before, after) = template.split_once(PLACE).ok_or_else(|| Trouble::with(header_line, "{token} is missing"))?;
        let carry = |token: &String| {
            let mut value = HeaderValue::from_str(&format!("{before}{token}{after}"))
                .map_err(|_| Trouble("a token has characters that are not allowed in a header".into()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        let carry_all = |tokens: &[String]| tokens.iter().map(carry).collect::<Result<_, _>>();
        Ok(Self { name, hot: carry_all(hot)?, cold: carry_all(cold)?, cold_share, given: AtomicU64::new(0) })
    }

    /// The token of the next request. None if there are no tokens at all.
    pub fn next(&self) -> Option<&HeaderValue> {
        let request = self.given.fetch_add(1, Ordering::Relaxed);
        match self.cold_before(request) {
            cold if self.cold_before(request + 1) > cold => self.cold.get(usize::try_from(cold).ok()?),
            cold => self.hot(request - cold),
        }
    }

    /// The token of a hot user; they come in turn.
    pub fn hot(&self, turn: u64) -> Option<&HeaderValue> {
        let users = u64::try_from(self.hot.len()).ok()?;
        self.hot.get(usize::try_from(turn.checked_rem(users)?).ok()?)
    }

    /// How many hot users there are.
    pub fn hot_users(&self) -> u64 {
        u64::try_from(self.hot.len()).unwrap_or(u64::MAX)
    }

    /// How many of so many requests are those of cold users. They are spread evenly.
    fn cold_before(&self, requests: u64) -> u64 {
        (requests as f64 * self.cold_share) as u64
    }
}

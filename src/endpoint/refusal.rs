//! [`Refusal`]: why a call is refused, and what of it.

use crate::token::Rejection;

/// A reason of the one table, and what in the call it was, in fixed words that tell the caller what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason: for the log and the metric.
    pub rejection: Rejection,
    detail: Option<&'static str>,
}

impl Refusal {
    /// A malformed request, and what is wrong with it.
    pub(super) const fn malformed(detail: &'static str) -> Self {
        Self::of(Rejection::EndpointRequestMalformed, detail)
    }

    /// Any reason with words of its own.
    pub(super) const fn of(rejection: Rejection, detail: &'static str) -> Self {
        Self { rejection, detail: Some(detail) }
    }

    /// What the caller is told.
    pub fn description(&self) -> &'static str {
        self.detail.unwrap_or(self.rejection.description())
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, detail: None }
    }
}

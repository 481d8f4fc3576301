//! An [`Explanation`] as text and as JSON.

use serde::Serialize;

use super::pasted::EXCHANGE;
use crate::{
    terminal::Look,
    token::{Explanation, Outcome, Rejection, Step, Timestamp, Verdict},
};

/// The status and the error that a client gets for a reason.
pub(super) type Answers = fn(Rejection) -> (u16, Option<&'static str>);

/// What `syncgate explain` prints. The JSON has these members, in this order; those that have no value are null.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    /// `accepted`, `refused` or `unknown`.
    verdict: &'static str,
    /// The reason that the log and the metric name.
    reason: Option<&'static str>,
    /// The HTTP status and the RFC 6750 error that the client gets.
    status: Option<u16>,
    error: Option<&'static str>,
    /// The time of the checks, RFC 3339.
    now: String,
    /// The configured issuer that the token is held against.
    issuer: Option<&'a str>,
    route: Option<&'a str>,
    /// The ignored text around the token.
    input: Option<String>,
    checks: Vec<Check<'a>>,
}

#[derive(Debug, Serialize)]
struct Check<'a> {
    check: &'static str,
    /// `passed`, `failed`, `unknown` or `not_made`.
    outcome: &'static str,
    reason: Option<&'static str>,
    expected: &'a str,
    found: &'a str,
    /// What to change so that it passes.
    change: Option<&'static str>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        explanation: &'a Explanation,
        route: Option<&'a str>,
        around: &[&str],
        now: Timestamp,
        answers: Answers,
    ) -> Self {
        let input = (!around.is_empty()).then(|| around.join(", "));
        let (verdict, rejection) = match explanation.verdict() {
            Verdict::Accepted => ("accepted", None),
            Verdict::Refused(rejection) => ("refused", Some(rejection)),
            Verdict::Unknown => ("unknown", Some(Rejection::KeysUnavailable)),
        };
        Self {
            verdict,
            reason: rejection.map(Rejection::label),
            status: rejection.map(|rejection| answers(rejection).0),
            error: rejection.and_then(|rejection| answers(rejection).1),
            now: now.to_string(),
            issuer: explanation.issuer.as_deref(),
            route,
            input,
            checks: explanation.steps.iter().map(|step| Check::new(step, explanation.change(step))).collect(),
        }
    }

    pub(super) fn json(&self) -> String {
        // Strings and numbers only: it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    pub(super) fn text(&self, look: Look) -> String {
        let mut text = String::new();
        if let Some(input) = &self.input {
            text += &match input.as_str() {
                EXCHANGE => format!("Read as {input}.\n\n"),
                _ => format!("Found around the token: {input}. The gateway accepts only the token itself.\n\n"),
            };
        }
        let mut decided = false;
        for check in &self.checks {
            let decides = check.outcome != "passed" && !decided;
            decided |= decides;
            let here = match check.outcome {
                _ if !decides => String::new(),
                "unknown" => look.bold("  <- unknown"),
                _ => look.bold("  <- refused here"),
            };
            text += &format!("{} {:<17} found     {}{here}\n", check.mark(look), check.check, check.found);
            let mut more = |label: &str, value: &str| {
                let indent = check.mark_width(look) + 19;
                text += &format!("{:indent$}{} {value}\n", "", look.dim(&format!("{label:<9}")));
            };
            more("expected", check.expected);
            check.change.into_iter().for_each(|change| more("change", change));
        }
        text.push('\n');
        text += &(look.bold(&self.summary()) + "\n");
        if self.route.is_none() && self.status.is_none() {
            text += "No route was checked: add --route NAME to check what one of them requires.\n";
        }
        text
    }

    fn summary(&self) -> String {
        let issuer = self.issuer.map(|issuer| format!(" by the rules of issuer {issuer}")).unwrap_or_default();
        let client = self.status.map(|status| format!(": the client gets {status}")).unwrap_or_default();
        let error = self.error.map(|error| format!(" {error}")).unwrap_or_default();
        let reason = self.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let route = self.route.map(|route| format!(" on route {route}")).unwrap_or_default();
        format!("{}{reason}{issuer}{route} at {}{client}{error}", self.verdict, self.now)
    }
}

impl<'a> Check<'a> {
    fn new(step: &'a Step, change: Option<&'static str>) -> Self {
        let (outcome, rejection) = match step.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(rejection) => ("failed", Some(rejection)),
            Outcome::Unknown => ("unknown", Some(Rejection::KeysUnavailable)),
            Outcome::NotMade => ("not_made", None),
        };
        let reason = rejection.map(Rejection::label);
        Self { check: step.name, outcome, reason, expected: &step.expected, found: &step.found, change }
    }

    fn mark(&self, look: Look) -> String {
        match (look, self.outcome) {
            (Look::Plain, outcome) => format!("{outcome:<8}"),
            (Look::Terminal, "passed") => look.green("✓"),
            (Look::Terminal, "failed") => look.red("✗"),
            (Look::Terminal, "unknown") => look.bold("?"),
            (Look::Terminal, _) => look.dim("-"),
        }
    }

    fn mark_width(&self, look: Look) -> usize {
        match look {
            Look::Plain => 8,
            Look::Terminal => 1,
        }
    }
}

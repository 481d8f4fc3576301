//! How long the token of a request must live.

use http::HeaderValue;

use crate::token::Lifetime;

/// A WebSocket or an event stream may last as long as the client's token, so it is given a token that does. Some backends close a
/// connection at the `exp` of the token that it began with.
pub(in crate::proxy) fn of(is_websocket: bool, accepts_events: bool) -> Lifetime {
    if is_websocket || accepts_events { Lifetime::End } else { Lifetime::Ttl }
}

/// Whether an `Accept` names `text/event-stream`, as every `EventSource` does (WHATWG HTML section 9.2.2).
pub(super) fn names_events(accept: &HeaderValue) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let names_it = |range: &[u8]| {
        let name = range.split(|byte| *byte == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(EVENTS)
    };
    // Most values are too short to name it.
    accept.len() >= EVENTS.len() && accept.as_bytes().split(|byte| *byte == b',').any(names_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_last_gets_a_token_that_lasts() {
        for (is_websocket, accepts_events) in [(true, false), (false, true), (true, true)] {
            assert_eq!(of(is_websocket, accepts_events), Lifetime::End);
        }
        assert_eq!(of(false, false), Lifetime::Ttl);
    }

    #[test]
    fn an_event_stream_is_told_by_its_name() {
        for accept in ["text/event-stream", "text/html, Text/Event-Stream;q=0.9", "text/event-stream ,*/*"] {
            assert!(names_events(&HeaderValue::from_static(accept)), "{accept}");
        }
        for accept in ["", "*/*", "text/event-streams", "text/html;x=text/event-stream", "application/json, text/plain"] {
            assert!(!names_events(&HeaderValue::from_static(accept)), "{accept}");
        }
    }
}

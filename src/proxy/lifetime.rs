//! How long the token of a request must live.

use http::header;
use pingora::http::RequestHeader;

use crate::{proxy::tunnel, token::Lifetime};

/// A WebSocket or an event stream may last as long as the client's token, so it is given a token that does. Some backends close a
/// connection at the `exp` of the token that it began with.
pub(super) fn of(request: &RequestHeader) -> Lifetime {
    if tunnel::asks_for_websocket(request) || accepts_events(request) { Lifetime::End } else { Lifetime::Ttl }
}

/// Whether `Accept` names `text/event-stream`, as every `EventSource` does (WHATWG HTML section 9.2.2).
fn accepts_events(request: &RequestHeader) -> bool {
    let values = request.headers.get_all(header::ACCEPT).iter();
    let mut ranges = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    ranges.any(|range| {
        let name = range.split(|byte| *byte == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(headers: &[(&'static str, &str)]) -> Lifetime {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        of(&request)
    }

    #[test]
    fn what_may_last_gets_a_token_that_lasts() {
        let upgrade = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        assert_eq!(lifetime(&upgrade), Lifetime::End);
        for accept in ["text/event-stream", "text/html, Text/Event-Stream;q=0.9"] {
            assert_eq!(lifetime(&[("accept", accept)]), Lifetime::End, "{accept}");
        }
        assert_eq!(lifetime(&[("accept", "text/html"), ("accept", "text/event-stream")]), Lifetime::End);
    }

    #[test]
    fn an_ordinary_request_gets_one_for_minutes() {
        for headers in [
            &[][..],
            &[("accept", "*/*")],
            &[("accept", "text/event-streams")],
            &[("upgrade", "websocket")],
            &[("connection", "upgrade")],
        ] {
            assert_eq!(lifetime(headers), Lifetime::Ttl, "{headers:?}");
        }
    }
}

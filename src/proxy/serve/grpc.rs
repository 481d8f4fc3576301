//! How a response of the gateway's own looks to clients of gRPC: its status in a field, in a response of nothing but a header
//! ("Trailers-Only", PROTOCOL-HTTP2.md of gRPC). Clients read a bare HTTP status in different ways.

use http::{HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use pingora::{
    Result,
    http::{RequestHeader, ResponseHeader},
};

/// What a message may not contain as it is.
const IN_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Whether a request is one of gRPC.
pub(super) fn is_call(request: &RequestHeader) -> bool {
    let kind = request.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC.as_bytes()))
}

/// Makes a response one of gRPC, without a body.
pub(super) fn shape(answer: &mut ResponseHeader, message: &str) -> Result<()> {
    answer.insert_header("grpc-status", status(answer.status.as_u16()))?;
    answer.insert_header("grpc-message", utf8_percent_encode(message, IN_MESSAGE).to_string())?;
    answer.insert_header(header::CONTENT_TYPE, GRPC)?;
    answer.remove_header(&header::CONTENT_LENGTH);
    answer.set_status(200)
}

const GRPC: &str = "application/grpc";

/// As gRPC maps a status of HTTP (http-grpc-status-mapping.md).
fn status(http: u16) -> u16 {
    const UNKNOWN: u16 = 2;
    const PERMISSION_DENIED: u16 = 7;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match http {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_content_type() {
        for (kind, expected) in [
            (Some("application/grpc"), true),
            (Some("application/grpc+proto"), true),
            (Some("Application/gRPC;x"), true),
            (Some("application/json"), false),
            (None, false),
        ] {
            let mut request = RequestHeader::build("POST", b"/a.B/C", None).unwrap();
            if let Some(kind) = kind {
                request.insert_header("content-type", kind).unwrap();
            }
            assert_eq!(is_call(&request), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_status_is_told_in_fields() {
        for (http, grpc) in [(400, "13"), (401, "16"), (403, "7"), (404, "12"), (429, "14"), (503, "14"), (408, "2")] {
            let mut answer = ResponseHeader::build(http, None).unwrap();
            answer.insert_header("Content-Length", 5).unwrap();
            shape(&mut answer, "100 % of it\n").unwrap();
            assert_eq!(answer.status, 200);
            let of = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(of("grpc-status"), Some(grpc));
            assert_eq!(of("grpc-message"), Some("100 %25 of it%0A"));
            assert_eq!((of("content-type"), of("content-length")), (Some("application/grpc"), None));
        }
    }
}

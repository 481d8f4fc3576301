//! Reading a body whole before anything is forwarded, because the token is in it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use pingora::{Error, ErrorType, proxy::Session};

use crate::{
    proxy::place::{MOST_BODY_BYTES, check_body_headers},
    token::Rejection,
};

/// Why a request goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is refused.
    Refused(Rejection),
    /// The client left, or our own trouble.
    Failed(Box<Error>),
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<Box<Error>> for Stop {
    fn from(error: Box<Error>) -> Self {
        Self::Failed(error)
    }
}

/// The whole body of a request, which must arrive within `deadline`. Pingora keeps a copy, which is sent on unless it is replaced.
///
/// # Errors
/// Those of [`check_body_headers`]; [`Rejection::BodyTooLarge`], [`Rejection::BodyTimeout`]; Pingora's own where the client leaves.
pub(super) async fn read(session: &mut Session, deadline: Duration) -> Result<Bytes, Stop> {
    check_body_headers(&session.req_header().headers)?;
    let awaits_continue = session.req_header().headers.contains_key(header::EXPECT);
    let http = session.as_downstream_mut();
    // Without this, Pingora waits for the body again when it forwards the request.
    http.enable_retry_buffering();
    if awaits_continue {
        http.write_continue_response().await.map_err(|error| error.into_down())?;
    }
    let mut body = BytesMut::new();
    let reading = async {
        while let Some(piece) = http.read_request_body().await.map_err(|error| error.into_down())? {
            if body.len() + piece.len() > MOST_BODY_BYTES {
                return Err(Stop::Refused(Rejection::BodyTooLarge));
            }
            body.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(deadline, reading).await {
        Err(_) => Err(Stop::Refused(Rejection::BodyTimeout)),
        Ok(Err(Stop::Failed(error))) if error.etype() == &ErrorType::ReadTimedout => Err(Stop::Refused(Rejection::BodyTimeout)),
        Ok(Err(stop)) => Err(stop),
        Ok(Ok(())) => Ok(body.freeze()),
    }
}

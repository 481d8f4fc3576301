//! Reads a whole body before anything is forwarded, because the token is in it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use pingora::{Error, ErrorType};

use crate::{
    proxy::{
        client::ClientSession,
        http::list,
        policy::{MAX_BODY_BYTES, check_body_headers},
    },
    token::Rejection,
};

/// Why a request goes no further.
#[derive(Debug)]
pub(in crate::proxy) enum Stop {
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

/// The whole body of a request, which must arrive within `deadline`.
///
/// # Errors
/// Those of [`check_body_headers`]; [`Rejection::BodyTooLarge`], [`Rejection::BodyTimeout`]; Pingora's own where the client leaves.
pub(in crate::proxy) async fn read(client: &mut ClientSession, deadline: Duration) -> Result<Bytes, Stop> {
    check_body_headers(&client.req_header().headers)?;
    read_up_to(client, MAX_BODY_BYTES, deadline).await
}

/// The same for a body of any kind.
///
/// # Errors
/// [`Rejection::BodyTooLarge`] beyond `limit` bytes, [`Rejection::BodyTimeout`]; Pingora's own where the client leaves.
pub(super) async fn read_up_to(client: &mut ClientSession, limit: usize, deadline: Duration) -> Result<Bytes, Stop> {
    let expectations = client.req_header().headers.get_all(header::EXPECT).iter().map(HeaderValue::as_bytes);
    let awaits_continue = list(expectations).any(|expectation| expectation.eq_ignore_ascii_case(b"100-continue"));
    if awaits_continue {
        client.write_continue_response().await.map_err(|error| error.into_down())?;
    }
    let mut body = BytesMut::new();
    let reading = async {
        while let Some(piece) = client.read_body_bytes().await.map_err(|error| error.into_down())? {
            if body.len() + piece.len() > limit {
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

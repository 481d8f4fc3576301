//! The responses that the gateway writes itself: refusals, and errors of an upstream.

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::{Result, http::ResponseHeader};

use crate::{
    proxy::{
        client::ClientSession,
        policy::{Cors, Fault, Preflight, Route},
        serve::grpc,
        upstream::UpstreamFault,
    },
    token::Rejection,
};

/// Seconds after which a client may try again.
const RETRY_AFTER: u32 = 5;

/// Writes a refusal: status, RFC 6750 challenge, and a body in the format of the route. `retry_after`: seconds, where that is known.
pub(in crate::proxy) async fn refuse(
    client: &mut ClientSession,
    rejection: Rejection,
    route: Option<&Route>,
    realm: &str,
    retry_after: Option<u32>,
) -> Result<()> {
    let mut answer = Answer::new(rejection.into(), route)?;
    if rejection.challenges() {
        let scope = route.and_then(|route| route.permission.challenge_scope());
        let metadata = route.and_then(|route| route.resource_metadata.as_deref());
        let value =
            HeaderValue::try_from(challenge(rejection, realm, scope, metadata)).unwrap_or(HeaderValue::from_static("Bearer"));
        answer.header.append_header("WWW-Authenticate", value)?;
    }
    if rejection.is_temporary() {
        answer.header.insert_header("Retry-After", retry_after.unwrap_or(RETRY_AFTER))?;
    }
    answer.write(client, route).await
}

/// Answers a preflight.
pub(in crate::proxy) async fn preflight(client: &mut ClientSession, cors: &Cors, preflight: &Preflight) -> Result<()> {
    client.write_header(Box::new(cors.answer(preflight)?), true).await.map_err(|error| error.into_down())
}

/// Writes what a client sees when the upstream does not answer, or not as it should.
pub(super) async fn upstream_failed(client: &mut ClientSession, fault: UpstreamFault, route: Option<&Route>) -> Result<()> {
    let fault = Fault::new(fault.status(), "upstream_unavailable", fault.words());
    Answer::new(fault, route)?.write(client, route).await
}

/// Writes an answer that is not a refusal.
pub(in crate::proxy) async fn plain(client: &mut ClientSession, fault: Fault, route: Option<&Route>) -> Result<()> {
    Answer::new(fault, route)?.write(client, route).await
}

/// Writes a refusal of what could not be read as a request, so that there is not a header to go by.
pub(super) async fn refuse_unread(client: &mut ClientSession, rejection: Rejection) -> Result<()> {
    Answer::new(rejection.into(), None)?.send(client, false).await
}

struct Answer {
    header: ResponseHeader,
    body: Bytes,
    /// What it says, in a sentence.
    description: &'static str,
}

impl Answer {
    fn new(fault: Fault, route: Option<&Route>) -> Result<Self> {
        let shape = route.map(|route| route.errors).unwrap_or_default();
        let body = shape.body(fault).to_string();
        let mut header = ResponseHeader::build(fault.status(), Some(6))?;
        header.insert_header("Content-Type", shape.media_type())?;
        header.insert_header("Cache-Control", "no-store")?;
        header.insert_header(header::CONTENT_LENGTH, body.len())?;
        Ok(Self { header, body: Bytes::from(body), description: fault.description() })
    }

    async fn write(mut self, client: &mut ClientSession, route: Option<&Route>) -> Result<()> {
        if let Some(cors) = route.and_then(|route| route.cors.as_ref()) {
            cors.write(client.req_header(), &mut self.header)?;
        }
        // Of gRPC over HTTP/1.1 nobody would know a status in these fields.
        let is_grpc = client.is_framed() && grpc::is_call(client.req_header());
        if is_grpc {
            grpc::shape(&mut self.header, self.description)?;
        }
        let without_body = is_grpc || client.req_header().method == Method::HEAD;
        self.send(client, without_body).await
    }

    async fn send(self, client: &mut ClientSession, without_body: bool) -> Result<()> {
        let writing = async {
            client.write_header(Box::new(self.header), without_body).await?;
            if !without_body {
                client.write_body(self.body, true).await?;
            }
            client.finish_body().await.map(drop)
        };
        // What goes wrong here is that the client leaves.
        writing.await.map_err(|error| error.into_down())
    }
}

/// The `WWW-Authenticate` value (RFC 6750 section 3): no error code where the request held no credentials.
fn challenge(rejection: Rejection, realm: &str, scope: Option<&str>, resource_metadata: Option<&str>) -> String {
    let mut value = format!("Bearer realm=\"{realm}\"");
    if let Some(error) = rejection.error() {
        value.push_str(&format!(", error=\"{error}\", error_description=\"{}\"", rejection.description()));
    }
    if let Some(scope) = scope.filter(|_| rejection.status() == 403) {
        value.push_str(&format!(", scope=\"{scope}\""));
    }
    // RFC 9728 section 5.1.
    if let Some(url) = resource_metadata {
        value.push_str(&format!(", resource_metadata=\"{url}\""));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_token_is_challenged_without_an_error_code() {
        assert_eq!(challenge(Rejection::MissingToken, "syncgate", Some("docs.read"), None), "Bearer realm=\"syncgate\"");
    }

    #[test]
    fn a_missing_scope_is_named() {
        let expected = "Bearer realm=\"syncgate\", error=\"insufficient_scope\", \
             error_description=\"the token lacks a required scope\", scope=\"docs.read\"";
        assert_eq!(challenge(Rejection::MissingScope, "syncgate", Some("docs.read"), None), expected);
    }

    #[test]
    fn silence_is_a_504_and_everything_else_a_502() {
        assert_eq!(UpstreamFault::Timeout.status(), 504);
        assert_eq!(UpstreamFault::ConnectTimeout.status(), 504);
        assert_eq!(UpstreamFault::Broken.status(), 502);
    }
}

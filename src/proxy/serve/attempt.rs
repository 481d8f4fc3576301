//! One attempt to get a request answered by its upstream: what is sent, where, and what the client gets of the response.

use std::sync::Arc;

use http::{HeaderName, StatusCode, header};
use pingora::{Error, ErrorType, Result, http::ResponseHeader, protocols::Stream};

use crate::proxy::{
    address::told,
    client::ClientSession,
    http::Changes,
    policy::Permit,
    serve::{
        failure::{Failure, failure},
        gateway::{Gateway, RequestContext},
        record::Outcome,
    },
    upstream::{
        Backend, Http2Pool, Http2Request, InFlight, Malformed, Protocol, UpstreamFault, UpstreamRequest, UpstreamSession, connect,
        hash,
    },
};

/// A request as its upstream gets it.
pub(super) enum Outgoing {
    Http1(UpstreamRequest),
    Http2(Box<Http2Request>),
}

impl Outgoing {
    /// By the protocol that the upstream speaks. `change` has the last word.
    pub(super) fn new(client: &ClientSession, context: &RequestContext, change: impl FnOnce(&mut Changes<'_>)) -> Result<Self> {
        let (mut changes, is_unwanted, upstream) = changes(client, context)?;
        change(&mut changes);
        let header = client.req_header();
        match upstream.protocol() {
            Protocol::Http1 => UpstreamRequest::new(header, changes, is_unwanted).map(Self::Http1),
            Protocol::Http2 => {
                let request = Http2Request::new(header, changes, upstream.settings().tls, is_unwanted);
                request.map(|request| Self::Http2(Box::new(request)))
            }
        }
        .map_err(unwritable)
    }
}

/// A request as its upstream gets it by HTTP/1.1. `change` has the last word.
pub(super) fn upstream_request(
    client: &ClientSession,
    context: &RequestContext,
    change: impl FnOnce(&mut Changes<'_>),
) -> Result<UpstreamRequest> {
    let (mut changes, is_unwanted, _) = changes(client, context)?;
    change(&mut changes);
    UpstreamRequest::new(client.req_header(), changes, is_unwanted).map_err(unwritable)
}

/// What an upstream gets instead of the client's header, and which of its fields it does not get.
fn changes<'a>(
    client: &'a ClientSession,
    context: &'a RequestContext,
) -> Result<(Changes<'a>, impl Fn(&HeaderName) -> bool + use<'a>, &'a Backend)> {
    let (Some(permit), Some(route), Some(upstream)) = (&context.record.permit, &context.record.route, upstream(context)) else {
        return Error::e_explain(ErrorType::InternalError, "a request without a permit is not forwarded");
    };
    let is_unwanted = route.strip.unwanted_in(&client.req_header().headers)?;
    let mut changes = permit.changes();
    changes.set_prefix(upstream.settings().prefix.as_bytes());
    if let Some(host) = upstream.host_value() {
        changes.set(header::HOST, host.clone());
    }
    let headers = &client.req_header().headers;
    let (peer, told_of) = (context.record.connection.peer(), context.record.client.as_deref());
    changes.tell(told(peer, told_of, headers, context.live.tell, context.live.has_hosts));
    Ok((changes, is_unwanted, upstream))
}

fn unwritable(Malformed(what): Malformed) -> Box<Error> {
    Error::explain(ErrorType::InternalError, format!("the request cannot be written: {what}"))
}

impl Gateway {
    /// An address for a request, at which it counts as in progress from now on.
    pub(super) async fn next_place(&self, context: &mut RequestContext) -> Result<InFlight> {
        let place = match upstream(context) {
            Some(upstream) => upstream.place(user(context, upstream)).await,
            None => None,
        };
        place.ok_or_else(|| {
            context.record.outcome = Outcome::UpstreamFailed(UpstreamFault::NoAddress);
            Error::explain(ErrorType::ConnectNoRoute, "the upstream's name has not been resolved")
        })
    }

    /// A new connection to the upstream of a request: to this address, or to another if that does not accept.
    pub(super) async fn connect(&self, context: &RequestContext, first: InFlight) -> Result<(Stream, InFlight)> {
        match upstream(context) {
            Some(upstream) => connect(&self.connector, upstream, first, user(context, upstream), Protocol::Http1).await,
            None => Error::e_explain(ErrorType::InternalError, "a request without an upstream"),
        }
    }

    /// A stream for a request, at this address or at another if that does not accept. Says whether its connection had been used before.
    pub(super) async fn begin_stream(
        &self,
        pool: &Http2Pool,
        context: &RequestContext,
        first: InFlight,
        request: &Http2Request,
    ) -> Result<(UpstreamSession, InFlight, bool)> {
        match upstream(context) {
            Some(upstream) => pool.begin(&self.connector, upstream, first, user(context, upstream), request).await,
            None => Error::e_explain(ErrorType::InternalError, "a request without an upstream"),
        }
    }

    /// Notes an answer of the upstream, and makes it one for the client.
    pub(super) fn prepare_answer(
        &self,
        client: &mut ClientSession,
        answer: &mut ResponseHeader,
        context: &mut RequestContext,
    ) -> Result<()> {
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            // Sockets have a tunnel of their own; nobody asked for this.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "the upstream switched protocols unasked").into_up());
        }
        hide_token(answer, context)?;
        if !answer.status.is_informational() {
            context.answered(answer.status.as_u16());
            show(client, answer, context)?;
            if context.record.permit.as_ref().is_some_and(Permit::is_preflight) {
                leave_out_body(answer)?;
            }
        }
        // The connection ends with this answer, which must say so.
        self.end_when_stopping(client);
        Ok(())
    }
}

pub(super) fn upstream(context: &RequestContext) -> Option<&Arc<Backend>> {
    context.live.upstreams.get(context.record.route.as_ref()?.upstream)
}

/// Whose request it is, for an upstream that sends those of one user to one address.
fn user(context: &RequestContext, upstream: &Backend) -> Option<u64> {
    if !upstream.settings().sticky {
        return None;
    }
    context.record.state.of_identity(|identity| {
        let verified = identity.verified();
        hash(&[verified.issuer_name().as_bytes(), verified.user_id().as_bytes()])
    })
}

/// Notes what an answer says of the address that it comes from.
pub(super) fn note_answer(context: &RequestContext, request: &InFlight, status: StatusCode) {
    let Some(upstream) = upstream(context) else { return };
    match status.as_u16() {
        502..=504 => upstream.failed(request.place()),
        _ => upstream.served(request.place()),
    }
}

/// Notes what an error says of the address at which it happened, if it is the address' own.
pub(super) fn note_error(context: &RequestContext, request: &InFlight, error: &Error) {
    if let (Failure::Upstream(_), Some(upstream)) = (failure(error), upstream(context)) {
        upstream.failed(request.place());
    }
}

/// Takes the gateway's token out of what the upstream says.
pub(super) fn hide_token(answer: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    context.record.permit.as_ref().map_or(Ok(()), |permit| permit.hide_token(answer))
}

/// Lets the page that asked see an answer of the upstream, where the gateway does that.
pub(super) fn show(client: &ClientSession, answer: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    match context.record.route.as_ref().and_then(|route| route.cors.as_ref()) {
        Some(cors) => cors.write_relayed(client.req_header(), answer),
        None => Ok(()),
    }
}

/// Makes an answer one without a body. What comes of it all the same, the client's session leaves out.
fn leave_out_body(answer: &mut ResponseHeader) -> Result<()> {
    answer.remove_header(&header::TRANSFER_ENCODING);
    if matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        answer.remove_header(&header::CONTENT_LENGTH);
        return Ok(());
    }
    answer.insert_header(header::CONTENT_LENGTH, 0)
}

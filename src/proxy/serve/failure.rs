//! Determines from a Pingora error which side is responsible, and so what to respond.

use std::io;

use pingora::{Error, ErrorSource, ErrorType};

use crate::proxy::upstream::UpstreamFault;

/// Whose fault it is that a request was not answered.
pub(super) enum Failure {
    /// The upstream's.
    Upstream(UpstreamFault),
    /// The client is gone.
    ClientGone,
    /// The client's, to be answered with this status.
    Client(u16),
    /// Our own.
    Internal,
}

/// Reads Pingora's error.
pub(in crate::proxy) fn failure(error: &Error) -> Failure {
    use ErrorType::{
        ConnectNoRoute, ConnectTimedout, ConnectionClosed, HTTPStatus, InvalidHTTPHeader, ReadError, ReadTimedout,
        TLSHandshakeTimedout, WriteError, WriteTimedout,
    };
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ReadError | WriteError | ConnectionClosed | WriteTimedout) => Failure::ClientGone,
        (ErrorSource::Downstream, ReadTimedout) => Failure::Client(408),
        (ErrorSource::Downstream, HTTPStatus(status)) => Failure::Client(*status),
        (ErrorSource::Downstream, _) => Failure::Client(400),
        (_, ConnectTimedout | TLSHandshakeTimedout) => Failure::Upstream(UpstreamFault::ConnectTimeout),
        (_, ConnectNoRoute) if *error.esource() != ErrorSource::Upstream => Failure::Upstream(UpstreamFault::NoAddress),
        (ErrorSource::Upstream, InvalidHTTPHeader) => Failure::Upstream(UpstreamFault::Malformed),
        (ErrorSource::Upstream, ReadTimedout | WriteTimedout) => Failure::Upstream(UpstreamFault::Timeout),
        (ErrorSource::Upstream, kind) if is_connecting(kind) => Failure::Upstream(UpstreamFault::Connect),
        (ErrorSource::Upstream, _) => Failure::Upstream(UpstreamFault::Broken),
        _ => Failure::Internal,
    }
}

/// Whether a client took nothing of what was written to it for too long.
pub(super) fn is_write_timeout(error: &Error) -> bool {
    let is_late = |cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut;
    *error.esource() == ErrorSource::Downstream && error.root_cause().downcast_ref().is_some_and(is_late)
}

fn is_connecting(kind: &ErrorType) -> bool {
    use ErrorType::{
        BindError, ConnectError, ConnectNoRoute, ConnectRefused, HandshakeError, InvalidCert, SocketError, TLSHandshakeFailure,
    };
    matches!(
        kind,
        ConnectRefused
            | ConnectNoRoute
            | ConnectError
            | TLSHandshakeFailure
            | HandshakeError
            | InvalidCert
            | SocketError
            | BindError
    )
}

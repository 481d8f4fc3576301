//! Requests that fail: the token expires, or one side disconnects.

use std::{sync::Arc, time::SystemTime};

use pingora::{Error, ErrorType, Result};

use crate::{
    proxy::{
        client::{ClientSession, Cut},
        policy::Fault,
        serve::{
            answer,
            attempt::upstream,
            failure::{Failure, failure, is_write_timeout},
            gateway::{DRAIN_TIMEOUT, Gateway, RequestContext},
            record::{BreakOff, Outcome},
        },
        upstream::UpstreamFault,
    },
    token::Timestamp,
};

impl Gateway {
    /// Ends a request whose token, or its key, has. While no answer has begun it is a refusal, and the client knows what to do; else the
    /// answer breaks off, and shows that it is not complete.
    pub(super) async fn answer_end(&self, client: &mut ClientSession, context: &mut RequestContext, cause: Cut) -> Result<()> {
        let connection = Arc::clone(&context.record.connection);
        connection.request().cut(cause);
        self.metrics.proxy.connections_cut.with_label_values(&[cause.label()]).inc();
        let has_begun = client.has_answered();
        if has_begun || context.record.outcome != Outcome::Unanswered {
            return Err(Error::explain(ErrorType::ConnectionClosed, "the token has expired").into_down());
        }
        // The refusal, and the rest of an upload that nobody reads any more, have a time of their own.
        connection.request().rests_on(None);
        connection.request().set_deadline(Timestamp::from(SystemTime::now()).plus(DRAIN_TIMEOUT), cause);
        client.close_after();
        context.record.outcome = Outcome::Ended(cause);
        answer::refuse(client, cause.rejection(), context.record.route.as_deref(), &context.live.realm, None).await
    }

    /// Answers a request that could not be forwarded, unless an answer has begun, or nobody is left to hear one. Says whether it was
    /// answered; its connection is of no further use either way.
    pub(super) async fn fail(&self, client: &mut ClientSession, error: &Error, context: &mut RequestContext) -> bool {
        let failure = failure(error);
        if let (Failure::Upstream(fault), Some(upstream)) = (&failure, upstream(context)) {
            upstream.complain(*fault, error);
        }
        if is_write_timeout(error) {
            context.record.state.cut(Cut::WriteTimeout);
            self.metrics.proxy.connections_cut.with_label_values(&[Cut::WriteTimeout.label()]).inc();
        }
        if client.has_answered() {
            if let Failure::Upstream(fault) = failure {
                self.count_fault(context, fault.label());
            }
            context.record.broke_off = Some(match failure {
                Failure::Upstream(_) => BreakOff::Upstream,
                Failure::ClientGone | Failure::Client(_) => BreakOff::Client,
                Failure::Internal => BreakOff::Internal,
            });
            return false;
        }
        let route = context.record.route.clone();
        let route = route.as_deref();
        // The answer must say what is about to happen.
        client.close_after();
        let written = match failure {
            Failure::Upstream(fault) => {
                if context.record.outcome != Outcome::UpstreamFailed(UpstreamFault::NoAddress) {
                    context.record.outcome = Outcome::UpstreamFailed(fault);
                }
                self.count_fault(context, fault.label());
                answer::upstream_failed(client, fault, route).await
            }
            Failure::ClientGone => return false,
            Failure::Client(status) => {
                context.record.outcome = Outcome::Client(status);
                let fault = Fault::new(status, "invalid_request", "the request is malformed");
                answer::plain(client, fault, route).await
            }
            Failure::Internal => {
                context.record.outcome = Outcome::Internal;
                tracing::error!(%error, "a request failed in the gateway");
                answer::plain(client, Fault::new(500, "internal_error", "internal error"), route).await
            }
        };
        // The client may be gone by now; the outcome is counted either way.
        written.is_ok()
    }

    /// Records that an upstream responded with a success but did not read the whole body.
    pub(super) fn note_cut_upload(&self, context: &mut RequestContext) {
        context.record.broke_off = Some(BreakOff::Upload);
        self.count_fault(context, BreakOff::Upload.label());
    }

    fn count_fault(&self, context: &RequestContext, kind: &str) {
        if let Some(upstream) = upstream(context) {
            self.metrics.proxy.upstream_errors.with_label_values(&[upstream.name(), kind]).inc();
        }
    }
}

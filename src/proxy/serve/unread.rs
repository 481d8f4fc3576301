//! A connection whose next request cannot be parsed: a response in the gateway's format, a log line, a count, and the close.

use std::{sync::Arc, time::Duration};

use crate::{
    proxy::{
        client::{ClientSession, Connection, Unreadable},
        http::Fields,
        policy::target,
        serve::{
            answer,
            gateway::{Gateway, RequestContext},
            record::Outcome,
        },
    },
    token::Rejection,
};

/// How long a client may go on sending what nobody reads. A connection that is closed before is reset, and with it goes an answer that the
/// client has not read yet.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);

impl Gateway {
    /// Answers what is not a request, and ends its connection.
    pub(super) async fn refuse_unread(&self, mut client: ClientSession, connection: &Arc<Connection>, kind: Unreadable) {
        client.close_after();
        let context = self.answer_unread(&mut client, connection, kind).await;
        self.end_unread(client, context).await;
    }

    /// Answers a stream that is not a request. Its connection may have others.
    pub(super) async fn refuse_stream(&self, mut client: ClientSession, connection: &Arc<Connection>, kind: Unreadable) {
        drop(self.answer_unread(&mut client, connection, kind).await);
    }

    async fn answer_unread(&self, client: &mut ClientSession, connection: &Arc<Connection>, kind: Unreadable) -> RequestContext {
        let mut context = self.begin_unread(connection);
        context.record.outcome = Outcome::Refused(kind.rejection());
        self.metrics.proxy.unreadable.with_label_values(&[kind.label()]).inc();
        self.complaints.tell(kind, connection.peer().text());
        // The client may be gone; there is nobody else to tell.
        let _ = answer::refuse_unread(client, kind.rejection()).await;
        context
    }

    /// Answers a request of whose header only the beginning was read, since it is too large, and ends its connection. A page can read the
    /// refusal if its route says so.
    pub(super) async fn refuse_cut(&self, mut client: ClientSession, connection: &Arc<Connection>) {
        let mut context = self.begin(&mut client, connection);
        let request = client.req_header();
        if let Ok(host) = target::host(Fields::of(&request.headers).host)
            && let Ok(found) = context.live.policy.routes.find(&host, request.method.as_str(), target::path(request.raw_path()))
        {
            context.record.route = Some(Arc::clone(found.route));
        }
        client.close_after();
        // As above.
        let _ = self.refuse(&mut client, &mut context, Rejection::HeadersTooLarge).await;
        self.end_unread(client, context).await;
    }

    async fn end_unread(&self, client: ClientSession, mut context: RequestContext) {
        let ClientSession::Http1(mut client) = client else { return };
        client.shutdown().await;
        context.record.conclude();
        // With it goes the memory of what was read.
        drop(client);
        let Some(socket) = context.record.connection.stream() else { return };
        tokio::select! {
            () = socket.discard() => {}
            () = tokio::time::sleep(LINGER_TIMEOUT) => {}
            () = self.stopping.cancelled() => {}
        }
    }
}

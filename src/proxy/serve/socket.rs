//! A WebSocket, from its admission to its end.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use http::HeaderValue;
use pingora::{Error, ErrorType, Result};

use crate::{
    proxy::{
        client::{ClientSession, Cut, LastWork},
        http::switch,
        serve::{
            attempt::{hide_token, note_answer, note_error, show, upstream_request},
            gateway::{Gateway, RequestContext},
        },
        upstream::InFlight,
        websocket::{Bounds, CLOSE_TIMEOUT, Ends, Farewells, Handshake, SocketEnd, carry, handshake},
    },
    token::Timestamp,
};

impl Gateway {
    /// Opens a WebSocket, which what is returned carries to its end. What the upstream answers instead of 101 is relayed.
    pub(super) async fn open_socket(&self, client: &mut ClientSession, context: &mut RequestContext) -> Result<Option<LastWork>> {
        let Some((ends, place)) = self.open(client, context).await? else { return Ok(None) };
        let (gateway, mut context) = (self.clone(), context.take());
        Ok(Some(Box::pin(async move { gateway.carry(ends, place, &mut context).await })))
    }

    /// Shakes hands with both sides. What is left to do: carry between these ends, of which one is at this address. None: there is no
    /// socket, and the client has its answer.
    async fn open(&self, client: &mut ClientSession, context: &mut RequestContext) -> Result<Option<(Ends, InFlight)>> {
        let request = upstream_request(client, context, handshake::ask_for_websocket)?;
        let accept = switch::expected_accept(&client.req_header().headers).unwrap_or_default();
        let place = self.next_place(context).await?;
        let (stream, mut place) = self.connect(context, place).await?;
        let peer = Arc::clone(&place.place().peer);
        let client_left = async {
            match context.record.connection.stream() {
                Some(socket) => socket.left().await,
                None => std::future::pending().await,
            }
        };
        let handshake = tokio::select! {
            handshake = handshake::shake_hands(stream, &peer, &request, &accept) => {
                handshake.inspect_err(|error| note_error(context, &place, error))?
            }
            () = client_left => return Err(Error::explain(ErrorType::ConnectionClosed, "the client left").into_down()),
        };
        match handshake {
            Handshake::Answered(mut answered) => {
                note_answer(context, &place, answered.header.status);
                hide_token(&mut answered.header, context)?;
                show(client, &mut answered.header, context)?;
                context.answered(answered.header.status.as_u16());
                handshake::relay_answer(client, answered, &peer).await?;
                Ok(None)
            }
            Handshake::Switched(mut header, upstream, from_upstream) => {
                hide_token(&mut header, context)?;
                context.answered(header.status.as_u16());
                context.record.became_websocket();
                place.become_socket();
                let codes = context.record.route.as_ref().map(|route| route.close_codes).unwrap_or_default();
                let protocol = header.headers.get(http::header::SEC_WEBSOCKET_PROTOCOL).map(HeaderValue::as_bytes);
                let farewells = Farewells::new(codes, protocol.map(<[u8]>::trim_ascii));
                client.write_header(header, false).await.map_err(|error| error.into_down())?;
                // What the client sent behind its header, before the answer, has been read already.
                let early = client.read_body_bytes().now_or_never();
                let from_client = early.transpose().map_err(|error| error.into_down())?.flatten();
                let from_client = context.record.connection.inbound().with_held(from_client);
                let ends = context.record.connection.stream().map(|client| Ends {
                    client,
                    from_client,
                    upstream,
                    from_upstream,
                    farewells,
                });
                Ok(ends.map(|ends| (ends, place)))
            }
        }
    }

    async fn carry(&self, ends: Ends, place: InFlight, context: &mut RequestContext) {
        let now = Timestamp::from(SystemTime::now());
        let (end, why) = self.end(context);
        // The Close is said at the end; a peer that does not take it is cut when the grace is over.
        let grace = context.live.listen.stream_grace.min(CLOSE_TIMEOUT);
        let connection = Arc::clone(&context.record.connection);
        connection.request().set_deadline(end.plus(grace), why);
        // Seen to here, so that a Close is said then, too.
        let identity = connection.request().take_identity();
        let untrusted = async {
            match &identity {
                Some(identity) => self.key_watch.is_lost(identity).await,
                None => std::future::pending().await,
            }
        };
        let ended_early = async {
            let cut = tokio::select! {
                () = untrusted => Cut::KeyUntrusted,
                () = place.place().standing.drained() => Cut::Drained,
            };
            connection.request().set_deadline(Timestamp::from(SystemTime::now()).plus(grace), cut);
            cut
        };
        let bounds = Bounds {
            ends_in: (end.since(now), why),
            idle: place.place().peer.options.read_timeout.unwrap_or(Duration::MAX),
            ping_every: context.live.listen.ping_every,
            write_timeout: context.live.listen.write_timeout,
            stopping: self.stopping.clone(),
        };
        let end = carry(ends, bounds, ended_early).await;
        context.record.socket_end = Some(end);
        if let SocketEnd::Cut(cut) = end {
            self.metrics.proxy.connections_cut.with_label_values(&[cut.label()]).inc();
            connection.request().cut(cut);
        }
    }
}

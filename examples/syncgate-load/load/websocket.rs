//! [`SocketClient`]: one WebSocket.

use std::{io, sync::Arc, time::Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Bytes, Message, Utf8Bytes, client::IntoClientRequest as _},
};

use super::{
    client::{Client, Shared},
    tally::Problem,
    target::{Stream, Target},
};

/// A client with at most one socket. It opens the socket with its user's token.
pub struct SocketClient {
    target: Arc<Target>,
    shared: Arc<Shared>,
    token: Option<(HeaderName, HeaderValue)>,
    /// What it says; nothing: it pings.
    message: Option<Utf8Bytes>,
    socket: Option<WebSocketStream<Box<dyn Stream>>>,
    pings: u64,
}

impl SocketClient {
    /// A client without a socket. Its messages are answered by the next message, its pings by their pongs.
    pub fn new(target: &Arc<Target>, shared: &Arc<Shared>, user: u64, message: Option<&str>) -> Self {
        Self {
            target: Arc::clone(target),
            shared: Arc::clone(shared),
            token: shared.tokens.hot(user).map(|token| (shared.tokens.name.clone(), token.clone())),
            message: message.map(Utf8Bytes::from),
            socket: None,
            pings: 0,
        }
    }

    fn request(&self) -> tungstenite::Result<http::Request<()>> {
        let mut request = self.target.socket_url.clone().into_client_request()?;
        // `Host` is there already.
        for (name, value) in self.target.headers.iter().filter(|(name, _)| *name != hyper::header::HOST) {
            request.headers_mut().append(name, value.clone());
        }
        if let Some((name, token)) = &self.token {
            request.headers_mut().append(name, token.clone());
        }
        Ok(request)
    }
}

impl Client for SocketClient {
    async fn connect(&mut self) -> io::Result<()> {
        if self.socket.is_some() {
            return Ok(());
        }
        let began = Instant::now();
        let stream = self.target.connect().await?;
        let request = self.request().map_err(io::Error::other)?;
        match client_async(request, stream).await {
            Ok((socket, answer)) => {
                self.shared.tally.opened(answer.status(), began.elapsed());
                self.socket = Some(socket);
                Ok(())
            }
            Err(tungstenite::Error::Http(answer)) => {
                self.shared.tally.opened(answer.status(), began.elapsed());
                Ok(())
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Says something, or pings, and waits for the answer.
    async fn ask(&mut self, _token: Option<&HeaderValue>) -> Result<Option<StatusCode>, Problem> {
        self.connect().await.map_err(|_| Problem::Connect)?;
        let Some(socket) = &mut self.socket else { return Err(Problem::Refused) };
        self.pings += 1;
        let ping = Bytes::copy_from_slice(&self.pings.to_be_bytes());
        let question = match &self.message {
            Some(message) => Message::Text(message.clone()),
            None => Message::Ping(ping.clone()),
        };
        let outcome = async {
            socket.send(question).await.map_err(problem)?;
            loop {
                let answer = socket.next().await.ok_or(Problem::Closed)?.map_err(problem)?;
                let is_answer = match (&answer, &self.message) {
                    (Message::Close(_), _) => return Err(Problem::Closed),
                    (Message::Text(_) | Message::Binary(_), Some(_)) => true,
                    (Message::Pong(pong), None) => *pong == ping,
                    _ => false,
                };
                if is_answer {
                    return Ok(None);
                }
            }
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            self.socket = None;
        }
        outcome
    }

    fn disconnect(&mut self) {
        self.socket = None;
    }

    /// Reads what the server says unasked, and so answers its pings.
    async fn idle(&mut self) {
        let Some(socket) = &mut self.socket else { return std::future::pending().await };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                return;
            }
        }
    }

    async fn close(mut self) {
        let Some(socket) = &mut self.socket else { return };
        // The server may be gone already.
        let _ = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
}

fn problem(error: tungstenite::Error) -> Problem {
    match error {
        tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) | tungstenite::Error::Capacity(_) => Problem::Protocol,
        _ => Problem::Closed,
    }
}

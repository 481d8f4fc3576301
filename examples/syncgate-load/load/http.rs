//! [`HttpClient`]: one connection that sends requests in turn.

use std::{io, sync::Arc};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;

use super::{client::Client, tally::Problem, target::Target};

/// What is asked, but for the token.
pub struct Question {
    pub target: Arc<Target>,
    pub method: Method,
    pub body: Bytes,
    pub token_header: HeaderName,
}

/// An HTTP/1.1 client with at most one connection.
pub struct HttpClient {
    question: Arc<Question>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl HttpClient {
    /// A client without a connection.
    pub fn new(question: Arc<Question>) -> Self {
        Self { question, connection: None }
    }
}

impl Client for HttpClient {
    async fn connect(&mut self) -> io::Result<()> {
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = self.question.target.connect().await?;
            let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            // It ends with the connection, and whoever waits for an answer learns why.
            tokio::spawn(driver);
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Sends a request and reads the whole answer. A connection that the server closed while it was idle is replaced.
    async fn ask(&mut self, token: Option<&HeaderValue>) -> Result<Option<StatusCode>, Problem> {
        loop {
            self.connect().await.map_err(|_| Problem::Connect)?;
            let Some(connection) = &mut self.connection else { return Err(Problem::Connect) };
            match exchange(connection, request(&self.question, token)).await {
                Ok(status) => return Ok(Some(status)),
                // It was closed before anything of the request was sent.
                Err(error) if error.is_canceled() || error.is_closed() => self.connection = None,
                Err(error) => {
                    self.connection = None;
                    return Err(if error.is_parse() || error.is_user() { Problem::Protocol } else { Problem::Closed });
                }
            }
        }
    }

    fn disconnect(&mut self) {
        self.connection = None;
    }
}

async fn exchange(connection: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> hyper::Result<StatusCode> {
    connection.ready().await?;
    let mut answer = connection.send_request(request).await?;
    while let Some(frame) = answer.frame().await {
        frame?;
    }
    Ok(answer.status())
}

fn request(question: &Question, token: Option<&HeaderValue>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(question.body.clone()));
    *request.method_mut() = question.method.clone();
    *request.uri_mut() = question.target.path.clone();
    request.headers_mut().clone_from(&question.target.headers);
    if let Some(token) = token {
        request.headers_mut().insert(&question.token_header, token.clone());
    }
    request
}

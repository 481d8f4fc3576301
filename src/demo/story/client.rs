//! The tools of the story's users: HTTP, WebSocket, and a count of their responses.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, client::IntoClientRequest},
};

use super::{Unexpected, same};
use crate::demo::{MetricsText, World, endpoints::CLAIM, http_client};

pub(super) struct Client<'a> {
    pub(super) world: &'a World,
    http: reqwest::Client,
    answers: Mutex<BTreeMap<u16, u64>>,
}

/// A user and the token from the issuer.
pub(super) struct User {
    pub(super) id: String,
    pub(super) token: String,
    /// The token for the backend that the issuer's policy got at the gateway, out of the other one.
    pub(super) for_backend: Option<String>,
}

impl<'a> Client<'a> {
    pub(super) fn new(world: &'a World) -> Result<Self, Unexpected> {
        let http = http_client().map_err(|error| Unexpected::new("an HTTP client", error))?;
        Ok(Self { world, http, answers: Mutex::default() })
    }

    /// Gets a token from the issuer, as an app does.
    pub(super) async fn log_in(&self, name: &str) -> Result<User, Unexpected> {
        let form = [("grant_type", "password"), ("username", name), ("password", "demo")];
        let answer = self.http.post(self.world.issuer.token_url()).form(&form).send().await?;
        same("status of the token endpoint", StatusCode::OK, answer.status())?;
        let answer: Value = answer.json().await?;
        let token = answer["access_token"].as_str().ok_or_else(|| Unexpected::new("an access_token", &answer))?;
        let for_backend = claim(token, CLAIM);
        if for_backend.is_some() {
            // The gateway counts the issuer's call with the others.
            self.count(200);
        }
        Ok(User { id: self.world.issuer.user_id(name), token: token.to_owned(), for_backend })
    }

    /// Asks the gateway, with this as `Authorization`.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Response, Unexpected> {
        let method = method.parse().map_err(|error| Unexpected::new("a method", error))?;
        let mut request = self.http.request(method, self.world.url(path));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        self.count(answer.status().as_u16());
        Ok(answer)
    }

    /// Sends a form to the gateway.
    pub(super) async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Result<Response, Unexpected> {
        let answer = self.http.post(self.world.url(path)).form(form).send().await?;
        self.count(answer.status().as_u16());
        Ok(answer)
    }

    /// Reads JSON at the backend itself, without the gateway.
    pub(super) async fn get_at_backend(&self, path: &str, token: &str) -> Result<Value, Unexpected> {
        let url = format!("http://{}{path}", self.world.backend.address());
        let answer = self.http.get(url).bearer_auth(token).send().await?;
        same(&format!("status of GET {path} at the backend"), StatusCode::OK, answer.status())?;
        Ok(answer.json().await?)
    }

    /// Reads JSON through the gateway.
    pub(super) async fn get(&self, path: &str, user: &User) -> Result<Value, Unexpected> {
        let answer = self.send("GET", path, Some(&format!("Bearer {}", user.token)), None).await?;
        same(&format!("status of GET {path}"), StatusCode::OK, answer.status())?;
        Ok(answer.json().await?)
    }

    /// Writes a document through the gateway.
    pub(super) async fn put(&self, id: &str, user: &User, doc: &Value) -> Result<(), Unexpected> {
        let answer = self.send("PUT", &format!("/docs/{id}"), Some(&format!("Bearer {}", user.token)), Some(doc)).await?;
        same(&format!("status of PUT /docs/{id}"), StatusCode::CREATED, answer.status())
    }

    /// Opens a WebSocket through the gateway.
    pub(super) async fn socket(&self, path: &str, user: &User) -> Result<Socket, Unexpected> {
        let mut request = self.world.socket_url(path).into_client_request()?;
        let value = format!("Bearer {}", user.token).parse().map_err(|error| Unexpected::new("a header value", error))?;
        request.headers_mut().insert("authorization", value);
        let (socket, _) = connect_async(request).await?;
        self.count(101);
        Ok(Socket(socket))
    }

    /// Asks the operators' listener.
    pub(super) async fn admin(&self, path: &str) -> Result<Response, Unexpected> {
        Ok(self.http.get(self.world.admin_url(path)).send().await?)
    }

    /// Scrapes the gateway.
    pub(super) async fn scrape(&self) -> Result<MetricsText, Unexpected> {
        Ok(MetricsText::new(self.admin("/metrics").await?.text().await?))
    }

    /// How many answers of each status the gateway gave.
    pub(super) fn answers(&self) -> BTreeMap<u16, u64> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, status: u16) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
    }
}

/// A claim that is a text, as an app reads its own token: without a look at the signature.
fn claim(token: &str, name: &str) -> Option<String> {
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?).ok()?;
    claims[name].as_str().map(str::to_owned)
}

/// An open WebSocket that speaks JSON.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(super) async fn send(&mut self, value: &Value) -> Result<(), Unexpected> {
        Ok(self.0.send(value.to_string().into()).await?)
    }

    pub(super) async fn next(&mut self) -> Result<Value, Unexpected> {
        match self.0.next().await {
            Some(Ok(tungstenite::Message::Text(text))) => {
                serde_json::from_str(&text).map_err(|error| Unexpected::new("JSON", error))
            }
            other => Err(Unexpected::new("a text frame", format_args!("{other:?}"))),
        }
    }

    pub(super) async fn close(mut self) -> Result<(), Unexpected> {
        self.0.close(None).await?;
        while let Some(Ok(_)) = self.0.next().await {}
        Ok(())
    }
}

impl From<tungstenite::Error> for Unexpected {
    fn from(error: tungstenite::Error) -> Self {
        Self::new("an open WebSocket", error)
    }
}

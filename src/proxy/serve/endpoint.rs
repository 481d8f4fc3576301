//! A request that an endpoint of the gateway answers: its body read whole, the reply written.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Method;
use pingora::{Result, http::ResponseHeader};
use tokio::time::Instant;

use crate::{
    endpoint::{Call, Endpoint, Head, Reply, Terms},
    proxy::{
        client::ClientSession,
        policy::Route,
        serve::{
            live::Live,
            record::{Outcome, RequestRecord},
            whole_body::{self, Stop},
        },
    },
    token::Timestamp,
};

/// How long a body may take: each is small, and whoever sends it has it whole.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What there is to answer after the header of a call, and its body if one is wanted.
pub(super) enum Heard {
    /// The call is whole.
    Whole(Bytes),
    /// It is refused, or its client has left.
    Stopped(Stopped),
}

/// Why a call is not heard to its end.
pub(super) enum Stopped {
    /// It has its reply.
    Replied(Reply),
    /// The client left, or our own trouble.
    Failed(Box<pingora::Error>),
}

/// Reads the body of a call, unless its header tells that it is refused.
pub(super) async fn hear(
    client: &mut ClientSession,
    record: &RequestRecord,
    live: &Live,
    endpoint: &Endpoint,
    came: Instant,
) -> Heard {
    let header = client.req_header();
    let now = SystemTime::now();
    let certificate = record.connection.arrival().certificate(now);
    let head = Head { method: &header.method, headers: &header.headers, certificate, now: now.into(), came };
    if let Err(reply) = endpoint.check_header(head, &live.policy.exchange).await {
        return Heard::Stopped(Stopped::Replied(reply));
    }
    let Some(limit) = endpoint.body_limit(&client.req_header().method) else { return Heard::Whole(Bytes::new()) };
    match whole_body::read_up_to(client, limit, live.listen.body_timeout.min(BODY_TIMEOUT)).await {
        Ok(body) => Heard::Whole(body),
        Err(Stop::Refused(rejection)) => Heard::Stopped(Stopped::Replied(endpoint.refuse(rejection))),
        Err(Stop::Failed(error)) => Heard::Stopped(Stopped::Failed(error)),
    }
}

/// Has the endpoint answer a call, by the settings of now.
pub(super) async fn answer(
    client: &mut ClientSession,
    record: &mut RequestRecord,
    live: &Live,
    endpoint: &Endpoint,
    body: Bytes,
    came: Instant,
) -> Result<()> {
    let Some(route) = record.route.clone() else { return Ok(()) };
    let header = client.req_header();
    // Reading the body may have taken some time.
    let now = SystemTime::now();
    let last_token = record.state.last_token();
    let certificate = record.connection.arrival().certificate(now);
    let now = Timestamp::from(now);
    let call = Call { method: &header.method, headers: &header.headers, body: &body, last_token, certificate, now, came };
    let reply = endpoint.answer(call, terms(&route), &live.policy.exchange).await;
    reply_with(client, record, reply).await
}

/// Writes a reply, and notes it.
pub(super) async fn reply_with(client: &mut ClientSession, record: &mut RequestRecord, reply: Reply) -> Result<()> {
    record.outcome = Outcome::Endpoint(reply.status.as_u16(), reply.rejection);
    write(client, reply, record.route.as_deref()).await
}

fn terms(route: &Route) -> Terms<'_> {
    Terms { permission: &route.permission, profile: route.profile }
}

async fn write(client: &mut ClientSession, reply: Reply, route: Option<&Route>) -> Result<()> {
    let mut header = ResponseHeader::build(reply.status, Some(reply.headers.len() + 3))?;
    for (name, value) in reply.headers {
        header.append_header(name, value)?;
    }
    if !reply.body.is_empty() {
        header.insert_header(http::header::CONTENT_LENGTH, reply.body.len())?;
    }
    if let Some(cors) = route.and_then(|route| route.cors.as_ref()) {
        cors.write(client.req_header(), &mut header)?;
    }
    let without_body = client.req_header().method == Method::HEAD || reply.body.is_empty();
    let writing = async {
        client.write_header(Box::new(header), without_body).await?;
        if !without_body {
            client.write_body(reply.body, true).await?;
        }
        client.finish_body().await.map(drop)
    };
    // What goes wrong here is that the client leaves.
    writing.await.map_err(|error| error.into_down())
}

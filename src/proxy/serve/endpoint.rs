//! A request that an endpoint of the gateway answers: its body read whole, the reply written.

use std::time::SystemTime;

use bytes::Bytes;
use http::Method;
use pingora::{Result, http::ResponseHeader};

use crate::{
    endpoint::{Call, Endpoint, Reply, Terms},
    proxy::{
        http::ClientSession,
        policy::Route,
        serve::{
            live::Live,
            record::{Outcome, RequestRecord},
            whole_body::{self, Stop},
        },
    },
    token::Timestamp,
};

/// Has the endpoint of its route answer a request.
pub(super) async fn call(client: &mut ClientSession, record: &mut RequestRecord, live: &Live, endpoint: &Endpoint) -> Result<()> {
    let reply = match body(client, live, endpoint).await {
        Ok(body) => {
            let header = client.req_header();
            // Reading the body may have taken some time.
            let now = Timestamp::from(SystemTime::now());
            let last_token = record.state.last_token();
            let call = Call { method: &header.method, headers: &header.headers, body: &body, last_token, now };
            match &record.route {
                Some(route) => endpoint.answer(call, terms(route), &live.policy.exchange).await,
                None => return Ok(()),
            }
        }
        Err(Stop::Refused(rejection)) => endpoint.refuse(rejection),
        Err(Stop::Failed(error)) => return Err(error),
    };
    record.outcome = Outcome::Endpoint(reply.status.as_u16(), reply.rejection);
    write(client, reply, record.route.as_deref()).await
}

async fn body(client: &mut ClientSession, live: &Live, endpoint: &Endpoint) -> Result<Bytes, Stop> {
    match endpoint.body_limit(&client.req_header().method) {
        Some(limit) => whole_body::read_up_to(client, limit, live.listen.body_timeout).await,
        None => Ok(Bytes::new()),
    }
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
        client.write_response_header(Box::new(header)).await?;
        if !without_body {
            client.write_body(&reply.body).await?;
        }
        client.finish_body().await.map(drop)
    };
    // What goes wrong here is that the client leaves.
    writing.await.map_err(|error| error.into_down())
}

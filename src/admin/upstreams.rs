//! `/upstreams`: the addresses of each upstream, and which of them an operator drains. Each change is logged.

use std::{fmt::Debug, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Admin, guard::Operator};
use crate::metrics::{AddressSample, UpstreamSample};

/// Maximum length of an address: that of a host name with its port, or of a socket.
const MAX_ADDRESS_BYTES: usize = 300;

/// The upstreams of a running gateway.
pub trait Upstreams: Debug + Send + Sync {
    /// All of them, with their addresses.
    fn list(&self) -> Vec<Upstream>;

    /// Has new requests pass an address by, and its WebSockets closed; or undoes that. Returns the upstream as it is then.
    ///
    /// # Errors
    /// Why that was not done.
    fn drain(&self, upstream: &str, address: &str, is_to_drain: bool) -> Result<Upstream, NotDrained>;
}

/// One upstream.
#[derive(Clone, Debug, Serialize)]
pub struct Upstream {
    /// Its name in the config.
    pub name: String,
    /// Its addresses: those that its URLs lead to, and others while something is in progress there.
    pub addresses: Vec<Address>,
    /// How often an address was taken out after failures in a row, since the start.
    pub taken_out: u64,
    /// How often a request was tried once more, since the start.
    pub retries: u64,
    /// How often one was not, since too many were.
    pub retries_refused: u64,
}

/// One address.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    /// With its port, or `unix:/path`.
    pub address: String,
    /// Whether and why requests pass it by, in a word.
    pub state: &'static str,
    /// Whether an operator drains it.
    pub draining: bool,
    /// Requests in progress there, WebSockets included.
    pub in_flight: usize,
    /// Of these, WebSockets.
    pub websockets: usize,
}

/// Why an address is not drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDrained {
    /// There is no such upstream.
    NoUpstream,
    /// It has no such address, but these.
    NoAddress(Vec<String>),
    /// No other address would be left.
    Last,
}

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// As `GET /upstreams` has it.
    address: String,
}

impl Upstream {
    /// For the metrics.
    pub(super) fn sample(self) -> UpstreamSample {
        let address = |one: Address| AddressSample {
            is_serving: one.state == "serving" && !one.draining,
            address: one.address,
            in_flight: one.in_flight,
        };
        UpstreamSample {
            upstream: self.name,
            addresses: self.addresses.into_iter().map(address).collect(),
            taken_out: self.taken_out,
            retries: self.retries,
            retries_refused: self.retries_refused,
        }
    }
}

/// `GET /upstreams`.
pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Response {
    answer(StatusCode::OK, json!({ "upstreams": admin.upstreams.list() }))
}

/// `POST /upstreams/{name}/drain?address=...`.
pub(super) async fn drain(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    change(&admin, operator, &name, &which, true)
}

/// `POST /upstreams/{name}/undrain?address=...`.
pub(super) async fn undrain(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    change(&admin, operator, &name, &which, false)
}

fn change(admin: &Admin, operator: Operator, name: &str, which: &Which, is_to_drain: bool) -> Response {
    let Which { address } = which;
    if address.is_empty() || address.len() > MAX_ADDRESS_BYTES {
        let text = "address is empty or too long";
        return answer(StatusCode::BAD_REQUEST, json!({ "error": "address", "error_description": text }));
    }
    let (status, error, text) = match admin.upstreams.drain(name, address, is_to_drain) {
        Ok(upstream) => {
            let is_draining = is_to_drain;
            tracing::warn!(peer = %operator.peer, upstream = name, address, is_draining, "an operator changed an address");
            return answer(StatusCode::OK, json!(upstream));
        }
        Err(NotDrained::NoUpstream) => {
            let known: Vec<_> = admin.upstreams.list().into_iter().map(|upstream| upstream.name).collect();
            (StatusCode::NOT_FOUND, "upstream", format!("unknown upstream; known: {}", known.join(", ")))
        }
        Err(NotDrained::NoAddress(known)) => {
            (StatusCode::NOT_FOUND, "address", format!("{name} has no such address; known: {}", known.join(", ")))
        }
        Err(NotDrained::Last) => (
            StatusCode::CONFLICT,
            "last_address",
            format!("no other address of {name} would get requests: nothing was changed. End the draining of another one first"),
        ),
    };
    answer(status, json!({ "error": error, "error_description": text }))
}

fn answer(status: StatusCode, body: impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

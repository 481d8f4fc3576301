//! A request from its header to its log line: decided by [`policy`](super::policy), relayed by [`upstream`](super::upstream) or
//! [`websocket`](super::websocket), answered, counted.

mod access_log;
mod answer;
mod attempt;
mod door;
mod endpoint;
mod failing;
mod failure;
mod gateway;
mod grpc;
mod live;
mod log_time;
mod pin_watch;
mod record;
mod service;
mod socket;
mod unread;
mod whole_body;

pub use self::{
    access_log::{AccessLog, AccessLogFormat},
    live::{LiveProxy, Prepared},
};
pub(in crate::proxy) use self::{gateway::Gateway, live::Live, service::Service};

#[cfg(feature = "bench")]
pub(in crate::proxy) use self::record::{Outcome, RequestRecord};

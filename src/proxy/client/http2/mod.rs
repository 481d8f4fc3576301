//! HTTP/2 with clients, by the h2 crate: one connection with many requests at a time. Each request is served as one of HTTP/1.1
//! is, with a deadline of its own; what ends early ends as a reset of its stream, never as a complete message.

mod driver;
mod request;
mod stream;

pub(super) use self::{
    driver::{Opened, drive},
    stream::StreamSession,
};

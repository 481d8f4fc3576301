//! Pingora's HTTP/1.1 sessions, by the side that they speak with: each reads and writes the messages of one request.

pub(super) use pingora::protocols::http::v1::{client::HttpSession as UpstreamSession, server::HttpSession as ClientSession};

//! The sessions of one request, by the side that they speak with.

pub(super) use pingora::protocols::http::v1::server::HttpSession as ClientSession;

pub(super) use crate::proxy::upstream_session::UpstreamSession;

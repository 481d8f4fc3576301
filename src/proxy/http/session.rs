//! Pingora's HTTP/1.1 session with a client: it reads and writes the messages of one request. The one with an upstream is in
//! [`upstream::session`](crate::proxy::upstream::session).

pub(in crate::proxy) use pingora::protocols::http::v1::server::HttpSession as ClientSession;

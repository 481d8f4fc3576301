//! The routes a request is checked against, without a connection.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, header};

use super::{Route, RouteSettings, RouteTable};
use crate::{
    metrics::Metrics,
    proxy::{
        http::Fields,
        policy::{header_settings::HeaderSettings, target},
    },
    token::Rejection,
};

/// The routes of a config.
#[derive(Debug)]
pub struct Routing(RouteTable);

impl Routing {
    /// These routes; none if they cannot be counted.
    pub fn new(routes: &[RouteSettings]) -> Option<Self> {
        let metrics = Metrics::new().ok()?;
        let ready =
            |route: &RouteSettings| Arc::new(Route::new(route, &HeaderSettings::default(), metrics.proxy.route(&route.name)));
        Some(Self(RouteTable::new(routes.iter().map(ready).collect())))
    }

    /// The names of the routes that a request is checked against, in order of importance.
    ///
    /// # Errors
    /// Why it is not forwarded whatever token it has.
    pub fn asked(&self, host: &[u8], method: &str, raw_target: &[u8]) -> Result<Vec<String>, Rejection> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| Rejection::MethodNotAllowed)?;
        let value = HeaderValue::from_bytes(host).map_err(|_| Rejection::HostMalformed)?;
        let fields = HeaderMap::from_iter([(header::HOST, value)]);
        let head = [method.as_str().as_bytes(), b" ", raw_target, b" HTTP/1.1\r\n"].concat();
        target::check_target(&method, raw_target, &head)?;
        let host = target::host(Fields::of(&fields).host)?;
        let found = self.0.find(&host, method.as_str(), target::path(raw_target))?;
        Ok(found.routes().map(|route| route.name.clone()).collect())
    }
}

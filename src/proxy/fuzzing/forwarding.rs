//! What of a request is forwarded.

use pingora::http::RequestHeader;

use crate::{
    metrics::Metrics,
    proxy::{HeaderSettings, RouteSettings, http::Changes, policy::Route, upstream::UpstreamRequest},
};

/// The header on the wire that an upstream gets of a request with these fields, for the first of these routes and without a token.
/// None if it gets none.
pub fn forwarded(routes: &[RouteSettings], headers: &HeaderSettings, fields: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let metrics = Metrics::new().ok()?;
    let headers = headers.for_hosts(routes.iter().map(|route| &route.host));
    let route = Route::new(routes.first()?, &headers, metrics.proxy.route("fuzzing"));
    let mut request = RequestHeader::build("GET", b"/", None).ok()?;
    for (name, value) in fields {
        request.append_header(name.clone(), value.as_slice()).ok()?;
    }
    let is_unwanted = route.strip.unwanted_in(&request.headers).ok()?;
    let request = UpstreamRequest::new(&request, Changes::default(), is_unwanted).ok()?;
    Some(request.head().to_vec())
}

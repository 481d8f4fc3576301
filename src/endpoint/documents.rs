//! Documents that anybody may read: our public key, and metadata.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::{
    endpoint::{Call, Reply},
    exchange::Exchange,
    token::Rejection,
};

/// How long readers keep a document; they see a change that late.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

#[derive(Debug)]
pub(super) enum Document {
    /// Made anew for each request: the key may have changed.
    KeySet,
    Fixed(Bytes),
}

impl Document {
    pub(super) fn fixed(text: &str) -> Self {
        Self::Fixed(Bytes::copy_from_slice(text.as_bytes()))
    }

    pub(super) fn answer(&self, call: Call<'_>, exchange: &Exchange) -> Reply {
        if !matches!(*call.method, Method::GET | Method::HEAD) {
            return refuse(Rejection::MethodNotAllowed);
        }
        let text = match self {
            // A shared secret has no public half: the set is empty.
            Self::KeySet => Bytes::from(json!({ "keys": exchange.signing_jwks() }).to_string()),
            Self::Fixed(text) => text.clone(),
        };
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, &text).as_ref().get(..12).unwrap_or_default()));
        let is_known = is_known(call.headers, &tag);
        let mut headers = vec![
            (header::CACHE_CONTROL, CACHE_CONTROL),
            // Public, and asked for without credentials: also by pages of other origins.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
        ];
        headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
        if is_known {
            return Reply { status: StatusCode::NOT_MODIFIED, headers, body: Bytes::new(), rejection: None };
        }
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        Reply { status: StatusCode::OK, headers, body: text, rejection: None }
    }
}

/// Refuses what is no request for a document.
pub(super) fn refuse(rejection: Rejection) -> Reply {
    let body = json!({ "error": rejection.label(), "error_description": rejection.description() });
    let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Reply::json(status, &body).because(rejection).with(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
}

/// Whether the reader has this version (RFC 9110 section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

//! The header fields that every request is checked for, found in one pass.

use http::{HeaderMap, HeaderValue, header};

use crate::proxy::http::{lifetime, switch};

/// Those fields of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::proxy) struct Fields<'a> {
    pub(in crate::proxy) host: Single<'a>,
    pub(in crate::proxy) content_length: Single<'a>,
    /// A list, which may be spread over several lines.
    pub(in crate::proxy) connection: Single<'a>,
    pub(in crate::proxy) transfer_encoding: Single<'a>,
    /// Whether an `Upgrade` names a WebSocket.
    pub(in crate::proxy) names_websocket: bool,
    /// Whether an `Accept` names an event stream.
    pub(in crate::proxy) accepts_events: bool,
    /// Whether any field may name another path than the target.
    pub(in crate::proxy) names_path: bool,
    /// Whether any field is one by which proxies in front say who the client is.
    pub(in crate::proxy) tells_client: bool,
}

/// A field that may be in a header once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::proxy) enum Single<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Often,
}

impl<'a> Fields<'a> {
    pub(in crate::proxy) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match *name {
                header::HOST => fields.host.add(value),
                header::CONNECTION => fields.connection.add(value),
                header::CONTENT_LENGTH => fields.content_length.add(value),
                header::TRANSFER_ENCODING => fields.transfer_encoding.add(value),
                header::UPGRADE => fields.names_websocket |= switch::names_websocket(value),
                header::ACCEPT => fields.accepts_events |= lifetime::names_events(value),
                header::FORWARDED => fields.tells_client = true,
                _ => {
                    fields.names_path |= names_path(name.as_str());
                    fields.tells_client |= matches!(name.as_str(), "x-forwarded-for" | "x-forwarded-proto");
                }
            }
        }
        fields
    }
}

/// Whether a field of this name (in lower case) names a path to write to or to copy from, in whatever spelling.
fn names_path(name: &str) -> bool {
    match name.as_bytes() {
        [b'd', ..] => name.starts_with("destination"),
        [b'u', ..] => same_name(name, "upload-concat"),
        [b'x', ..] => name.contains("copy"),
        _ => false,
    }
}

/// Whether servers that take all signs but letters and digits for one take a name for this one; both in lower case.
pub(in crate::proxy) fn same_name(name: &str, known: &str) -> bool {
    let is_sign = |byte: u8| !byte.is_ascii_alphanumeric();
    name.len() == known.len()
        && name.bytes().zip(known.bytes()).all(|(one, other)| one == other || (is_sign(one) && is_sign(other)))
}

impl<'a> Single<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        *self = if *self == Self::Absent { Self::Once(value) } else { Self::Often };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_of_a_field_counts() {
        let once = HeaderValue::from_static("once");
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, once.clone());
        headers.append(header::UPGRADE, HeaderValue::from_static("h2c"));
        headers.append(header::ACCEPT, HeaderValue::from_static("*/*"));
        let fields = Fields::of(&headers);
        assert_eq!((fields.host, fields.content_length), (Single::Once(&once), Single::Absent));
        assert!(!fields.accepts_events && !fields.names_websocket);

        headers.append(header::HOST, once.clone());
        headers.append(header::CONTENT_LENGTH, once.clone());
        headers.append(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.append(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        assert!(!Fields::of(&headers).names_path);
        headers.append("upload_concat", HeaderValue::from_static("partial"));
        let fields = Fields::of(&headers);
        assert!(fields.names_path);
        assert_eq!((fields.host, fields.content_length), (Single::Often, Single::Once(&once)));
        assert!(fields.accepts_events && fields.names_websocket);
    }
}

//! [`Changes`]: the changes to a request's header on its way to the upstream.

use http::{HeaderName, HeaderValue};

use crate::proxy::http::Told;

/// What the upstream gets instead of the client's value. Not to be printed either.
#[derive(Default)]
pub(in crate::proxy) struct Changes<'a> {
    /// What stands before the target.
    pub(in crate::proxy) prefix: &'a [u8],
    pub(in crate::proxy) target: Option<&'a [u8]>,
    pub(in crate::proxy) fields: Vec<(HeaderName, Option<HeaderValue>)>,
    pub(in crate::proxy) has_body: bool,
    pub(in crate::proxy) told: Told<'a>,
}

impl<'a> Changes<'a> {
    /// What stands before path and query.
    pub(in crate::proxy) fn set_prefix(&mut self, prefix: &'a [u8]) {
        self.prefix = prefix;
    }

    /// Path and query.
    pub(in crate::proxy) fn set_target(&mut self, target: &'a [u8]) {
        self.target = Some(target);
    }

    /// A field that is there once, with this value.
    pub(in crate::proxy) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.put(name, Some(value));
    }

    /// A field that is not there.
    pub(in crate::proxy) fn remove(&mut self, name: HeaderName) {
        self.put(name, None);
    }

    /// A body follows: in chunks, unless a field says how long it is (RFC 9112 section 6.3).
    pub(in crate::proxy) fn announce_body(&mut self) {
        self.has_body = true;
    }

    /// What is said of the client, instead of all that it may have said itself.
    pub(in crate::proxy) fn tell(&mut self, told: Told<'a>) {
        self.told = told;
    }

    fn put(&mut self, name: HeaderName, value: Option<HeaderValue>) {
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name, value)),
        }
    }
}

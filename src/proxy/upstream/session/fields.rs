//! [`Fields`]: the fields of a response's header, as received.

use httparse::Header;

/// The fields of a header.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    pub(super) fn of(fields: &'a [Header<'a>]) -> Self {
        Self(fields)
    }

    /// All of them, in their order.
    pub(super) fn all(self) -> &'a [Header<'a>] {
        self.0
    }

    /// The values of a name.
    pub(super) fn values(self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }
}

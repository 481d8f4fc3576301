//! Buffered bytes: on the heap while they flow, in their own pages if many have to wait. An allocator keeps the memory of a
//! busy time for the next one; pages are returned at once.

use bytes::BytesMut;
use memmap2::MmapMut;

/// Maximum bytes that wait on the heap.
const SMALL: usize = 4 * 1024;
/// So that a line end fits behind what is full.
const SLACK: usize = 2;

/// A growing buffer that is taken from its front.
#[derive(Debug, Default)]
pub(super) struct Held {
    heap: Vec<u8>,
    /// Instead of the heap.
    pages: Option<MmapMut>,
    start: usize,
    end: usize,
}

impl Held {
    pub(in crate::proxy) fn bytes(&self) -> &[u8] {
        self.pages.as_deref().unwrap_or(&self.heap).get(self.start..self.end).unwrap_or_default()
    }

    pub(in crate::proxy) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops so many bytes from the front.
    pub(in crate::proxy) fn advance(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Drops what is behind so many bytes.
    pub(in crate::proxy) fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start + length);
    }

    pub(in crate::proxy) fn push(&mut self, bytes: &[u8]) {
        let end = self.end + bytes.len();
        if let Some(room) = self.pages.as_deref_mut().and_then(|pages| pages.get_mut(self.end..end)) {
            room.copy_from_slice(bytes);
        } else {
            if self.pages.is_some() {
                self.set(self.bytes().to_vec());
            }
            self.heap.truncate(self.end);
            self.heap.extend_from_slice(bytes);
        }
        self.end += bytes.len();
    }

    /// Puts these bytes before the others.
    pub(in crate::proxy) fn put_back(&mut self, bytes: BytesMut) {
        let mut all = Vec::from(bytes);
        all.extend_from_slice(self.bytes());
        self.set(all);
    }

    /// Holds these bytes and no others.
    pub(in crate::proxy) fn set(&mut self, bytes: Vec<u8>) {
        *self = Self { end: bytes.len(), heap: bytes, ..Self::default() };
    }

    /// Sees to it that what there is, and what may come until there are `most` bytes, can wait.
    pub(in crate::proxy) fn rest(&mut self, most: usize) {
        if self.len() <= SMALL || self.pages.is_some() {
            return;
        }
        // Where the system has no pages to give, it waits on the heap.
        let Ok(mut pages) = MmapMut::map_anon(most.max(self.len()).saturating_add(SLACK)) else { return };
        pages.iter_mut().zip(self.bytes()).for_each(|(to, from)| *to = *from);
        *self = Self { end: self.len(), pages: Some(pages), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn much_waits_in_pages_of_its_own() {
        let mut held = Held::default();
        held.push(&[b'a'; SMALL]);
        held.rest(64 * 1024);
        assert!(held.pages.is_none());
        held.push(b"b");
        held.rest(64 * 1024);
        assert!(held.pages.is_some() && held.heap.capacity() == 0);
        held.push(&[b'c'; 60 * 1024 - 1]);
        held.push(b"\r\n");
        assert!(held.pages.is_some() && held.heap.capacity() == 0);
        assert_eq!(held.bytes(), [&[b'a'; SMALL][..], b"b", &[b'c'; 60 * 1024 - 1], b"\r\n"].concat());
    }

    proptest! {
        /// A vector is the oracle.
        #[test]
        fn it_holds_what_was_put_in(steps in prop::collection::vec((0..6_u8, 0..6_000_usize), 0..16)) {
            let (mut held, mut expected) = (Held::default(), Vec::new());
            for (number, (step, count)) in steps.into_iter().enumerate() {
                let bytes = vec![u8::try_from(number).unwrap(); count];
                match step {
                    0 | 1 => {
                        held.push(&bytes);
                        expected.extend_from_slice(&bytes);
                    }
                    2 => {
                        held.advance(count);
                        expected.drain(..count.min(expected.len()));
                    }
                    3 => {
                        held.truncate(count);
                        expected.truncate(count);
                    }
                    4 => held.rest(count),
                    _ => {
                        held.put_back(BytesMut::from(&bytes[..]));
                        expected.splice(..0, bytes);
                    }
                }
                prop_assert_eq!(held.bytes(), &expected);
                prop_assert_eq!((held.len(), held.is_empty()), (expected.len(), expected.is_empty()));
            }
        }
    }
}

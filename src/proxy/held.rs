//! Bytes that are held for a while: few on the heap, many in pages of their own. An allocator keeps the memory of a busy time for the next
//! one; pages are given back at once.

use bytes::BytesMut;
use memmap2::MmapMut;

/// Most bytes on the heap of what comes piece by piece.
const SMALL: usize = 8 * 1024;
/// So that a line end fits behind what is full.
const SLACK: usize = 2;

/// A growing buffer that is taken from its front.
#[derive(Debug, Default)]
pub(super) struct Held {
    heap: Vec<u8>,
    /// In place of the heap.
    pages: Option<MmapMut>,
    start: usize,
    end: usize,
}

impl Held {
    pub(super) fn bytes(&self) -> &[u8] {
        self.pages.as_deref().unwrap_or(&self.heap).get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops so many bytes from the front.
    pub(super) fn advance(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Drops what is behind so many bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start + length);
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        let most = self.len() + bytes.len();
        while !bytes.is_empty() {
            let room = self.room(most);
            let count = room.len().min(bytes.len());
            let (now, rest) = bytes.split_at(count);
            room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            self.filled(count);
            bytes = rest;
        }
    }

    /// Puts these bytes before the others.
    pub(super) fn put_back(&mut self, bytes: BytesMut) {
        let mut all = Vec::from(bytes);
        all.extend_from_slice(self.bytes());
        self.set(all);
    }

    /// Holds these bytes and no others.
    pub(super) fn set(&mut self, bytes: Vec<u8>) {
        *self = Self { end: bytes.len(), heap: bytes, ..Self::default() };
    }

    /// Where to write what comes next, so that there are no more than `most` bytes. It is empty only if there are as many.
    pub(super) fn room(&mut self, most: usize) -> &mut [u8] {
        let length = self.len();
        if length < most && self.end == self.capacity() {
            self.grow(most);
        }
        let end = self.capacity().min(self.start + most);
        let all = match &mut self.pages {
            Some(pages) => &mut **pages,
            None => &mut self.heap,
        };
        all.get_mut(self.end..end).unwrap_or_default()
    }

    /// Notes that so many bytes of the room have been written.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.capacity().min(self.end + count);
    }

    fn capacity(&self) -> usize {
        self.pages.as_deref().map_or(self.heap.len(), <[u8]>::len)
    }

    fn grow(&mut self, most: usize) {
        let length = self.len();
        let wanted = most.min(SMALL.max(length * 2));
        let mut grown = Self { end: length, ..Self::default() };
        // Where the system has no pages to give, the heap does.
        grown.pages = if wanted > SMALL { MmapMut::map_anon(most.saturating_add(SLACK)).ok() } else { None };
        match &mut grown.pages {
            Some(pages) => pages.iter_mut().zip(self.bytes()).for_each(|(to, from)| *to = *from),
            None => {
                grown.heap = Vec::with_capacity(wanted);
                grown.heap.extend_from_slice(self.bytes());
                grown.heap.resize(wanted, 0);
            }
        }
        *self = grown;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn much_is_held_in_pages_of_its_own() {
        let mut held = Held::default();
        held.push(&[b'a'; SMALL]);
        assert!(held.pages.is_none());
        let room = held.room(64 * 1024);
        assert_eq!(room.len(), 56 * 1024);
        room[0] = b'b';
        held.filled(1);
        assert!(held.pages.is_some() && held.heap.is_empty());
        assert_eq!(held.bytes(), [&[b'a'; SMALL][..], b"b"].concat());
    }

    proptest! {
        /// A vector is the oracle.
        #[test]
        fn it_holds_what_was_put_in(steps in prop::collection::vec((0..5_u8, 0..6_000_usize), 0..12)) {
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
                    _ => {
                        held.put_back(BytesMut::from(&bytes[..]));
                        expected.splice(..0, bytes);
                    }
                }
                prop_assert_eq!(held.bytes(), &expected);
                let most = expected.len() + count;
                let room = held.room(most).len();
                prop_assert!(room <= count && (room > 0 || count == 0), "{} of {}", room, count);
            }
        }
    }
}

//! Keeps the upstream's `Date` on its way to the client (RFC 9110 section 6.6.1): caches compute a response's age from it.
//!
//! Pingora's session writes its own into every header. So the upstream's is not passed to the session, and replaces Pingora's
//! when the header is written.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// Bytes of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`. Senders must not use the two other forms (RFC 9110 section 5.6.7).
const LENGTH: usize = 29;
const WORDS: usize = 4;
const FIELD: &[u8] = b"\r\nDate: ";
/// What Pingora writes behind it.
const ENDS: [&[u8]; 2] = [b"\r\nConnection: keep-alive\r\n\r\n", b"\r\nConnection: close\r\n\r\n"];

/// The date for the header that is written next. One task uses it, so plain loads and stores do.
#[derive(Debug, Default)]
pub(in crate::proxy) struct KeptDate([AtomicU64; WORDS]);

impl KeptDate {
    /// None, or what is not a date: Pingora's is told.
    pub(in crate::proxy) fn set(&self, date: Option<&HeaderValue>) {
        let mut bytes = [0; WORDS * 8];
        if let (Some(date), Some(place)) = (date.map(HeaderValue::as_bytes).filter(|date| is_date(date)), bytes.get_mut(..LENGTH)) {
            place.copy_from_slice(date);
        }
        let (words, _) = bytes.as_chunks::<8>();
        for (word, bytes) in self.0.iter().zip(words) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.first().is_some_and(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Puts it into this header, once.
    pub(super) fn put_into(&self, header: &mut [u8]) {
        let mut bytes = [0; WORDS * 8];
        let (words, _) = bytes.as_chunks_mut::<8>();
        for (word, bytes) in self.0.iter().zip(words) {
            *bytes = word.swap(0, Ordering::Relaxed).to_le_bytes();
        }
        if let (Some(place), Some(date)) = (place(header), bytes.get(..LENGTH)) {
            place.copy_from_slice(date);
        }
    }
}

fn is_date(bytes: &[u8]) -> bool {
    bytes.len() == LENGTH && bytes.get(3) == Some(&b',') && bytes.ends_with(b" GMT")
}

/// Where Pingora has put its own.
fn place(header: &mut [u8]) -> Option<&mut [u8]> {
    let end = ENDS.iter().find(|end| header.ends_with(end))?;
    let end = header.len() - end.len();
    let (before, place) = header.get_mut(..end)?.split_at_mut_checked(end.checked_sub(LENGTH)?)?;
    before.ends_with(FIELD).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINGORAS: &str = "Sun, 29 Nov 2026 20:46:00 GMT";
    const UPSTREAMS: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn told(kept: &KeptDate, connection: &str) -> String {
        let mut header = format!("HTTP/1.1 200 OK\r\nX: y\r\nDate: {PINGORAS}\r\n{connection}\r\n\r\n").into_bytes();
        kept.put_into(&mut header);
        String::from_utf8(header).unwrap()
    }

    #[test]
    fn it_takes_the_place_of_pingoras_once() {
        let kept = KeptDate::default();
        for connection in ["Connection: keep-alive", "Connection: close"] {
            kept.set(Some(&HeaderValue::from_static(UPSTREAMS)));
            assert!(kept.is_set());
            assert!(told(&kept, connection).contains(&format!("\r\nDate: {UPSTREAMS}\r\n")));
            assert!(!kept.is_set());
        }
        assert!(!kept.is_set());
    }

    #[test]
    fn what_is_no_date_is_not_told() {
        let kept = KeptDate::default();
        for other in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "-1", "Sun, 06 Nov 1994 08:49:37 CET"] {
            kept.set(Some(&HeaderValue::from_static(UPSTREAMS)));
            kept.set(Some(&HeaderValue::from_static(other)));
            assert!(!kept.is_set(), "{other}");
        }
        kept.set(Some(&HeaderValue::from_static(UPSTREAMS)));
        kept.set(None);
        assert!(!kept.is_set());
    }

    #[test]
    fn a_header_of_another_form_stays_as_it_is() {
        for header in ["", "\r\n\r\n", "Date: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
            let kept = KeptDate::default();
            kept.set(Some(&HeaderValue::from_static(UPSTREAMS)));
            let mut bytes = header.as_bytes().to_vec();
            kept.put_into(&mut bytes);
            assert_eq!(bytes, header.as_bytes());
        }
    }
}

//! Finds a token where it should not be, in any encoding.

use std::{borrow::Cow, fmt};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use memchr::{memmem, memrchr};
use percent_encoding::percent_decode;

/// What a token leaves behind: its signature, without which it is worth nothing, as it is and as it looks within base64.
pub(in crate::proxy) struct Trace<'a> {
    signature: &'a [u8],
}

impl fmt::Debug for Trace<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Trace").finish_non_exhaustive()
    }
}

impl<'a> Trace<'a> {
    /// None for what is too short to be a token: it would be found everywhere.
    pub(in crate::proxy) fn of(token: &'a [u8]) -> Option<Self> {
        /// The shortest signature, that of HS256, has 43.
        const SHORTEST: usize = 24;
        let last = memrchr(b'.', token).and_then(|dot| token.get(dot + 1..)).unwrap_or(token);
        let signature = if last.len() >= SHORTEST { last } else { token };
        (signature.len() >= SHORTEST).then_some(Self { signature })
    }

    /// Bytes of a text that is long enough to hold it.
    pub(in crate::proxy) fn shortest_text(&self) -> usize {
        self.signature.len()
    }

    /// Whether a text holds it: as it is, in base64 of either alphabet, or percent-encoded up to three times around that.
    pub(in crate::proxy) fn is_in(&self, text: &[u8]) -> bool {
        /// Servers decode once or twice.
        const ROUNDS: usize = 4;
        if text.len() < self.shortest_text() {
            return false;
        }
        let encoded = [0, 1, 2].map(|before| within_base64(self.signature, before));
        let mut text = Cow::Borrowed(text);
        for _ in 0..ROUNDS {
            let mut needles = std::iter::once(self.signature).chain(encoded.iter().flatten().map(Vec::as_slice));
            if needles.any(|needle| memmem::find(&text, needle).is_some()) {
                return true;
            }
            if !text.contains(&b'%') {
                return false;
            }
            text = Cow::Owned(percent_decode(&text).collect());
        }
        false
    }
}

/// How base64 shows these bytes, in either alphabet, when so many bytes modulo three stand before them: without the characters at
/// both ends that depend on what stands around.
fn within_base64(bytes: &[u8], before: usize) -> [Vec<u8>; 2] {
    let padded = [&[0; 2][..before.min(2)], bytes].concat();
    [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|engine| {
        let text = engine.encode(&padded).into_bytes();
        // Each character holds six bits.
        let (start, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        text.get(start..end).unwrap_or_default().to_vec()
    })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str =
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.x3JJHMbDL1EzLkh9GBhXDw-x3JJHMbDL1EzLkh9GBhXDw_x3JJHMbDL1EzLkh9GBhXDwAAAAAAAAAA";

    fn holds(text: impl AsRef<[u8]>) -> bool {
        Trace::of(TOKEN.as_bytes()).unwrap().is_in(text.as_ref())
    }

    #[test]
    fn a_short_text_is_no_token() {
        for token in ["", "a", "garbage", "a.b.c", "{\"a\":1}"] {
            assert!(Trace::of(token.as_bytes()).is_none(), "{token}");
        }
        assert!(Trace::of(b"long enough to be recognised.x").is_some());
        // Of what is long enough behind the last dot, that alone is the trace.
        for (token, length) in
            [("a.b.123456789012345678901234", 24), ("a.b.12345678901234567890123", 27), ("123456789012345678901234", 24)]
        {
            let trace = Trace::of(token.as_bytes()).unwrap();
            assert_eq!(trace.shortest_text(), length, "{token}");
            assert!(trace.is_in(&token.as_bytes()[token.len() - length..]), "{token}");
        }
        assert_eq!(format!("{:?}", Trace::of(TOKEN.as_bytes()).unwrap()), "Trace { .. }");
    }

    #[test]
    fn what_holds_none_does_not() {
        for text in [
            "",
            "/",
            "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA",
            &TOKEN[..TOKEN.len() - 1],
            &STANDARD.encode(&TOKEN[..TOKEN.len() - 3]),
            &URL_SAFE_NO_PAD.encode(&TOKEN[..TOKEN.len() - 3]),
            &"%41".repeat(1_000),
            &"A".repeat(1_000),
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_found_in_every_encoding(before in "[ -~]{0,9}", after in "[ -~]{0,9}", times in 0_usize..4, how in 0..4) {
            let text = format!("{before}{TOKEN}{after}");
            let mut text = match how {
                0 => text,
                1 => URL_SAFE_NO_PAD.encode(text),
                2 => STANDARD.encode(text),
                _ => format!("{before}{}", STANDARD.encode(format!("{{\"authToken\":\"{TOKEN}\"}}"))),
            };
            for _ in 0..times {
                text = percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
            }
            prop_assert!(holds(&text), "{text}");
        }

        #[test]
        fn whatever_stands_there_is_survived(token: Vec<u8>, text: Vec<u8>) {
            if let Some(trace) = Trace::of(&token) {
                let _ = trace.is_in(&text);
            }
        }
    }
}

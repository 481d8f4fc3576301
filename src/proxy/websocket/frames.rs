//! WebSocket frames (RFC 6455 section 5), as far as a tunnel needs them: where one ends, and the few that the gateway sends
//! itself.
//!
//! Pure. A control frame may come between any two frames, also within a fragmented message, but never inside a frame. So a
//! tunnel that sends its own frames must know where the relayed ones end.

/// Follows the frames in one direction of a tunnel.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct FrameTracker {
    /// The header of the current frame, as far as it has come.
    header: [u8; MAX_HEADER_BYTES],
    header_bytes: usize,
    /// Bytes of the payload that are still to come, once the header is complete.
    payload_left: u64,
    /// Whether a Close has begun. Nothing is to follow it in its direction.
    has_closed: bool,
}

/// The opcode of a Close (RFC 6455 section 5.2).
const CLOSE: u8 = 0x8;
/// Two bytes, eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;

impl FrameTracker {
    /// Whether the last byte seen was the last of a frame, or none was seen yet.
    pub(in crate::proxy) fn is_between_frames(&self) -> bool {
        self.header_bytes == 0
    }

    /// Whether a Close was among what came, or is in progress.
    pub(in crate::proxy) fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Takes note of bytes that are passed on.
    pub(in crate::proxy) fn follow(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = rest.get(self.step(rest)..).unwrap_or_default();
        }
    }

    /// How many of these bytes belong to the frame in progress; 0 between frames.
    pub(in crate::proxy) fn rest_of_frame(&self, bytes: &[u8]) -> usize {
        let mut ahead = self.clone();
        let mut count = 0;
        while !ahead.is_between_frames() && count < bytes.len() {
            count += ahead.step(bytes.get(count..).unwrap_or_default());
        }
        count
    }

    /// Takes one byte of a header, or as much of the payload as there is; returns how many bytes that was.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.payload_left > 0 {
            let taken = bytes.len().min(usize::try_from(self.payload_left).unwrap_or(usize::MAX));
            self.payload_left -= taken as u64;
            if self.payload_left == 0 {
                self.header_bytes = 0;
            }
            return taken;
        }
        let (Some(byte), Some(slot)) = (bytes.first(), self.header.get_mut(self.header_bytes)) else { return bytes.len().max(1) };
        *slot = *byte;
        self.has_closed |= self.header_bytes == 0 && byte & 0x0f == CLOSE;
        self.header_bytes += 1;
        if self.header_bytes == self.header_length() {
            self.payload_left = self.payload_length();
            if self.payload_left == 0 {
                self.header_bytes = 0;
            }
        }
        1
    }

    /// Length of the header, as far as its first two bytes tell.
    fn header_length(&self) -> usize {
        if self.header_bytes < 2 {
            return MAX_HEADER_BYTES;
        }
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + mask
    }

    fn payload_length(&self) -> u64 {
        let [_, short, b2, b3, b4, b5, b6, b7, b8, b9, ..] = self.header;
        match short & 0x7f {
            126 => u64::from(u16::from_be_bytes([b2, b3])),
            127 => u64::from_be_bytes([b2, b3, b4, b5, b6, b7, b8, b9]),
            length => u64::from(length),
        }
    }
}

/// Who a frame is for: what goes to a server is masked (RFC 6455 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    /// The client: unmasked.
    Client,
    /// The upstream: masked. The mask hides nothing that the gateway says, so a fixed one does.
    Upstream,
}

/// A Close frame with a status code (RFC 6455 section 7.4) and a short reason.
pub(in crate::proxy) fn close(code: u16, reason: &str, towards: Towards) -> Vec<u8> {
    /// Payload of a control frame less the code.
    const MAX_REASON_BYTES: usize = 123;
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.bytes().take(MAX_REASON_BYTES));
    control(0x88, &payload, towards)
}

/// An empty Ping.
pub(super) fn ping(towards: Towards) -> Vec<u8> {
    control(0x89, &[], towards)
}

fn control(opcode: u8, payload: &[u8], towards: Towards) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x2e];
    let length = u8::try_from(payload.len()).unwrap_or(125);
    match towards {
        Towards::Client => [&[opcode, length], payload].concat(),
        Towards::Upstream => {
            let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            [opcode, length | 0x80].into_iter().chain(MASK).chain(masked).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..=125 => frame.push(mask_bit | length as u8),
            126..=0xffff => {
                frame.push(mask_bit | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask_bit | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0xff, if masked { 4 } else { 0 } + length));
        frame
    }

    #[test]
    fn every_length_form_ends_where_it_ends() {
        for length in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, 0x2_0000] {
            for masked in [false, true] {
                let frame = frame(length, masked);
                let mut tracker = FrameTracker::default();
                tracker.follow(&frame[..frame.len() - 1]);
                assert!(!tracker.is_between_frames(), "{length} {masked}");
                assert_eq!(tracker.rest_of_frame(&[frame[frame.len() - 1], 0x82, 0x00]), 1);
                tracker.follow(&frame[frame.len() - 1..]);
                assert!(tracker.is_between_frames(), "{length} {masked}");
            }
        }
    }

    #[test]
    fn between_frames_nothing_belongs_to_the_one_before() {
        assert_eq!(FrameTracker::default().rest_of_frame(&[0x82, 0x01, 0x00]), 0);
    }

    #[test]
    fn a_close_says_its_code_to_both_sides() {
        assert_eq!(close(1008, "", Towards::Client), [0x88, 0x02, 0x03, 0xf0]);
        let masked = close(1008, "", Towards::Upstream);
        assert_eq!(masked[..2], [0x88, 0x82]);
        let mask = &masked[2..6];
        assert_eq!([masked[6] ^ mask[0], masked[7] ^ mask[1]], [0x03, 0xf0]);
        assert_eq!(ping(Towards::Client), [0x89, 0x00]);
    }

    proptest! {
        #[test]
        fn frames_cut_anywhere_are_followed_alike(lengths in prop::collection::vec(0_usize..70_000, 1..5), masked: bool, cut in 1_usize..5_000) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| frame(*length, masked)).collect();
            let mut tracker = FrameTracker::default();
            for piece in bytes.chunks(cut) {
                tracker.follow(piece);
            }
            prop_assert!(tracker.is_between_frames());
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut tracker = FrameTracker::default();
            tracker.follow(&bytes);
            prop_assert!(tracker.rest_of_frame(&bytes) <= bytes.len());
        }
    }
}

//! Frames cut anywhere, against a parser that sees all bytes at once.

use crate::proxy::websocket::FrameTracker;

/// A frame in a text: where it begins and ends, and its opcode. The last one may end behind the text.
struct Frame {
    start: u128,
    end: u128,
    opcode: u8,
}

/// Follows the frames behind the first two bytes of an input, which say how they are cut.
///
/// # Errors
/// What a plain parser of the whole sees otherwise, and where.
pub fn hold_frames(input: &[u8]) -> Result<(), String> {
    let [first, second, bytes @ ..] = input else { return Ok(()) };
    let frames = frames_of(bytes);
    let close = frames.iter().find(|frame| frame.opcode == 8).map(|frame| frame.start);
    let (mut tracker, mut at, mut size) = (FrameTracker::default(), 0_usize, usize::from(*first));
    loop {
        // Frames follow one another; there may be as many as half the bytes, and a look at each byte.
        let next = frames.partition_point(|frame| frame.end <= at as u128);
        let under_way = frames.get(next).filter(|frame| frame.start < at as u128);
        let has_closed = close.is_some_and(|close| close < at as u128);
        if tracker.is_between_frames() != under_way.is_none() || tracker.has_closed() != has_closed {
            return Err(format!("{at}: between frames {}, closed {}", tracker.is_between_frames(), tracker.has_closed()));
        }
        let ahead = bytes.get(at..).unwrap_or_default();
        let left = under_way.map_or(0, |frame| frame.end - at as u128).min(ahead.len() as u128);
        if tracker.rest_of_frame(ahead) as u128 != left {
            return Err(format!("{at}: {} bytes of the frame are left, not {left}", tracker.rest_of_frame(ahead)));
        }
        if ahead.is_empty() {
            return Ok(());
        }
        // Another size each time, nothing among them.
        let piece = ahead.get(..size.min(ahead.len())).unwrap_or_default();
        tracker.follow(piece);
        at += piece.len();
        size = (size + usize::from(*second) + usize::from(piece.is_empty())) % 300;
    }
}

/// RFC 6455 section 5.2, for people.
fn frames_of(bytes: &[u8]) -> Vec<Frame> {
    let (mut frames, mut at) = (Vec::new(), 0_usize);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(first) = rest.first() else { return frames };
        // A header that has not come whole ends behind the text.
        let payload = |range: std::ops::Range<usize>| {
            rest.get(range).map(|bytes| bytes.iter().fold(0_u128, |length, byte| (length << 8) | u128::from(*byte)))
        };
        let length = match rest.get(1).map(|second| second & 0x7f) {
            None => None,
            Some(126) => payload(2..4).map(|length| 4 + length),
            Some(127) => payload(2..10).map(|length| 10 + length),
            Some(short) => Some(2 + u128::from(short)),
        };
        let mask = if rest.get(1).is_some_and(|second| second & 0x80 != 0) { 4 } else { 0 };
        let end = length.map_or(u128::MAX, |length| at as u128 + length + mask);
        frames.push(Frame { start: at as u128, end, opcode: first & 0x0f });
        match usize::try_from(end).ok().filter(|end| *end <= bytes.len()) {
            Some(next) => at = next,
            None => return frames,
        }
    }
}

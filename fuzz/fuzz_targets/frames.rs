//! Frames of a WebSocket, cut anywhere: the tunnel sees the same ones as a plain parser of the whole.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_frames(input) {
    panic!("{wrong}");
});

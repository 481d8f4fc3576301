//! An upstream's answer: cut anywhere it means the same, and which bytes are its body and when it ends is what hyper's client says.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| syncgate_fuzz::answer::hold(input));

//! A header of the PROXY protocol: it ends where it says, and what is behind it counts for nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| if let Err(wrong) = syncgate::fuzzing::hold_proxy_header(input) {
    panic!("{wrong}");
});

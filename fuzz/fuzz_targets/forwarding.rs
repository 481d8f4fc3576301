//! A header: no spelling of what a client may not say reaches a backend, and all the rest does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use syncgate_fuzz::forwarding;

fuzz_target!(|header: &[u8]| forwarding::hold(header));

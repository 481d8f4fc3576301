//! A host and a target: no server reads it as what a route guards that was not asked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use syncgate_fuzz::request_target;

fuzz_target!(|data: &[u8]| request_target::hold(data));

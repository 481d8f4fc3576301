//! Bytes as a config file: an answer in bounded time, and what is accepted means the same when it is printed and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| assert_eq!(syncgate::fuzzing::hold_config(bytes), Ok(())));

//! The line that summarises refusals without one.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use super::{AccessLogFormat, LeftOut};
use crate::proxy::serve::log_time;

/// Appends it. Reasons are words of ours, so nothing has to be escaped.
pub(super) fn write(left_out: &LeftOut, format: AccessLogFormat, at: SystemTime, out: &mut Vec<u8>) -> io::Result<()> {
    let reasons = |separator: &str, quote: &str| {
        let each = left_out.by_reason().iter().map(|(reason, count)| format!("{quote}{reason}{quote}{separator}{count}"));
        each.collect::<Vec<_>>()
    };
    let count = left_out.count();
    match format {
        AccessLogFormat::Json => {
            out.extend_from_slice(br#"{"timestamp":""#);
            log_time::write(at, out);
            out.extend_from_slice(br#"","level":"INFO","message":"refusals without a line","left_out":"#);
            writeln!(out, "{count},\"reasons\":{{{}}},\"target\":\"syncgate::access\"}}", reasons(":", "\"").join(","))
        }
        AccessLogFormat::Text => {
            log_time::write(at, out);
            writeln!(out, "  INFO syncgate::access: refusals without a line left_out={count} {}", reasons("=", "").join(" "))
        }
    }
}

//! [`Life`]: from when until when a certificate is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{certificate::X509Certificate, time::ASN1Time};

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Life {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { not_before: time_of(validity.not_before), not_after: time_of(validity.not_after) }
    }
}

/// Dates before 1970 become that.
pub(super) fn time_of(date: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(date.timestamp()).unwrap_or_default())
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// As people write it: `2026-11-30T12:00:00Z`.
pub(super) fn shown(time: SystemTime) -> String {
    let date = OffsetDateTime::from_unix_timestamp(seconds(time)).ok();
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{} s after 1970", seconds(time)))
}

//! A provider's response: its content and its `Date` compared with our clock. Pure except for decompressing a body.

use std::{
    io::Read as _,
    time::{Duration, SystemTime},
};

use flate2::read::GzDecoder;
use http::{HeaderMap, header};

use super::printable::printable;

/// The mark that some editors and servers put before UTF-8 (RFC 8259 section 8.1: parsers may ignore it).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a body cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unpacked {
    /// More bytes than a document may have.
    TooLarge,
    /// In words.
    Unreadable(String),
}

/// The body without its coding and its byte order mark. gzip is decompressed, though it is not requested: files in a bucket are
/// stored like that.
pub(super) fn unpack(headers: &HeaderMap, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Unpacked> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let codings = codings.collect::<Vec<_>>().join(",").to_ascii_lowercase();
    let mut body = match codings.trim() {
        "" | "identity" => body,
        "gzip" | "x-gzip" => {
            let mut plain = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            let unpacked = GzDecoder::new(body.as_slice()).take(most).read_to_end(&mut plain);
            unpacked.map_err(|error| Unpacked::Unreadable(format!("the response is labelled gzip but is not: {error}")))?;
            if plain.len() > limit {
                return Err(Unpacked::TooLarge);
            }
            plain
        }
        other => {
            let text =
                format!("the response has Content-Encoding: {}; none was requested, and only gzip is supported", printable(other));
            return Err(Unpacked::Unreadable(text));
        }
    };
    if body.starts_with(BYTE_ORDER_MARK) {
        body.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(body)
}

/// What was received instead of a JSON object, as readable text; none if it begins like one.
pub(super) fn other_than_object(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    const SHOWN: usize = 60;
    let start = body.trim_ascii_start();
    if start.first() == Some(&b'{') {
        return None;
    }
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let kind = content_type.map_or_else(|| "a response without a Content-Type".to_owned(), |text| printable(&text));
    if start.is_empty() {
        return Some(format!("{kind}, with an empty body"));
    }
    let shown = String::from_utf8_lossy(start.get(..SHOWN).unwrap_or(start));
    Some(format!("{kind} that begins with {}", printable(&shown)))
}

/// How far our clock is ahead of the one that the answer was dated by, in seconds; negative: behind. None without a date. The request was
/// sent and the answer had at these times of ours.
///
/// A date has whole seconds, so half of one is uncertain, and half of the time that the answer took. What a cache has kept is as old as it
/// says (`Age`, RFC 9111 section 5.1).
pub(super) fn clock_skew(headers: &HeaderMap, sent: SystemTime, had: SystemTime) -> Option<f64> {
    const HALF_A_SECOND: Duration = Duration::from_millis(500);
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let age = text(header::AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    let dated = httpdate::parse_http_date(text(header::DATE)?.trim()).ok()?;
    let theirs = dated.checked_add(Duration::from_secs(age))?.checked_add(HALF_A_SECOND)?;
    let ours = sent.checked_add(had.duration_since(sent).unwrap_or_default() / 2)?;
    Some(match ours.duration_since(theirs) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked_within_the_limit_and_a_byte_order_mark_is_skipped() {
        let coded = headers(&[(header::CONTENT_ENCODING, "GZip")]);
        assert_eq!(unpack(&coded, gzip(b"\xef\xbb\xbf{}"), 10), Ok(b"{}".to_vec()));
        assert_eq!(unpack(&coded, gzip(&[b'x'; 10]), 10), Ok(vec![b'x'; 10]));
        assert_eq!(unpack(&coded, gzip(&vec![b'x'; 100_000_000]), 10), Err(Unpacked::TooLarge));
        assert!(matches!(unpack(&coded, b"{}".to_vec(), 10), Err(Unpacked::Unreadable(text)) if text.contains("gzip but is not")));
        let brotli = headers(&[(header::CONTENT_ENCODING, "br")]);
        assert!(
            matches!(unpack(&brotli, Vec::new(), 10), Err(Unpacked::Unreadable(text)) if text.contains("Content-Encoding: br;"))
        );
        assert_eq!(unpack(&headers(&[]), b"\xef\xbb\xbf{}".to_vec(), 10), Ok(b"{}".to_vec()));
    }

    #[test]
    fn what_is_no_object_is_told_by_its_type_and_its_first_letters() {
        let html = headers(&[(header::CONTENT_TYPE, "text/html; charset=utf-8")]);
        let page = "\n<!doctype html><title>Please sign in\u{1b}[2J</title>".to_owned() + &"x".repeat(1_000);
        let told = other_than_object(&html, page.as_bytes()).unwrap();
        assert_eq!(
            told,
            "text/html; charset=utf-8 that begins with <!doctype html><title>Please sign in\\u{1b}[2J</title>xxxxxxxxxxxx"
        );
        assert_eq!(other_than_object(&html, b" ").unwrap(), "text/html; charset=utf-8, with an empty body");
        assert_eq!(other_than_object(&headers(&[]), b"[]").unwrap(), "a response without a Content-Type that begins with []");
        assert_eq!(other_than_object(&html, b" {"), None);
    }

    #[test]
    fn the_clock_of_a_provider_is_read_from_its_date() {
        let noon = httpdate::parse_http_date("Sun, 06 Nov 1994 12:00:00 GMT").unwrap();
        let seconds = Duration::from_secs;
        let skew = |lines: &[(header::HeaderName, &'static str)]| clock_skew(&headers(lines), noon, noon + seconds(1));
        let date = |value| (header::DATE, value);
        assert_eq!(skew(&[date("Sun, 06 Nov 1994 12:00:00 GMT")]), Some(0.0));
        assert_eq!(skew(&[date("Sun, 06 Nov 1994 12:10:00 GMT")]), Some(-600.0));
        assert_eq!(skew(&[date("Sun, 06 Nov 1994 11:50:00 GMT")]), Some(600.0));
        assert_eq!(skew(&[date("Sun, 06 Nov 1994 11:50:00 GMT"), (header::AGE, "600")]), Some(0.0), "a cache has kept it");
        for none in ["", "yesterday", "0"] {
            assert_eq!(skew(&[date(none)]), None, "{none}");
        }
        assert_eq!(skew(&[date("Sun, 06 Nov 1994 12:00:00 GMT"), (header::AGE, "18446744073709551615")]), None);
        assert_eq!(skew(&[]), None);
    }
}

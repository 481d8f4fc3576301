//! Servers that no test can start here, by their sources or documentation.

use super::steps::{decode, decode_all, is_well_escaped, merge_slashes, resolve, until};

/// `UrlDecoder` decodes all but `%2f`, then `PathNormalizer` removes dots.
pub fn kestrel(target: &[u8]) -> Vec<Vec<u8>> {
    vec![resolve(&decode(until(target, b"?"), |byte| byte != b'/'))]
}

/// `%XX` and `%uXXXX` decoded, `\` for `/`, slashes merged, dots resolved, dots and spaces at the end of a name dropped.
pub fn http_sys(target: &[u8]) -> Vec<Vec<u8>> {
    let decoded = super::frameworks::decode_with_u(until(target, b"?"));
    let slashes: Vec<u8> = decoded.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    let path = resolve(&merge_slashes(&slashes));
    let trimmed = |segment: &[u8]| segment.iter().rposition(|byte| !b". ".contains(byte)).map_or(0, |last| last + 1);
    let short: Vec<&[u8]> = path.split(|byte| *byte == b'/').map(|segment| &segment[..trimmed(segment)]).collect();
    vec![short.join(&b'/'), path]
}

/// Parameters dropped, decoded, `\` for `/`, slashes merged, dots resolved.
pub fn tomcat(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?");
    if !is_well_escaped(path) {
        return Vec::new();
    }
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').map(|segment| until(segment, b";")).collect();
    let decoded = decode_all(&segments.join(&b'/'));
    let slashes: Vec<u8> = decoded.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    vec![resolve(&merge_slashes(&slashes))]
}

/// Taken apart, then decoded; a path that begins with empty segments is one without them.
pub fn mochiweb(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    let decoded = decode_all(path);
    vec![merge_slashes(&decoded), decoded]
}

/// What a proxy hands on decoded is decoded once more, with slashes and dots seen to each time.
pub fn decoded_twice(target: &[u8]) -> Vec<Vec<u8>> {
    let once = resolve(&merge_slashes(&decode_all(until(target, b"?#"))));
    let twice = resolve(&merge_slashes(&decode_all(until(&once, b"?#"))));
    vec![twice]
}

//! Web servers and proxies.

use super::steps::{
    decode, decode_all, escape, has_control, is_unreserved, is_well_escaped, latin1, merge_slashes, resolve, resolve_below_root,
    until,
};

/// The path is what was sent.
pub fn verbatim(target: &[u8]) -> Vec<Vec<u8>> {
    vec![until(target, b"?").to_vec(), until(target, b"?#").to_vec()]
}

/// `ngx_http_parse_complex_uri`: decoded once, then slashes and dots.
pub fn nginx(target: &[u8], merges: bool) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    if has_control(target) || !is_well_escaped(path) {
        return Vec::new();
    }
    let decoded = decode_all(path);
    if decoded.contains(&0) {
        return Vec::new();
    }
    let merged = if merges { merge_slashes(&decoded) } else { decoded };
    resolve_below_root(&merged).into_iter().collect()
}

/// What becomes of `%2f`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum EncodedSlashes {
    Refused,
    Decoded,
    Left,
}

/// `ap_process_request_internal`: unreserved characters decoded, slashes and dots, then the rest decoded.
pub fn apache(target: &[u8], slashes: EncodedSlashes) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    if has_control(target) || target.contains(&b' ') || !is_well_escaped(path) {
        return Vec::new();
    }
    let tidy = |path: &[u8]| {
        let merged = if slashes == EncodedSlashes::Left { path.to_vec() } else { merge_slashes(path) };
        resolve_below_root(&merged)
    };
    // Of slashes at the beginning one is left in any case.
    let start = path.iter().take_while(|byte| **byte == b'/').count().saturating_sub(1);
    let Some(path) = tidy(&decode(&path[start..], is_unreserved)) else { return Vec::new() };
    let has = |byte: u8| (0..path.len()).any(|index| escape(&path[index..]) == Some(byte));
    if has(0) || (has(b'/') && slashes == EncodedSlashes::Refused) {
        return Vec::new();
    }
    match slashes {
        EncodedSlashes::Refused => vec![decode_all(&path)],
        EncodedSlashes::Decoded => vec![resolve(&merge_slashes(&decode_all(&path)))],
        EncodedSlashes::Left => {
            let left = decode(&path, |byte| byte != b'/');
            // `<Location>` merges them all the same.
            vec![merge_slashes(&left), left]
        }
    }
}

/// Go's `url.ParseRequestURI`, and Caddy's matcher: in small letters, cleaned, without dots and spaces at the end.
pub fn caddy(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?");
    if has_control(target) || !is_well_escaped(path) {
        return Vec::new();
    }
    let decoded = decode_all(path);
    // U+0130 alone becomes an ASCII letter.
    let small = |text: &[u8]| {
        let Ok(text) = str::from_utf8(text) else { return text.to_ascii_lowercase() };
        text.chars()
            .map(|letter| if letter == '\u{130}' { 'i' } else { letter.to_lowercase().next().unwrap_or(letter) })
            .collect::<String>()
            .into_bytes()
    };
    let lower = small(&decoded);
    let end = lower.iter().rposition(|byte| !b". ".contains(byte)).map_or(0, |last| last + 1);
    let cleaned = resolve(&merge_slashes(&lower[..end]));
    let without_slash = cleaned.strip_suffix(b"/").unwrap_or(&cleaned).to_vec();
    vec![decoded, lower.clone(), resolve(&merge_slashes(&lower)), cleaned, without_slash]
}

pub fn haproxy_decoded(target: &[u8]) -> Vec<Vec<u8>> {
    verbatim(target).into_iter().filter(|path| is_well_escaped(path)).map(|path| decode_all(&path)).collect()
}

/// Its `normalize-uri` in the order of the test's settings.
pub fn haproxy_normalised(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    let decoded = decode(path, is_unreserved);
    vec![merge_slashes(&resolve(&decoded)), merge_slashes(&resolve(&merge_slashes(&decoded)))]
}

/// `burl_normalize` with the default options, then decoded and simplified.
pub fn lighttpd(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    let decoded = decode_all(path);
    if has_control(&decoded) {
        return Vec::new();
    }
    vec![resolve(&merge_slashes(&decoded))]
}

/// Chromium's `CanonicalizePath`: unreserved characters decoded, `\` for `/`, dots resolved.
pub fn envoy(target: &[u8], unescapes: bool) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    let path = if unescapes { decode(path, |byte| b"/\\".contains(&byte)) } else { path.to_vec() };
    let path = decode(&path, is_unreserved);
    let with_slashes = |path: &[u8]| path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect::<Vec<u8>>();
    // Dots with parameters are dots; those go on up to a slash of its own kind.
    let bare = |segment: &'_ [u8]| match until(segment, b";") {
        dots @ (b"." | b"..") => dots.to_vec(),
        _ => segment.to_vec(),
    };
    let bare: Vec<Vec<u8>> = path.split(|byte| *byte == b'/').map(bare).collect();
    // What has no place in a path is escaped.
    let escaped = |byte: &u8| if byte.is_ascii_graphic() { latin1(&[*byte]) } else { format!("%{byte:02X}") };
    let tidy = |path: &[u8]| {
        let path = resolve(path);
        let path = if unescapes { merge_slashes(&path) } else { path };
        [path.iter().map(escaped).collect::<String>().into_bytes(), path]
    };
    [tidy(&with_slashes(&path)), tidy(&with_slashes(&bare.join(&b'/')))].concat()
}

//! Frameworks, and the servers of their languages.

use url::Url;

use super::steps::{decode, decode_all, is_well_escaped, latin1, merge_slashes, replaced, resolve, until, without_broken};

/// The path is what was sent; with a fragment, what `url.parse` makes of it.
pub fn verbatim(target: &[u8]) -> Vec<Vec<u8>> {
    let mut paths = super::proxies::verbatim(target);
    paths.push(with_slashes(until(target, b"?#")));
    paths
}

/// `/` for each `\`.
fn with_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

/// Dots resolved as the WHATWG's standard does, without regard to what the crate takes for a drive.
fn without_dots(target: &[u8]) -> Vec<u8> {
    resolve(&decode(&with_slashes(until(target, b"?#")), |byte| byte == b'.'))
}

/// The path of a URL, by the WHATWG's standard.
fn path_of(url: Option<Url>) -> Vec<Vec<u8>> {
    url.map(|url| url.path().as_bytes().to_vec()).into_iter().collect()
}

pub fn node_url(target: &[u8]) -> Vec<Vec<u8>> {
    // By the standard ("special authority ignore slashes") further slashes before a host are passed over; the crate sees an empty host.
    let slashes = target.iter().take_while(|byte| b"/\\\t\r".contains(byte)).count();
    let is_authority = target[..slashes].iter().filter(|byte| b"/\\".contains(byte)).count() > 1;
    let target = if is_authority { [b"//", &target[slashes..]].concat() } else { target.to_vec() };
    let mut paths = path_of(Url::parse("http://localhost").and_then(|base| base.join(&latin1(&target))).ok());
    if !is_authority {
        paths.push(without_dots(&target));
    }
    paths
}

pub fn node_url_decoded(target: &[u8]) -> Vec<Vec<u8>> {
    node_url(target).into_iter().filter(|path| is_well_escaped(path)).map(|path| decode_all(&path)).collect()
}

/// What `url.parse` escapes by itself.
const ESCAPED: &[u8] = b"\t\n\r \"'<>\\^`{|}";

pub fn node_url_legacy(target: &[u8]) -> Vec<Vec<u8>> {
    let before_query = until(target, b"?").len();
    let mut text = target.to_vec();
    for byte in &mut text[..before_query] {
        if *byte == b'\\' {
            *byte = b'/';
        }
    }
    let text = text.trim_ascii();
    let mut paths = vec![until(text, b"?#").to_vec()];
    if let Some(rest) = text.strip_prefix(b"//") {
        let host = until(rest, b"/?#");
        let path = until(&rest[host.len()..], b"?#");
        // A host ends at what has no place in one, which is then the beginning of the path.
        let name = &host[host.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1)..];
        let port = name.iter().rposition(|byte| !byte.is_ascii_digit()).filter(|last| name[*last] == b':');
        let name = &name[..port.unwrap_or(name.len())];
        let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+_".contains(byte) || *byte > 127;
        let odd = name.iter().position(|byte| !is_of_name(byte));
        paths = odd.map(|end| [b"/", &name[end..], path].concat()).into_iter().collect();
        paths.push(path.to_vec());
    }
    let escaped = |path: Vec<u8>| {
        let escaped = |byte: &u8| if ESCAPED.contains(byte) { format!("%{byte:02X}").into_bytes() } else { vec![*byte] };
        path.iter().flat_map(escaped).collect::<Vec<u8>>()
    };
    paths.into_iter().map(escaped).collect()
}

/// What `decodeURI` leaves encoded.
fn is_reserved(byte: u8) -> bool {
    b"#$&+,/:;=?@".contains(&byte)
}

pub fn fastify(target: &[u8], is_loose: bool) -> Vec<Vec<u8>> {
    let path = until(target, if is_loose { b"?#;" } else { b"?#" });
    let decoded = decode(path, |byte| !is_reserved(byte));
    let fully = decode_all(path);
    if is_loose {
        let small = merge_slashes(&decoded).to_ascii_lowercase();
        return vec![path.to_vec(), small, merge_slashes(&fully).to_ascii_lowercase()];
    }
    vec![path.to_vec(), decoded, fully]
}

/// A target as the end of a URL that begins with a host.
fn appended(target: &[u8]) -> Vec<Vec<u8>> {
    let mut paths = path_of(Url::parse(&format!("http://www.test{}", latin1(target))).ok());
    paths.push(without_dots(target));
    paths
}

pub fn hapi(target: &[u8]) -> Vec<Vec<u8>> {
    let dots = decode(until(target, b"?#"), |byte| byte == b'.');
    appended(target)
        .into_iter()
        .chain(verbatim(target))
        .chain([resolve(&merge_slashes(&dots))])
        .chain([resolve(&merge_slashes(&with_slashes(&dots)))])
        .flat_map(|path| [path.to_ascii_lowercase(), decode_all(&path).to_ascii_lowercase(), path])
        .collect()
}

pub fn hono(target: &[u8]) -> Vec<Vec<u8>> {
    let paths = appended(target).into_iter().chain(verbatim(target));
    paths
        .flat_map(|path| [decode(&path, |byte| !is_reserved(byte) && byte != b'%'), decode(&path, |byte| byte != b'%'), path])
        .collect()
}

/// gunicorn's `split_request_uri`, then decoded.
pub fn wsgi(target: &[u8]) -> Vec<Vec<u8>> {
    vec![decode_all(until(target, b"?#"))]
}

/// Leading slashes count as one, what is not UTF-8 is replaced.
pub fn flask(target: &[u8]) -> Vec<Vec<u8>> {
    wsgi(target).into_iter().map(|path| replaced(&one_leading_slash(&path))).collect()
}

/// Leading slashes count as one, what is not UTF-8 is dropped.
pub fn bottle(target: &[u8]) -> Vec<Vec<u8>> {
    wsgi(target).into_iter().map(|path| one_leading_slash(&without_broken(&path))).collect()
}

fn one_leading_slash(path: &[u8]) -> Vec<u8> {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    [b"/", &path[start..]].concat()
}

/// uvicorn's path, decoded.
pub fn starlette(target: &[u8]) -> Vec<Vec<u8>> {
    vec![replaced(&decode_all(until(target, b"?")))]
}

/// Puma's path, raw and unescaped.
pub fn rack(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    vec![path.to_vec(), decode_all(path)]
}

/// Jetty 9.4: parameters dropped, decoded with `%u`, dots resolved.
pub fn jetty(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').map(|segment| until(segment, b";")).collect();
    let path = segments.join(&b'/');
    let decoded = replaced(&decode_with_u(&path));
    // An escape that is cut off ends the path.
    let broken = (0..path.len()).find(|index| path[*index] == b'%' && path.len() - index < 3).unwrap_or(path.len());
    let short = replaced(&decode_with_u(&path[..broken]));
    vec![resolve(&decoded), resolve(&short), decoded]
}

/// Decodes `%XX` and `%uXXXX`.
pub fn decode_with_u(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        let unit = match rest {
            [b'%', b'u' | b'U', digits @ ..] => {
                digits.get(..4).and_then(|digits| u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())
            }
            _ => None,
        };
        if let Some(letter) = unit.and_then(char::from_u32) {
            decoded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[6..];
        } else if let Some(byte) = super::steps::escape(rest) {
            decoded.push(byte);
            rest = &rest[3..];
        } else {
            decoded.push(*first);
            rest = &rest[1..];
        }
    }
    decoded
}

/// `parse_url`, then decoded.
pub fn php(target: &[u8]) -> Vec<Vec<u8>> {
    let path = until(target, b"?#");
    let path = match path.strip_prefix(b"//") {
        Some(rest) => &rest[until(rest, b"/").len()..],
        None => path,
    };
    vec![decode_all(path)]
}

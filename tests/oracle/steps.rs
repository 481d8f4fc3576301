//! What readings are made of.

/// The text before the first of these bytes.
pub fn until<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| ends.contains(byte)).unwrap_or(text.len());
    &text[..end]
}

/// The byte that an escape at the beginning of a text stands for.
pub fn escape(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// Decodes the escapes of the bytes that are asked for; escapes that are none stay.
pub fn decode(text: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let count = match escape(rest).filter(|byte| wanted(*byte)) {
            Some(byte) => {
                decoded.push(byte);
                3
            }
            None => {
                decoded.push(*first);
                1
            }
        };
        rest = &rest[count..];
    }
    decoded
}

pub fn decode_all(text: &[u8]) -> Vec<u8> {
    decode(text, |_| true)
}

/// Whether each `%` begins an escape.
pub fn is_well_escaped(text: &[u8]) -> bool {
    (0..text.len()).all(|index| text[index] != b'%' || escape(&text[index..]).is_some())
}

/// RFC 3986 section 2.3.
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// C0 controls and DEL.
pub fn has_control(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_control)
}

/// One slash for several.
pub fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|next, last| *next == b'/' && *last == b'/');
    merged
}

/// Resolves `.` and `..`; nothing if that leads above the root.
pub fn resolve_below_root(path: &[u8]) -> Option<Vec<u8>> {
    resolve_with(path, false)
}

/// Resolves `.` and `..`; above the root is the root.
pub fn resolve(path: &[u8]) -> Vec<u8> {
    resolve_with(path, true).unwrap_or_default()
}

fn resolve_with(path: &[u8], stays: bool) -> Option<Vec<u8>> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_folder = false;
    for segment in path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/') {
        ends_in_folder = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => {
                if segments.pop().is_none() && !stays {
                    return None;
                }
            }
            name => segments.push(name),
        }
    }
    let mut resolved = [b"/", segments.join(&b'/').as_slice()].concat();
    if ends_in_folder && !segments.is_empty() {
        resolved.push(b'/');
    }
    Some(resolved)
}

/// A text whose bytes that are no UTF-8 become U+FFFD.
pub fn replaced(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text).into_owned().into_bytes()
}

/// A text without the bytes that are no UTF-8.
pub fn without_broken(text: &[u8]) -> Vec<u8> {
    text.utf8_chunks().flat_map(|chunk| chunk.valid().bytes()).collect()
}

/// Bytes as the characters of those numbers.
pub fn latin1(text: &[u8]) -> String {
    text.iter().map(|byte| char::from(*byte)).collect()
}

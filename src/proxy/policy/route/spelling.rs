//! A path as servers may parse it: decoded until nothing is left to decode, split into segments at everything that may be a
//! slash.
//!
//! No single reading is chosen. Each segment gets the set of what it may be: this name or that, nothing, the way up.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// Longer paths, and paths of more segments, are not looked into.
const MAX_BYTES: usize = 2 * 1_024;
const MAX_SEGMENTS: usize = 64;
/// How often a path may be encoded.
const MAX_DECODINGS: usize = 4;

/// Stands for a sign that some servers leave out.
const IGNORED: char = '\0';

/// A segment of a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    /// What was sent, decoded once, if that is ASCII and stands between two slashes that are not encoded.
    decoded: Option<String>,
    /// Whether that is what was sent.
    is_literal: bool,
    /// Whether that is what it is for every server, but for case.
    is_plain: bool,
    /// Decoded, without case and without the signs that may be left out.
    skeleton: String,
    /// Where in the skeleton the name may end.
    ends: Vec<usize>,
    /// Whether it may be nothing: no segment at all, or one that means the place where it is.
    pub(super) may_be_nothing: bool,
    /// Whether it may be nothing though no server leaves out signs that are plain in a segment.
    may_be_empty: bool,
    /// Whether it may lead up, by itself or behind its name.
    pub(super) may_lead_up: bool,
    /// Whether some servers end the path within it.
    pub(super) may_be_last: bool,
    /// Whether some servers see no slash behind it.
    pub(super) is_joined: bool,
}

/// How servers take a segment for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// All of them.
    Always,
    /// Those that know no case.
    Folded,
    /// Those that decode once: nothing but the encoding tells it from the name (RFC 3986 section 6.2.2.2).
    Encoded,
    /// Some of them, in some way.
    Perhaps,
    Never,
}

impl Segment {
    /// The skeletons of all names that servers may take it for.
    pub(super) fn skeletons(&self) -> impl Iterator<Item = &str> {
        self.ends.iter().filter_map(|end| self.skeleton.get(..*end))
    }

    /// How servers take it for a name of the config that has one of its [skeletons](Self::skeletons).
    pub(super) fn is(&self, name: &str) -> Match {
        match &self.decoded {
            Some(decoded) if decoded == name => {
                if self.is_literal {
                    Match::Always
                } else {
                    Match::Encoded
                }
            }
            Some(literal) if self.is_plain => {
                if literal.eq_ignore_ascii_case(name) {
                    Match::Folded
                } else {
                    Match::Never
                }
            }
            _ => Match::Perhaps,
        }
    }

    fn of(letters: &[Letter], before: Option<&Letter>, behind: Option<&Letter>) -> Self {
        let is_joined = |slash: Option<&Letter>| slash.is_some_and(|slash| *slash != Letter::SLASH);
        let mut segment = Self { is_joined: is_joined(behind), ..Self::default() };
        if !segment.is_joined && !is_joined(before) && letters.iter().all(Letter::is_decoded_once) {
            segment.decoded = Some(letters.iter().map(|letter| letter.as_sent).collect());
            segment.is_literal = letters.iter().all(|letter| letter.decodings == 0);
        }
        if segment.is_literal && segment.decoded.as_deref().is_some_and(is_plain) {
            segment.is_plain = true;
            segment.skeleton = letters.iter().map(|letter| letter.sign).filter(|sign| is_of_skeleton(*sign)).collect();
            segment.ends.push(segment.skeleton.len());
            return segment;
        }
        let (mut dots, mut has_sign) = (0, false);
        for letter in letters {
            if may_end_a_name(letter.sign) {
                segment.end(dots, has_sign);
                segment.may_be_last = true;
            }
            match letter.sign {
                '.' => dots += 1,
                sign if is_of_skeleton(sign) => {
                    segment.skeleton.push(sign);
                    dots = 0;
                }
                sign => has_sign |= is_plain_sign(sign),
            }
        }
        segment.end(dots, has_sign);
        segment
    }

    /// A name may end here, behind so many dots, and perhaps behind a sign that is plain but not of the skeleton.
    fn end(&mut self, dots: usize, has_sign: bool) {
        self.may_be_nothing |= self.skeleton.is_empty();
        self.may_be_empty |= self.skeleton.is_empty() && !has_sign;
        self.may_lead_up |= dots > 1;
        if self.ends.last() != Some(&self.skeleton.len()) {
            self.ends.push(self.skeleton.len());
        }
    }
}

/// The segments of a path as it was sent. None for one that says too little of what servers make of it: with control characters, bytes that
/// are no UTF-8, escapes that are none or are those of one vendor (`%u0061`), each also if it is encoded; encoded too often; too long.
pub(super) fn segments(path: &[u8]) -> Option<Vec<Segment>> {
    let letters = letters(path)?;
    let mut segments = Vec::new();
    let mut before = None;
    let mut rest = letters.strip_prefix(&[Letter::SLASH]).unwrap_or(&letters);
    let mut is_behind_end = false;
    loop {
        let end = rest.iter().position(|letter| matches!(letter.sign, '/' | '\\'));
        let (letters, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        let mut segment = Segment::of(letters, before, behind.first());
        // What ends a name leaves out all that follows up to a slash, which for some servers an encoded one is not.
        segment.may_be_nothing |= is_behind_end;
        segment.may_be_empty |= is_behind_end;
        is_behind_end = segment.is_joined && (is_behind_end || segment.may_be_last);
        segments.push(segment);
        if segments.len() > MAX_SEGMENTS {
            return None;
        }
        let Some((slash, behind)) = behind.split_first() else { return Some(segments) };
        (before, rest) = (Some(slash), behind);
    }
}

/// Whether some server may take the path to lead up, out of what stands before it.
pub(super) fn may_lead_up(path: &[u8]) -> bool {
    segments(path).is_none_or(|segments| segments.iter().any(|segment| segment.may_lead_up))
}

/// Whether some server may take what the path begins with for an authority, as in `//contoso.com/x`, and with it another host.
pub(super) fn may_have_authority(path: &[u8]) -> bool {
    match segments(path) {
        // Nothing before a segment, or nothing left of what was before it.
        Some(segments) => {
            let mut is_root = true;
            segments.iter().any(|segment| {
                let is_begun = is_root && segment.may_be_empty;
                is_root |= segment.may_lead_up;
                is_root &= segment.may_be_empty || segment.may_lead_up;
                is_begun
            }) && segments.len() > 1
        }
        None => {
            let may_begin = !path.get(1).is_some_and(u8::is_ascii_alphanumeric)
                || path.windows(2).any(|pair| matches!(pair, b".." | b"%2" | b"%5"));
            // It is behind two slashes, one of which may be encoded, or of those characters that are folded into one.
            let rest = path.get(1..).unwrap_or_default();
            may_begin && (rest.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0x80..)) || rest.windows(2).any(is_of_slash))
        }
    }
}

/// Whether two bytes may begin an escape of what servers take for a slash: of `/`, `\\`, `%`, or of a character beyond ASCII that
/// is folded into one.
fn is_of_slash(pair: &[u8]) -> bool {
    matches!(pair, b"%2" | b"%5" | b"%e" | b"%E" | b"%u" | b"%U")
}

/// What all spellings of a name of the config have in common.
pub(super) fn skeleton(name: &str) -> String {
    name.chars().map(|letter| letter.to_ascii_lowercase()).filter(|letter| is_of_skeleton(*letter)).collect()
}

/// A character of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Letter {
    /// Without case and accents, as ASCII if some server makes that of it.
    sign: char,
    as_sent: char,
    /// How often its path had to be decoded for it.
    decodings: usize,
}

impl Letter {
    const SLASH: Self = Self { sign: '/', as_sent: '/', decodings: 0 };

    fn is_decoded_once(&self) -> bool {
        self.as_sent.is_ascii_graphic() && self.decodings < 2
    }
}

fn letters(path: &[u8]) -> Option<Vec<Letter>> {
    if path.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = path.to_vec();
    let mut of_each = vec![0; bytes.len()];
    let mut decodings = 0;
    while decode(&mut bytes, &mut of_each, decodings + 1)? {
        decodings += 1;
        if decodings > MAX_DECODINGS {
            return None;
        }
    }
    let text = str::from_utf8(&bytes).ok()?;
    let mut letters = Vec::with_capacity(bytes.len());
    for (at, as_sent) in text.char_indices() {
        let decodings = of_each.get(at).copied()?;
        if as_sent.is_ascii_graphic() {
            letters.push(Letter { sign: as_sent.to_ascii_lowercase(), as_sent, decodings });
            continue;
        }
        if as_sent.is_control() || matches!(as_sent, '\u{2028}' | '\u{2029}') {
            return None;
        }
        fold(as_sent, |sign| letters.push(Letter { sign, as_sent, decodings }));
    }
    Some(letters)
}

/// Decodes once, in place: for the `time`th time, which is noted of each byte that comes of it. Says whether there was anything to
/// decode; none if what is there has no one meaning.
fn decode(bytes: &mut Vec<u8>, of_each: &mut Vec<usize>, time: usize) -> Option<bool> {
    str::from_utf8(bytes).ok()?;
    if !bytes.contains(&b'%') {
        return Some(false);
    }
    let digit = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    let mut decoded = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = if *byte == b'%' { digit(at + 1).zip(digit(at + 2)) } else { None };
        let is_vendors = || matches!(bytes.get(at + 1), Some(b'u' | b'U')) && digit(at + 2).is_some();
        let (byte, length) = match escaped {
            Some((high, low)) => (u8::try_from(high * 16 + low).ok()?, 3),
            None if *byte == b'%' && (time == 1 || is_vendors()) => return None,
            None => (*byte, 1),
        };
        decoded.0.push(byte);
        decoded.1.push(if length == 3 { time } else { *of_each.get(at)? });
        at += length;
    }
    let is_changed = decoded.0.len() < bytes.len();
    (*bytes, *of_each) = decoded;
    Some(is_changed)
}

/// What servers may make of a character beyond ASCII: without accents and case, in the ASCII form that it has in Unicode (NFKD) or in the
/// tables of Windows.
fn fold(letter: char, mut push: impl FnMut(char)) {
    const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
    if is_ignorable(letter) {
        return push(IGNORED);
    }
    for letter in NFKD.normalize_iter(std::iter::once(letter)) {
        match letter {
            // Left out by some servers, and seen by others.
            '\u{300}'..='\u{36f}' => push(IGNORED),
            letter if letter.is_whitespace() => push(' '),
            '\u{2044}' | '\u{2215}' | '\u{29f8}' => push('/'),
            '\u{2216}' | '\u{29f5}' | '\u{29f9}' => push('\\'),
            '\u{3002}' => push('.'),
            'ø' | 'Ø' => push('o'),
            'đ' | 'Đ' | 'ð' | 'Ð' => push('d'),
            'ł' | 'Ł' => push('l'),
            'ħ' | 'Ħ' => push('h'),
            'ŧ' | 'Ŧ' => push('t'),
            letter => letter.to_uppercase().flat_map(char::to_lowercase).for_each(&mut push),
        }
    }
}

/// Invisible characters, which some servers and file systems ignore.
fn is_ignorable(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffd}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether servers leave a segment as it was sent: of what RFC 3986 permits in one, but for `;`, `&` and `+`, without a dot at its end, and
/// without what begins a stream of a file on Windows.
fn is_plain(segment: &str) -> bool {
    !segment.is_empty() && segment.chars().all(is_plain_sign) && !segment.ends_with('.') && !segment.contains("::")
}

fn is_plain_sign(sign: char) -> bool {
    sign.is_ascii_alphanumeric()
        || matches!(sign, '-' | '.' | '_' | '~' | '!' | '$' | '\'' | '(' | ')' | '*' | ',' | '=' | ':' | '@')
}

fn is_of_skeleton(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '~') || !sign.is_ascii()
}

/// Whether a name may end before it: what has to be encoded in a segment, since it ends one, or a path, or a line; and what ends one for
/// some servers (`;`, `&` and `+`; `:` in the file names of Windows).
fn may_end_a_name(sign: char) -> bool {
    sign.is_ascii() && sign != IGNORED && !is_of_skeleton(sign) && (sign == ':' || !is_plain_sign(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_so_often_and_no_oftener() {
        let encoded = |times: usize| segments(format!("/%{}61", "25".repeat(times - 1)).as_bytes()).is_some();
        assert!(encoded(1) && encoded(MAX_DECODINGS));
        assert!(!encoded(MAX_DECODINGS + 1));
        assert!(segments(b"/100%25").is_some(), "nothing is left to decode");
    }

    #[test]
    fn an_escape_of_one_vendor_is_refused_in_what_was_decoded_too() {
        for refused in ["/%u0061", "/x%25u0061", "/xy%25U0061", "/%25%75%30061"] {
            assert!(segments(refused.as_bytes()).is_none(), "{refused}");
        }
        for path in ["/x%25ux", "/x%25z1", "/x%25"] {
            assert!(segments(path.as_bytes()).is_some(), "{path}");
        }
    }

    #[test]
    fn a_host_may_stand_behind_two_slashes_that_begin_a_path() {
        for path in ["//contoso.com/x", "/x/..//contoso.com", "/x..//contoso.com", "/;x/contoso.com", "/./contoso.com"] {
            assert!(may_have_authority(path.as_bytes()), "{path}");
        }
        for path in ["/", "/..", "/x//contoso.com", "/x/contoso.com"] {
            assert!(!may_have_authority(path.as_bytes()), "{path}");
        }
    }
}

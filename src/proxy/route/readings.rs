//! In how many ways a server may read a path.
//!
//! Servers differ: they percent-decode once or twice, before or after they take a path apart; resolve `.` and `..`; merge slashes; take
//! `\` for `/`; drop `;parameters`, and the dots and spaces at the end of a name; stop at a decoded NUL, `?` or `#`; ignore a slash at the end; compare without regard to case.

use percent_encoding::percent_decode_str;

/// Most bytes that the readings of one path may take together. A path that reaches it has been made to.
const MOST_BYTES: usize = 512 * 1024;

/// Whether every server reads this path alike but for case: the common one, decided in one pass.
pub(super) fn is_literal(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.' | b'/');
    path.bytes().all(plain)
        && !path.as_bytes().windows(2).any(|pair| matches!(pair, b"//" | b"/." | b"./"))
        && !path.ends_with('.')
        && (!path.ends_with('/') || path.len() == 1)
}

/// Every reading of a path, the path itself first; none if there are too many to tell.
pub(super) fn readings(path: &str) -> Option<Vec<String>> {
    const STEPS: [fn(&str) -> String; 7] = [cut, slashes, without_parameters, shortened, merged, resolved, trimmed];
    const DECODINGS: usize = 2;
    let mut all = vec![path.to_owned()];
    for round in 0..=DECODINGS {
        for step in STEPS {
            extend(&mut all, step)?;
        }
        if round < DECODINGS {
            extend(&mut all, decoded)?;
        }
    }
    Some(all)
}

/// A text in which case no longer counts, for letters that some servers take for ASCII ones too.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Adds what a step makes of each reading so far.
fn extend(all: &mut Vec<String>, step: fn(&str) -> String) -> Option<()> {
    let mut bytes: usize = all.iter().map(String::len).sum();
    for index in 0..all.len() {
        let reading = step(all.get(index)?);
        if !all.contains(&reading) {
            bytes += reading.len();
            if bytes > MOST_BYTES || all.len() > 256 {
                return None;
            }
            all.push(reading);
        }
    }
    Some(())
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn cut(path: &str) -> String {
    path.split(['\0', '?', '#']).next().unwrap_or_default().to_owned()
}

fn slashes(path: &str) -> String {
    path.replace('\\', "/")
}

fn without_parameters(path: &str) -> String {
    let segments: Vec<_> = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    segments.join("/")
}

/// Windows drops these.
fn shortened(path: &str) -> String {
    let short = |segment: &'_ str| match segment {
        "." | ".." => segment.to_owned(),
        segment => segment.trim_end_matches(['.', ' ']).to_owned(),
    };
    path.split('/').map(short).collect::<Vec<_>>().join("/")
}

fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !merged.ends_with('/') {
            merged.push(letter);
        }
    }
    merged
}

fn resolved(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

fn trimmed(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads_as(path: &str, reading: &str) {
        let all = readings(path).unwrap();
        assert!(all.iter().any(|found| found == reading), "{path} is not read as {reading}: {all:?}");
    }

    #[test]
    fn each_way_of_reading_is_seen() {
        for path in [
            "/%61b/c",
            "/%2561b/c",
            "//ab/c",
            "/./ab/c",
            "/x/../ab/c",
            "/ab/c/",
            "/ab/c;x=1",
            "/ab/c.",
            "/ab/c%20",
            "/ab./c",
            "/ab;x/c",
            "/\\ab\\c",
            "/ab/c%00x",
        ] {
            reads_as(path, "/ab/c");
        }
        for path in ["/x/%2e%2e/ab/c", "/x%2f..%2fab/c", "/x/..;/ab/c", "/ab/c%3fx", "/ab/c%23x", "/x%5c..%5cab/c", "/ab%252fc"] {
            reads_as(path, "/ab/c");
        }
        // A server that merges slashes but knows no parameters.
        reads_as("/public//admin/;x/login", "/public/admin/;x/login");
        // One that resolves before it decodes.
        reads_as("/a%2fb/../c", "/c");
        // One that decodes but does not resolve.
        reads_as("/a/%2e%2e/c", "/a/../c");
    }

    #[test]
    fn plain_paths_have_one_reading() {
        for path in ["/", "/db", "/DB/_local/a-b~c.d"] {
            assert!(is_literal(path), "{path}");
            assert_eq!(readings(path).unwrap(), [path]);
        }
        for path in ["/db/", "/a//b", "/a.", "/a./b", "/.", "/a%20b", "/a;b", "/a\\b", "/a@b"] {
            assert!(!is_literal(path), "{path}");
        }
    }

    #[test]
    fn case_is_folded_beyond_ascii() {
        assert_eq!(folded("/AdM\u{131}N/\u{17f}"), "/admin/s");
    }

    #[test]
    fn a_path_made_to_have_too_many_readings_has_none() {
        assert_eq!(readings(&format!("/{}", "%2525;a\\..%5c%3b//".repeat(20_000))), None);
    }
}

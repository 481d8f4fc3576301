//! The beginning of a header, cut anywhere, against a parser that sees all bytes at once.

use std::borrow::Cow;

use crate::{
    metrics::IntGauge,
    proxy::client::{
        intake::{Intake, Look},
        request_line::{check_beginning, read},
    },
};

/// Fields that the parser has room for: as many as are taken.
const FIELDS: usize = 256;

/// Takes in the bytes behind the first three of an input, which say how much of a header may be held and how it is cut.
///
/// # Errors
/// What a parser of the whole sees otherwise, or what is held for too long or is too much.
pub fn hold_intake(input: &[u8]) -> Result<(), String> {
    let [most, first, second, bytes @ ..] = input else { return Ok(()) };
    let most = 16 + usize::from(*most) * 16;
    let gauge = IntGauge::new("held", "held").map_err(|error| error.to_string())?;
    let held = || usize::try_from(gauge.get()).map_err(|_| format!("the gauge says {}", gauge.get()));
    let mut intake = Intake::new(most, gauge.clone());
    let (mut at, mut size) = (0_usize, usize::from(*first));
    let look = loop {
        let look = intake.look();
        // What is given at once may be more: the first line is encoded, which makes three bytes of some, and what is cut is ended by two.
        let limit = if look == Look::Partial { most } else { 3 * most + 2 };
        if held()? > limit {
            return Err(format!("{look:?}: {} bytes are held, where {limit} may be", held()?));
        }
        let ahead = bytes.get(at..).unwrap_or_default();
        if look != Look::Partial || ahead.is_empty() {
            break look;
        }
        intake.rest();
        if intake.space() == 0 {
            return Err(format!("more is waited for, and there is no room for it: {} of {most}", held()?));
        }
        let piece = ahead.get(..size.clamp(1, intake.space()).min(ahead.len())).unwrap_or_default();
        intake.push(piece);
        at += piece.len();
        size = (size + usize::from(*second)) % 300;
    };
    let mut given = Vec::new();
    if matches!(look, Look::Whole | Look::Cut) {
        intake.give(&mut given, true);
    }
    let mut rest = Vec::new();
    intake.give(&mut rest, false);
    agree(look, &given, bytes, most)?;
    if look == Look::Whole && Some(rest.as_slice()) != bytes.get(at - rest.len()..at) {
        return Err(format!("behind the header comes {}", rest.escape_ascii()));
    }
    if held()? != 0 {
        return Err(format!("{} bytes are held when all is given", held()?));
    }
    intake.push(bytes);
    drop(intake);
    match held()? {
        0 => Ok(()),
        held => Err(format!("{held} bytes are held by nobody")),
    }
}

/// Whether this is what becomes of these bytes.
fn agree(look: Look, given: &[u8], bytes: &[u8], most: usize) -> Result<(), String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let parsed = httparse::Request::new(&mut fields).parse(bytes);
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let header = bytes.get(begin..).unwrap_or_default();
    let line = header.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let wrong = || Err(format!("{look:?} of {most}, and {parsed:?}: {}", given.escape_ascii()));
    match (look, &parsed) {
        // Lines are checked closer than the parser does; and what is none may be given, to be refused.
        (_, Err(_)) => Ok(()),
        (Look::Unreadable(_), _) if check_beginning(header).is_err() || read(line).is_err() || header.len() >= most => Ok(()),
        (Look::Partial, Ok(httparse::Status::Partial)) => Ok(()),
        (Look::Cut, _) if header.len() + 2 * line.len() >= most && given.ends_with(b"\n\r\n") => Ok(()),
        (Look::Whole, Ok(httparse::Status::Complete(end))) => {
            let header = bytes.get(begin..*end).unwrap_or_default();
            let expected = match read(line) {
                Ok(Cow::Owned(encoded)) => {
                    let behind = header.iter().position(|byte| *byte == b'\n').and_then(|at| header.get(at..)).unwrap_or_default();
                    Cow::Owned([&encoded, &b"\r"[..], behind].concat())
                }
                _ => Cow::Borrowed(header),
            };
            if given == &*expected { Ok(()) } else { wrong() }
        }
        _ => wrong(),
    }
}

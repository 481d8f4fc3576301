//! BER to DER (X.690). BouncyCastle, NSS and macOS write PKCS#12 in BER: with indefinite lengths and constructed strings.
//!
//! The crates that read BER return strings in pieces, or do not support constructed strings in implicit tags; DER parsers need
//! no change if the few forms that differ are rewritten first.

use zeroize::Zeroizing;

use crate::signing::KeyProblem;

/// Deeper than any key file is nested.
const MAX_DEPTH: usize = 32;
const CONSTRUCTED: u8 = 0x20;
const OCTET_STRING: u8 = 0x04;

/// The first element of `data` in DER: definite, shortest lengths and octet strings in one piece. What follows it is passed over,
/// as openssl does. Contents of octet strings stay as they are.
pub(super) fn to_der(data: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let mut out = Zeroizing::new(Vec::with_capacity(data.len()));
    rewrite(&mut &*data, &mut out, 0)?;
    Ok(out)
}

fn damaged(what: &str) -> KeyProblem {
    KeyProblem::Damaged(what.to_owned())
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], KeyProblem> {
    input.split_off(..count).ok_or_else(|| damaged("it ends too early"))
}

/// One element, from the front of `input`.
fn rewrite(input: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), KeyProblem> {
    if depth > MAX_DEPTH {
        return Err(damaged("it is nested too deeply"));
    }
    let tag = tag(input)?;
    let [first, ..] = *tag else { return Err(damaged("it ends too early")) };
    let length = length(input)?;
    if first & CONSTRUCTED == 0 {
        let length = length.ok_or_else(|| damaged("a value has no length"))?;
        put(out, tag, take(input, length)?);
        return Ok(());
    }
    // Room for all of it: a vector that grows would leave copies of a key behind.
    let mut content = Zeroizing::new(Vec::with_capacity(length.unwrap_or(input.len()).min(input.len())));
    match length {
        Some(length) => {
            let mut inner = take(input, length)?;
            while !inner.is_empty() {
                rewrite(&mut inner, &mut content, depth + 1)?;
            }
        }
        None => {
            while !input.starts_with(&[0, 0]) {
                rewrite(input, &mut content, depth + 1)?;
            }
            take(input, 2)?;
        }
    }
    if first == OCTET_STRING | CONSTRUCTED {
        put(out, &[OCTET_STRING], &joined(&content)?);
    } else {
        put(out, tag, &content);
    }
    Ok(())
}

/// The contents of octet strings (in DER) one behind the other, as one.
pub(super) fn joined(pieces: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let (mut pieces, mut whole) = (pieces, Zeroizing::new(Vec::with_capacity(pieces.len())));
    while !pieces.is_empty() {
        if take(&mut pieces, 1)? != [OCTET_STRING] {
            return Err(damaged("a constructed string does not consist of strings"));
        }
        let length = length(&mut pieces)?.ok_or_else(|| damaged("a value has no length"))?;
        whole.extend_from_slice(take(&mut pieces, length)?);
    }
    Ok(whole)
}

fn tag<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], KeyProblem> {
    const IN_MORE_BYTES: u8 = 0x1f;
    const MAX_TAG_BYTES: usize = 5;
    let is_last = |(index, byte): (usize, &u8)| if index == 0 { byte & IN_MORE_BYTES != IN_MORE_BYTES } else { byte & 0x80 == 0 };
    let last = input.iter().take(MAX_TAG_BYTES).enumerate().position(is_last).ok_or_else(|| damaged("it ends too early"))?;
    take(input, last + 1)
}

/// None: it is indefinite.
fn length(input: &mut &[u8]) -> Result<Option<usize>, KeyProblem> {
    let [first] = *take(input, 1)? else { return Err(damaged("it ends too early")) };
    match first {
        0x80 => Ok(None),
        0..0x80 => Ok(Some(usize::from(first))),
        _ => {
            let bytes = take(input, usize::from(first & 0x7f))?;
            let fold = |length: usize, byte: &u8| length.checked_mul(256)?.checked_add(usize::from(*byte));
            bytes.iter().try_fold(0, fold).map(Some).ok_or_else(|| damaged("it ends too early"))
        }
    }
}

fn put(out: &mut Vec<u8>, tag: &[u8], content: &[u8]) {
    out.extend_from_slice(tag);
    match u8::try_from(content.len()) {
        Ok(length @ 0..0x80) => out.push(length),
        _ => {
            let bytes = content.len().to_be_bytes();
            let bytes = bytes.iter().skip_while(|byte| **byte == 0);
            out.push(0x80 | u8::try_from(bytes.clone().count()).unwrap_or_default());
            out.extend(bytes);
        }
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_der_stays_as_it_is_and_ber_becomes_it() {
        let long = [&[0x04, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        for (ber, der) in [
            (&[0x05, 0x00][..], &[0x05, 0x00][..]),
            (&long, &long),
            (&[0x04, 0x81, 0x01, 9], &[0x04, 1, 9]),
            (&[0x04, 0x84, 0, 0, 0, 1, 9], &[0x04, 1, 9]),
            (&[0x30, 0x80, 0x02, 1, 3, 0, 0], &[0x30, 3, 0x02, 1, 3]),
            (&[0x24, 0x80, 0x04, 1, 1, 0x04, 2, 2, 3, 0, 0], &[0x04, 3, 1, 2, 3]),
            (&[0x24, 7, 0x24, 5, 0x04, 1, 1, 0x04, 0], &[0x04, 1, 1]),
            (&[0xa0, 0x80, 0x30, 0x80, 0, 0, 0, 0], &[0xa0, 2, 0x30, 0]),
            (&[0x9f, 0x81, 0x01, 1, 5], &[0x9f, 0x81, 0x01, 1, 5]),
            (&[0x30, 0, b'\n'], &[0x30, 0]),
        ] {
            assert_eq!(to_der(ber).unwrap().as_slice(), der, "{ber:x?}");
            assert_eq!(to_der(der).unwrap().as_slice(), der);
        }
    }

    #[test]
    fn what_is_neither_is_damaged() {
        let deep = [0x30, 0x80].repeat(100);
        let cases: [(&[u8], &str); 8] = [
            (&[], "it ends too early"),
            (&[0x30], "it ends too early"),
            (&[0x30, 5, 2, 1], "it ends too early"),
            (&[0x30, 0x80, 2, 1, 1], "it ends too early"),
            (&[0x30, 0xff], "it ends too early"),
            (&[0x04, 0x80, 0, 0], "a value has no length"),
            (&[0x24, 3, 2, 1, 1], "a constructed string does not consist of strings"),
            (&deep, "it is nested too deeply"),
        ];
        for (data, expected) in cases {
            assert_eq!(to_der(data).unwrap_err(), damaged(expected), "{data:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_der_and_no_longer_changes(data in proptest::collection::vec(prop_oneof![Just(0x30), Just(0x80), Just(0), Just(4), Just(0x24), any::<u8>()], 0..60)) {
            if let Ok(der) = to_der(&data) {
                prop_assert_eq!(&to_der(&der).unwrap(), &der);
                // An upper bound of the growth: each header has at most nine bytes more than the shortest one.
                prop_assert!(der.len() <= data.len() * 5);
            }
        }
    }
}

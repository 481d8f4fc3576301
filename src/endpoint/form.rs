//! [`Form`]: the parameters of an `application/x-www-form-urlencoded` body, each at most once.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::endpoint::Refusal;

/// Most parameters.
const MAX_PARAMETERS: usize = 64;

/// Parameters by their names. One without a value counts as not there (RFC 6749 section 3.2).
#[derive(Debug)]
pub(super) struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// Reads a body.
    ///
    /// Errors: a malformed request if it is not UTF-8, has a broken escape, a control character, or a parameter twice.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| NO_FORM)?;
        let mut parameters: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else { return Err(NO_FORM) };
            if parameters.len() == MAX_PARAMETERS {
                return Err(Refusal::malformed("the form has too many parameters"));
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(twice(&name));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }
}

const NO_FORM: Refusal = Refusal::malformed("the body is not a valid form in UTF-8");

/// Names that we know are told; what else a client has written is not repeated.
fn twice(name: &str) -> Refusal {
    Refusal::malformed(match name {
        "grant_type" => "grant_type is given twice",
        "subject_token" => "subject_token is given twice",
        "subject_token_type" => "subject_token_type is given twice",
        "audience" => "audience is given twice",
        "resource" => "resource is given twice",
        "scope" => "scope is given twice",
        "client_id" => "client_id is given twice",
        "client_secret" => "client_secret is given twice",
        _ => "a parameter is given twice",
    })
}

/// A name or value of a form, also of one half of Basic credentials, which RFC 6749 section 2.3.1 has written like that.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    // A token has nothing to decode. Without an early exit, so that many bytes are looked at together.
    if bytes.iter().fold(true, |so_far, byte| so_far & byte.is_ascii_graphic() & (*byte != b'%') & (*byte != b'+')) {
        return Some(text.into());
    }
    let is_escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || is_escape(at)) {
        return None;
    }
    let decoded = match text.contains('+') {
        true => percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned().into(),
        false => percent_decode_str(text).decode_utf8().ok()?,
    };
    (!decoded.contains(char::is_control)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Rejection;

    #[test]
    fn parameters_are_decoded() {
        let form = Form::parse(b"a=1&b=x%20y+z&c=&d&e=%C3%A9&&f=a=b").unwrap();
        let found: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| form.get(name)).into_iter().collect();
        assert_eq!(found, [Some("1"), Some("x y z"), None, None, Some("\u{e9}"), Some("a=b"), None]);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let many = "&".to_owned() + &(0..=MAX_PARAMETERS).map(|number| format!("p{number}=1")).collect::<Vec<_>>().join("&");
        for body in [
            &b"a=1&a=2"[..],
            b"a=1&%61=1",
            b"a=%",
            b"a=%4",
            b"a=%zz",
            b"a=%ff",
            b"\xff=1",
            b"a=%00",
            b"a=b\n",
            b"a&a",
            many.as_bytes(),
        ] {
            assert_eq!(
                Form::parse(body).err().map(|refusal| refusal.rejection),
                Some(Rejection::EndpointRequestMalformed),
                "{}",
                body.escape_ascii()
            );
        }
    }
}

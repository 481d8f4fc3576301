//! A token in a JSON body: the login of Realm, and similar ones.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, header};

use super::json_member::{self, Members};
use crate::{
    proxy::http::list,
    token::{Rejection, is_strict_object, one_token},
};

/// Maximum bytes of a body that holds a token. It is read whole before anything is forwarded.
pub(in crate::proxy) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A member of a JSON object in the body, in its outermost level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyPlace {
    /// The member that holds the token.
    pub member: String,
    /// Whether it does so in every body. None: yes.
    pub condition: Option<BodyCondition>,
}

/// What another member says of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyCondition {
    /// The other member. Its value must be one of those below; else the request is refused.
    pub member: String,
    /// Values with which the token is a client's, to be exchanged.
    pub exchange: Vec<String>,
    /// Values with which the body passes as it is.
    pub pass: Vec<String>,
}

/// What a body holds.
#[derive(Debug)]
pub(in crate::proxy) enum BodyContent {
    /// A client's token.
    Token(BodyToken),
    /// None, and the route lets it pass.
    Passed(PassedBody),
}

/// A token in a body.
#[derive(Debug)]
pub(in crate::proxy) struct BodyToken {
    /// The token.
    pub(in crate::proxy) token: String,
    text: String,
    value: Range<usize>,
}

/// A body that passes as it is. Only [`BodyPlace::read`] makes one.
#[derive(Debug)]
pub(in crate::proxy) struct PassedBody(());

impl BodyPlace {
    /// Reads a whole body.
    ///
    /// # Errors
    /// [`Rejection::BodyMalformed`] for a body that is not a JSON object, has a duplicate member at any level, or one that differs
    /// only in case, or lacks a member; [`Rejection::LoginNotAllowed`] for a value of the condition that is not listed;
    /// [`Rejection::AuthorizationMalformed`] for a member that is not a token.
    pub(in crate::proxy) fn read(&self, body: &[u8]) -> Result<BodyContent, Rejection> {
        let text = str::from_utf8(body).ok().filter(|_| is_strict_object(body)).ok_or(Rejection::BodyMalformed)?;
        let members = Members::of(text).map_err(|_| Rejection::BodyMalformed)?;
        let names = [Some(&self.member), self.condition.as_ref().map(|condition| &condition.member)];
        let is_unmistakable = names.into_iter().flatten().all(|name| members.check_spelling(name).is_ok());
        if !is_unmistakable {
            return Err(Rejection::BodyMalformed);
        }
        let string = |name: &str| members.string(name).ok().flatten().ok_or(Rejection::BodyMalformed);
        if let Some(condition) = &self.condition {
            let (value, _) = string(&condition.member)?;
            if condition.pass.contains(&value) {
                return Ok(BodyContent::Passed(PassedBody(())));
            }
            if !condition.exchange.contains(&value) {
                return Err(Rejection::LoginNotAllowed);
            }
        }
        let (token, value) = string(&self.member)?;
        one_token(token.as_bytes())?;
        Ok(BodyContent::Token(BodyToken { token, text: text.to_owned(), value }))
    }
}

impl BodyToken {
    /// The body with another token instead of this one. All else stays byte for byte.
    pub(in crate::proxy) fn replaced(&self, token: &str) -> String {
        json_member::replaced(&self.text, &self.value, token)
    }
}

/// Whether headers announce a JSON body in UTF-8 that is not compressed. A backend might read anything else as another body than we do.
///
/// # Errors
/// [`Rejection::BodyNotJson`]; [`Rejection::BodyTooLarge`] for a length beyond [`MAX_BODY_BYTES`].
pub(in crate::proxy) fn check_headers(headers: &HeaderMap) -> Result<(), Rejection> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    if !list(codings).all(|coding| coding.eq_ignore_ascii_case(b"identity")) {
        return Err(Rejection::BodyNotJson);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next().map(|value| value.to_str()), types.next()) {
        (Some(Ok(media_type)), None) if is_json(media_type) => {}
        _ => return Err(Rejection::BodyNotJson),
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES) { Err(Rejection::BodyTooLarge) } else { Ok(()) }
}

fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim_ascii);
    let is_utf8 = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json")) && parts.all(is_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm() -> BodyPlace {
        let condition = BodyCondition { member: "provider".into(), exchange: vec!["jwt".into()], pass: vec!["realm".into()] };
        BodyPlace { member: "data".into(), condition: Some(condition) }
    }

    fn refused(body: &str) -> Option<Rejection> {
        realm().read(body.as_bytes()).err()
    }

    #[test]
    fn the_token_is_replaced_and_all_else_kept() {
        let body = "{\"data\":\"a.b.c\",\"provider\":\"jwt\",\"user_info\":{},\"app_id\":\"\"}";
        let BodyContent::Token(found) = realm().read(body.as_bytes()).unwrap() else { panic!("no token") };
        assert_eq!(found.token, "a.b.c");
        assert_eq!(found.replaced("new"), body.replace("a.b.c", "new"));
    }

    #[test]
    fn what_is_listed_passes_and_nothing_else_does() {
        assert!(matches!(realm().read(b"{\"data\":\"r:s\",\"provider\":\"realm\",\"path\":\"/~/x\"}"), Ok(BodyContent::Passed(_))));
        for provider in ["nickname", "password", "anonymous", "debug", "JWT", "Realm", "", "jwt "] {
            let body = format!("{{\"data\":\"a\",\"provider\":\"{provider}\"}}");
            assert_eq!(refused(&body), Some(Rejection::LoginNotAllowed), "{provider}");
        }
    }

    #[test]
    fn what_two_readers_might_read_differently_is_malformed() {
        for body in [
            "",
            "provider=nickname&data=x",
            "[]",
            "{\"provider\":\"jwt\"}",
            "{\"data\":\"a\"}",
            "{\"provider\":\"jwt\",\"data\":null}",
            "{\"provider\":[\"jwt\"],\"data\":\"a\"}",
            "{\"provider\":\"jwt\",\"provider\":\"nickname\",\"data\":\"a\"}",
            "{\"provider\":\"jwt\",\"data\":\"a\",\"d\\u0061ta\":\"b\"}",
            "{\"provider\":\"jwt\",\"data\":\"a\",\"user_info\":{\"x\":1,\"x\":2}}",
            "\u{feff}{\"provider\":\"jwt\",\"data\":\"a\"}",
            "{\"provider\":\"jwt\",\"data\":\"a\"}{}",
            "{\"provider\":\"realm\",\"data\":\"x\",\"Provider\":\"anonymous\"}",
            "{\"provider\":\"realm\",\"data\":\"x\",\"DATA\":\"y\"}",
            "{\"provider\":\"jwt\",\"data\":\"a\",\"Data\":\"b\"}",
            "{\"provider\":\"jwt\",\"data\":\"a\",\"PROVIDER\":\"anonymous\"}",
        ] {
            assert_eq!(refused(body), Some(Rejection::BodyMalformed), "{body}");
        }
        assert_eq!(refused("{\"provider\":\"jwt\",\"data\":\"a b\"}"), Some(Rejection::AuthorizationMalformed));
    }

    #[test]
    fn only_plain_json_in_utf_8_is_read() {
        let check = |headers: &[(header::HeaderName, &str)]| {
            check_headers(&headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect())
        };
        let json = (header::CONTENT_TYPE, "application/json");
        for media_type in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""] {
            assert_eq!(check(&[(header::CONTENT_TYPE, media_type)]), Ok(()), "{media_type}");
        }
        for media_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/jsonx", ""]
        {
            assert_eq!(check(&[(header::CONTENT_TYPE, media_type)]), Err(Rejection::BodyNotJson), "{media_type}");
        }
        assert_eq!(check(&[]), Err(Rejection::BodyNotJson));
        assert_eq!(check(&[json.clone(), json.clone()]), Err(Rejection::BodyNotJson));
        for coding in ["gzip", "identity, gzip", "gzip, identity", "x"] {
            assert_eq!(check(&[json.clone(), (header::CONTENT_ENCODING, coding)]), Err(Rejection::BodyNotJson), "{coding}");
        }
        for coding in ["identity", "Identity, identity", ""] {
            assert_eq!(check(&[json.clone(), (header::CONTENT_ENCODING, coding)]), Ok(()), "{coding}");
        }
        assert_eq!(check(&[json.clone(), (header::CONTENT_LENGTH, "65536")]), Ok(()));
        assert_eq!(check(&[json, (header::CONTENT_LENGTH, "65537")]), Err(Rejection::BodyTooLarge));
    }
}

//! A user that the request names beside its token. Zero's clients send `?userID=`, and its server requires it to be the token's
//! `sub`. A mismatch is refused here, with a reason that operators can see.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::{proxy::policy::token_place, token::Rejection};

/// What a user token says of its user.
#[derive(Deserialize)]
struct Subject {
    sub: String,
}

/// Checks that the one parameter of this name, decoded, is the `sub` of the user token. It is read from the token itself, so that what
/// is compared here is what the backend compares, whatever the profile writes there.
///
/// # Errors
/// [`Rejection::WrongUser`]: it is another, it is not there, or some server might read another parameter in its place.
pub(in crate::proxy) fn check(target: &[u8], parameter: &str, user_token: &str) -> Result<(), Rejection> {
    let named = token_place::query_value(target, parameter).ok_or(Rejection::WrongUser)?;
    let subject = subject(user_token).ok_or(Rejection::WrongUser)?;
    if *named == *subject.as_bytes() { Ok(()) } else { Err(Rejection::WrongUser) }
}

fn subject(user_token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(user_token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Subject>(&payload).ok().map(|subject| subject.sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_against(claims: &str, target: &str) -> Result<(), Rejection> {
        check(target.as_bytes(), "userID", &format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn the_user_of_the_token_must_be_named() {
        let claims = r#"{"sub":"a b/\u00e9","iat":1}"#;
        for target in ["/?userID=a+b%2F%C3%A9", "/sync?x=1&%75serID=a%20b/%c3%a9&y"] {
            assert_eq!(check_against(claims, target), Ok(()), "{target}");
        }
        for target in
            ["/", "/?userID=", "/?userID", "/?userID=bob", "/?userid=a+b/%C3%A9", "/?userID=a%2Bb/%C3%A9", "/?x=userID=a+b/%C3%A9"]
        {
            assert_eq!(check_against(claims, target), Err(Rejection::WrongUser), "{target}");
        }
    }

    #[test]
    fn two_that_a_server_may_choose_from_are_none() {
        for target in ["/?userID=a&userID=a", "/?userID=a&userID=b", "/?userID=a&USERID=b", "/?userID=a;userID[]=b"] {
            assert_eq!(check_against(r#"{"sub":"a"}"#, target), Err(Rejection::WrongUser), "{target}");
        }
    }

    #[test]
    fn two_that_php_makes_one_of_are_none() {
        let check = |second: &str| {
            check(
                format!("/?user_id=a&{second}").as_bytes(),
                "user_id",
                &format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(r#"{"sub":"a"}"#)),
            )
        };
        for second in
            ["user.id=b", "user%20id=b", "user+id=b", "user[id=b", "user_id%00x=b", "+user.id=b", "%20%20user_id=b", "user.id[]=b"]
        {
            assert_eq!(check(second), Err(Rejection::WrongUser), "{second}");
        }
        assert_eq!(check("userid=b&user-id=b&user_ids=b"), Ok(()));
    }

    #[test]
    fn a_token_that_names_nobody_is_for_nobody() {
        for claims in ["{}", r#"{"sub":1}"#, r#"{"sub":null}"#] {
            assert_eq!(check_against(claims, "/?userID="), Err(Rejection::WrongUser), "{claims}");
        }
        assert_eq!(check(b"/?userID=a", "userID", "no token"), Err(Rejection::WrongUser));
    }
}

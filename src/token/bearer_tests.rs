use proptest::prelude::*;
use serde_json::json;

use super::*;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn token(header: &str) -> String {
    format!("{}.{}.{}", encode(header), encode("{}"), encode("signature"))
}

fn refusal(token: impl AsRef<[u8]>) -> Rejection {
    BearerToken::parse(token.as_ref(), &TokenLimits::default()).expect_err("the token must be refused")
}

const HEADER: &str = r#"{"alg":"RS256"}"#;

#[test]
fn every_part_is_read() {
    let header = r#"{"typ":"JWT","alg":"RS256","kid":"k/1","x5t":"one","x5t#S256":"two","nonce":"n"}"#;
    let text = token(header);
    let bearer = BearerToken::parse(text.as_bytes(), &TokenLimits::default()).unwrap();
    assert_eq!(bearer.algorithm(), "RS256");
    assert_eq!(bearer.key_id(), Some("k/1"));
    assert_eq!(bearer.x5t(), Some("one"));
    assert_eq!(bearer.x5t_s256(), Some("two"));
    assert_eq!(bearer.media_type(), Some("JWT"));
    assert!(bearer.has_header_nonce());
    assert_eq!(bearer.payload(), b"{}");
    assert_eq!(bearer.signature(), b"signature");
    assert_eq!(bearer.signed_bytes(), text.rsplit_once('.').unwrap().0.as_bytes());
}

#[test]
fn members_may_be_missing() {
    let text = token(HEADER);
    let bearer = BearerToken::parse(text.as_bytes(), &TokenLimits::default()).unwrap();
    assert_eq!((bearer.key_id(), bearer.x5t(), bearer.x5t_s256(), bearer.media_type()), (None, None, None, None));
    assert!(!bearer.has_header_nonce());
}

#[test]
fn a_token_has_three_segments_and_a_signature() {
    let [header, payload, signature] = [encode(HEADER), encode("{}"), encode("signature")];
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        header.clone(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        format!("{header}.{payload}.{}", ".".repeat(10_000)),
        ".".repeat(16_000),
    ] {
        assert_eq!(refusal(&text), Rejection::TokenMalformed, "{text:.80}");
    }
}

#[test]
fn each_segment_is_strict_base64url() {
    // "AA" and "AB" decode to the same byte when trailing bits are ignored; one character is no byte at all.
    for bad in
        ["AB", "A", "AAAAA", "AA=", "AA==", "A+AA", "A/AA", "AA A", "AA\n", " AA", "AA\r\n", "A%3D", "AAé", "AA\0", "A\u{ff0d}"]
    {
        let [header, payload, signature] = [encode(HEADER), encode("{}"), encode("signature")];
        assert_eq!(refusal(format!("{header}.{payload}.{bad}")), Rejection::TokenMalformed, "{bad:?}");
        assert_eq!(refusal(format!("{header}.{bad}.{signature}")), Rejection::TokenMalformed, "{bad:?}");
        assert_eq!(refusal(format!("{bad}.{payload}.{signature}")), Rejection::TokenMalformed, "{bad:?}");
        assert_eq!(refusal(format!("{header}{bad}.{payload}.{signature}")), Rejection::TokenMalformed, "{bad:?}");
    }
    assert_eq!(refusal(b"\xff.\xff.\xff"), Rejection::TokenMalformed);
}

#[test]
fn the_json_serialization_is_refused() {
    let text = json!({"protected": encode(HEADER), "payload": encode("{}"), "signature": encode("signature")}).to_string();
    assert_eq!(refusal(&text), Rejection::TokenMalformed);
    assert_eq!(refusal(format!(r#"{{"a":"{}"}}"#, token(HEADER))), Rejection::TokenMalformed);
}

#[test]
fn the_header_is_a_json_object() {
    for header in
        ["", "null", "[]", r#""RS256""#, "{", r#"{"alg":"RS256"}x"#, r#"{"alg":"RS256",}"#, r#"{"alg":"RS256","a":1e400}"#]
    {
        assert_eq!(refusal(token(header)), Rejection::TokenMalformed, "{header}");
    }
    let deep = format!(r#"{{"alg":"RS256","a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(refusal(token(&deep)), Rejection::TokenMalformed);
}

#[test]
fn a_member_stands_once() {
    for header in [
        r#"{"alg":"RS256","alg":"none"}"#,
        r#"{"alg":"RS256","\u0061lg":"none"}"#,
        r#"{"alg":"RS256","kid":"a","kid":"a"}"#,
        r#"{"alg":"RS256","a":{"b":[{"c":1,"c":1}]}}"#,
    ] {
        assert_eq!(refusal(token(header)), Rejection::DuplicateMember, "{header}");
    }
}

#[test]
fn alg_is_a_required_string() {
    assert_eq!(refusal(token("{}")), Rejection::AlgorithmNotAllowed);
    assert_eq!(refusal(token(r#"{"ALG":"RS256"}"#)), Rejection::AlgorithmNotAllowed);
    assert_eq!(refusal(token(r#"{"alg":null}"#)), Rejection::AlgorithmNotAllowed);
    for value in ["1", "true", r#"["RS256"]"#, r#"{"a":"RS256"}"#] {
        assert_eq!(refusal(token(&format!(r#"{{"alg":{value}}}"#))), Rejection::TokenMalformed, "{value}");
    }
}

#[test]
fn members_that_are_read_are_strings() {
    for name in ["kid", "x5t", "x5t#S256", "typ"] {
        let null = token(&format!(r#"{{"alg":"RS256","{name}":null}}"#));
        assert!(BearerToken::parse(null.as_bytes(), &TokenLimits::default()).is_ok(), "{name}");
        for value in ["1", "[]", "{}", r#"["a"]"#] {
            assert_eq!(
                refusal(token(&format!(r#"{{"alg":"RS256","{name}":{value}}}"#))),
                Rejection::TokenMalformed,
                "{name} {value}"
            );
        }
    }
}

#[test]
fn members_that_change_the_meaning_are_refused_whatever_they_hold() {
    for name in ["crit", "b64", "zip", "enc", "cty"] {
        for value in ["null", "true", "false", "[]", r#"["exp"]"#, r#""""#, r#""JWT""#] {
            let header = format!(r#"{{"alg":"RS256","{name}":{value}}}"#);
            assert_eq!(refusal(token(&header)), Rejection::ForbiddenHeader, "{header}");
        }
    }
    assert_eq!(refusal(token(r#"{"alg":"RS256","c\u0072it":["b64"]}"#)), Rejection::ForbiddenHeader);
}

#[test]
fn keys_in_the_header_are_ignored() {
    for member in [r#""jwk":{"kty":"oct","k":"AA"}"#, r#""jku":"https://contoso.example/keys""#, r#""x5u":1"#, r#""x5c":["AA"]"#] {
        let text = token(&format!(r#"{{"alg":"RS256",{member}}}"#));
        assert!(BearerToken::parse(text.as_bytes(), &TokenLimits::default()).is_ok(), "{member}");
    }
}

#[test]
fn every_limit_holds_to_the_byte() {
    let header = r#"{"alg":"RS256","kid":"0123456789"}"#;
    let text = token(header);
    let exact = TokenLimits { token: text.len(), header: header.len(), kid: 10 };
    assert!(BearerToken::parse(text.as_bytes(), &exact).is_ok());
    for limits in [
        TokenLimits { token: exact.token - 1, ..exact.clone() },
        TokenLimits { header: exact.header - 1, ..exact.clone() },
        TokenLimits { kid: exact.kid - 1, ..exact.clone() },
    ] {
        assert_eq!(BearerToken::parse(text.as_bytes(), &limits).unwrap_err(), Rejection::TokenTooLarge, "{limits:?}");
    }
    assert_eq!(refusal(vec![b'.'; 16 * 1024 + 1]), Rejection::TokenTooLarge);
}

#[test]
fn nothing_of_a_token_is_printed() {
    let text = token(r#"{"alg":"RS256","kid":"sesame"}"#);
    let printed = format!("{:?}", BearerToken::parse(text.as_bytes(), &TokenLimits::default()).unwrap());
    assert_eq!(printed, "BearerToken { .. }");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = BearerToken::parse(&bytes, &TokenLimits::default());
    }

    #[test]
    fn no_three_segments_panic(text in r"[A-Za-z0-9_\-=.{}]{0,200}\.[A-Za-z0-9_\-]{0,64}\.[A-Za-z0-9_\-]{1,64}") {
        let _ = BearerToken::parse(text.as_bytes(), &TokenLimits::default());
    }

    #[test]
    fn a_printed_token_is_read_as_it_was(
        algorithm in any::<String>(),
        kid in prop::option::of(".{0,80}"),
        payload in prop::collection::vec(any::<u8>(), 0..64),
        signature in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let header = kid.as_ref().map_or(json!({"alg": algorithm}), |kid| json!({"alg": algorithm, "kid": kid})).to_string();
        let text = format!("{}.{}.{}", encode(header), encode(&payload), encode(&signature));
        let bearer = BearerToken::parse(text.as_bytes(), &TokenLimits::default()).unwrap();
        prop_assert_eq!(bearer.algorithm(), algorithm);
        prop_assert_eq!(bearer.key_id(), kid.as_deref());
        prop_assert_eq!(bearer.payload(), payload);
        prop_assert_eq!(bearer.signature(), &signature);
    }
}

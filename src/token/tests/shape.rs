//! What is no signed compact JWS with JSON objects in it, or too large for one.

use serde_json::json;

use super::{
    Row,
    attempt::{Attempt, KID, b2c},
};
use crate::token::{
    Rejection::{self, *},
    testing::{RSA, base64url},
};

pub(super) fn rows() -> Vec<Row> {
    let header = format!(r#"{{"alg":"RS256","kid":"{KID}"}}"#);
    let raw_header = |text: &str| b2c().raw_header(text);
    let raw_payload = |text: &str| b2c().raw_payload(text);
    let mut rows = vec![
        b2c().bytes("").row("nothing", TokenMalformed),
        b2c().bytes("..").row("two dots", TokenMalformed),
        b2c().bytes(".".repeat(10_000)).row("thousands of dots", TokenMalformed),
        b2c().bytes("abc").row("one segment", TokenMalformed),
        b2c().token(|token| without_signature(&token)).row("two segments", TokenMalformed),
        b2c().token(|token| without_signature(&token) + ".").row("an empty signature", TokenMalformed),
        b2c().token(|token| token + ".").row("four segments, the last empty", TokenMalformed),
        b2c().token(|token| token + ".e30").row("four segments", TokenMalformed),
        b2c().token(|token| token + ".AAAA.AAAA").row("five segments", TokenMalformed),
        b2c()
            .raw_header(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)
            .token(|token| token + ".AAAA.AAAA")
            .row("an encrypted token", TokenMalformed),
        b2c()
            .raw_header(r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A256GCM"}"#)
            .token(|token| token + ".AAAA.AAAA")
            .row("an encrypted token with a costly password", TokenMalformed),
        b2c().bytes(r#"{"payload":"e30","signatures":[]}"#).row("the JSON serialization", TokenMalformed),
        b2c().token(polyglot).row("JSON and compact at once", TokenMalformed),
        b2c().bytes([0xff, 0xfe, b'.', 0x80, b'.', 0]).row("bytes that are no text", TokenMalformed),
        b2c().token(|token| format!("{token}=")).row("padding after the signature", TokenMalformed),
        b2c().token(|token| token.replacen('.', "=.", 1)).row("padding after the header", TokenMalformed),
        b2c().token(|token| format!("{token}\n")).row("a line break at the end", TokenMalformed),
        b2c().token(|token| format!(" {token}")).row("a space at the start", TokenMalformed),
        b2c().token(|token| token.replacen('.', ".\r\n", 1)).row("a line break within", TokenMalformed),
        b2c().token(|token| token.replacen('.', ". ", 2)).row("spaces within", TokenMalformed),
        b2c().token(|token| format!("{token}\0")).row("a zero byte at the end", TokenMalformed),
        b2c().token(|token| format!("{token}\u{e9}")).row("a character beyond ASCII", TokenMalformed),
        b2c().token(|token| token.replacen('.', "%2E", 1)).row("a dot in percent-encoding", TokenMalformed),
        b2c().token(|token| replace_last(&token, '+')).row("a plus of standard base64", TokenMalformed),
        b2c().token(|token| replace_last(&token, '/')).row("a slash of standard base64", TokenMalformed),
        b2c().token(|token| format!("{token}AAA")).row("a length that base64 cannot have", TokenMalformed),
        b2c().token(trailing_bits).row("trailing bits in the signature", TokenMalformed),
        b2c().claim("x", "a".repeat(16 * 1024)).row("a token beyond 16 KiB", TokenTooLarge),
        b2c().header("x", "a".repeat(4 * 1024)).row("a header beyond 4 KiB", TokenTooLarge),
        b2c().header("kid", "a".repeat(513)).row("a kid beyond 512 bytes", TokenTooLarge),
        b2c().header("kid", "a".repeat(1 << 20)).row("a kid of a megabyte", TokenTooLarge),
        raw_header("").row("an empty header", TokenMalformed),
        raw_header("[]").row("the header is an array", TokenMalformed),
        raw_header(r#""RS256""#).row("the header is a string", TokenMalformed),
        raw_header("null").row("the header is null", TokenMalformed),
        raw_header(&header[..header.len() - 1]).row("the header is cut short", TokenMalformed),
        raw_header(&format!("{header}{header}")).row("two headers", TokenMalformed),
        raw_header(&format!("\u{feff}{header}")).row("a byte order mark before the header", TokenMalformed),
        raw_header(&header.replace('"', "'")).row("single quotes in the header", TokenMalformed),
        raw_header(&header.replace('}', ",}")).row("a comma too many in the header", TokenMalformed),
        raw_header(&header.replace('}', "/**/}")).row("a comment in the header", TokenMalformed),
        raw_header(&header.replace('}', &format!(",\"x\":{}}}", nested(200)))).row("a header nested deeply", TokenMalformed),
        raw_header(&header.replace('}', r#","alg":"RS256"}"#)).row("alg twice", DuplicateMember),
        raw_header(&header.replace('}', r#","\u0061lg":"none"}"#)).row("alg twice, once escaped", DuplicateMember),
        raw_header(&header.replace('}', r#","x":{"y":1,"y":1}}"#)).row("a duplicate deep in the header", DuplicateMember),
        raw_payload("").row("an empty payload", ClaimsMalformed),
        raw_payload("[]").row("the payload is an array", ClaimsMalformed),
        raw_payload("true").row("the payload is true", ClaimsMalformed),
        raw_payload("{").row("the payload is cut short", ClaimsMalformed),
        raw_payload("{} {}").row("two payloads", ClaimsMalformed),
        raw_payload("\u{feff}{}").row("a byte order mark before the payload", ClaimsMalformed),
        raw_payload("eyJ9.e30.AA").row("the payload is a token", ClaimsMalformed),
        b2c().appended(&format!(r#""x":{}"#, nested(200))).row("a payload nested deeply", ClaimsMalformed),
        b2c().appended(r#""x":"\ud800""#).row("half a surrogate in the payload", ClaimsMalformed),
        b2c().appended("\"x\":\"a\nb\"").row("a bare line break in a claim", ClaimsMalformed),
        b2c().appended(r#""x":{"y":[{"z":1,"\u007a":2}]}"#).row("a duplicate deep in the payload", DuplicateMember),
    ];
    for (name, claim) in [
        ("iss twice", r#""iss":"https://contoso.b2clogin.com/""#),
        ("aud twice", r#""aud":"x""#),
        ("exp twice", r#""exp":9999999999"#),
        ("exp twice, once escaped", r#""\u0065xp":9999999999"#),
        ("oid twice", r#""oid":"somebody""#),
        ("tfp twice", r#""tfp":"B2C_1_SignUpIn""#),
    ] {
        rows.push(b2c().appended(claim).row(name, DuplicateMember));
    }
    rows.push(invalid_utf8("bytes that are no text in the header", |bad, good| (bad, good), TokenMalformed));
    rows.push(invalid_utf8("bytes that are no text in the payload", |bad, _| (header.clone().into_bytes(), bad), ClaimsMalformed));
    rows
}

/// The row's header and payload are bytes, of which one is not UTF-8.
fn invalid_utf8(name: &'static str, parts: impl Fn(Vec<u8>, Vec<u8>) -> (Vec<u8>, Vec<u8>), expected: Rejection) -> Row {
    let bad = [&br#"{"alg":"RS256","x":""#[..], &[0xc3, 0x28], &br#""}"#[..]].concat();
    let (header, payload) = parts(bad, b"{}".to_vec());
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let signature = RSA.sign(jsonwebtoken::Algorithm::RS256, signed.as_bytes());
    b2c().bytes(format!("{signed}.{}", base64url(signature))).row(name, expected)
}

fn without_signature(token: &str) -> String {
    token.rsplit_once('.').unwrap().0.to_owned()
}

/// CVE-2022-39227: a JSON serialization whose first member holds a compact token.
fn polyglot(token: String) -> String {
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let forged = base64url(json!({ "sub": "admin" }).to_string());
    format!(r#"{{"  {header}.{forged}.":"","protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#)
}

fn replace_last(token: &str, with: char) -> String {
    let mut token = token[..token.len() - 1].to_owned();
    token.push(with);
    token
}

/// The last of the 342 characters of a 256-byte signature holds 2 bits that mean nothing; they must be zero.
fn trailing_bits(token: String) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = *token.as_bytes().last().unwrap();
    let index = ALPHABET.iter().position(|byte| *byte == last).unwrap();
    replace_last(&token, ALPHABET[index | 1].into())
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[test]
fn the_tokens_that_are_bent_here_are_accepted_straight() {
    assert!(b2c().token(|token| token).run().is_ok());
    let spaced = |attempt: Attempt| {
        let (header, payload) = attempt.parts();
        attempt.raw_header(format!(" \n{header}\t")).raw_payload(format!("\r{payload} "))
    };
    assert!(spaced(b2c()).run().is_ok());
    assert!(b2c().claim("x", "a".repeat(8 * 1024)).run().is_ok());
}

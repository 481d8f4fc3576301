//! Bytes as a client sends them. Only the genuine tokens among the seeds carry signatures that hold, so nothing else may be accepted.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use syncgate::token::{BearerToken, TokenLimits};
use syncgate_fuzz::{base64url, verify};

/// What was signed: the tokens without their signatures, since some algorithms know several signatures of one text.
static GENUINE: LazyLock<[&str; 4]> = LazyLock::new(|| {
    let tokens = [
        include_str!("../seeds/token/rs256"),
        include_str!("../seeds/token/ps256"),
        include_str!("../seeds/token/es256"),
        include_str!("../seeds/token/ed25519"),
    ];
    tokens.map(|token| {
        verify(token.as_bytes()).expect("a genuine token is accepted");
        token.rsplit_once('.').expect("three segments").0
    })
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bearer) = BearerToken::parse(bytes, &TokenLimits::default()) {
        // Strict parsing has one reading: what was parsed prints as what was sent.
        let (header, payload) =
            bearer.signed_bytes().split_at(bearer.signed_bytes().iter().position(|byte| *byte == b'.').unwrap());
        assert!(!header.is_empty());
        assert_eq!(payload, format!(".{}", base64url(bearer.payload())).as_bytes());
        assert_eq!(&bytes[bearer.signed_bytes().len()..], format!(".{}", base64url(bearer.signature())).as_bytes());
    }
    let genuine = &*GENUINE;
    if verify(bytes).is_ok() {
        let signed = bytes.rsplitn(2, |byte| *byte == b'.').nth(1).unwrap();
        assert!(genuine.iter().any(|token| token.as_bytes() == signed), "a token was accepted that nobody signed");
    }
});

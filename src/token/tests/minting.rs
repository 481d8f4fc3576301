//! What the gateway signs, and when it refuses to.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm,
    crypto::JwtSigner,
    signature::{Error, Signer},
};
use serde_json::{Value, json};

use super::{
    Row,
    attempt::{NOW, USER, b2c},
};
use crate::token::{
    Minter, MintingProfile,
    Rejection::{self, *},
    Timestamp, TokenSigner, UserToken,
    testing::{ED25519, P256, RSA, TestKey},
};

pub(super) fn rows() -> Vec<Row> {
    let end = Timestamp::from_seconds(NOW + 3660);
    let failing = |algorithm| mint(&FailingSigner(algorithm), Timestamp::from_seconds(NOW)).map(drop);
    let at = |now| mint(&*RSA, now).map(drop);
    vec![
        Row { name: "a signer that fails", outcome: failing(Algorithm::RS256), expected: SigningFailed },
        Row { name: "a signer with a shared secret", outcome: failing(Algorithm::HS256), expected: SigningFailed },
        Row { name: "minting at the end", outcome: at(end), expected: Expired },
        Row { name: "minting after the end", outcome: at(end.plus(Duration::from_secs(1))), expected: Expired },
        Row { name: "minting at the end of time", outcome: at(Timestamp::MAX), expected: Expired },
    ]
}

fn mint(signer: &dyn TokenSigner, now: Timestamp) -> Result<UserToken, Rejection> {
    let profile = MintingProfile { name: "couch".to_owned(), user_id_claim: "userId".to_owned() };
    Minter::new(profile).mint(&b2c().run().unwrap(), signer, now)
}

#[derive(Debug)]
struct FailingSigner(Algorithm);

impl TokenSigner for FailingSigner {}

impl JwtSigner for FailingSigner {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

impl Signer<Vec<u8>> for FailingSigner {
    fn try_sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Error::new())
    }
}

#[test]
fn a_user_token_says_who_and_how_long() {
    let minted = mint(&*RSA, Timestamp::from_millis(NOW * 1000 + 999)).unwrap();
    assert_eq!(part(&minted, 0), json!({ "alg": "RS256", "typ": "JWT" }));
    assert_eq!(part(&minted, 1), json!({ "userId": USER, "iat": NOW, "exp": NOW + 3660 }));
    assert_eq!(minted.expires(), Timestamp::from_seconds(NOW + 3660));
}

#[test]
fn another_library_verifies_what_each_kind_of_key_signs() {
    let verifies = |key: &'static TestKey, algorithm: Algorithm| {
        let minted = mint(key, Timestamp::from_seconds(NOW)).unwrap();
        let public = jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(key.jwk("pin")).unwrap()).unwrap();
        let (signed, signature) = minted.as_str().rsplit_once('.').unwrap();
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &public, algorithm).unwrap()
    };
    assert!(verifies(&RSA, Algorithm::RS256));
    assert!(verifies(&P256, Algorithm::ES256));
    assert!(verifies(&ED25519, Algorithm::EdDSA));
}

#[test]
fn the_expiry_is_rounded_down_to_a_second() {
    let profile = MintingProfile { name: "couch".to_owned(), user_id_claim: "sub".to_owned() };
    let verified = b2c().claim("exp", NOW as f64 + 0.5).run().unwrap();
    let mint_at = |millis| Minter::new(profile.clone()).mint(&verified, &*RSA, Timestamp::from_millis(millis));
    let minted = mint_at(NOW * 1000).unwrap();
    assert_eq!(part(&minted, 1), json!({ "sub": USER, "iat": NOW, "exp": NOW + 60 }));
    // The last half second has no whole second left in it.
    assert_eq!(mint_at((NOW + 60) * 1000).err(), Some(Expired));
}

#[test]
fn a_user_token_is_not_printed() {
    let minted = mint(&*RSA, Timestamp::from_seconds(NOW)).unwrap();
    let printed = format!("{minted:?}");
    assert!(minted.as_str().split('.').all(|part| !printed.contains(part)), "{printed}");
}

fn part(token: &UserToken, index: usize) -> Value {
    let encoded = token.as_str().split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

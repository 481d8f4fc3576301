//! What the gateway signs, and when it refuses to: header, dates, user ids. The claims are in `minted_claims`.

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
    attempt::{Attempt, NOW, USER, b2c},
};
use crate::token::{
    ClaimValue, Lifetime, Minter, MintingProfile, Place,
    Rejection::{self, *},
    Source, Timestamp, TokenKeyId, TokenSigner, UserIdForm, UserToken, VerifiedToken,
    testing::RSA,
};

/// The client's token ends an hour from now, and its leeway later.
const END: i64 = NOW + 3660;

pub(super) fn rows() -> Vec<Row> {
    let end = Timestamp::from_seconds(END);
    let failing = |algorithm| mint_with(&FailingSigner(algorithm), &profile(|_| {}), Timestamp::from_seconds(NOW)).map(drop);
    let at = |now| mint_with(&*RSA, &profile(|_| {}), now).map(drop);
    let with_id = |id: &str, user_ids| {
        let verified =
            b2c().rule(|rules| rules.user_id = crate::token::UserIdRule::Claims(vec!["x".to_owned()])).claim("x", id).run();
        let profile = profile(|profile| profile.user_ids = user_ids);
        mint(&verified.unwrap(), &profile, Lifetime::Ttl, Timestamp::from_seconds(NOW)).map(drop)
    };
    vec![
        Row { name: "a signer that fails", outcome: failing(Algorithm::RS256), expected: SigningFailed },
        Row { name: "a signer with a secret that nobody asked for", outcome: failing(Algorithm::HS384), expected: SigningFailed },
        Row { name: "minting at the end", outcome: at(end), expected: Expired },
        Row { name: "minting after the end", outcome: at(end.plus(Duration::from_secs(1))), expected: Expired },
        Row { name: "minting at the end of time", outcome: at(Timestamp::MAX), expected: Expired },
        Row {
            name: "an address as the id for Realm",
            outcome: with_id("chris@contoso.com", UserIdForm::UriComponent),
            expected: UserIdUnsuitable,
        },
        Row { name: "a colon for CouchDB", outcome: with_id("a:b", UserIdForm::CouchDb), expected: UserIdUnsuitable },
        Row { name: "a slash for Couchbase", outcome: with_id("a/b", UserIdForm::Couchbase), expected: UserIdUnsuitable },
        Row { name: "no UUID for Supabase", outcome: with_id("chris", UserIdForm::Uuid), expected: UserIdUnsuitable },
    ]
}

/// A profile with `userId`, changed.
pub(super) fn profile(change: impl FnOnce(&mut MintingProfile)) -> MintingProfile {
    let mut profile = MintingProfile::new("couch", "userId");
    change(&mut profile);
    profile
}

pub(super) fn mint(
    verified: &VerifiedToken,
    profile: &MintingProfile,
    lifetime: Lifetime,
    now: Timestamp,
) -> Result<UserToken, Rejection> {
    Minter::new(profile.clone()).mint(verified, &*RSA, lifetime, now, *b"sixteen random b")
}

fn mint_with(signer: &dyn TokenSigner, profile: &MintingProfile, now: Timestamp) -> Result<UserToken, Rejection> {
    Minter::new(profile.clone()).mint(&b2c().run().unwrap(), signer, Lifetime::Ttl, now, [0; 16])
}

/// Header and payload of a token that is minted now for the usual user.
fn parts(lifetime: Lifetime, change: impl FnOnce(&mut MintingProfile)) -> [Value; 2] {
    let minted = mint(&b2c().run().unwrap(), &profile(change), lifetime, Timestamp::from_millis(NOW * 1000 + 999)).unwrap();
    [part(&minted, 0), part(&minted, 1)]
}

#[derive(Debug)]
struct FailingSigner(Algorithm);

impl TokenSigner for FailingSigner {
    fn thumbprint(&self) -> Option<&str> {
        None
    }
}

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
    let [header, payload] = parts(Lifetime::Ttl, |_| {});
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT" }));
    assert_eq!(payload, json!({ "userId": USER, "iat": NOW - 10, "exp": NOW + 300 }));
}

#[test]
fn type_and_key_id_are_what_the_profile_says() {
    let header = |change: fn(&mut MintingProfile)| parts(Lifetime::Ttl, change)[0].clone();
    assert_eq!(header(|profile| profile.token_type = None), json!({ "alg": "RS256" }));
    assert_eq!(
        header(|profile| {
            profile.token_type = Some("at+jwt".to_owned());
            profile.key_id = TokenKeyId::Text("2026-a".to_owned());
        }),
        json!({ "alg": "RS256", "typ": "at+jwt", "kid": "2026-a" })
    );
    let thumbprint = header(|profile| profile.key_id = TokenKeyId::Thumbprint);
    assert_eq!(thumbprint["kid"], "thumbprint-of-a-test-key");
}

#[test]
fn optional_claims_are_there_when_asked_for() {
    let [_, payload] = parts(Lifetime::Ttl, |profile| (profile.not_before, profile.token_id) = (true, true));
    assert_eq!(payload["nbf"], NOW - 10);
    assert_eq!(payload["jti"], "c2l4dGVlbiByYW5kb20gYg");
}

#[test]
fn a_lifetime_is_the_earlier_of_ttl_and_end_or_the_end_itself() {
    let dates = |lifetime, change: fn(&mut MintingProfile)| {
        let [_, payload] = parts(lifetime, change);
        [payload["iat"].as_i64().unwrap() - NOW, payload["exp"].as_i64().unwrap() - NOW]
    };
    let two_hours = Duration::from_secs(7200);
    type Row = (Lifetime, fn(&mut MintingProfile), [i64; 2]);
    let rows: [Row; 8] = [
        (Lifetime::Ttl, |_| {}, [-10, 300]),
        (Lifetime::End, |_| {}, [-10, 3660]),
        (Lifetime::Ttl, |profile| profile.lifetime = Lifetime::End, [-10, 3660]),
        (Lifetime::Ttl, |profile| profile.ttl = Duration::from_secs(60), [-10, 60]),
        (Lifetime::Ttl, |profile| profile.backdate = Duration::ZERO, [0, 300]),
        (Lifetime::End, |profile| profile.max_lifetime = Some(Duration::from_secs(600)), [-10, 590]),
        (Lifetime::Ttl, |profile| profile.max_lifetime = Some(Duration::from_secs(600)), [-10, 300]),
        (Lifetime::Ttl, |profile| profile.ttl = Duration::from_secs(7200), [-10, 3660]),
    ];
    for (index, (lifetime, change, expected)) in rows.into_iter().enumerate() {
        assert_eq!(dates(lifetime, change), expected, "row {index}");
    }
    let expires =
        |lifetime| mint(&b2c().run().unwrap(), &profile(|_| {}), lifetime, Timestamp::from_seconds(NOW)).unwrap().expires();
    assert_eq!(expires(Lifetime::Ttl), Timestamp::from_seconds(NOW + 300));
    assert_eq!(expires(Lifetime::End), Timestamp::from_seconds(NOW).plus(two_hours).minus(Duration::from_secs(3540)));
}

#[test]
fn the_expiry_is_rounded_down_to_a_second() {
    let verified = b2c().claim("exp", NOW as f64 + 0.5).run().unwrap();
    let mint_at = |millis| mint(&verified, &profile(|_| {}), Lifetime::Ttl, Timestamp::from_millis(millis));
    let minted = mint_at(NOW * 1000).unwrap();
    assert_eq!(part(&minted, 1), json!({ "userId": USER, "iat": NOW - 10, "exp": NOW + 60 }));
    // The last half second has no whole second left in it.
    assert_eq!(mint_at((NOW + 60) * 1000).err(), Some(Expired));
}

#[test]
fn a_user_token_is_not_printed() {
    let minted = mint_with(&*RSA, &profile(|_| {}), Timestamp::from_seconds(NOW)).unwrap();
    let printed = format!("{minted:?}");
    assert!(minted.as_str().split('.').all(|part| !printed.contains(part)), "{printed}");
    assert!(printed.starts_with("UserToken { expires: "), "{printed}");
}

#[test]
fn a_token_that_lacks_groups_says_so() {
    let is_short = |attempt: Attempt, source: Source| {
        let place = Place { source, default: None };
        let profile = profile(|profile| profile.claims = [("of".to_owned(), ClaimValue::Place(place))].into());
        mint(&attempt.run().unwrap(), &profile, Lifetime::Ttl, Timestamp::from_seconds(NOW)).unwrap().is_short_of_groups()
    };
    let claim = |name: &str| Source::Claim(name.to_owned());
    let overage = || b2c().claim("hasgroups", true).rule(|rules| rules.kept_claims = vec!["groups".into(), "ver".into()]);
    let roles = || b2c().claim("hasgroups", true).rule(|rules| rules.role_claim = "groups".into());
    assert!(is_short(overage(), claim("groups")));
    assert!(!is_short(overage(), claim("ver")), "nobody asks for the groups");
    assert!(!is_short(overage(), Source::Roles), "the roles are all there");
    assert!(is_short(roles(), Source::Roles));
    assert!(!is_short(roles(), Source::UserId));
    assert!(!is_short(b2c().rule(|rules| rules.kept_claims = vec!["groups".into()]), claim("groups")), "there are none");
}

pub(super) fn part(token: &UserToken, index: usize) -> Value {
    let encoded = token.as_str().split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

//! Real tokens, recorded from providers: each verifies at its time, and not after, by the rules of an issuer that expects it.

use std::time::Duration;

use serde_json::Value;
use syncgate::token::{
    BearerToken, IssuerRule, IssuerSettings, KeySet, KeySetLimits, Rejection, Timestamp, TokenKinds, TokenLimits, TrustedIssuer,
    UnverifiedToken, algorithm_from_name,
};

use crate::corpus;

const LEEWAY: Duration = Duration::from_secs(60);

/// The settings of whoever expects this token.
fn expecting(token: &Value) -> IssuerSettings {
    let claim = |name: &str| token["payload"][name].as_str().unwrap_or_default().to_owned();
    IssuerSettings {
        algorithms: algorithm_from_name(token["header"]["alg"].as_str().unwrap()).into_iter().collect(),
        kinds: TokenKinds { access: true, id: true, app_only: true },
        leeway: LEEWAY,
        ..IssuerSettings::new("contoso", IssuerRule::Exact(vec![claim("iss")]), vec![claim("aud")])
    }
}

fn verify(token: &Value, keys: &KeySet, settings: IssuerSettings, now: Timestamp) -> Result<String, Rejection> {
    let bearer = BearerToken::parse(token["token"].as_str().unwrap().as_bytes(), &TokenLimits::default())?;
    let opened = UnverifiedToken::open(&bearer)?;
    let issuer = TrustedIssuer::new(settings);
    TrustedIssuer::choose([&issuer], &opened)?;
    issuer.verify(&opened, keys, now).map(|verified| verified.user_id().to_owned())
}

#[test]
fn real_tokens_verify_at_their_time_and_not_after() {
    let Some(tokens) = corpus::json("tokens/real-tokens.json") else { return };
    let mut without_expiry = 0;
    for token in tokens.as_array().unwrap() {
        let (payload, own) = (&token["payload"], token["signature_verifies_with"].as_str().unwrap());
        let keys = KeySet::parse(&corpus::bytes(own).unwrap(), &KeySetLimits::default()).unwrap();
        let at = |now, change: &dyn Fn(&mut IssuerSettings)| {
            let mut settings = expecting(token);
            change(&mut settings);
            verify(token, &keys, settings, now)
        };
        let as_expected = |_: &mut IssuerSettings| {};
        let date = |name: &str| payload[name].as_i64().map(Timestamp::from_seconds);
        let begin = date("nbf").or(date("iat")).unwrap_or(Timestamp::from_seconds(0));
        let Some(end) = date("exp").map(|expiry| expiry.plus(LEEWAY)) else {
            without_expiry += 1;
            assert_eq!(at(begin, &as_expected), Err(Rejection::ExpiryMissing), "{own}");
            continue;
        };
        let millisecond = Duration::from_millis(1);
        let user = Ok(payload["sub"].as_str().unwrap().to_owned());
        assert_eq!(at(begin, &as_expected), user, "{own}");
        assert_eq!(at(begin.minus(LEEWAY), &as_expected), user, "{own}");
        assert_eq!(at(end.minus(millisecond), &as_expected), user, "{own}");
        assert_eq!(at(end, &as_expected), Err(Rejection::Expired), "{own}");
        assert_eq!(at(Timestamp::from_seconds(1_900_000_000), &as_expected), Err(Rejection::Expired), "{own}");
        let before = at(begin.minus(LEEWAY).minus(millisecond), &as_expected).unwrap_err();
        assert!(matches!(before, Rejection::NotYetValid | Rejection::IssuedInFuture), "{own}: {before:?}");
        let audience = |settings: &mut IssuerSettings| settings.audiences = vec!["another".into()];
        assert_eq!(at(begin, &audience), Err(Rejection::WrongAudience), "{own}");
        let issuer = |settings: &mut IssuerSettings| settings.issuer = IssuerRule::Exact(vec!["https://login.contoso.com/".into()]);
        assert_eq!(at(begin, &issuer), Err(Rejection::UnknownIssuer), "{own}");
    }
    assert_eq!((tokens.as_array().unwrap().len(), without_expiry), (11, 2));
}

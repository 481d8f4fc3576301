//! Dates that are wrong, missing, of another type or too large.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Row,
    attempt::{Attempt, NOW, b2c},
};
use crate::token::{Rejection::*, Timestamp};

pub(super) fn rows() -> Vec<Row> {
    let exp_as = |text: &str| b2c().without("exp").appended(&format!("\"exp\":{text}"));
    let day = |attempt: Attempt| attempt.rule(|rules| rules.max_lifetime = Some(Duration::from_secs(86_400)));
    vec![
        b2c().without("exp").row("no exp", ExpiryMissing),
        b2c().claim("exp", (NOW + 3600).to_string()).row("exp is a string", ClaimsMalformed),
        b2c().claim("exp", true).row("exp is true", ClaimsMalformed),
        b2c().claim("exp", Value::Null).row("exp is null", ExpiryMissing),
        b2c().claim("exp", json!([])).row("exp is an empty array", ClaimsMalformed),
        b2c().claim("exp", json!([NOW + 3600])).row("exp is an array", ClaimsMalformed),
        b2c().claim("exp", json!({})).row("exp is an object", ClaimsMalformed),
        exp_as("1e300").row("exp is 1e300", ClaimsMalformed),
        exp_as("-1e300").row("exp is -1e300", ClaimsMalformed),
        exp_as("1e400").row("exp is no f64", ClaimsMalformed),
        exp_as("NaN").row("exp is NaN", ClaimsMalformed),
        exp_as("Infinity").row("exp is Infinity", ClaimsMalformed),
        exp_as("0x7fffffff").row("exp is hexadecimal", ClaimsMalformed),
        exp_as("+1800000000").row("exp has a plus sign", ClaimsMalformed),
        exp_as("01800000000").row("exp has a leading zero", ClaimsMalformed),
        exp_as("1800000000.").row("exp ends in a point", ClaimsMalformed),
        exp_as("9223372036854775807").row("exp is the largest i64", ClaimsMalformed),
        exp_as("9223372036854775808").row("exp is beyond i64", ClaimsMalformed),
        exp_as("18446744073709551616").row("exp is beyond u64", ClaimsMalformed),
        exp_as("253402300800").row("exp is beyond the year 9999", ClaimsMalformed),
        exp_as("1700003600000").row("exp is in milliseconds", ClaimsMalformed),
        b2c().claim("EXP", NOW + 3600).without("exp").row("exp in capitals", ExpiryMissing),
        b2c().claim("exp", 0).row("exp is zero", Expired),
        b2c().claim("exp", -1).row("exp is negative", Expired),
        b2c().claim("exp", -253_402_300_799_i64).row("exp is very negative", Expired),
        b2c().claim("exp", NOW - 60).row("exp and leeway end now", Expired),
        b2c().claim("exp", NOW as f64 - 60.001).row("exp and leeway ended a millisecond ago", Expired),
        b2c().claim("exp", NOW - 1).rule(|rules| rules.leeway = Duration::ZERO).row("exp a second ago, no leeway", Expired),
        b2c().claim("exp", NOW).rule(|rules| rules.leeway = Duration::ZERO).row("exp is now, no leeway", Expired),
        b2c().at(Timestamp::MAX).row("now is the end of time", Expired),
        b2c().claim("nbf", NOW + 61).row("nbf beyond the leeway", NotYetValid),
        b2c().claim("nbf", NOW as f64 + 60.5).row("nbf half a second beyond the leeway", NotYetValid),
        b2c().claim("nbf", "1").row("nbf is a string", ClaimsMalformed),
        b2c().claim("nbf", false).row("nbf is false", ClaimsMalformed),
        b2c().claim("nbf", json!([1])).row("nbf is an array", ClaimsMalformed),
        b2c().claim("nbf", 1e300).row("nbf is 1e300", ClaimsMalformed),
        b2c().claim("nbf", -1e300).row("nbf is -1e300", ClaimsMalformed),
        b2c().claim("iat", NOW + 61).row("iat beyond the leeway", IssuedInFuture),
        b2c().claim("iat", "1").row("iat is a string", ClaimsMalformed),
        b2c().claim("iat", true).row("iat is true", ClaimsMalformed),
        b2c().claim("iat", json!({ "at": 1 })).row("iat is an object", ClaimsMalformed),
        b2c().claim("iat", u64::MAX).row("iat is the largest u64", ClaimsMalformed),
        day(b2c().claim("exp", NOW + 86_400)).row("a lifetime of a day and a minute", LifetimeTooLong),
        day(b2c().without("iat")).row("a longest lifetime, no iat", LifetimeTooLong),
        day(b2c().claim("iat", -253_402_300_799_i64)).row("a lifetime of thousands of years", LifetimeTooLong),
    ]
}

#[test]
fn boundaries_are_exact_to_the_millisecond() {
    let end = Timestamp::from_seconds(NOW + 3660);
    assert!(b2c().at(end.minus(Duration::from_millis(1))).run().is_ok());
    assert_eq!(b2c().at(end).run().err(), Some(Expired));
    assert_eq!(b2c().run().unwrap().end(), end);

    let at_leeway = b2c().claim("nbf", NOW + 60).claim("iat", NOW + 60);
    assert!(at_leeway.run().is_ok());
    assert_eq!(at_leeway.at(Timestamp::from_millis(NOW * 1000 - 1)).run().err(), Some(NotYetValid));
}

#[test]
fn dates_may_be_fractional_and_old_and_nbf_and_iat_may_be_missing() {
    let fractional =
        b2c().claim("exp", NOW as f64 + 0.5).claim("nbf", NOW as f64 - 0.5).claim("iat", NOW as f64 - 0.25).run().unwrap();
    assert_eq!(fractional.end(), Timestamp::from_millis(NOW * 1000 + 60_500));
    assert_eq!(fractional.issued_at(), Some(Timestamp::from_millis(NOW * 1000 - 250)));

    assert!(b2c().claim("nbf", -5).claim("iat", -5).run().is_ok());
    assert_eq!(b2c().without("nbf").without("iat").run().unwrap().issued_at(), None);
    let day = |rules: &mut crate::token::IssuerSettings| rules.max_lifetime = Some(Duration::from_secs(86_400));
    assert!(b2c().claim("exp", NOW - 60 + 86_400).rule(day).run().is_ok());
}

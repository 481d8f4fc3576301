//! User ids that are missing, odd, contradictory, or could be somebody else's.

use serde_json::{Value, json};

use super::{
    Row,
    attempt::{Attempt, OTHER_TENANT, TENANT, USER, b2c, entra},
};
use crate::token::{Rejection::*, UserIdRule};

const CONSTANT: &str = "Not supported currently. Use oid claim.";

pub(super) fn rows() -> Vec<Row> {
    let sub_only = || b2c().rule(|rules| rules.user_id = UserIdRule::Claims(vec!["sub".to_owned()]));
    let oid_only = || b2c().rule(|rules| rules.user_id = UserIdRule::Claims(vec!["oid".to_owned()]));
    vec![
        b2c().without("oid").without("sub").row("neither oid nor sub", UserIdMissing),
        oid_only().without("oid").row("oid is the rule, sub is there", UserIdMissing),
        oid_only().without("oid").claim("OID", USER).row("OID for oid", UserIdMissing),
        sub_only().claim("sub", CONSTANT).row("the constant of B2C in sub", UserIdMissing),
        b2c().without("oid").claim("sub", CONSTANT).row("the constant of B2C and no oid", UserIdMissing),
        b2c().claim("oid", CONSTANT).claim("sub", CONSTANT).row("the constant of B2C twice", UserIdMissing),
        sub_only().claim("sub", "Not supported currently. Use objectId.").row("the constant in other words", UserIdMissing),
        b2c().rule(|rules| rules.user_id = UserIdRule::Claims(Vec::new())).row("no claim is configured", UserIdMissing),
        b2c().claim("sub", OTHER_TENANT).row("oid and sub differ", UserIdConflict),
        b2c().claim("sub", USER.to_uppercase()).row("oid and sub differ in case", UserIdConflict),
        b2c().claim("sub", "").row("oid is there, sub is empty", UserIdInvalid),
        b2c().claim("sub", 7).row("oid is there, sub is a number", ClaimsMalformed),
        sub_only().claim("sub", Value::Null).row("sub is null", UserIdMissing),
        sub_only().claim("sub", true).row("sub is true", ClaimsMalformed),
        oid_only().claim("oid", 42).row("oid is a number", UserIdInvalid),
        oid_only().claim("oid", false).row("oid is false", UserIdInvalid),
        oid_only().claim("oid", json!([USER])).row("oid is an array", UserIdInvalid),
        oid_only().claim("oid", json!({ "id": USER })).row("oid is an object", UserIdInvalid),
        oid_only().claim("oid", "").row("oid is empty", UserIdInvalid),
        oid_only().claim("oid", "a".repeat(257)).row("oid of 257 bytes", UserIdInvalid),
        oid_only().claim("oid", "\u{e9}".repeat(129)).row("oid of 129 characters in 258 bytes", UserIdInvalid),
        oid_only().claim("oid", "a\0b").row("oid with a zero byte", UserIdInvalid),
        oid_only().claim("oid", "a\r\nX-Admin: 1").row("oid with a header in it", UserIdInvalid),
        oid_only().claim("oid", " ").row("oid is a space", UserIdInvalid),
        oid_only().claim("oid", "\u{a0}\u{3000}").row("oid is white space of other kinds", UserIdInvalid),
        oid_only().claim("oid", "a\u{202e}b").row("oid with an override of the direction", UserIdInvalid),
        oid_only().claim("oid", "\u{2066}a\u{2069}").row("oid with isolates", UserIdInvalid),
        oid_only().claim("oid", "a\tb").row("oid with a tab", UserIdInvalid),
        oid_only().claim("oid", "a\u{7f}").row("oid with DEL", UserIdInvalid),
        oid_only().claim("oid", "a\u{85}b").row("oid with a C1 control", UserIdInvalid),
        entra().without("oid").row("a claim of the template is missing", UserIdMissing),
        entra().claim("oid", CONSTANT).row("the constant of B2C in a template", UserIdMissing),
        entra().claim("oid", 7).row("a number in a template", UserIdInvalid),
        template("{oid}{sub}").row("a template without a separator", UserIdInvalid),
        template("{sub}_{oid}").claim("sub", "a_b").row("a claim that holds the separator", UserIdInvalid),
        template("{sub}__{oid}").claim("sub", "a_").row("a claim that lengthens the separator", UserIdInvalid),
        template("everyone").row("a template without a claim", UserIdMissing),
        template("{tid}_{oid}").claim("oid", "a".repeat(220)).row("257 bytes in all", UserIdInvalid),
    ]
}

fn template(template: &str) -> Attempt {
    entra().rule(|rules| rules.user_id = UserIdRule::Template(template.to_owned()))
}

#[test]
fn the_user_id_is_what_the_rule_says() {
    let id = |attempt: Attempt| attempt.run().unwrap().user_id().to_owned();
    assert_eq!(id(b2c()), USER);
    assert_eq!(id(b2c().without("oid")), USER);
    assert_eq!(id(b2c().without("sub")), USER);
    assert_eq!(id(b2c().claim("sub", CONSTANT)), USER);
    assert_eq!(id(entra()), format!("{TENANT}_{USER}"));
    assert_eq!(id(template("contoso:{oid}")), format!("contoso:{USER}"));
    assert_eq!(id(template("<{tid}|{sub}>")), format!("<{TENANT}|pairwise-AbC>"));
    assert_eq!(id(template("{oid}").claim("oid", "a".repeat(256))), "a".repeat(256));
    assert_eq!(id(template("{tid}_{oid}").claim("oid", "b_c")), format!("{TENANT}_b_c"));
}

use serde_json::{Value, json};

use super::bad_values::NAME;

/// Place, bad value, and its one problem, for what minted tokens say and what signs them.
pub(super) fn rows() -> Vec<(&'static str, Value, String)> {
    let row = |place, value, text: &str| (place, value, text.to_owned());
    vec![
        row(
            "/mint/user_id_claim",
            json!("exp"),
            "mint.user_id_claim: exp is set by the gateway itself; accepted: any claim but exp, iat, jti, nbf",
        ),
        row(
            "/mint/preset",
            json!("couch"),
            "mint.preset: \"couch\" is not known; did you mean couchdb?; accepted: realm, couchdb, powersync, zero, triplit, hasura, \
             postgrest, supabase, couchbase",
        ),
        row(
            "/mint/claims",
            json!({ "sub": "${user_id}", "nbf": 1 }),
            "mint.claims.nbf: nbf is set by the gateway itself; accepted: any claim but exp, iat, jti, nbf",
        ),
        row(
            "/mint/tables",
            json!({ "A": { "from": "${roles}", "values": { "a": "b" } } }),
            &format!("mint.tables.A: cannot be a name; {NAME}"),
        ),
        row(
            "/mint/user_id_form",
            json!("guid"),
            "mint.user_id_form: \"guid\" is not known; did you mean uuid?; accepted: any, uri_component, couchdb, couchbase, uuid",
        ),
        row("/mint/typ", json!(["JWT"]), "mint.typ: is a list, not one value; accepted: none, or text such as JWT (default JWT)"),
        row(
            "/mint/kid",
            json!(""),
            "mint.kid: \"\" is empty or too long; accepted: none, thumbprint, or text of 1 to 1024 bytes (default none)",
        ),
        row("/mint/lifetime", json!("5m"), "mint.lifetime: \"5m\" is not known; accepted: ttl, end"),
        row("/mint/ttl", json!("29s"), "mint.ttl: 29s is too short; accepted: 30s to 1d (default 5m)"),
        row("/mint/max_lifetime", json!("59s"), "mint.max_lifetime: 59s is too short; accepted: none, or 1m to 30d (default none)"),
        row("/mint/backdate", json!("6m"), "mint.backdate: 6m is too long; accepted: 0s to 5m (default 10s)"),
        row("/mint/nbf", json!("yes"), "mint.nbf: \"yes\" is not known; accepted: true, false"),
        row("/mint/jti", json!(1), "mint.jti: \"1\" is not known; accepted: true, false"),
        row("/profiles", json!({}), "profiles: has 0 entries; accepted: 1 to 1000"),
        row(
            "/signing/algorithm",
            json!("ES512"),
            "signing.algorithm: \"ES512\" is not known; did you mean RS512?; accepted: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256",
        ),
    ]
}

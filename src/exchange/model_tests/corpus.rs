//! The tokens that clients bring.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::exchange::testing::{at, claims, sign, sign_with};

/// The issuers, and the keys that each may publish: `kid` and number. Both have a key that they call `a`.
pub(super) const ISSUERS: [(&str, &[(&str, usize)]); 2] =
    [("contoso", &[("a", 0), ("b", 1), ("c", 2)]), ("partner", &[("a", 3), ("p", 4)])];

/// The smaller limit; two tokens are longer, one of them than what a connection remembers.
pub(super) const SMALL_LIMIT: usize = 800;

pub(super) static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut tokens = Vec::new();
    for user in ["alice", "bob"] {
        for (kid, key) in [("a", 0), ("b", 1)] {
            for end in [900, 4_000] {
                tokens.push(sign(kid, key, &claims("contoso", user, end)));
            }
        }
        tokens.push(sign("c", 2, &claims("contoso", user, 2_000)));
        tokens.push(sign("p", 4, &claims("partner", user, 3_000)));
    }
    tokens.push(sign("a", 3, &claims("partner", "alice", 4_000)));
    tokens.push(alices(4_000, &json!({ "padding": "x".repeat(SMALL_LIMIT) })));
    tokens.push(alices(4_000, &json!({ "padding": "x".repeat(4 * 1024) })));
    tokens.push(alices(3_000, &json!({ "aud": "other" })));
    tokens.push(alices(3_000, &json!({ "nbf": at(1_000).as_seconds() })));
    tokens.push(alices(3_000, &json!({ "iat": at(1_000).as_seconds() })));
    tokens.push(alices(3_000, &json!({ "exp": null })));
    let good = claims("contoso", "alice", 4_000);
    // Forged: under the name of a key that did not sign; of an issuer that is not trusted, or of the other one.
    tokens.push(sign("a", 1, &good));
    tokens.push(sign("a", 3, &good));
    tokens.push(sign("p", 4, &good));
    tokens.push(sign("a", 0, &claims("partner", "alice", 4_000)));
    tokens.push(sign("a", 0, &claims("fabrikam", "alice", 4_000)));
    tokens.push(sign("unknown", 0, &good));
    tokens.push(sign_with(&json!({ "alg": "ES256", "kid": "a" }), 0, &good));
    // Like a good one: with the header or the signature of another, with letters in the other case, a part of it, and it with more.
    let (known, other) = (sign("a", 0, &good), sign("b", 1, &claims("contoso", "bob", 4_000)));
    let (signed, signature) = known.rsplit_once('.').unwrap();
    tokens.push(format!("{}.{}", other.split_once('.').unwrap().0, known.split_once('.').unwrap().1));
    tokens.push(format!("{signed}.{}", other.rsplit_once('.').unwrap().1));
    tokens.push(format!("{signed}.{}", in_the_other_case(signature)));
    tokens.push(known[..known.len() - 2].to_owned());
    tokens.push(format!("{known}AA"));
    tokens.push("neither.a.token".to_owned());
    tokens
});

/// A token of key `a` with some claims changed, or taken away by a null.
fn alices(end: i64, changes: &Value) -> String {
    let mut claims = claims("contoso", "alice", end);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    sign("a", 0, &claims)
}

/// The last letter is left as it is: it holds bits that must be zero.
fn in_the_other_case(text: &str) -> String {
    let (letters, last) = text.split_at(text.len() - 1);
    let changed = letters.chars().map(|one| if one.is_lowercase() { one.to_ascii_uppercase() } else { one.to_ascii_lowercase() });
    changed.chain(last.chars()).collect()
}

//! What grants power in known backends: such a value is minted only if it is in the config, fixed or in a table.
//!
//! | backend | what |
//! |---|---|
//! | Realm Object Server | `isAdmin` |
//! | CouchDB | `_admin` among `_couchdb.roles`, or in the claim that `roles_claim_name` names |
//! | PostgREST, Supabase | `role` (or what `jwt-role-claim-key` names) `service_role` or `supabase_admin` |
//! | Triplit | `x-triplit-token-type` |
//! | Hasura | `admin` in `x-hasura-…role…` |
//! | Couchbase Sync Gateway | the channel `*` |
//!
//! Backends can be configured to read another claim, or text that contains JSON. So words that grant power only in a backend
//! are refused wherever they come from a client's token, as a word in any text.

use serde_json::Value;

use crate::token::{ClaimValue, MintingProfile, Piece, Place, Source, mint::value::as_text};

/// Claims of which every value is a matter of power.
const CLAIMS: [&str; 2] = ["isAdmin", "x-triplit-token-type"];
/// Words that grant power whatever the claim is called.
const WORDS: [&str; 5] = ["_admin", "isAdmin", "service_role", "supabase_admin", "x-triplit-token-type"];

/// Whether a claim may have a value that comes from the identity at all.
pub(in crate::token) fn may_be_derived(claim: &str) -> bool {
    !CLAIMS.iter().any(|known| known.eq_ignore_ascii_case(claim))
}

/// What of a value grants power, under a claim of this name; elements of a list stand under the name of the list.
pub(in crate::token) fn granted(claim: &str, value: &Value) -> Option<&'static str> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) | Value::Number(_) => CLAIMS.into_iter().find(|known| known.eq_ignore_ascii_case(claim)),
        Value::String(text) => CLAIMS
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(claim))
            .or_else(|| granted_by_text(claim, text))
            .or_else(|| granted_by_json(claim, text)),
        Value::Array(elements) => elements.iter().find_map(|element| granted(claim, element)),
        Value::Object(members) => {
            members.iter().find_map(|(name, value)| granted_by_text("", name).or_else(|| granted(name, value)))
        }
    }
}

/// What text with an object or a list in it grants: some backends read such text, and JSON can write a letter in more than one way.
fn granted_by_json(claim: &str, text: &str) -> Option<&'static str> {
    match serde_json::from_str(text) {
        Ok(inner @ (Value::Object(_) | Value::Array(_))) => granted(claim, &inner),
        _ => None,
    }
}

fn granted_by_text(claim: &str, text: &str) -> Option<&'static str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let has_word = |word: &str| text.split(|c| !is_part(c)).any(|part| part.eq_ignore_ascii_case(word));
    let claim = claim.to_ascii_lowercase();
    if let Some(word) = WORDS.into_iter().find(|word| has_word(word)) {
        Some(word)
    } else if claim.starts_with("x-hasura-") && claim.contains("role") && has_word("admin") {
        Some("admin")
    } else if claim.contains("channels") && text.split([',', ' ']).any(|part| part == "*") {
        Some("*")
    } else {
        None
    }
}

impl MintingProfile {
    /// Claims that may only come from the config, but have a value from the identity in this profile.
    pub fn wrongly_derived(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.each_leaf(&mut |claim, leaf| {
            if !may_be_derived(claim) && leaf.places().iter().any(|place| place.table().is_none()) {
                found.push(claim);
            }
        });
        found
    }

    /// Claims in which the config grants power to every user of this profile, whoever it is, and what it grants.
    pub fn power_for_everybody(&self) -> Vec<(&str, &'static str)> {
        let mut found = Vec::new();
        self.each_leaf(&mut |claim, leaf| {
            let values = match leaf {
                ClaimValue::Fixed(value) => vec![value.clone()],
                ClaimValue::Place(place) => self.without_any_match(place),
                ClaimValue::Text(pieces) => vec![self.text_without_any_match(pieces).into()],
                ClaimValue::List(_) | ClaimValue::Object(_) => Vec::new(),
            };
            found.extend(values.iter().find_map(|value| granted(claim, value)).map(|word| (claim, word)));
        });
        found
    }

    /// What a place holds when the identity has nothing for it.
    fn without_any_match(&self, place: &Place) -> Vec<Value> {
        match place.table().and_then(|name| self.tables.iter().find(|table| table.name == name)) {
            Some(table) => table.default.clone().unwrap_or_default(),
            None => place.default.iter().cloned().collect(),
        }
    }

    fn text_without_any_match(&self, pieces: &[Piece]) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Place(place) => self.without_any_match(place).iter().map(as_text).collect(),
        };
        pieces.iter().map(piece).collect()
    }

    /// Every value that is not a list and no object, with the name of the claim or member that it is under.
    fn each_leaf<'p>(&'p self, visit: &mut impl FnMut(&'p str, &'p ClaimValue)) {
        fn walk<'p>(claim: &'p str, value: &'p ClaimValue, visit: &mut impl FnMut(&'p str, &'p ClaimValue)) {
            match value {
                ClaimValue::List(values) => values.iter().for_each(|value| walk(claim, value, visit)),
                ClaimValue::Object(members) => members.iter().for_each(|(name, value)| walk(name, value, visit)),
                leaf => visit(claim, leaf),
            }
        }
        self.claims.iter().for_each(|(name, value)| walk(name, value, visit));
    }
}

impl Place {
    /// The table that it looks into, if it does.
    pub fn table(&self) -> Option<&str> {
        match &self.source {
            Source::First(table) | Source::All(table) => Some(table),
            Source::UserId | Source::Name | Source::Roles | Source::Scopes | Source::Claim(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_grants_power_is_found_wherever_it_hides() {
        for (claim, value, word) in [
            ("isAdmin", json!(true), "isAdmin"),
            ("ISADMIN", json!("yes"), "isAdmin"),
            ("x-triplit-token-type", json!("secret"), "x-triplit-token-type"),
            ("_couchdb.roles", json!(["reader", "_admin"]), "_admin"),
            ("_couchdb.roles", json!("reader, _admin"), "_admin"),
            ("roles", json!("reader,_ADMIN"), "_admin"),
            ("role", json!("service_role"), "service_role"),
            ("anything", json!({ "a": [{ "isAdmin": false }] }), "isAdmin"),
            ("anything", json!({ "a": [{ "role": "supabase_admin" }] }), "supabase_admin"),
            ("https://hasura.io/jwt/claims", json!("{\"role\":\"service_role\"}"), "service_role"),
            ("https://hasura.io/jwt/claims", json!({ "x-hasura-allowed-roles": ["user", "admin"] }), "admin"),
            ("X-Hasura-Role", json!("admin"), "admin"),
            ("https://hasura.io/jwt/claims", json!(r#"{"x-hasura-default-role":"admin"}"#), "admin"),
            ("https://hasura.io/jwt/claims", json!(r#" {"a":"{\"x-hasura-role\":\"\\u0061dmin\"}"} "#), "admin"),
            ("_couchdb.roles", json!(r#"["\u005fadmin"]"#), "_admin"),
            ("channels", json!(["a", "*"]), "*"),
            ("channels", json!("a,*"), "*"),
        ] {
            assert_eq!(granted(claim, &value), Some(word), "{claim}: {value}");
        }
    }

    #[test]
    fn what_everybody_gets_is_what_stands_in_the_config() {
        let place = |default: Value| Place { source: Source::Name, default: Some(default) };
        let text =
            |start: &str, default: Value| ClaimValue::Text(vec![Piece::Literal(start.to_owned()), Piece::Place(place(default))]);
        let mut profile = MintingProfile::new("p", "userId");
        profile.claims = [
            ("literal", text("_admin ", json!("x"))),
            ("default", text("", json!("_admin"))),
            ("both", text("_adm", json!("in"))),
            ("neither", text("a", json!("b"))),
            ("place", ClaimValue::Place(place(json!("service_role")))),
            ("list", ClaimValue::List(vec![ClaimValue::Fixed(json!("_admin"))])),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let found =
            [("both", "_admin"), ("default", "_admin"), ("list", "_admin"), ("literal", "_admin"), ("place", "service_role")];
        assert_eq!(profile.power_for_everybody(), found);
    }

    #[test]
    fn a_claim_of_power_is_fixed_or_comes_from_a_table() {
        let place = |source: Source| ClaimValue::Place(Place { source, default: None });
        let mut profile = MintingProfile::new("p", "userId");
        profile.claims = [
            (
                "ISADMIN",
                ClaimValue::Text(vec![Piece::Literal("a".into()), Piece::Place(Place { source: Source::Name, default: None })]),
            ),
            ("isAdmin", place(Source::Claim("admin".into()))),
            ("isadmin", place(Source::First("table".into()))),
            ("name", place(Source::Name)),
            ("x-triplit-token-type", ClaimValue::Fixed(json!("secret"))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        assert_eq!(profile.wrongly_derived(), ["ISADMIN", "isAdmin"]);
        let found = [("ISADMIN", "isAdmin"), ("x-triplit-token-type", "x-triplit-token-type")];
        assert_eq!(profile.power_for_everybody(), found, "a text is there though a place in it is not");
        let table = |name: &str, default: serde_json::Value| crate::token::ClaimTable {
            name: name.to_owned(),
            from: Source::Roles,
            rows: vec![("Admin".to_owned(), vec![json!("_admin")])],
            default: Some(vec![default]),
        };
        profile.tables = vec![table("other", json!("reader")), table("table", json!("_admin"))];
        profile.claims = [("mine", place(Source::First("table".into()))), ("theirs", place(Source::All("other".into())))]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        assert_eq!(profile.power_for_everybody(), [("mine", "_admin")]);
        let sources: Vec<_> = profile.sources().cloned().collect();
        assert_eq!(sources, [Source::First("table".into()), Source::All("other".into()), Source::Roles, Source::Roles]);
    }

    #[test]
    fn ordinary_values_grant_nothing() {
        for (claim, value) in [
            ("isAdmin", json!(false)),
            ("roles", json!(["admin", "Admin", "user_admin", "_admins", "services_role"])),
            ("x-hasura-user-id", json!("admin")),
            ("name", json!("Chris *")),
            ("role", json!("authenticated")),
            ("level", json!(7)),
            ("channels", json!(["news", "a*", "a, b"])),
        ] {
            assert_eq!(granted(claim, &value), None, "{claim}: {value}");
        }
    }
}

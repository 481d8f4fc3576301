//! [`ClaimTable`]: what the provider calls a role or group, and what the backend calls it.

use serde_json::Value;

use crate::token::Source;

/// A table from values of the identity to values of the backend.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimTable {
    /// What `${first:NAME}` and `${all:NAME}` call it.
    pub name: String,
    /// What is looked up: a text, number or truth value, or each element of a list. Not a table.
    pub from: Source,
    /// Left side and right side, in order of importance. A left side is compared exactly; numbers as JSON writes them.
    pub rows: Vec<(String, Vec<Value>)>,
    /// What holds when no row fits.
    pub default: Option<Vec<Value>>,
}

impl ClaimTable {
    /// The right sides of the rows that fit, in the order of the table, each value once. None: no row fits and there is no default.
    pub(in crate::token) fn look_up(&self, value: Option<&Value>) -> Option<Vec<&Value>> {
        let fits = |left: &str| match value {
            Some(Value::Array(elements)) => elements.iter().any(|element| is(element, left)),
            Some(value) => is(value, left),
            None => false,
        };
        let rows: Vec<_> = self.rows.iter().filter(|(left, _)| fits(left)).collect();
        if rows.is_empty() {
            return self.default.as_ref().map(|values| values.iter().collect());
        }
        let mut found = Vec::new();
        for value in rows.into_iter().flat_map(|(_, right)| right) {
            if !found.contains(&value) {
                found.push(value);
            }
        }
        Some(found)
    }
}

fn is(value: &Value, left: &str) -> bool {
    match value {
        Value::String(text) => text == left,
        Value::Number(number) => number.to_string() == left,
        Value::Bool(flag) => left == if *flag { "true" } else { "false" },
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_fit_in_the_order_of_the_table() {
        let mut table = ClaimTable {
            name: "roles".to_owned(),
            from: Source::Roles,
            rows: vec![
                ("Sync.Admin".to_owned(), vec![json!("admin"), json!("user")]),
                ("Sync.User".to_owned(), vec![json!("user"), json!("reader")]),
                ("7".to_owned(), vec![json!(7)]),
                ("true".to_owned(), vec![json!("yes")]),
                ("false".to_owned(), vec![json!("no")]),
                ("Sync.Nothing".to_owned(), vec![]),
            ],
            default: None,
        };
        let look_up = |table: &ClaimTable, value: Option<Value>| table.look_up(value.as_ref()).map(|found| json!(found));
        assert_eq!(look_up(&table, Some(json!(["Sync.User", "Sync.Admin"]))), Some(json!(["admin", "user", "reader"])));
        assert_eq!(look_up(&table, Some(json!("Sync.User"))), Some(json!(["user", "reader"])));
        assert_eq!(look_up(&table, Some(json!([7]))), Some(json!([7])));
        assert_eq!(look_up(&table, Some(json!(true))), Some(json!(["yes"])));
        assert_eq!(look_up(&table, Some(json!([false]))), Some(json!(["no"])));
        for nothing in
            [None, Some(json!([])), Some(json!("sync.user")), Some(json!({ "Sync.User": 1 })), Some(json!([["Sync.User"]]))]
        {
            assert_eq!(look_up(&table, nothing), None);
        }
        table.default = Some(vec![json!("guest")]);
        assert_eq!(look_up(&table, Some(json!("x"))), Some(json!(["guest"])));
        assert_eq!(look_up(&table, Some(json!(["Sync.Nothing"]))), Some(json!([])), "the row fits, so the default does not hold");
    }
}

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(text: &str) -> Result<serde_json::Value, JsonError> {
    parse_object(text.as_bytes()).map(|object| Value::Object(object).to_owned_value())
}

fn nested(levels: usize) -> String {
    format!("{}{}", r#"{"a":"#.repeat(levels - 1) + "{}", "}".repeat(levels - 1))
}

#[test]
fn every_kind_of_value_is_read() {
    let text = r#" {"n":null,"t":true,"i":-1,"u":18446744073709551615,"f":1.5,"s":"é\n","a":[1,"x",{}],"o":{"k":false}} "#;
    let expected =
        json!({"n": null, "t": true, "i": -1, "u": u64::MAX, "f": 1.5, "s": "é\n", "a": [1, "x", {}], "o": {"k": false}});
    assert_eq!(parse(text), Ok(expected));
}

#[test]
fn whole_numbers_are_integers_and_those_beyond_64_bits_are_not_exact() {
    let number = |text: &str| {
        let object = format!(r#"{{"n":[{{"n":{text}}}]}}"#);
        let object = parse_object(object.as_bytes()).unwrap();
        let value = object.get("n").unwrap();
        (value.to_owned_value()[0]["n"].to_string(), value.is_exact())
    };
    for (text, expected) in [
        ("1e2", "100"),
        ("100.0", "100"),
        ("-1.5e1", "-15"),
        ("-0", "0"),
        ("0.5", "0.5"),
        ("1e-7", "1e-7"),
        ("9007199254740991.0", "9007199254740991"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
    ] {
        assert_eq!(number(text), (expected.to_owned(), true), "{text}");
    }
    for text in ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890", "9007199254740992.0", "1e300"] {
        assert!(!number(text).1, "{text}");
    }
}

#[test]
fn numbers_of_the_claims_to_mint_are_held_to_the_same_bound() {
    for exact in [json!([1, { "a": 0.5 }]), json!(u64::MAX), json!(-9_007_199_254_740_991.0), json!("1e300"), json!(null)] {
        assert!(super::is_exact(&exact), "{exact}");
    }
    for other in [json!(9_007_199_254_740_992.0), json!(-1e300), json!([1, { "a": [1e300] }]), json!({ "a": 1, "b": 1e300 })] {
        assert!(!super::is_exact(&other), "{other}");
    }
}

#[test]
fn a_text_that_others_read_is_one_object_or_nothing() {
    let members = |text: &str| strict_object(text.as_bytes()).map(serde_json::Value::Object);
    assert_eq!(members(r#"{"a":[1,null],"b":null}"#), Some(json!({ "a": [1, null], "b": null })));
    for text in ["[]", "1", "", r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, "{} {}"] {
        assert_eq!(members(text), None, "{text}");
        assert!(!is_strict_object(text.as_bytes()), "{text}");
    }
    assert!(is_strict_object(b"{}"));
}

#[test]
fn members_are_found_by_name() {
    let object = parse_object(br#"{"b":"2","a":"1","":"0"}"#).unwrap();
    assert_eq!(object.get("a").and_then(Value::as_str), Some("1"));
    assert_eq!(object.get("").and_then(Value::as_str), Some("0"));
    assert_eq!(object.get("A"), None);
}

#[test]
fn strings_borrow_unless_escaped() {
    let object = parse_object(br#"{"plain":"x","escaped":"\u0078"}"#).unwrap();
    assert!(matches!(object.get("plain"), Some(Value::String(Cow::Borrowed("x")))));
    assert!(matches!(object.get("escaped"), Some(Value::String(Cow::Owned(text))) if text == "x"));
}

#[test]
fn duplicates_are_refused_at_every_level() {
    for text in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":1}"#,
        r#"{"alg":1,"\u0061lg":2}"#,
        r#"{"é":1,"\u00e9":2}"#,
        r#"{"":1,"":2}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":[[{"b":1,"b":2}]]}"#,
    ] {
        assert_eq!(parse(text), Err(JsonError::Duplicate), "{text}");
    }
    assert_eq!(parse(r#"{"a":{"a":1},"A":2}"#), Ok(json!({"a": {"a": 1}, "A": 2})));
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        r#""text""#,
        "1",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{'a':1}",
        "{a:1}",
        "{1:1}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":0x10}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        "{\"a\":\"\u{1}\"}",
        "{\"a\":1}\0",
        "\u{feff}{}",
        "{\"a\":1} // comment",
    ] {
        assert_eq!(parse(text), Err(JsonError::Malformed), "{text:?}");
    }
    assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(JsonError::Malformed));
    assert_eq!(parse_object(b"{\"\xc0\xaf\":1}"), Err(JsonError::Malformed));
}

#[test]
fn numbers_that_no_f64_holds_are_refused() {
    assert_eq!(parse(r#"{"exp":1e400}"#), Err(JsonError::Malformed));
    assert_eq!(parse(r#"{"exp":-1e400}"#), Err(JsonError::Malformed));
    assert_eq!(parse(&format!(r#"{{"exp":1{}}}"#, "0".repeat(400))), Err(JsonError::Malformed));
    assert_eq!(parse(r#"{"exp":1e-400}"#), Ok(json!({"exp": 0})));
    assert_eq!(parse(r#"{"exp":18446744073709551616}"#), Ok(json!({"exp": 18446744073709551616.0})));
    assert_eq!(parse(r#"{"exp":9223372036854775808}"#), Ok(json!({"exp": 9223372036854775808u64})));
}

#[test]
fn depth_is_bounded() {
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(JsonError::Malformed));
    assert_eq!(parse(&format!(r#"{{"a":{}1{}}}"#, "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))), Err(JsonError::Malformed));
    assert_eq!(parse(&r#"{"a":"#.repeat(100_000)), Err(JsonError::Malformed));
    assert_eq!(parse(&format!(r#"{{"a":{}"#, "[".repeat(100_000))), Err(JsonError::Malformed));
}

#[test]
fn the_last_of_many_members_is_compared_with_the_first() {
    let members: Vec<_> = (0..20_000).map(|index| format!(r#""m{index}":0"#)).collect();
    assert!(parse(&format!("{{{}}}", members.join(","))).is_ok());
    assert_eq!(parse(&format!(r#"{{{},"m0":0}}"#, members.join(","))), Err(JsonError::Duplicate));
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>()
            .prop_filter("is read as an integer", |number| number.fract() != 0.0 || number.abs() >= EXACT)
            .prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_object_is_read_as_it_was(members in prop::collection::btree_map(any::<String>(), any_value(), 0..8)) {
        let object = serde_json::Value::from_iter(members);
        prop_assert_eq!(parse(&object.to_string()), Ok(object));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse_object(&bytes);
    }

    #[test]
    fn no_text_is_read_otherwise_than_by_serde_json(text in r#"[{}\[\]:,"\\ua0-9eE.+\- tfn]{0,40}"#) {
        if let Ok(value) = parse(&text) {
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
        }
    }
}

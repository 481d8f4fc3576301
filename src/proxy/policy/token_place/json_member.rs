//! Finds a string member of a JSON object, and replaces it so that the rest stays the same byte for byte.

use std::ops::Range;

use crate::token::RawMembers;

/// Most members. Whoever sends more wants to keep the gateway busy.
const MAX_MEMBERS: usize = 1_024;

/// The outermost members of a JSON object, none of them twice.
#[derive(Debug)]
pub(super) struct Members<'a> {
    text: &'a str,
    members: RawMembers<'a>,
}

/// Why a text is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOneObject;

impl<'a> Members<'a> {
    /// Reads the outermost members. Errors: no JSON object, or a member that appears twice in it; an escaped name counts as what it
    /// means.
    pub(super) fn of(text: &'a str) -> Result<Self, NotOneObject> {
        RawMembers::of(text, MAX_MEMBERS).map(|members| Self { text, members }).ok_or(NotOneObject)
    }

    /// That no other member is this one for readers that know no case in names, as Go's `encoding/json` and ASP.NET Core by default.
    pub(super) fn check_spelling(&self, name: &str) -> Result<(), NotOneObject> {
        let is_other = |member: &str| member != name && folded(member).eq(folded(name));
        if self.members.names().any(is_other) { Err(NotOneObject) } else { Ok(()) }
    }

    /// A member that is a string, and the place of its value; none if it is not there. Errors: no string, or a member that differs
    /// from it in case alone.
    pub(super) fn string(&self, name: &str) -> Result<Option<(String, Range<usize>)>, NotOneObject> {
        self.check_spelling(name)?;
        let Some(raw) = self.members.get(name) else { return Ok(None) };
        let value = serde_json::from_str(raw.get()).map_err(|_| NotOneObject)?;
        // A raw value borrows from the text it was read from.
        let start = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Ok(Some((value, start..start + raw.get().len())))
    }
}

/// A name without case: by way of the capitals, as `ſ` and the sign of the kelvin have no others than `s` and `k`.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// The text with another string as the value that is there.
pub(super) fn replaced(text: &str, value: &Range<usize>, new: &str) -> String {
    let before = text.get(..value.start).unwrap_or_default();
    let after = text.get(value.end..).unwrap_or_default();
    format!("{before}{}{after}", serde_json::Value::from(new))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_is_found_and_all_else_stays() {
        let text = " {\"a\" : [1.0, {\"data\":\"x\"}],\n\"d\\u0061ta\": \"t\\u002Ek\" , \"z\":1e400}\t";
        let (value, at) = Members::of(text).unwrap().string("data").unwrap().unwrap();
        assert_eq!(value, "t.k");
        let expected = " {\"a\" : [1.0, {\"data\":\"x\"}],\n\"d\\u0061ta\": \"new\" , \"z\":1e400}\t";
        assert_eq!(replaced(text, &at, "new"), expected);
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", "[]", "\"data\"", "{", "{}{}", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "\u{feff}{}"]
        {
            assert_eq!(Members::of(text).err(), Some(NotOneObject), "{text}");
        }
        assert_eq!(Members::of("{\"data\":1}").unwrap().string("data"), Err(NotOneObject));
        assert_eq!(Members::of("{\"data\":null}").unwrap().string("data"), Err(NotOneObject));
        assert_eq!(Members::of("{}").unwrap().string("data"), Ok(None));
    }

    #[test]
    fn a_member_that_differs_in_case_alone_may_be_read_in_its_place() {
        for (name, other) in [
            ("data", "Data"),
            ("data", "DATA"),
            ("data", "d\\u0041ta"),
            ("token", "to\u{212a}en"),
            ("token", "to\\u212aen"),
            ("user", "u\u{17f}er"),
            ("\u{e9}", "\u{c9}"),
        ] {
            for text in [format!("{{\"{name}\":\"a\",\"{other}\":\"b\"}}"), format!("{{\"{other}\":1}}")] {
                assert_eq!(Members::of(&text).unwrap().string(name), Err(NotOneObject), "{text}");
            }
        }
        let nested = "{\"data\":\"a\",\"x\":{\"Data\":1},\"Date\":1}";
        assert!(Members::of(nested).unwrap().string("data").unwrap().is_some());
    }

    proptest! {
        #[test]
        fn any_text_around_the_value_stays(before in any::<String>(), after in "[ -~]{0,9}", token in "[a-zA-Z0-9_.-]{1,9}") {
            let (before, after) = (serde_json::Value::from(before), serde_json::Value::from(after));
            let text = format!("{{ \"x\":{before},\"data\":\"{token}\", \"y\" : {{\"data\":{after}}} }}");
            let (value, at) = Members::of(&text).unwrap().string("data").unwrap().unwrap();
            prop_assert_eq!(&value, &token);
            let expected = format!("{{ \"x\":{before},\"data\":\"NEW\", \"y\" : {{\"data\":{after}}} }}");
            prop_assert_eq!(replaced(&text, &at, "NEW"), expected);
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = Members::of(&text).map(|members| members.string("a"));
        }
    }
}

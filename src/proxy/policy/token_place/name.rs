//! Names of parameters and cookies, as servers are known to read them.

/// Whether some server takes a name, decoded, for this one. PHP makes `_` of dots, spaces and a bracket that nothing closes, and ends a
/// name at a NUL; brackets around it or behind it make a list of it for several.
pub(super) fn is_read_as(found: &[u8], name: &str, case: Case) -> bool {
    let found = found.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_bracket = |byte: &u8| matches!(byte, b'[' | b']');
    let start = found.iter().position(|byte| !is_bracket(byte)).unwrap_or(found.len());
    let inner = found.get(start..).unwrap_or_default().split(is_bracket).next().unwrap_or_default();
    [found, inner].into_iter().any(|reading| is_same(reading.trim_ascii(), name.as_bytes(), case))
}

/// Whether case counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Counts,
    CountsNot,
}

fn is_same(one: &[u8], other: &[u8], case: Case) -> bool {
    let fold = |byte: u8| match byte {
        b'.' | b' ' | b'[' => b'_',
        byte if case == Case::CountsNot => byte.to_ascii_lowercase(),
        byte => byte,
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| fold(*one) == fold(*other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_makes_the_name_of_is_the_name() {
        let same = [
            "user_id",
            "user.id",
            "user id",
            "user[id",
            " user_id",
            "  user.id ",
            "user_id[]",
            "user_id[x][y]",
            "user_id\0x",
            "user.id\0",
            "[user_id]",
            "user_id]",
            "user_id[",
        ];
        for found in same {
            assert!(is_read_as(found.as_bytes(), "user_id", Case::Counts), "{found:?}");
            assert!(is_read_as(found.to_uppercase().as_bytes(), "user_id", Case::CountsNot), "{found:?}");
            assert!(is_read_as(found.as_bytes(), "user.id", Case::Counts), "{found:?}");
        }
        for found in ["", "user", "user_ids", "userid", "user-id", "user]id", "x[user_id]", "USER_ID", "\0user_id"] {
            assert!(!is_read_as(found.as_bytes(), "user_id", Case::Counts), "{found:?}");
        }
    }
}

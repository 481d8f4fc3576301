//! The text of GUIDs, which others call UUIDs (RFC 9562 section 4).

/// Bytes of a GUID as text.
pub(crate) const GUID_BYTES: usize = 36;

/// Whether a text is a GUID, in capitals or small letters, without braces.
pub(crate) fn is_guid(text: &str) -> bool {
    is_made_of(text, |byte| byte.is_ascii_hexdigit())
}

/// Whether a text is a tenant id: a GUID in lower case, as Microsoft writes it. One spelling for each tenant.
pub(crate) fn is_tenant_id(text: &str) -> bool {
    is_made_of(text, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_made_of(text: &str, is_digit: impl Fn(u8) -> bool) -> bool {
    text.len() == GUID_BYTES
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_digit(byte),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_groups_of_8_4_4_4_and_12_digits() {
        for text in ["9188040d-6c67-4c5b-b112-36a304b66dad", "9188040D-6C67-4c5b-b112-36a304b66dad"] {
            assert!(is_guid(text), "{text}");
        }
        for text in [
            "",
            "9188040d-6c67-4c5b-b112-36a304b66da",
            "9188040d-6c67-4c5b-b112-36a304b66dad0",
            "9188040d-6c67-4c5b-b112-36a304b66dag",
            "9188040d16c67-4c5b-b112-36a304b66dad",
            "9188040-d6c67-4c5b-b112-36a304b66dad",
            "9188040d6c674c5bb11236a304b66dad",
            "--------------------------------ab3e",
            "{9188040d-6c67-4c5b-b112-36a304b66d}",
            "9188040d-6c67-4c5b-b112-36a304b66d\u{e9}",
            "{tenantid}",
        ] {
            assert!(!is_guid(text) && !is_tenant_id(text), "{text}");
        }
    }

    #[test]
    fn a_tenant_id_is_a_guid_in_lower_case() {
        assert!(is_tenant_id("9188040d-6c67-4c5b-b112-36a304b66dad"));
        assert!(!is_tenant_id("9188040D-6c67-4c5b-b112-36a304b66dad"));
    }
}

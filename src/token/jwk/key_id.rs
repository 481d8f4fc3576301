//! [`KeyId`]: by what a key is known.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// A key's identity: its RFC 7638 thumbprint (SHA-256). Two keys with one `kid` have two ids. Printed in base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 32]);

impl KeyId {
    /// The thumbprint of the members that RFC 7638 section 3.2 and RFC 8037 section 2 require of a key, and no others. They are names
    /// and base64url, so nothing in them needs an escape.
    pub(crate) fn of_members(members: &BTreeMap<&str, String>) -> Self {
        // In the order of their names, without white space (section 3).
        let members: Vec<_> = members.iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, format!("{{{}}}", members.join(",")).as_bytes()).as_ref());
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

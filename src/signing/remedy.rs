//! What to do about a key file whose encryption cannot be used: the command that converts it.

use crate::signing::{
    KeyProblem,
    encryption::{Openssl, ParameterProblem, Unsupported},
};

impl ParameterProblem {
    /// Of a key in PKCS#8.
    pub(super) fn in_pkcs8(self, form: &str) -> KeyProblem {
        self.with(|openssl| match openssl {
            Openssl::Default => Some(format!("openssl pkcs8 -topk8 {form}-in OLD -out NEW")),
            Openssl::Legacy => Some(format!("openssl pkcs8 -provider legacy -provider default -topk8 {form}-in OLD -out NEW")),
            Openssl::Never => None,
        })
    }

    pub(super) fn in_pkcs12(self) -> KeyProblem {
        self.with(|openssl| match openssl {
            Openssl::Default => Some("openssl pkcs12 -in OLD -out NEW".to_owned()),
            Openssl::Legacy => Some("openssl pkcs12 -legacy -in OLD -out NEW".to_owned()),
            Openssl::Never => None,
        })
    }

    fn with(self, command: impl Fn(Openssl) -> Option<String>) -> KeyProblem {
        match self {
            Self::Damaged(what) => KeyProblem::Damaged(what),
            Self::Unsupported(Unsupported { what, openssl }) => KeyProblem::not_supported(what, command(openssl)),
        }
    }
}

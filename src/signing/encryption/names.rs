//! The names of schemes, ciphers and hash functions by identifier, and which of them openssl supports.

use pkcs8::ObjectIdentifier;

/// What openssl 3 needs to read something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::signing) enum Openssl {
    /// Nothing more.
    Default,
    /// Its provider "legacy".
    Legacy,
    /// It does not read this at all.
    Never,
}

/// Something that is encrypted, or protected, in a way that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::signing) struct Unsupported {
    /// Its exact name.
    pub(in crate::signing) what: String,
    /// Who reads it.
    pub(in crate::signing) openssl: Openssl,
}

impl Unsupported {
    /// `part` is what the identifier stands for: "the cipher".
    pub(in crate::signing) fn new(part: &str, oid: ObjectIdentifier) -> Self {
        let (name, openssl) = name(oid);
        let what = name.map_or_else(|| format!("{part} {oid}"), |name| format!("{part} {name}"));
        Self { what, openssl }
    }
}

/// The name of what an identifier stands for; none: unknown.
fn name(oid: ObjectIdentifier) -> (Option<&'static str>, Openssl) {
    let text = oid.to_string();
    let known = NAMES.iter().find(|(known, ..)| *known == text);
    known.map_or((None, Openssl::Never), |(_, name, openssl)| (Some(name), *openssl))
}

const NAMES: &[(&str, &str, Openssl)] = &[
    // Of what is supported too: it may be in a place where it is not.
    ("1.2.840.113549.1.5.1", "pbeWithMD2AndDES-CBC", Openssl::Never),
    ("1.2.840.113549.1.5.4", "pbeWithMD2AndRC2-CBC", Openssl::Never),
    ("1.2.840.113549.1.5.12", "PBKDF2", Openssl::Default),
    ("1.2.840.113549.1.5.13", "PBES2", Openssl::Default),
    ("1.2.840.113549.1.5.14", "PBMAC1", Openssl::Never),
    ("1.2.840.113549.2.2", "MD2", Openssl::Never),
    ("1.2.840.113549.2.4", "MD4", Openssl::Legacy),
    ("1.3.36.3.2.1", "RIPEMD-160", Openssl::Default),
    ("1.0.10118.3.0.55", "Whirlpool", Openssl::Legacy),
    ("1.2.156.10197.1.401", "SM3", Openssl::Default),
    ("2.16.840.1.101.3.4.2.7", "SHA3-224", Openssl::Default),
    ("2.16.840.1.101.3.4.2.8", "SHA3-256", Openssl::Default),
    ("2.16.840.1.101.3.4.2.9", "SHA3-384", Openssl::Default),
    ("2.16.840.1.101.3.4.2.10", "SHA3-512", Openssl::Default),
    ("2.16.840.1.101.3.4.2.13", "HMAC with SHA3-224", Openssl::Never),
    ("2.16.840.1.101.3.4.2.14", "HMAC with SHA3-256", Openssl::Never),
    ("2.16.840.1.101.3.4.2.15", "HMAC with SHA3-384", Openssl::Never),
    ("2.16.840.1.101.3.4.2.16", "HMAC with SHA3-512", Openssl::Never),
    ("1.2.643.7.1.1.4.1", "HMAC with Streebog-256", Openssl::Never),
    ("1.2.643.7.1.1.4.2", "HMAC with Streebog-512", Openssl::Never),
    ("1.2.156.10197.1.401.3.1", "HMAC with SM3", Openssl::Default),
    ("2.16.840.1.101.3.4.1.6", "AES-128-GCM", Openssl::Never),
    ("2.16.840.1.101.3.4.1.26", "AES-192-GCM", Openssl::Never),
    ("2.16.840.1.101.3.4.1.46", "AES-256-GCM", Openssl::Never),
    ("2.16.840.1.101.3.4.1.4", "AES-128-CFB", Openssl::Default),
    ("2.16.840.1.101.3.4.1.24", "AES-192-CFB", Openssl::Default),
    ("2.16.840.1.101.3.4.1.44", "AES-256-CFB", Openssl::Default),
    ("2.16.840.1.101.3.4.1.3", "AES-128-OFB", Openssl::Default),
    ("2.16.840.1.101.3.4.1.23", "AES-192-OFB", Openssl::Default),
    ("2.16.840.1.101.3.4.1.43", "AES-256-OFB", Openssl::Default),
    ("1.2.410.200046.1.1.2", "ARIA-128", Openssl::Default),
    ("1.2.410.200046.1.1.7", "ARIA-192", Openssl::Default),
    ("1.2.410.200046.1.1.12", "ARIA-256", Openssl::Default),
    ("1.2.156.10197.1.104.2", "SM4", Openssl::Default),
    ("1.2.410.200004.1.4", "SEED", Openssl::Legacy),
    ("1.2.840.113533.7.66.10", "CAST5", Openssl::Legacy),
    ("1.3.6.1.4.1.3029.1.2", "Blowfish", Openssl::Legacy),
    ("1.3.6.1.4.1.188.7.1.1.2", "IDEA", Openssl::Legacy),
    ("1.2.840.113549.3.9", "RC5", Openssl::Never),
    ("1.2.643.2.2.21", "GOST 28147-89", Openssl::Never),
];

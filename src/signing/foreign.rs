//! Files with a key in a format that is not accepted: what they are, and the command that converts them.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::signing::KeyProblem;

/// What begins every PEM section.
const BEGIN: &[u8] = b"-----BEGIN ";

/// What this file is, if it is known to be something that is not accepted.
pub(super) fn recognise(data: &[u8]) -> Option<KeyProblem> {
    let text = data.trim_ascii();
    by_first_bytes(data)
        .or_else(|| by_first_words(text))
        .or_else(|| mangled_pem(text))
        .or_else(|| base64_of(text))
        .map(|(what, remedy)| KeyProblem::Foreign { what, remedy })
}

type Known = (&'static str, &'static str);

const KEYTOOL: &str = "convert it with `keytool -importkeystore -srckeystore OLD -destkeystore NEW -deststoretype PKCS12`";
const OTHER_HALF: &str = "the private key is needed";
const MAKE_ONE: &str = "it cannot be converted; create a key with `syncgate keys generate --out NEW`";

fn by_first_bytes(data: &[u8]) -> Option<Known> {
    const KNOWN: &[(&[u8], Known)] = &[
        (b"\xff\xfe", UTF_16),
        (b"\xfe\xff", UTF_16),
        (b"-\0-\0", ("is text in UTF-16", "convert it with `iconv -f UTF-16LE -t UTF-8 OLD > NEW`")),
        (b"\0-\0-", ("is text in UTF-16", "convert it with `iconv -f UTF-16BE -t UTF-8 OLD > NEW`")),
        (b"\xfe\xed\xfe\xed", ("is a Java keystore (JKS)", KEYTOOL)),
        (b"\xce\xce\xce\xce", ("is a Java keystore (JCEKS)", KEYTOOL)),
        (b"\x1e\xf1\xb5\xb0", ("is a Microsoft private key (PVK)", "convert it with `openssl rsa -inform PVK -in OLD -out NEW`")),
        (
            b"\x07\x02\0\0",
            ("is a Microsoft private key (a key blob)", "convert it with `openssl rsa -inform MSBLOB -in OLD -out NEW`"),
        ),
    ];
    const UTF_16: Known = ("is text in UTF-16", "convert it with `iconv -f UTF-16 -t UTF-8 OLD > NEW`");
    KNOWN.iter().find(|(first, _)| data.starts_with(first)).map(|(_, known)| *known)
}

fn by_first_words(text: &[u8]) -> Option<Known> {
    const KNOWN: &[(&[u8], Known)] = &[
        (
            b"-----BEGIN OPENSSH PRIVATE KEY-----",
            (
                "is an OpenSSH key",
                "convert a copy of it, if it is RSA or ECDSA, with `cp OLD NEW && ssh-keygen -p -m PKCS8 -f NEW`, \
                 or create a key with `syncgate keys generate --out NEW`",
            ),
        ),
        (
            b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
            ("is a key in ssh.com's format", "convert it with `ssh-keygen -i -m PKCS8 -f OLD > NEW`"),
        ),
        (
            b"PuTTY-User-Key-File-",
            ("is a PuTTY key", "convert it, if it is RSA or ECDSA, with `puttygen OLD -O private-openssh -o NEW`"),
        ),
        (b"ssh-rsa ", SSH_PUBLIC),
        (b"ssh-ed25519 ", SSH_PUBLIC),
        (b"ecdsa-sha2-", SSH_PUBLIC),
        (b"-----BEGIN PGP ", ("is a PGP key", MAKE_ONE)),
        (b"<RSAKeyValue>", ("is a .NET key in XML", MAKE_ONE)),
    ];
    const SSH_PUBLIC: Known = ("is an OpenSSH public key", OTHER_HALF);
    if let Some((_, known)) = KNOWN.iter().find(|(first, _)| text.starts_with(first)) {
        return Some(*known);
    }
    let json: serde_json::Value = text.starts_with(b"{").then(|| serde_json::from_slice(text).ok()).flatten()?;
    json.get("kty")?;
    Some(if json.get("d").is_some() || json.get("k").is_some() {
        ("is a JWK", JWK)
    } else {
        ("is a JWK of a public key", OTHER_HALF)
    })
}

/// Node is what most machines have that reads JWKs; openssl does not.
const JWK: &str = "convert it with `node -e 'const c=require(\"crypto\"),f=require(\"fs\");f.writeFileSync(\"NEW\",c.createPrivateKey({key:\
                   JSON.parse(f.readFileSync(\"OLD\")),format:\"jwk\"}).export({type:\"pkcs8\",format:\"pem\"}),{mode:0o600})'`";

/// A PEM that something has changed on its way: YAML, a shell, an environment variable, a database.
fn mangled_pem(text: &[u8]) -> Option<Known> {
    let begin = position(text, BEGIN)?;
    if text.starts_with(b"\"") || text.starts_with(b"'") {
        return Some(("is enclosed in quotes", "remove them with `tr -d \"\\\"'\" < OLD > NEW`"));
    }
    let rest = text.get(begin..)?;
    let line = rest.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let after = position(line.get(BEGIN.len()..)?, b"-----").and_then(|end| line.get(BEGIN.len() + end + 5..))?;
    if after.starts_with(b"\\n") || after.starts_with(b"\\r\\n") {
        return Some(("has the two characters \\n instead of line breaks", "fix them with `printf '%b\\n' \"$(cat OLD)\" > NEW`"));
    }
    // Whatever else follows in the same line.
    let is_one_line = !after.trim_ascii().is_empty();
    is_one_line.then_some((
        "has spaces, or nothing, instead of line breaks",
        "fix them with `sed 's/\\(BEGIN [A-Z ]*-----\\) */\\1\\n/g; s/ *\\(-----END [A-Z ]*-----\\) */\\n\\1\\n/g' OLD > NEW`",
    ))
}

/// As Kubernetes shows secrets, and as Azure Key Vault gives out certificates.
fn base64_of(text: &[u8]) -> Option<Known> {
    const REMEDY: &str = "decode it with `base64 -d OLD > NEW`";
    let packed: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let packed = zeroize::Zeroizing::new(packed);
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(packed.as_slice()).ok()?);
    if position(&decoded, BEGIN).is_some() {
        Some(("is base64 of a PEM", REMEDY))
    } else if decoded.starts_with(&[0x30, 0x80]) || decoded.starts_with(&[0x30, 0x81]) || decoded.starts_with(&[0x30, 0x82]) {
        Some(("is base64 of a binary file (a PKCS#12 or a key in DER)", REMEDY))
    } else if [b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"].iter().any(|first| decoded.starts_with(*first)) {
        Some(("is base64 of a Java keystore", REMEDY))
    } else {
        None
    }
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

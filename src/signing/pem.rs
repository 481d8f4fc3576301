//! PEM files (RFC 7468): sections between `-----BEGIN X-----` and `-----END X-----`, any text around them.

use base64::{Engine, engine::general_purpose::STANDARD};
use pkcs8::EncryptedPrivateKeyInfoRef;
use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem,
    content::{Content, PrivateKeyDer},
    secret::SecretText,
};

/// The content of a PEM file; none: this is not a PEM file. Sections other than private keys and certificates are passed over.
pub(super) fn parse(data: &[u8], passphrase: Option<&SecretText>) -> Result<Option<Content>, KeyProblem> {
    let sections = sections(data)?;
    if sections.is_empty() {
        return Ok(None);
    }
    let mut content = Content::default();
    for section in sections {
        match section.label.as_str() {
            "PRIVATE KEY" => content.keys.push(PrivateKeyDer::Pkcs8(section.decode()?)),
            "RSA PRIVATE KEY" => content.keys.push(PrivateKeyDer::Pkcs1(section.decode()?)),
            "ENCRYPTED PRIVATE KEY" => content.keys.push(PrivateKeyDer::Pkcs8(decrypt(&section.decode()?, passphrase)?)),
            "EC PRIVATE KEY" => content.keys.push(PrivateKeyDer::Sec1(section.decode()?)),
            "DSA PRIVATE KEY" => return Err(KeyProblem::KeyType("DSA".into())),
            "OPENSSH PRIVATE KEY" => return Err(KeyProblem::KeyType("OpenSSH".into())),
            "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => content.certificates.push(section.decode()?.to_vec()),
            _ => {}
        }
    }
    Ok(Some(content))
}

/// `der` as a PEM section, with the line length and the line breaks that openssl writes.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    const BASE64_IN_LINE: usize = 64;
    const BYTES_IN_LINE: usize = BASE64_IN_LINE / 4 * 3;
    // Room for everything: a string that grows would leave copies of a private key behind.
    let lines = der.len().div_ceil(BYTES_IN_LINE);
    let mut pem =
        Zeroizing::new(String::with_capacity(lines * (BASE64_IN_LINE + 1) + 2 * (label.len() + "-----BEGIN -----\n".len())));
    for part in ["-----BEGIN ", label, "-----\n"] {
        pem.push_str(part);
    }
    for line in der.chunks(BYTES_IN_LINE) {
        STANDARD.encode_string(line, &mut pem);
        pem.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        pem.push_str(part);
    }
    pem
}

/// One section, not decoded.
struct Section {
    label: String,
    /// Base64 without line breaks.
    text: Zeroizing<Vec<u8>>,
    /// It has headers: `Proc-Type: 4,ENCRYPTED` and `DEK-Info`, the encryption of RFC 1421.
    has_headers: bool,
}

impl Section {
    fn decode(&self) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
        if self.has_headers {
            return Err(KeyProblem::Encryption("a PEM section with headers, as in RFC 1421".into()));
        }
        match STANDARD.decode(self.text.as_slice()) {
            Ok(der) if !der.is_empty() => Ok(Zeroizing::new(der)),
            _ => Err(KeyProblem::Damaged(format!("the section {} is not base64", self.label))),
        }
    }
}

fn sections(data: &[u8]) -> Result<Vec<Section>, KeyProblem> {
    let mut sections = Vec::new();
    let mut lines = data.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, b"-----BEGIN ") else { continue };
        let mut section =
            Section { label: label.clone(), text: Zeroizing::new(Vec::with_capacity(data.len())), has_headers: false };
        loop {
            match lines.next() {
                None => return Err(KeyProblem::Damaged(format!("the section {label} does not end"))),
                Some(line) if line.starts_with(b"-----") => {
                    if self::label(line, b"-----END ").is_some_and(|end| end == label) {
                        break;
                    }
                    return Err(KeyProblem::Damaged(format!("the section {label} does not end where another one begins or ends")));
                }
                Some(line) => {
                    section.has_headers |= line.contains(&b':');
                    section.text.extend_from_slice(line);
                }
            }
        }
        sections.push(section);
    }
    Ok(sections)
}

/// The label in a line that begins or ends a section. Only what labels are made of: it goes into messages.
fn label(line: &[u8], prefix: &[u8]) -> Option<String> {
    let label = line.strip_prefix(prefix)?.strip_suffix(b"-----")?;
    let is_label = !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ');
    is_label.then(|| String::from_utf8_lossy(label).into_owned())
}

/// PKCS#8 `EncryptedPrivateKeyInfo` with PBES2 (RFC 8018 section 6.2) to PKCS#8 `PrivateKeyInfo`.
fn decrypt(der: &[u8], passphrase: Option<&SecretText>) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    use pkcs8::{
        Error,
        der::{ErrorKind, Tag},
        pkcs5,
    };

    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| match error {
        Error::Asn1(error)
            if matches!(error.kind(), ErrorKind::OidUnknown { .. } | ErrorKind::Value { tag: Tag::ObjectIdentifier }) =>
        {
            KeyProblem::Encryption("neither PBES1 nor PBES2 of PKCS#5".into())
        }
        error => KeyProblem::Damaged(error.to_string()),
    })?;
    let passphrase = passphrase.ok_or(KeyProblem::PassphraseMissing)?;
    match encrypted.decrypt(passphrase.as_str()) {
        Ok(key) => Ok(Zeroizing::new(key.as_bytes().to_vec())),
        Err(Error::EncryptedPrivateKey(
            error @ (pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::NoPbes1CryptSupport),
        )) => Err(KeyProblem::Encryption(error.to_string())),
        // A wrong passphrase shows as padding that is wrong or, one time in 256, as plaintext that is no key.
        Err(_) => Err(KeyProblem::PassphraseWrong),
    }
}

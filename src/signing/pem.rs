//! PEM files (RFC 7468): sections between `-----BEGIN X-----` and `-----END X-----`, any text around them.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem, ber,
    content::{Content, Opening, PrivateKeyDer},
    encrypted_pkcs8, pem_encryption,
    structure::Kind,
};

/// Bytes of a label. Those in use have half of them.
const MAX_LABEL_BYTES: usize = 64;

/// The content of a PEM file; none: this is not a PEM file. Sections other than private keys and certificates are passed over.
pub(super) fn parse(data: &[u8], opening: &Opening<'_>) -> Result<Option<Content>, KeyProblem> {
    let sections = sections(data)?;
    if sections.is_empty() {
        return Ok(None);
    }
    let mut content = Content::default();
    for section in sections {
        match section.label.as_str() {
            "PRIVATE KEY" => content.keys.push(PrivateKeyDer::Pkcs8(section.key(Kind::Pkcs8, opening)?)),
            "RSA PRIVATE KEY" => content.keys.push(PrivateKeyDer::Pkcs1(section.key(Kind::Pkcs1, opening)?)),
            "EC PRIVATE KEY" => content.keys.push(PrivateKeyDer::Sec1(section.key(Kind::Sec1, opening)?)),
            "ENCRYPTED PRIVATE KEY" => {
                let der = ber::to_der(&section.decode()?)?;
                content.keys.push(PrivateKeyDer::Pkcs8(encrypted_pkcs8::decrypt(&der, "", opening)?));
            }
            "DSA PRIVATE KEY" => return Err(KeyProblem::KeyType("DSA".into())),
            "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => content.certificates.push(section.decode()?.to_vec()),
            label if label.ends_with("PUBLIC KEY") => content.other = Some("a public key"),
            label if label.ends_with("CERTIFICATE REQUEST") => content.other = Some("a certificate request"),
            "PKCS7" | "CMS" => content.other = Some("certificates (PKCS#7)"),
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
    /// Base64 without white space.
    text: Zeroizing<Vec<u8>>,
    /// Lines before the base64: `Proc-Type: 4,ENCRYPTED` and `DEK-Info`, the encryption of RFC 1421.
    headers: Vec<String>,
}

impl Section {
    fn decode(&self) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
        match STANDARD.decode(self.text.as_slice()) {
            Ok(der) if !der.is_empty() => Ok(Zeroizing::new(der)),
            _ => Err(KeyProblem::Damaged(format!("the section {} is not base64", self.label))),
        }
    }

    /// A private key, which its headers may say is encrypted.
    fn key(&self, kind: Kind, opening: &Opening<'_>) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
        let data = self.decode()?;
        match self.headers.as_slice() {
            [] => Ok(data),
            headers => pem_encryption::decrypt(headers, &data, kind, opening),
        }
    }
}

/// Lines end with LF, CR LF or CR (RFC 7468 section 3).
fn sections(data: &[u8]) -> Result<Vec<Section>, KeyProblem> {
    let mut sections = Vec::new();
    let mut lines = data.split(|&byte| byte == b'\n' || byte == b'\r').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, b"-----BEGIN ") else { continue };
        let (mut headers, mut text) = (Vec::new(), Vec::new());
        loop {
            match lines.next() {
                None => return Err(KeyProblem::Damaged(format!("the section {label} has no end"))),
                Some(line) if line.starts_with(b"-----") => {
                    if self::label(line, b"-----END ").is_some_and(|end| end == label) {
                        break;
                    }
                    return Err(KeyProblem::Damaged(format!(
                        "the section {label} is not closed before another one begins or ends"
                    )));
                }
                Some(line) if line.contains(&b':') => headers.push(String::from_utf8_lossy(line).into_owned()),
                Some(line) => text.push(line),
            }
        }
        // Room for all of it: a vector that grows would leave copies of a private key behind.
        let mut whole = Zeroizing::new(Vec::with_capacity(text.iter().map(|line| line.len()).sum()));
        whole.extend(text.iter().flat_map(|line| line.iter()).filter(|byte| !byte.is_ascii_whitespace()));
        sections.push(Section { label, text: whole, headers });
    }
    Ok(sections)
}

/// The label in a line that begins or ends a section. Only what labels are made of, which are no small letters: it goes into
/// messages, and a line that is damaged may hold a piece of the key.
fn label(line: &[u8], prefix: &[u8]) -> Option<String> {
    let label = line.strip_prefix(prefix)?.strip_suffix(b"-----")?;
    let is_label =
        (1..=MAX_LABEL_BYTES).contains(&label.len()) && label.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' '));
    is_label.then(|| String::from_utf8_lossy(label).into_owned())
}

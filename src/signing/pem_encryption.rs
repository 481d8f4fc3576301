//! PEM sections with headers: `Proc-Type: 4,ENCRYPTED` and `DEK-Info` (RFC 1421, as in OpenSSL). Written by `openssl genrsa
//! -aes256` up to version 1.1, and still by `openssl rsa -traditional` and `ssh-keygen -m PEM`.

use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem,
    content::Opening,
    encryption::{Cipher, Openssl, ParameterProblem, Scheme, Unsupported},
    passphrase::Passphrase,
    structure::Kind,
};

/// What a section holds, decrypted. `headers` are its lines before the base64, `expected` is what has to come out.
pub(super) fn decrypt(
    headers: &[String],
    data: &[u8],
    expected: Kind,
    opening: &Opening<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let header =
        |name: &str| headers.iter().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':')).map(str::trim);
    if header("Proc-Type").is_none_or(|value| value.replace(' ', "") != "4,ENCRYPTED") {
        return Err(KeyProblem::Damaged("a section has headers, but none says that it is encrypted".to_owned()));
    }
    let value = header("DEK-Info").ok_or_else(|| KeyProblem::Damaged("the header DEK-Info is missing".to_owned()))?;
    let (name, iv) = value.split_once(',').ok_or_else(|| KeyProblem::Damaged("the header DEK-Info has no IV".to_owned()))?;
    let cipher = cipher(name.trim())?;
    let iv = from_hex(iv.trim()).filter(|iv| iv.len() == cipher.iv_length());
    let iv = iv.ok_or_else(|| KeyProblem::Damaged("the IV in the header DEK-Info is not valid".to_owned()))?;
    if opening.passphrase.is_none() {
        return Err(KeyProblem::PassphraseMissing);
    }
    let scheme = Scheme::Pem { cipher, iv: &iv };
    for passphrase in Passphrase::readings(opening.passphrase) {
        let plain = scheme.decrypt(&passphrase, data, &opening.effort)?;
        if let Some(plain) = plain.filter(|plain| Kind::of(plain) == Some(expected)) {
            return Ok(plain);
        }
    }
    Err(KeyProblem::PassphraseWrong)
}

fn cipher(name: &str) -> Result<Cipher, KeyProblem> {
    Ok(match name {
        "AES-128-CBC" => Cipher::Aes128,
        "AES-192-CBC" => Cipher::Aes192,
        "AES-256-CBC" => Cipher::Aes256,
        "CAMELLIA-128-CBC" => Cipher::Camellia128,
        "CAMELLIA-192-CBC" => Cipher::Camellia192,
        "CAMELLIA-256-CBC" => Cipher::Camellia256,
        "DES-EDE3-CBC" => Cipher::TripleDes,
        "DES-CBC" => Cipher::Des,
        "RC2-CBC" => Cipher::Rc2 { bytes: 16, bits: 128 },
        other => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            let name = if other.len() <= 32 && other.bytes().all(is_name) { other } else { "unknown" };
            let old = ["SEED", "IDEA", "BF-", "CAST", "RC2", "DES-"];
            let openssl = match name {
                "unknown" => Openssl::Never,
                name if old.iter().any(|old| name.starts_with(old)) => Openssl::Legacy,
                _ => Openssl::Default,
            };
            let what = format!("the header DEK-Info with the cipher {name}");
            return Err(ParameterProblem::Unsupported(Unsupported { what, openssl }).in_pkcs8(""));
        }
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && digits.len() <= 64)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

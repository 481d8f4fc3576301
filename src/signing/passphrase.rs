//! How a passphrase is encoded as bytes. The standards leave this open, and tools differ.

use zeroize::Zeroizing;

use crate::signing::secret::SecretText;

/// One reading of a passphrase. Overwritten when dropped.
#[derive(Debug)]
pub(super) enum Passphrase {
    /// No passphrase at all, which some tools tell from an empty one.
    Absent,
    /// A text, maybe empty.
    Text(Zeroizing<String>),
    /// A text that is UTF-16 also where the standard says UTF-8.
    Utf16(Zeroizing<String>),
}

impl Passphrase {
    /// All readings, the likeliest first.
    ///
    /// Without a passphrase, or with an empty one: the empty text and nothing (RFC 7292 B.1 decides for neither; Windows and Azure
    /// Key Vault take nothing, OpenSSL the empty text). OpenSSL up to 1.0.2 took each byte of a text for a character, so one that
    /// is not ASCII has that reading too.
    pub(super) fn readings(passphrase: Option<&SecretText>) -> Vec<Self> {
        let text = passphrase.map_or("", SecretText::as_str);
        let mut readings = vec![Self::Text(Zeroizing::new(text.to_owned()))];
        if text.is_empty() {
            readings.push(Self::Absent);
        } else if !text.is_ascii() {
            let mut bytes = Zeroizing::new(String::with_capacity(text.len() * 2));
            bytes.extend(text.bytes().map(char::from));
            readings.push(Self::Text(bytes));
        }
        readings
    }

    /// The readings of a PKCS#12 file. NSS up to 3.21 wrote passphrases as UTF-16.
    pub(super) fn readings_of_pkcs12(passphrase: Option<&SecretText>) -> Vec<Self> {
        let mut readings = Self::readings(passphrase);
        readings.extend(passphrase.map(|text| Self::Utf16(Zeroizing::new(text.as_str().to_owned()))));
        readings
    }

    /// As PBES1, PBES2 and PEM headers take it: UTF-8.
    pub(super) fn utf8(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Absent => Zeroizing::default(),
            Self::Text(text) => Zeroizing::new(text.as_bytes().to_vec()),
            Self::Utf16(_) => self.utf16(),
        }
    }

    /// As the key derivation of PKCS#12 takes it (RFC 7292 B.1): UTF-16, big endian, with a zero at the end; nothing if there is none.
    pub(super) fn utf16(&self) -> Zeroizing<Vec<u8>> {
        let (Self::Text(text) | Self::Utf16(text)) = self else { return Zeroizing::default() };
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * text.len() + 2));
        for unit in text.encode_utf16().chain([0]) {
            bytes.extend(unit.to_be_bytes());
        }
        bytes
    }
}

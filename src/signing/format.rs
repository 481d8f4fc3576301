//! The format of a key file: DER, PEM, or one that is not supported.

use crate::signing::{
    KeyProblem,
    content::{Content, Opening},
    der, foreign, pem,
};

/// The first byte of a DER structure (SEQUENCE), and no text.
const DER_SEQUENCE: u8 = 0x30;
/// Some editors on Windows put it before a text in UTF-8 (RFC 3629 section 6).
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Finds out the format and takes it apart.
pub(super) fn parse(data: &[u8], opening: &Opening<'_>) -> Result<Content, KeyProblem> {
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    match data.first() {
        None => return Err(KeyProblem::Empty),
        Some(&DER_SEQUENCE) => return der::parse(data, opening),
        Some(_) => {}
    }
    // Before anything else, since some of them look like a PEM that is damaged.
    if let Some(problem) = foreign::recognise(data) {
        return Err(problem);
    }
    pem::parse(data, opening)?.ok_or(KeyProblem::Unrecognised)
}

//! [`Told`]: header lines that the gateway writes about a client.

/// Whole lines, to be added to the header of a request on its way to an upstream.
#[derive(Debug, Default)]
pub(in crate::proxy) enum Told<'a> {
    #[default]
    Nothing,
    /// The lines in pieces, most of which are the same for all requests of a connection: nothing is allocated.
    Pieces([&'a [u8]; 6]),
    Lines(Vec<u8>),
}

impl Told<'_> {
    /// Appends the lines.
    pub(in crate::proxy) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => {}
            Self::Pieces(pieces) => pieces.iter().for_each(|piece| out.extend_from_slice(piece)),
            Self::Lines(lines) => out.extend_from_slice(lines),
        }
    }
}

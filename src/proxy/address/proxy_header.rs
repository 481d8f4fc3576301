//! The PROXY protocol, versions 1 and 2: what a proxy that relays bytes says of the client before these.

use std::{io, net::SocketAddr, ops::Range};

use ppp::{v1, v2};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::proxy::address::peer::Scheme;

/// Of version 1, with its line end.
const MAX_LINE: usize = 107;
/// Of version 2: addresses, and whatever a cloud has to say of the connection.
const MAX_BLOCK: usize = 4 * 1024;
/// Of version 2: signature, command, family and length.
const FIXED: usize = 16;
/// The shortest line of version 1: `PROXY UNKNOWN`.
const SHORTEST: usize = 15;

const LINE_START: &[u8] = b"PROXY ";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum ProxyHeader {
    /// The proxy speaks for itself: it looks whether the gateway is there.
    Local,
    /// A client whose address the proxy does not know, or cannot say.
    Unknown,
    /// A client, and how it is connected with the proxy, if that is said.
    Client(SocketAddr, Option<Scheme>),
}

/// Why there is none. The closed list behind the label `kind`.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum ProxyHeaderFault {
    /// What has come is not a header, or not a valid one.
    #[error("what it sent first is not a valid header of the PROXY protocol")]
    Malformed,
    /// It is longer than any proxy's.
    #[error("its header of the PROXY protocol is too long")]
    TooLong,
    /// The peer has closed, or the connection is broken.
    #[error("it closed before its header of the PROXY protocol was whole")]
    Closed(#[from] io::Error),
}

/// What is needed to go on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// So many bytes, all of which are of the header.
    Bytes(usize),
    /// The rest of a line.
    Line,
    /// Nothing: it is whole.
    Parse,
}

/// Reads a header and no byte behind it. To be raced against a deadline.
pub(in crate::proxy) async fn read_proxy_header(stream: &mut TcpStream) -> Result<ProxyHeader, ProxyHeaderFault> {
    let mut header = Vec::with_capacity(MAX_LINE);
    loop {
        let count = match next(&header)? {
            Next::Bytes(count) => count,
            Next::Parse => return parse(&header),
            Next::Line => {
                // What is behind the line is left where it is, perhaps for TLS to read.
                let mut ahead = [0; MAX_LINE];
                let room = ahead.get_mut(header.len()..).unwrap_or_default();
                let count = stream.peek(room).await?;
                let seen = room.get(..count).unwrap_or_default();
                seen.iter().position(|byte| *byte == b'\n').map_or(count.max(1), |end| end + 1)
            }
        };
        let start = header.len();
        header.resize(start + count, 0);
        let read = stream.read(header.get_mut(start..).unwrap_or_default()).await?;
        header.truncate(start + read);
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// Reads a header out of bytes that have come already. With what it says, how many of them it has.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn whole(bytes: &[u8]) -> Result<(ProxyHeader, usize), (ProxyHeaderFault, usize)> {
    let mut end = 0;
    loop {
        let header = bytes.get(..end).unwrap_or_default();
        let more = match next(header).map_err(|fault| (fault, end))? {
            Next::Parse => return parse(header).map(|said| (said, end)).map_err(|fault| (fault, end)),
            Next::Bytes(count) => count,
            Next::Line => 1,
        };
        if end + more > bytes.len() {
            return Err((io::Error::from(io::ErrorKind::UnexpectedEof).into(), bytes.len()));
        }
        end += more;
    }
}

/// What is needed after these bytes.
fn next(header: &[u8]) -> Result<Next, ProxyHeaderFault> {
    let begins = |start: &[u8]| header.iter().zip(start).all(|(one, other)| one == other);
    if begins(v2::PROTOCOL_PREFIX) {
        let block = match header.get(FIXED - 2..FIXED) {
            Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return Ok(Next::Bytes(if header.is_empty() { SHORTEST } else { FIXED - header.len() })),
        };
        return match (FIXED + block).saturating_sub(header.len()) {
            _ if block > MAX_BLOCK => Err(ProxyHeaderFault::TooLong),
            0 => Ok(Next::Parse),
            missing => Ok(Next::Bytes(missing)),
        };
    }
    match header.len() {
        _ if !begins(LINE_START) => Err(ProxyHeaderFault::Malformed),
        _ if header.ends_with(b"\n") => Ok(Next::Parse),
        length if length >= MAX_LINE => Err(ProxyHeaderFault::TooLong),
        length if length < SHORTEST => Ok(Next::Bytes(SHORTEST - length)),
        _ => Ok(Next::Line),
    }
}

/// What a whole header says.
fn parse(header: &[u8]) -> Result<ProxyHeader, ProxyHeaderFault> {
    if header.starts_with(LINE_START) { of_line(header) } else { of_block(header) }
}

fn of_line(line: &[u8]) -> Result<ProxyHeader, ProxyHeaderFault> {
    // A number may have a sign elsewhere, but not here.
    let header = v1::Header::try_from(line).ok().filter(|_| !line.contains(&b'+'));
    match header.ok_or(ProxyHeaderFault::Malformed)?.addresses {
        v1::Addresses::Unknown => Ok(ProxyHeader::Unknown),
        v1::Addresses::Tcp4(one) => Ok(ProxyHeader::Client((one.source_address, one.source_port).into(), None)),
        v1::Addresses::Tcp6(one) => Ok(ProxyHeader::Client((one.source_address, one.source_port).into(), None)),
    }
}

fn of_block(block: &[u8]) -> Result<ProxyHeader, ProxyHeaderFault> {
    let header = v2::Header::try_from(block).map_err(|_| ProxyHeaderFault::Malformed)?;
    let client = match (header.command, header.protocol, header.addresses) {
        // What else it says is of no client (section 2.2).
        (v2::Command::Local, ..) => return Ok(ProxyHeader::Local),
        (_, v2::Protocol::Datagram, _) => return Err(ProxyHeaderFault::Malformed),
        (_, _, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => return Ok(ProxyHeader::Unknown),
        (_, _, v2::Addresses::IPv4(one)) => (one.source_address, one.source_port).into(),
        (_, _, v2::Addresses::IPv6(one)) => (one.source_address, one.source_port).into(),
    };
    let (mut scheme, mut checksum) = (None, None);
    let mut at = block.len() - header.tlv_bytes().len();
    for field in header.tlvs() {
        let field = field.map_err(|_| ProxyHeaderFault::Malformed)?;
        /// Type and length of a field.
        const FIELD_START: usize = 3;
        at += FIELD_START + field.value.len();
        if field.kind == v2::Type::CRC32C as u8 {
            checksum = Some(at - field.value.len()..at);
        } else if field.kind == v2::Type::SSL as u8 {
            /// PP2_CLIENT_SSL: the client has come by TLS.
            const BY_TLS: u8 = 1;
            let is_tls = field.value.first().is_some_and(|flags| flags & BY_TLS != 0);
            scheme = Some(if is_tls { Scheme::Https } else { Scheme::Http });
        }
    }
    match checksum {
        Some(place) if !checksum_holds(block, &place) => Err(ProxyHeaderFault::Malformed),
        _ => Ok(ProxyHeader::Client(client, scheme)),
    }
}

/// Whether the checksum that is at this place is that of the block, counted with zeros there (section 2.2.3).
fn checksum_holds(block: &[u8], place: &Range<usize>) -> bool {
    let bytes = block.iter().enumerate().map(|(index, byte)| if place.contains(&index) { 0 } else { *byte });
    block.get(place.clone()) == Some(&crc32c(bytes).to_be_bytes())
}

/// CRC-32C (RFC 9260 appendix A), bit by bit: a header is short.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |sum: u32, _| (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg());
    !bytes.fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(byte), step))
}

#[cfg(test)]
#[path = "proxy_header_tests.rs"]
mod tests;

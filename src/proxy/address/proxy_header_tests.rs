use std::time::Duration;

use proptest::prelude::*;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket},
};

use super::*;

const BEHIND: &[u8] = b"\x16\x03\x01\x00\xc8 and more\r\n";

fn block(command: u8, family: u8, addresses: &[u8], fields: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len() + fields.len()).unwrap();
    [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length.to_be_bytes(), addresses, fields].concat()
}

const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 187];

fn with_checksum(damage: u8) -> Vec<u8> {
    let mut header = block(1, 0x11, &V4, &[3, 0, 4, 0, 0, 0, 0, 4, 0, 1, 0]);
    let sum = naive_crc32c(&header);
    header[31..35].copy_from_slice(&(sum ^ u32::from(damage)).to_be_bytes());
    header
}

/// By the definition: the remainder of a division of polynomials over two elements, the bits reflected.
fn naive_crc32c(bytes: &[u8]) -> u32 {
    let mut bits: Vec<bool> = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect();
    bits.iter_mut().take(32).for_each(|bit| *bit = !*bit);
    bits.extend([false; 32]);
    for at in 0..bits.len() - 32 {
        if bits[at] {
            // x^32 + the 32 lower terms of 0x1EDC6F41.
            bits[at] = false;
            for term in 0..32 {
                bits[at + 1 + term] ^= 0x1edc_6f41_u32 >> (31 - term) & 1 == 1;
            }
        }
    }
    let rest = &bits[bits.len() - 32..];
    !rest.iter().enumerate().fold(0, |sum, (index, bit)| sum | u32::from(*bit) << index)
}

fn accepted() -> Vec<(&'static str, Vec<u8>, ProxyHeader)> {
    let client = |text: &str, scheme| ProxyHeader::Client(text.parse().unwrap(), scheme);
    let v6 = [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0; 16], &[0x12, 0x67, 1, 187]].concat();
    let tls = |flags: u8| [0x20, 0, 5, flags, 0, 0, 0, 0];
    vec![
        ("line", b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(), client("203.0.113.7:4711", None)),
        ("line of IPv6", b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n".to_vec(), client("[2001:db8::7]:4711", None)),
        ("line of nobody", b"PROXY UNKNOWN\r\n".to_vec(), ProxyHeader::Unknown),
        ("line of nobody with a rest", b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), ProxyHeader::Unknown),
        ("local", block(0, 0, &[], &[]), ProxyHeader::Local),
        ("local with a rest", block(0, 0, &[1, 2, 3], &[]), ProxyHeader::Local),
        ("block", block(1, 0x11, &V4, &[]), client("203.0.113.7:4711", None)),
        ("block of IPv6", block(1, 0x21, &v6, &[]), client("[2001:db8::7]:4711", None)),
        ("block with fields", block(1, 0x11, &V4, &[0xea, 0, 3, 1, b'v', b'p', 4, 0, 0]), client("203.0.113.7:4711", None)),
        ("block by TLS", block(1, 0x11, &V4, &tls(1)), client("203.0.113.7:4711", Some(Scheme::Https))),
        ("block not by TLS", block(1, 0x11, &V4, &tls(0)), client("203.0.113.7:4711", Some(Scheme::Http))),
        ("block with a checksum", with_checksum(0), client("203.0.113.7:4711", None)),
        ("block of nobody", block(1, 0, &[], &[]), ProxyHeader::Unknown),
        ("block of a Unix socket", block(1, 0x31, &[b'/'; 216], &[]), ProxyHeader::Unknown),
    ]
}

fn refused() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no header", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("TLS", BEHIND.to_vec()),
        ("a line too long", [b"PROXY TCP4 ", &b"1"[..], &[b' '; 200], b"\r\n"].concat()),
        ("a line without its end", b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\n".to_vec()),
        ("another protocol", b"PROXY UDP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec()),
        ("another family", b"PROXY TCP6 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec()),
        ("a port too large", b"PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n".to_vec()),
        ("a sign", b"PROXY TCP4 203.0.113.7 10.0.0.1 +4711 443\r\n".to_vec()),
        ("too little", b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n".to_vec()),
        ("in lower case", b"proxy TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec()),
        ("another version", [v2::PROTOCOL_PREFIX, &[0x31, 0x11, 0, 12], &V4].concat()),
        ("another command", block(2, 0x11, &V4, &[])),
        ("datagrams", block(1, 0x12, &V4, &[])),
        ("half an address", block(1, 0x11, &V4[..6], &[])),
        ("half a field", block(1, 0x11, &V4, &[4, 0, 9, 0])),
        ("a block too long", [v2::PROTOCOL_PREFIX, &[0x21, 0x11, 0x10, 1], &V4].concat()),
        ("a wrong checksum", with_checksum(1)),
        ("a short checksum", block(1, 0x11, &V4, &[3, 0, 1, 0])),
    ]
}

/// Sends pieces one after another, each in a segment of its own, and then [`BEHIND`]. What was read, and what was left behind it.
async fn sent(pieces: &[&[u8]]) -> (Result<ProxyHeader, ProxyHeaderFault>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_nodelay(true).unwrap();
    let mut proxy = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let sending = async {
        for piece in pieces {
            // Whoever refuses what came before does not wait for the rest.
            let _ = proxy.write_all(piece).await;
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        let _ = proxy.shutdown().await;
    };
    let reading = async {
        let outcome =
            tokio::time::timeout(Duration::from_secs(10), read_proxy_header(&mut stream)).await.expect("a header is waited for");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        (outcome, rest)
    };
    tokio::join!(sending, reading).1
}

#[tokio::test]
async fn a_header_is_read_and_no_byte_behind_it_wherever_it_is_cut() {
    for (what, header, expected) in accepted() {
        let all = [&header[..], BEHIND].concat();
        for cut in 0..=header.len() {
            let (outcome, rest) = sent(&[&all[..cut], &all[cut..]]).await;
            assert_eq!((outcome.unwrap(), &rest[..]), (expected, BEHIND), "{what}, cut at {cut}");
        }
        let bytes: Vec<_> = all.chunks(1).collect();
        let (outcome, rest) = sent(&bytes).await;
        assert_eq!((outcome.unwrap(), &rest[..]), (expected, BEHIND), "{what}, byte by byte");
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused_without_waiting_for_more() {
    for (what, header) in refused() {
        assert!(sent(&[&header, BEHIND]).await.0.is_err(), "{what}");
    }
    let too_long = |header: &[u8]| assert!(matches!(read(header).unwrap_err().0, ProxyHeaderFault::TooLong));
    too_long(&block(1, 0x11, &V4, &[0; 5_000]));
    too_long(&[b"PROXY TCP4 ", &[b'1'; 100][..]].concat());
    for (_, header, _) in accepted() {
        for end in 0..header.len() {
            let (outcome, _) = sent(&[&header[..end]]).await;
            assert!(matches!(outcome, Err(ProxyHeaderFault::Closed(_))), "cut off after {end} bytes");
        }
    }
}

/// What the bytes say and how many of them are the header; or what is wrong, and how many had to be seen for that.
fn read(bytes: &[u8]) -> Result<(ProxyHeader, usize), (ProxyHeaderFault, usize)> {
    whole(bytes)
}

proptest! {
    /// Damage to a header is found, or changes what it says; it never makes the reader take bytes from behind.
    #[test]
    fn a_damaged_header_is_refused_or_ends_where_it_says(which in 0..14_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (_, mut header, _) = accepted().swap_remove(which);
        let at = at.index(header.len());
        header[at] = byte;
        if let Ok((_, length)) = read(&[&header[..], BEHIND].concat()) {
            let expected = match header.starts_with(LINE_START) {
                true => header.iter().position(|byte| *byte == b'\n').unwrap() + 1,
                false => 16 + usize::from(u16::from_be_bytes([header[14], header[15]])),
            };
            prop_assert_eq!(length, expected);
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_definition(bytes in prop::collection::vec(any::<u8>(), 4..80)) {
        prop_assert_eq!(crc32c(bytes.iter().copied()), naive_crc32c(&bytes));
    }
}

#[test]
fn the_checksum_is_the_known_one() {
    assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
}

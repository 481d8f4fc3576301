//! [`enum@Hash`]: the hash functions of key files, and key derivation with them.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use pkcs8::ObjectIdentifier;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256, digest::block_api::BlockSizeUser};
use zeroize::{Zeroize, Zeroizing};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::signing) enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512With224,
    Sha512With256,
}

/// What a key derived by the rules of PKCS#12 is for (RFC 7292 B.3).
#[derive(Clone, Copy, Debug)]
pub(in crate::signing) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

macro_rules! with_hash {
    ($hash:expr, $function:ident($($argument:expr),*)) => {
        match $hash {
            Hash::Md5 => $function::<Md5>($($argument),*),
            Hash::Sha1 => $function::<Sha1>($($argument),*),
            Hash::Sha224 => $function::<Sha224>($($argument),*),
            Hash::Sha256 => $function::<Sha256>($($argument),*),
            Hash::Sha384 => $function::<Sha384>($($argument),*),
            Hash::Sha512 => $function::<Sha512>($($argument),*),
            Hash::Sha512With224 => $function::<Sha512_224>($($argument),*),
            Hash::Sha512With256 => $function::<Sha512_256>($($argument),*),
        }
    };
}

/// HMAC is the same code for each of them, and the crate's bounds are too long to be written out.
macro_rules! with_hmac {
    ($hash:expr, $mac:ident => $body:expr) => {
        match $hash {
            Hash::Md5 => {
                type $mac = Hmac<Md5>;
                $body
            }
            Hash::Sha1 => {
                type $mac = Hmac<Sha1>;
                $body
            }
            Hash::Sha224 => {
                type $mac = Hmac<Sha224>;
                $body
            }
            Hash::Sha256 => {
                type $mac = Hmac<Sha256>;
                $body
            }
            Hash::Sha384 => {
                type $mac = Hmac<Sha384>;
                $body
            }
            Hash::Sha512 => {
                type $mac = Hmac<Sha512>;
                $body
            }
            Hash::Sha512With224 => {
                type $mac = Hmac<Sha512_224>;
                $body
            }
            Hash::Sha512With256 => {
                type $mac = Hmac<Sha512_256>;
                $body
            }
        }
    };
}

impl Hash {
    /// By its own identifier, as the MAC of PKCS#12 names it.
    pub(in crate::signing) fn of_digest(oid: ObjectIdentifier) -> Option<Self> {
        Some(match oid.to_string().as_str() {
            "1.2.840.113549.2.5" => Self::Md5,
            "1.3.14.3.2.26" => Self::Sha1,
            "2.16.840.1.101.3.4.2.4" => Self::Sha224,
            "2.16.840.1.101.3.4.2.1" => Self::Sha256,
            "2.16.840.1.101.3.4.2.2" => Self::Sha384,
            "2.16.840.1.101.3.4.2.3" => Self::Sha512,
            "2.16.840.1.101.3.4.2.5" => Self::Sha512With224,
            "2.16.840.1.101.3.4.2.6" => Self::Sha512With256,
            _ => return None,
        })
    }

    /// By the identifier of its HMAC, as PBKDF2 and PBMAC1 name it (RFC 8018 B.1).
    pub(in crate::signing) fn of_hmac(oid: ObjectIdentifier) -> Option<Self> {
        Some(match oid.to_string().as_str() {
            "1.2.840.113549.2.6" => Self::Md5,
            "1.2.840.113549.2.7" => Self::Sha1,
            "1.2.840.113549.2.8" => Self::Sha224,
            "1.2.840.113549.2.9" => Self::Sha256,
            "1.2.840.113549.2.10" => Self::Sha384,
            "1.2.840.113549.2.11" => Self::Sha512,
            "1.2.840.113549.2.12" => Self::Sha512With224,
            "1.2.840.113549.2.13" => Self::Sha512With256,
            _ => return None,
        })
    }

    /// Bytes of a digest.
    pub(in crate::signing) fn length(self) -> usize {
        with_hash!(self, length_of())
    }

    /// PBKDF2 (RFC 8018 section 5.2).
    pub(super) fn pbkdf2(self, passphrase: &[u8], salt: &[u8], rounds: u32, key: &mut [u8]) {
        with_hmac!(self, Prf => {
            // A key of any length is taken.
            let _ = pbkdf2::pbkdf2::<Prf>(passphrase, salt, rounds, key);
        });
    }

    /// PBKDF1 (RFC 8018 section 5.1), all bytes of it.
    pub(super) fn pbkdf1(self, passphrase: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
        with_hash!(self, pbkdf1(passphrase, salt, rounds))
    }

    /// What OpenSSL derives a key with for `DEK-Info` (`EVP_BytesToKey`): each digest is of the one before, the passphrase and the salt.
    pub(super) fn bytes_to_key(self, passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
        with_hash!(self, bytes_to_key(passphrase, salt, length))
    }

    /// The key derivation of PKCS#12 (RFC 7292 appendix B.2).
    pub(in crate::signing) fn pkcs12(
        self,
        passphrase: &[u8],
        salt: &[u8],
        purpose: Purpose,
        rounds: u32,
        length: usize,
    ) -> Zeroizing<Vec<u8>> {
        with_hash!(self, pkcs12(passphrase, salt, purpose, rounds, length))
    }

    /// Whether `expected` is the HMAC of `data`. Takes the same time wherever they differ.
    pub(in crate::signing) fn is_hmac(self, key: &[u8], data: &[u8], expected: &[u8]) -> bool {
        with_hmac!(self, Prf => {
            <Prf as KeyInit>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(data).verify_slice(expected).is_ok())
        })
    }
}

fn length_of<D: Digest>() -> usize {
    <D as Digest>::output_size()
}

fn pbkdf1<D: Digest>(passphrase: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
    let mut key = D::new().chain_update(passphrase).chain_update(salt).finalize();
    for _ in 1..rounds {
        key = D::digest(&key);
    }
    Zeroizing::new(key.to_vec())
}

fn bytes_to_key<D: Digest>(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let digest = <D as Digest>::output_size();
    let mut key = Zeroizing::new(Vec::with_capacity(length + digest));
    while key.len() < length {
        let before = key.get(key.len().saturating_sub(digest)..).unwrap_or_default();
        let next = D::new().chain_update(before).chain_update(passphrase).chain_update(salt).finalize();
        key.extend_from_slice(&next);
    }
    key.truncate(length);
    key
}

/// The numbers in the comments are those of RFC 7292 appendix B.2.
fn pkcs12<D: Digest + BlockSizeUser>(
    passphrase: &[u8],
    salt: &[u8],
    purpose: Purpose,
    rounds: u32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = <D as BlockSizeUser>::block_size();
    // 1
    let diversifier = vec![purpose as u8; block];
    // 2 to 4: as many whole blocks of each as it takes.
    let filled = |text: &[u8]| text.iter().copied().cycle().take(text.len().div_ceil(block) * block).collect::<Vec<u8>>();
    let mut input =
        Zeroizing::new([Zeroizing::new(filled(salt)), Zeroizing::new(filled(passphrase))].map(|part| part.to_vec()).concat());
    let mut key = Zeroizing::new(Vec::with_capacity(length + <D as Digest>::output_size()));
    loop {
        // 6 A
        let mut part = D::new().chain_update(&diversifier).chain_update(input.as_slice()).finalize();
        for _ in 1..rounds {
            part = D::digest(&part);
        }
        key.extend_from_slice(&part);
        if key.len() >= length {
            key.truncate(length);
            return key;
        }
        // 6 B and C: each block of the input plus the digest, repeated to a block, plus one.
        let mut addend: Vec<u8> = part.iter().copied().cycle().take(block).collect();
        for chunk in input.chunks_mut(block) {
            let mut carry = 1_u16;
            for (byte, add) in chunk.iter_mut().zip(&addend).rev() {
                let sum = u16::from(*byte) + u16::from(*add) + carry;
                *byte = sum.to_le_bytes()[0];
                carry = sum >> 8;
            }
        }
        addend.zeroize();
    }
}

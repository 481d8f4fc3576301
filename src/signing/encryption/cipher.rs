//! [`Cipher`]: the ciphers of encrypted key files.

use aes::{Aes128, Aes192, Aes256};
use camellia::{Camellia128, Camellia192, Camellia256};
use cbc::{
    Decryptor,
    cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, InnerIvInit, KeyInit, block_padding::Pkcs7},
};
use des::{Des, TdesEde2, TdesEde3};
use rc2::Rc2;
use rc4::{Rc4, StreamCipher as _};
use zeroize::Zeroizing;

/// A cipher; those for blocks in CBC mode with the padding of PKCS#7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::signing) enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    Camellia128,
    Camellia192,
    Camellia256,
    Des,
    TripleDes,
    /// Whose third key is the first.
    TripleDesOfTwoKeys,
    /// With a key of so many bytes, of which so many bits count.
    Rc2 {
        bytes: usize,
        bits: usize,
    },
    /// With a key of so many bytes.
    Rc4 {
        bytes: usize,
    },
}

impl Cipher {
    /// Bytes of a key.
    pub(super) fn key_length(self) -> usize {
        match self {
            Self::Aes128 | Self::Camellia128 | Self::TripleDesOfTwoKeys => 16,
            Self::Aes192 | Self::Camellia192 | Self::TripleDes => 24,
            Self::Aes256 | Self::Camellia256 => 32,
            Self::Des => 8,
            Self::Rc2 { bytes, .. } | Self::Rc4 { bytes } => bytes,
        }
    }

    /// Bytes of an initialisation vector.
    pub(in crate::signing) fn iv_length(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 | Self::Camellia128 | Self::Camellia192 | Self::Camellia256 => 16,
            Self::Rc4 { .. } => 0,
            _ => 8,
        }
    }

    /// None: what comes out does not end as it should, so the key is another one (or once in 256 times it is another one all the same).
    pub(super) fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Aes128 => cbc(Aes128::new_from_slice(key).ok()?, iv, data),
            Self::Aes192 => cbc(Aes192::new_from_slice(key).ok()?, iv, data),
            Self::Aes256 => cbc(Aes256::new_from_slice(key).ok()?, iv, data),
            Self::Camellia128 => cbc(Camellia128::new_from_slice(key).ok()?, iv, data),
            Self::Camellia192 => cbc(Camellia192::new_from_slice(key).ok()?, iv, data),
            Self::Camellia256 => cbc(Camellia256::new_from_slice(key).ok()?, iv, data),
            Self::Des => cbc(Des::new_from_slice(key).ok()?, iv, data),
            Self::TripleDes => cbc(TdesEde3::new_from_slice(key).ok()?, iv, data),
            Self::TripleDesOfTwoKeys => cbc(TdesEde2::new_from_slice(key).ok()?, iv, data),
            Self::Rc2 { bytes, bits } => {
                // The crate panics outside of these.
                let fits = key.len() == bytes && (1..=128).contains(&bytes) && (1..=1024).contains(&bits);
                cbc(fits.then(|| Rc2::new_with_eff_key_len(key, bits))?, iv, data)
            }
            Self::Rc4 { .. } => {
                let mut data = Zeroizing::new(data.to_vec());
                Rc4::new_from_slice(key).ok()?.apply_keystream(&mut data);
                Some(data)
            }
        }
    }
}

fn cbc<C: BlockCipherDecrypt>(cipher: C, iv: &[u8], data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut data = Zeroizing::new(data.to_vec());
    let length = Decryptor::inner_iv_slice_init(cipher, iv).ok()?.decrypt_padded::<Pkcs7>(&mut data).ok()?.len();
    data.truncate(length);
    Some(data)
}

//! [`Scheme`]: how a private key is encrypted with a passphrase (PKCS#5, RFC 8018, and PKCS#12, RFC 7292).

mod cipher;
mod hash;
mod names;
mod parameters;

use zeroize::Zeroizing;

pub(super) use self::{
    cipher::Cipher,
    hash::{Hash, Purpose},
    names::{Openssl, Unsupported},
    parameters::{Kdf, ParameterProblem, TwoAlgorithms, parameters},
};
use crate::signing::{
    effort::{Effort, TooMuch},
    passphrase::Passphrase,
};

/// A way of encrypting with a passphrase.
#[derive(Debug)]
pub(super) enum Scheme<'a> {
    /// PBES2 (RFC 8018 section 6.2).
    Pbes2 { kdf: Kdf<'a>, cipher: Cipher, iv: &'a [u8] },
    /// PBES1 (RFC 8018 section 6.1). OpenSSL 1.0 writes it for PKCS#8.
    Pbes1 { hash: Hash, cipher: Cipher, salt: &'a [u8], rounds: u32 },
    /// That of PKCS#12 (RFC 7292 appendix C), with SHA-1.
    Pkcs12 { cipher: Cipher, salt: &'a [u8], rounds: u32 },
    /// `DEK-Info` of a PEM section (RFC 1421), as OpenSSL has it.
    Pem { cipher: Cipher, iv: &'a [u8] },
}

impl Scheme<'_> {
    /// What `data` is when it is decrypted; none: certainly not with this passphrase.
    pub(super) fn decrypt(
        &self,
        passphrase: &Passphrase,
        data: &[u8],
        effort: &Effort,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, TooMuch> {
        match *self {
            Self::Pbes2 { ref kdf, cipher, iv } => {
                let key = kdf.derive(&passphrase.utf8(), cipher.key_length(), effort)?;
                Ok(cipher.decrypt(&key, iv, data))
            }
            Self::Pbes1 { hash, cipher, salt, rounds } => {
                effort.spend(u64::from(rounds))?;
                let both = hash.pbkdf1(&passphrase.utf8(), salt, rounds);
                let parts = both.get(..16).and_then(|both| both.split_at_checked(8));
                Ok(parts.and_then(|(key, iv)| cipher.decrypt(key, iv, data)))
            }
            Self::Pkcs12 { cipher, salt, rounds } => {
                let passphrase = passphrase.utf16();
                let derive = |purpose, length: usize| {
                    let digests = u64::try_from(length.div_ceil(Hash::Sha1.length())).unwrap_or(u64::MAX);
                    effort.spend(u64::from(rounds).saturating_mul(digests))?;
                    Ok(Hash::Sha1.pkcs12(&passphrase, salt, purpose, rounds, length))
                };
                let key = derive(Purpose::Key, cipher.key_length())?;
                let iv = match cipher.iv_length() {
                    0 => Zeroizing::default(),
                    length => derive(Purpose::Iv, length)?,
                };
                Ok(cipher.decrypt(&key, &iv, data))
            }
            Self::Pem { cipher, iv } => {
                let salt = iv.get(..8).unwrap_or(iv);
                Ok(cipher.decrypt(&Hash::Md5.bytes_to_key(&passphrase.utf8(), salt, cipher.key_length()), iv, data))
            }
        }
    }
}

impl Kdf<'_> {
    /// A key of so many bytes.
    pub(super) fn derive(&self, passphrase: &[u8], length: usize, effort: &Effort) -> Result<Zeroizing<Vec<u8>>, TooMuch> {
        let mut key = Zeroizing::new(vec![0; length]);
        match *self {
            Self::Pbkdf2 { salt, rounds, prf, .. } => {
                let digests = u64::try_from(length.div_ceil(prf.length())).unwrap_or(u64::MAX);
                effort.spend(u64::from(rounds).saturating_mul(digests))?;
                prf.pbkdf2(passphrase, salt, rounds, &mut key);
            }
            Self::Scrypt { salt, ref params, cost } => {
                effort.spend(cost)?;
                // It fails for a key that is empty or longer than scrypt can make, and none of ours is.
                let _ = scrypt::scrypt(passphrase, salt, params, &mut key);
            }
        }
        Ok(key)
    }
}

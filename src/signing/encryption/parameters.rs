//! Parses the parameters of a scheme into a [`Scheme`].

use der::{AnyRef, Decode, Sequence, asn1::OctetStringRef};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier};

use super::{Cipher, Hash, Scheme, Unsupported};

/// How a key is derived from a passphrase.
#[derive(Debug)]
pub(in crate::signing) enum Kdf<'a> {
    /// PBKDF2 (RFC 8018 section 5.2).
    Pbkdf2 { salt: &'a [u8], rounds: u32, prf: Hash, length: Option<u32> },
    /// scrypt (RFC 7914). The cost is in rounds of about the work of one of PBKDF2.
    Scrypt { salt: &'a [u8], params: scrypt::Params, cost: u64 },
}

/// Why the parameters cannot be used.
#[derive(Debug)]
pub(in crate::signing) enum ParameterProblem {
    Damaged(String),
    Unsupported(Unsupported),
}

impl From<der::Error> for ParameterProblem {
    fn from(error: der::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

type Outcome<T> = Result<T, ParameterProblem>;

/// RFC 8018 A.3, RFC 7292 appendix C.
#[derive(Sequence)]
struct PbeParameters<'a> {
    salt: &'a OctetStringRef,
    rounds: u32,
}

/// RFC 8018 A.4 and A.5: PBES2 and PBMAC1 have the same structure.
#[derive(Sequence)]
pub(in crate::signing) struct TwoAlgorithms<'a> {
    pub(in crate::signing) kdf: AlgorithmIdentifierRef<'a>,
    pub(in crate::signing) second: AlgorithmIdentifierRef<'a>,
}

/// RFC 8018 A.2.
#[derive(Sequence)]
struct Pbkdf2Parameters<'a> {
    /// May be an algorithm by the standard; nobody has one.
    salt: &'a OctetStringRef,
    rounds: u32,
    length: Option<u32>,
    prf: Option<AlgorithmIdentifierRef<'a>>,
}

/// RFC 7914 section 7.1.
#[derive(Sequence)]
struct ScryptParameters<'a> {
    salt: &'a OctetStringRef,
    cost: u64,
    block: u32,
    parallel: u32,
    length: Option<u32>,
}

/// RFC 8018 B.2.3.
#[derive(Sequence)]
struct Rc2Parameters<'a> {
    version: u32,
    iv: &'a OctetStringRef,
}

impl<'a> Scheme<'a> {
    /// Of PKCS#8 and PKCS#12.
    pub(in crate::signing) fn read(algorithm: &AlgorithmIdentifierRef<'a>) -> Outcome<Self> {
        let pbes1 = |hash, cipher| {
            let PbeParameters { salt, rounds } = parameters(algorithm)?;
            Ok(Self::Pbes1 { hash, cipher, salt: salt.as_bytes(), rounds })
        };
        let pkcs12 = |cipher| {
            let PbeParameters { salt, rounds } = parameters(algorithm)?;
            Ok(Self::Pkcs12 { cipher, salt: salt.as_bytes(), rounds })
        };
        let rc2 = |bits: usize| Cipher::Rc2 { bytes: bits / 8, bits };
        match algorithm.oid.to_string().as_str() {
            "1.2.840.113549.1.5.13" => {
                let TwoAlgorithms { kdf, second } = parameters(algorithm)?;
                let kdf = Kdf::read(&kdf)?;
                let (cipher, iv) = cipher(&second, kdf.length())?;
                Ok(Self::Pbes2 { kdf, cipher, iv })
            }
            "1.2.840.113549.1.5.3" => pbes1(Hash::Md5, Cipher::Des),
            "1.2.840.113549.1.5.6" => pbes1(Hash::Md5, rc2(64)),
            "1.2.840.113549.1.5.10" => pbes1(Hash::Sha1, Cipher::Des),
            "1.2.840.113549.1.5.11" => pbes1(Hash::Sha1, rc2(64)),
            "1.2.840.113549.1.12.1.1" => pkcs12(Cipher::Rc4 { bytes: 16 }),
            "1.2.840.113549.1.12.1.2" => pkcs12(Cipher::Rc4 { bytes: 5 }),
            "1.2.840.113549.1.12.1.3" => pkcs12(Cipher::TripleDes),
            "1.2.840.113549.1.12.1.4" => pkcs12(Cipher::TripleDesOfTwoKeys),
            "1.2.840.113549.1.12.1.5" => pkcs12(rc2(128)),
            "1.2.840.113549.1.12.1.6" => pkcs12(rc2(40)),
            _ => Err(unsupported("the scheme", algorithm.oid)),
        }
    }
}

impl<'a> Kdf<'a> {
    pub(in crate::signing) fn read(algorithm: &AlgorithmIdentifierRef<'a>) -> Outcome<Self> {
        match algorithm.oid.to_string().as_str() {
            "1.2.840.113549.1.5.12" => {
                let Pbkdf2Parameters { salt, rounds, length, prf } = parameters(algorithm)?;
                let prf = match prf {
                    Some(prf) => Hash::of_hmac(prf.oid).ok_or_else(|| unsupported("PBKDF2 with", prf.oid))?,
                    // The default of RFC 8018 A.2, which node-forge and OpenSSL 1.0 leave out.
                    None => Hash::Sha1,
                };
                Ok(Self::Pbkdf2 { salt: salt.as_bytes(), rounds, prf, length })
            }
            "1.3.6.1.4.1.11591.4.11" => {
                let ScryptParameters { salt, cost, block, parallel, .. } = parameters(algorithm)?;
                let wrong = || ParameterProblem::Damaged("the parameters of scrypt are out of range".to_owned());
                // 128 bytes each; as much memory as 1.5 GiB would be no key file's.
                const MAX_BLOCKS: u64 = 4 << 20;
                let blocks = cost.checked_mul(u64::from(block)).filter(|blocks| *blocks <= MAX_BLOCKS && cost.is_power_of_two());
                let work = blocks.ok_or_else(wrong)?.saturating_mul(u64::from(parallel));
                let log = u8::try_from(cost.ilog2()).map_err(|_| wrong())?;
                let params = scrypt::Params::new(log, block, parallel).map_err(|_| wrong())?;
                Ok(Self::Scrypt { salt: salt.as_bytes(), params, cost: work })
            }
            _ => Err(unsupported("the key derivation", algorithm.oid)),
        }
    }

    /// Length of the key in bytes, if given.
    pub(in crate::signing) fn length(&self) -> Option<u32> {
        match self {
            Self::Pbkdf2 { length, .. } => *length,
            Self::Scrypt { .. } => None,
        }
    }
}

/// The cipher of PBES2 and its initialisation vector. `length` is that of the key, if the key derivation gives it.
fn cipher<'a>(algorithm: &AlgorithmIdentifierRef<'a>, length: Option<u32>) -> Outcome<(Cipher, &'a [u8])> {
    let iv = || Ok::<_, ParameterProblem>(parameters::<&OctetStringRef>(algorithm)?.as_bytes());
    let (cipher, iv) = match algorithm.oid.to_string().as_str() {
        // NSS up to 3.21 took 256 bits whatever it was asked for, and told the length alone as it was.
        "2.16.840.1.101.3.4.1.2" | "2.16.840.1.101.3.4.1.22" if length == Some(32) => (Cipher::Aes256, iv()?),
        "2.16.840.1.101.3.4.1.2" => (Cipher::Aes128, iv()?),
        "2.16.840.1.101.3.4.1.22" => (Cipher::Aes192, iv()?),
        "2.16.840.1.101.3.4.1.42" => (Cipher::Aes256, iv()?),
        "1.2.392.200011.61.1.1.1.2" | "1.2.392.200011.61.1.1.1.3" if length == Some(32) => (Cipher::Camellia256, iv()?),
        "1.2.392.200011.61.1.1.1.2" => (Cipher::Camellia128, iv()?),
        "1.2.392.200011.61.1.1.1.3" => (Cipher::Camellia192, iv()?),
        "1.2.392.200011.61.1.1.1.4" => (Cipher::Camellia256, iv()?),
        "1.2.840.113549.3.7" => (Cipher::TripleDes, iv()?),
        "1.3.14.3.2.7" => (Cipher::Des, iv()?),
        "1.2.840.113549.3.2" => {
            let Rc2Parameters { version, iv } = parameters(algorithm)?;
            let bits = match version {
                160 => 40,
                120 => 64,
                58 => 128,
                256..=1024 => usize::try_from(version).unwrap_or(1024),
                _ => return Err(ParameterProblem::Damaged(format!("RC2 of the version {version}"))),
            };
            let bytes = length.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(bits / 8);
            (Cipher::Rc2 { bytes: bytes.min(128), bits }, iv.as_bytes())
        }
        _ => return Err(unsupported("PBES2 with the cipher", algorithm.oid)),
    };
    if iv.len() != cipher.iv_length() {
        return Err(ParameterProblem::Damaged(
            "the initialisation vector does not have the length that the cipher needs".to_owned(),
        ));
    }
    // Of a longer one the first bytes are taken.
    if length.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length < cipher.key_length())) {
        return Err(ParameterProblem::Damaged("the key is shorter than the cipher needs".to_owned()));
    }
    Ok((cipher, iv))
}

pub(in crate::signing) fn parameters<'a, T>(algorithm: &AlgorithmIdentifierRef<'a>) -> Outcome<T>
where
    T: Decode<'a> + der::DecodeValue<'a> + der::FixedTag,
    ParameterProblem: From<<T as der::DecodeValue<'a>>::Error>,
{
    let missing = || ParameterProblem::Damaged("the parameters of the encryption are missing".to_owned());
    let any: AnyRef<'a> = algorithm.parameters.ok_or_else(missing)?;
    Ok(any.decode_as::<T>()?)
}

fn unsupported(part: &str, oid: ObjectIdentifier) -> ParameterProblem {
    ParameterProblem::Unsupported(Unsupported::new(part, oid))
}

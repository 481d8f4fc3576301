//! PKCS#12 files (RFC 7292), in DER or BER: as written by OpenSSL, Windows, Azure Key Vault, Java, BouncyCastle, GnuTLS, NSS
//! and macOS.

use der::{AnyRef, Decode, Sequence, TagNumber, Tagged, asn1::OctetStringRef};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier};
use zeroize::Zeroizing;

use crate::signing::{
    KeyProblem, ber,
    content::{Content, Opening, PrivateKeyDer},
    encrypted_pkcs8::{EncryptedKey, private_key},
    encryption::{Hash, Kdf, ParameterProblem, Purpose, Scheme, TwoAlgorithms, Unsupported, parameters},
    passphrase::Passphrase,
    structure::Kind,
};

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const ENCRYPTED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const BAGS_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");

/// Bags of bags are nested no deeper.
const MAX_DEPTH: usize = 4;

#[derive(Sequence)]
struct Pfx<'a> {
    version: u32,
    safes: ContentInfo<'a>,
    mac: Option<MacData<'a>>,
}

#[derive(Sequence)]
struct ContentInfo<'a> {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: AnyRef<'a>,
}

#[derive(Sequence)]
struct MacData<'a> {
    mac: DigestInfo<'a>,
    salt: &'a OctetStringRef,
    #[asn1(default = "one")]
    rounds: u32,
}

#[derive(Sequence)]
struct DigestInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    digest: &'a OctetStringRef,
}

#[derive(Sequence)]
struct EncryptedData<'a> {
    version: u32,
    info: EncryptedContentInfo<'a>,
    /// There may be unprotected attributes, which say nothing here.
    attributes: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
struct EncryptedContentInfo<'a> {
    kind: ObjectIdentifier,
    algorithm: AlgorithmIdentifierRef<'a>,
    /// An octet string under the implicit tag 0: in one piece, or (BER) octet strings in it.
    content: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
struct Bag<'a> {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: AnyRef<'a>,
    attributes: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
struct CertificateBag<'a> {
    kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: AnyRef<'a>,
}

fn one() -> u32 {
    1
}

/// The content of a file in DER.
pub(super) fn parse(der: &[u8], opening: &Opening<'_>) -> Result<Content, KeyProblem> {
    let Pfx { version, safes, mac } = Pfx::from_der(der).map_err(damaged)?;
    if version != 3 {
        return Err(KeyProblem::Damaged(format!("version {version} of PKCS#12 is not supported")));
    }
    if safes.kind == SIGNED_DATA {
        return Err(KeyProblem::not_supported("protected by a signature instead of a passphrase".to_owned(), None));
    }
    let safes = octets(safes.content)?;
    let mut readings = Passphrase::readings_of_pkcs12(opening.passphrase);
    let is_protected = mac.is_some();
    if let Some(mac) = mac {
        let index = mac.find(&readings, safes, opening)?.ok_or_else(|| opening.wrong())?;
        // That one is right, if the file was made by one passphrase.
        readings.swap(0, index);
    }
    let mut walk = Walk { opening, readings, is_protected, content: Content::default(), passed_over: None };
    walk.safes(&ber::to_der(safes)?)?;
    match walk.passed_over {
        // A certificate that cannot be read is a pity; that the key was in there is the likelier explanation if there is none.
        Some(problem) if walk.content.keys.is_empty() => Err(problem),
        _ => Ok(walk.content),
    }
}

impl MacData<'_> {
    /// Which of the readings is right; none: none of them.
    fn find(&self, readings: &[Passphrase], data: &[u8], opening: &Opening<'_>) -> Result<Option<usize>, KeyProblem> {
        let expected = self.mac.digest.as_bytes();
        let algorithm = &self.mac.algorithm;
        let unsupported = |oid| ParameterProblem::Unsupported(Unsupported::new("a MAC with", oid)).in_pkcs12();
        if algorithm.oid == PBMAC1 {
            // RFC 9579.
            let TwoAlgorithms { kdf, second } = parameters(algorithm).map_err(ParameterProblem::in_pkcs12)?;
            let kdf = Kdf::read(&kdf).map_err(ParameterProblem::in_pkcs12)?;
            let hash = Hash::of_hmac(second.oid).ok_or_else(|| unsupported(second.oid))?;
            let length = kdf.length().and_then(|length| usize::try_from(length).ok()).unwrap_or(hash.length()).min(1024);
            for (index, passphrase) in readings.iter().enumerate() {
                let key = kdf.derive(&passphrase.utf8(), length, &opening.effort)?;
                if hash.is_hmac(&key, data, expected) {
                    return Ok(Some(index));
                }
            }
            return Ok(None);
        }
        let hash = Hash::of_digest(algorithm.oid).ok_or_else(|| unsupported(algorithm.oid))?;
        for (index, passphrase) in readings.iter().enumerate() {
            opening.effort.spend(u64::from(self.rounds))?;
            let key = hash.pkcs12(&passphrase.utf16(), self.salt.as_bytes(), Purpose::Mac, self.rounds, hash.length());
            if hash.is_hmac(&key, data, expected) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}

/// The way through a file.
struct Walk<'a> {
    opening: &'a Opening<'a>,
    /// The likeliest first.
    readings: Vec<Passphrase>,
    /// There is a MAC, and the first reading is the one that it was made with.
    is_protected: bool,
    content: Content,
    /// Why a part was not read, the first one.
    passed_over: Option<KeyProblem>,
}

impl Walk<'_> {
    /// `AuthenticatedSafe`.
    fn safes(&mut self, der: &[u8]) -> Result<(), KeyProblem> {
        for safe in Vec::<ContentInfo<'_>>::from_der(der).map_err(damaged)? {
            match safe.kind {
                DATA => self.bags(&ber::to_der(octets(safe.content)?)?, 0)?,
                ENCRYPTED_DATA => {
                    let data = safe.content.decode_as::<EncryptedData<'_>>().map_err(damaged)?;
                    match self.decrypted(&data.info) {
                        Ok(bags) => self.bags(&bags, 0)?,
                        Err(problem) => self.pass_over(problem)?,
                    }
                }
                ENVELOPED_DATA => {
                    self.pass_over(KeyProblem::not_supported("for a public key instead of with a passphrase".to_owned(), None))?
                }
                other => self.pass_over(KeyProblem::not_supported(format!("content of the type {other}"), None))?,
            }
        }
        Ok(())
    }

    /// What is not supported, or needs another passphrase, may be a certificate's and do no harm; every other problem is one.
    fn pass_over(&mut self, problem: KeyProblem) -> Result<(), KeyProblem> {
        if !matches!(problem, KeyProblem::NotSupported { .. } | KeyProblem::TwoPassphrases) {
            return Err(problem);
        }
        self.passed_over.get_or_insert(problem);
        Ok(())
    }

    fn decrypted(&mut self, info: &EncryptedContentInfo<'_>) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
        const IMPLICIT: TagNumber = TagNumber(0);
        let content = info.content.filter(|content| content.tag().is_context_specific() && content.tag().number() == IMPLICIT);
        let content = content.ok_or_else(|| KeyProblem::Damaged("an encrypted part is empty".to_owned()))?;
        let data = match content.tag().is_constructed() {
            true => ber::joined(content.value())?,
            false => Zeroizing::new(content.value().to_vec()),
        };
        let is_bags = |plain: &[u8]| ber::to_der(plain).ok().filter(|der| Vec::<Bag<'_>>::from_der(der).is_ok());
        self.decrypt(&info.algorithm, &data, is_bags)
    }

    /// `SafeContents`.
    fn bags(&mut self, der: &[u8], depth: usize) -> Result<(), KeyProblem> {
        for bag in Vec::<Bag<'_>>::from_der(der).map_err(damaged)? {
            match bag.kind {
                KEY_BAG => self.content.keys.push(PrivateKeyDer::Pkcs8(key(bag.value)?)),
                ENCRYPTED_KEY_BAG => {
                    let encrypted = bag.value.decode_as::<EncryptedKey<'_>>().map_err(damaged)?;
                    match self.decrypt(&encrypted.algorithm, encrypted.data.as_bytes(), private_key) {
                        Ok(key) => self.content.keys.push(PrivateKeyDer::Pkcs8(key)),
                        Err(problem) => self.pass_over(problem)?,
                    }
                }
                CERTIFICATE_BAG => {
                    let certificate = bag.value.decode_as::<CertificateBag<'_>>().map_err(damaged)?;
                    if certificate.kind == X509 {
                        self.content.certificates.push(octets(certificate.value)?.to_vec());
                    }
                }
                BAGS_BAG if depth < MAX_DEPTH => {
                    let bags = der::Encode::to_der(&bag.value).map_err(damaged)?;
                    self.bags(&bags, depth + 1)?;
                }
                // Lists of revoked certificates, secrets, and what is not known.
                _ => {}
            }
        }
        Ok(())
    }

    /// With the first reading that makes something sensible of it.
    fn decrypt(
        &mut self,
        algorithm: &AlgorithmIdentifierRef<'_>,
        data: &[u8],
        sensible: impl Fn(&[u8]) -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
        let scheme = Scheme::read(algorithm).map_err(ParameterProblem::in_pkcs12)?;
        for (index, passphrase) in self.readings.iter().enumerate() {
            let plain = scheme.decrypt(passphrase, data, &self.opening.effort)?;
            if let Some(plain) = plain.and_then(|plain| sensible(&plain)) {
                if !self.is_protected {
                    self.readings.swap(0, index);
                }
                return Ok(plain);
            }
        }
        Err(if self.is_protected { KeyProblem::TwoPassphrases } else { self.opening.wrong() })
    }
}

fn key(value: AnyRef<'_>) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let der = Zeroizing::new(der::Encode::to_der(&value).map_err(damaged)?);
    match Kind::of(&der) {
        Some(Kind::Pkcs8) => Ok(der),
        _ => Err(KeyProblem::Damaged("a key in it cannot be parsed".to_owned())),
    }
}

fn octets(value: AnyRef<'_>) -> Result<&[u8], KeyProblem> {
    Ok(value.decode_as::<&OctetStringRef>().map_err(damaged)?.as_bytes())
}

fn damaged(error: der::Error) -> KeyProblem {
    KeyProblem::Damaged(error.to_string())
}

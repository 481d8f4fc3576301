//! [`Pair`]: a certificate with its key, read from its files and checked.

use std::{
    fmt,
    fs::File,
    io::Read as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::{
    RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, public_key::PublicKey};
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    CertificateError, FileProblem, PairFiles,
    life::{Life, shown},
};
use crate::{private_file, tls::certificates_of};

/// Largest file. Bytes.
const MAX_FILE_BYTES: usize = 1024 * 1024;
/// Most people's clients refuse RSA keys with less. Bits.
const MIN_RSA_BITS: usize = 2_048;
/// A signature with more takes longer than all else of a handshake. Bits.
const MAX_QUICK_RSA_BITS: usize = 3_072;

/// What the files of a pair hold.
pub(super) struct Content {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// A certificate with its key. Both fit, and are valid at the time at which they were read.
pub(super) struct Pair {
    pub(super) files: PairFiles,
    /// Of what the files held.
    pub(super) digest: [u8; 32],
    pub(super) key: Arc<CertifiedKey>,
    /// Names of hosts, in lower case, perhaps with a star as the first label; and addresses, as they are written.
    pub(super) names: Vec<String>,
    /// Of the server's certificate, then of its intermediates.
    pub(super) lives: Vec<Life>,
    /// What is to think about, with the file.
    pub(super) warnings: Vec<String>,
}

impl Content {
    pub(super) fn read(files: &PairFiles) -> Result<Self, CertificateError> {
        let chain = read_public(&files.chain)?;
        let key = private_file::read(&files.key, MAX_FILE_BYTES)?;
        Ok(Self { chain, key })
    }

    /// Of one file that has both.
    pub(super) fn of(both: &[u8]) -> Self {
        Self { chain: both.to_vec(), key: Zeroizing::new(both.to_vec()) }
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&(self.chain.len() as u64).to_be_bytes());
        context.update(&self.chain);
        context.update(&self.key);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl Pair {
    pub(super) fn read(files: &PairFiles, now: SystemTime) -> Result<Self, CertificateError> {
        Self::of(files, &Content::read(files)?, now)
    }

    /// Checks what was read from these files.
    pub(super) fn of(files: &PairFiles, content: &Content, now: SystemTime) -> Result<Self, CertificateError> {
        let in_chain = |problem: FileProblem| problem.of(&files.chain);
        let chain = certificates_of(&content.chain).map_err(|problem| in_chain(problem.into()))?;
        let parsed = parsed(&chain).map_err(in_chain)?;
        let facts = check_chain(&chain, &parsed, now).map_err(in_chain)?;
        let key = signing_key(&content.key).map_err(|problem| problem.of(&files.key))?;
        let key = CertifiedKey::new(chain, key);
        // "It cannot be told" is an error here too.
        key.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => FileProblem::OtherKey(files.chain.clone()).of(&files.key),
            other => in_chain(FileProblem::Chain(other.to_string())),
        })?;
        let Facts { names, lives, warnings } = facts;
        let warnings = warnings.into_iter().map(|text| format!("{}: {text}", files.chain.display())).collect();
        Ok(Self { files: files.clone(), digest: content.digest(), key: Arc::new(key), names, lives, warnings })
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pair").field("files", &self.files).field("names", &self.names).finish_non_exhaustive()
    }
}

/// Reads a file that is no secret.
pub(super) fn read_public(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |error| FileProblem::Read(error).of(path);
    let mut data = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut data).map_err(failed)?;
    match data.len() {
        0..=MAX_FILE_BYTES => Ok(data),
        _ => Err(FileProblem::TooLarge(MAX_FILE_BYTES).of(path)),
    }
}

fn parsed<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, FileProblem> {
    let parse = |certificate: &'a CertificateDer<'_>| x509_parser::parse_x509_certificate(certificate).map(|(_, parsed)| parsed);
    let parsed: Result<Vec<_>, _> = chain.iter().map(parse).collect();
    parsed.map_err(|error| FileProblem::Chain(error.to_string()))
}

fn signing_key(pem: &[u8]) -> Result<Arc<dyn rustls::sign::SigningKey>, FileProblem> {
    let mut der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| FileProblem::NoKey(hint(pem)))?;
    let key = any_supported_type(&der);
    der.zeroize();
    key.map_err(|error| FileProblem::Key(error.to_string()))
}

/// What is there instead of a key that can be used.
fn hint(pem: &[u8]) -> &'static str {
    let contains = |part: &[u8]| pem.windows(part.len()).any(|window| window == part);
    if contains(b"ENCRYPTED") {
        ". This one is encrypted: decrypt it with `openssl pkey -in OLD -out NEW`"
    } else if contains(b"PRIVATE KEY-----") {
        ". This one is damaged"
    } else if contains(b"-----BEGIN CERTIFICATE-----") {
        ". This is a certificate"
    } else if pem.first() == Some(&0x30) {
        ". This is DER: convert it with `openssl pkey -inform DER -in OLD -out NEW`"
    } else {
        ""
    }
}

struct Facts {
    names: Vec<String>,
    lives: Vec<Life>,
    warnings: Vec<String>,
}

/// Everything about a chain that clients will look at, whatever the key.
fn check_chain(chain: &[CertificateDer<'_>], parsed: &[X509Certificate<'_>], now: SystemTime) -> Result<Facts, FileProblem> {
    let Some(leaf) = parsed.first() else { return Err(FileProblem::NoNames) };
    let lives: Vec<_> = parsed.iter().map(Life::of).collect();
    for (index, life) in lives.iter().enumerate() {
        let number = index + 1;
        if now > life.not_after {
            return Err(FileProblem::Expired { number, at: shown(life.not_after) });
        }
        if now < life.not_before {
            return Err(FileProblem::NotYetValid { number, from: shown(life.not_before) });
        }
    }
    let mut warnings = Vec::new();
    for (index, certificate) in parsed.iter().enumerate() {
        let number = index + 1;
        let bits = rsa_bits(certificate);
        if bits.is_some_and(|bits| bits < MIN_RSA_BITS) {
            return Err(FileProblem::Weak { number, what: format!("has an RSA key of {} bits", bits.unwrap_or_default()) });
        }
        if index == 0 && bits.is_some_and(|bits| bits > MAX_QUICK_RSA_BITS) {
            warnings.push(format!(
                "has an RSA key of {} bits, with which a handshake takes many times as long as with EC P-256",
                bits.unwrap_or_default()
            ));
        }
        if is_signed_by_sha1(certificate) && certificate.issuer() != certificate.subject() {
            return Err(FileProblem::Weak { number, what: "is signed with SHA-1 or MD5".to_owned() });
        }
    }
    let usage = leaf.extended_key_usage().ok().flatten();
    if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        return Err(FileProblem::NotForServers);
    }
    let names = names(leaf);
    if names.is_empty() {
        return Err(FileProblem::NoNames);
    }
    for (index, pair) in parsed.windows(2).enumerate() {
        if let [one, next] = pair
            && one.issuer() != next.subject()
        {
            return Err(FileProblem::Order(index + 1));
        }
    }
    verify(chain, now)?;
    if parsed.len() == 1 && names_its_issuers_place(leaf) {
        warnings.push(
            "holds the server's certificate without intermediates, which clients need to verify it: use the file with the whole chain"
                .to_owned(),
        );
    }
    Ok(Facts { names, lives, warnings })
}

/// Whether each certificate was issued by the one behind it, as clients will verify it.
fn verify(chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), FileProblem> {
    let [leaf, intermediates @ .., last] = chain else { return Ok(()) };
    let wrong = |error: rustls::Error| FileProblem::Chain(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(last.clone().into_owned()).map_err(wrong)?;
    let leaf = ParsedCertificate::try_from(leaf).map_err(wrong)?;
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let algorithms = default_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, intermediates, now, algorithms).map_err(wrong)
}

fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        // The key's size in whole bytes would hide one of 2047 bits.
        Ok(PublicKey::RSA(key)) => {
            let modulus = key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus);
            Some(modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize))
        }
        _ => None,
    }
}

/// RSA or ECDSA with SHA-1, RSA with MD5.
fn is_signed_by_sha1(certificate: &X509Certificate<'_>) -> bool {
    const WEAK: [&str; 3] = ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];
    WEAK.contains(&certificate.signature_algorithm.algorithm.to_id_string().as_str())
}

/// Public authorities say where the certificate is that a client lacks.
fn names_its_issuers_place(certificate: &X509Certificate<'_>) -> bool {
    const AUTHORITY_INFORMATION_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
    certificate.extensions().iter().any(|extension| extension.oid.to_id_string() == AUTHORITY_INFORMATION_ACCESS)
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    alternative.value.general_names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.trim_end_matches('.').to_ascii_lowercase()).filter(|name| !name.is_empty()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|bytes| IpAddr::from(Ipv6Addr::from(bytes))));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;

//! A certificate for this machine, and the authority that has issued it.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SignatureAlgorithm,
};

use crate::certificate::PairFiles;

/// Whom the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The certificate's files, and what clients have to trust.
#[derive(Clone, Debug)]
pub struct DemoCertificate {
    /// Chain and key.
    pub files: PairFiles,
    /// The authority's certificate, PEM.
    pub authority_file: PathBuf,
    /// The same.
    pub authority_pem: String,
}

impl DemoCertificate {
    /// Writes a new one into a folder: `localhost`, 127.0.0.1 and ::1, ECDSA P-256.
    pub fn create(folder: &Path) -> io::Result<Self> {
        Self::create_for(folder, &NAMES, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// The same with RSA of 2048 bits.
    pub fn create_with_rsa(folder: &Path) -> io::Result<Self> {
        Self::create_for(folder, &NAMES, &rcgen::PKCS_RSA_SHA256)
    }

    fn create_for(folder: &Path, names: &[&str], algorithm: &'static SignatureAlgorithm) -> io::Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.distinguished_name.push(DnType::CommonName, "syncgate demo authority");
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let authority = CertifiedIssuer::self_signed(parameters, key).map_err(io::Error::other)?;

        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).map_err(io::Error::other)?;
        parameters.distinguished_name.push(DnType::CommonName, "syncgate demo");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(algorithm).map_err(io::Error::other)?;
        let certificate = parameters.signed_by(&key, &authority).map_err(io::Error::other)?;

        let file = |name: &str| folder.join(name);
        let files = PairFiles { chain: file("tls.pem"), key: file("tls.key") };
        fs::write(&files.chain, certificate.pem())?;
        let mut private = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&files.key)?;
        private.write_all(key.serialize_pem().as_bytes())?;
        let (authority_file, authority_pem) = (file("authority.pem"), authority.pem());
        fs::write(&authority_file, &authority_pem)?;
        Ok(Self { files, authority_file, authority_pem })
    }
}

//! [`OwnCertificate`]: what the gateway shows of itself to a server that asks for a certificate.

use rustls::{
    InconsistentKeys,
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use x509_parser::certificate::X509Certificate;

use crate::tls::words::date;

/// A certificate with those between it and an authority, and its key, which cannot be printed.
pub struct OwnCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Why they cannot be used. Each text goes on from "certificate and key" or the like.
#[derive(Debug, thiserror::Error)]
pub enum OwnCertificateProblem {
    /// The file of the certificate holds none, or is damaged.
    #[error("the file of the certificate holds no certificate that can be read; accepted: PEM")]
    NoCertificate,
    /// The file of the key holds none, or is damaged.
    #[error("the file of the key holds no private key that can be read; accepted: PEM without a passphrase")]
    NoKey,
    /// They do not belong together.
    #[error("the key is not that of the first certificate in the file")]
    Unequal,
    /// Its time is over.
    #[error("the certificate expired at {0}: renew it")]
    Expired(String),
    /// Its time has not come.
    #[error("the certificate is not valid before {0}: is the clock of this machine right?")]
    NotYet(String),
    /// It is for something else.
    #[error("the certificate is not for clients: create one with `-addext extendedKeyUsage=clientAuth`")]
    Purpose,
    /// The cryptographic library does not take the key.
    #[error("the key cannot be used: {0}")]
    Unusable(String),
}

impl OwnCertificate {
    /// From the contents of both files, PEM. The certificate is valid now, and for clients.
    pub fn parse(certificates: &[u8], key: &[u8]) -> Result<Self, OwnCertificateProblem> {
        use OwnCertificateProblem::{NoCertificate, NoKey, Unequal, Unusable};
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, pem::Error>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(NoCertificate)?;
        check(chain.first().ok_or(NoCertificate)?, UnixTime::now())?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| NoKey)?;
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|error| Unusable(error.to_string()))?;
        match CertifiedKey::new(chain.clone(), signing).keys_match() {
            // That of a kind of key that the library cannot tell; none that it takes is.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Self { chain, key }),
            Err(_) => Err(Unequal),
        }
    }
}

impl Clone for OwnCertificate {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl std::fmt::Debug for OwnCertificate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OwnCertificate").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

fn check(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), OwnCertificateProblem> {
    use OwnCertificateProblem::{Expired, NoCertificate, NotYet, Purpose};
    let (_, certificate): (_, X509Certificate<'_>) = x509_parser::parse_x509_certificate(certificate).map_err(|_| NoCertificate)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let shown = |seconds: i64| date(u64::try_from(seconds).unwrap_or_default());
    let validity = certificate.validity();
    if now > validity.not_after.timestamp() {
        return Err(Expired(shown(validity.not_after.timestamp())));
    }
    if now < validity.not_before.timestamp() {
        return Err(NotYet(shown(validity.not_before.timestamp())));
    }
    match certificate.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.any || usage.value.client_auth => Ok(()),
        _ => Err(Purpose),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut parameters = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn problem(certificate: &str, key: &str) -> String {
        OwnCertificate::parse(certificate.as_bytes(), key.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_pair_that_fits_and_is_valid_is_taken() {
        for purposes in [vec![], vec![ExtendedKeyUsagePurpose::ClientAuth], vec![ExtendedKeyUsagePurpose::Any]] {
            let (certificate, key) = made(|parameters| parameters.extended_key_usages = purposes);
            let (other, _) = made(|_| {});
            let parsed = OwnCertificate::parse(format!("{certificate}{other}").as_bytes(), key.as_bytes()).unwrap();
            assert_eq!(parsed.chain.len(), 2);
            assert_eq!(format!("{parsed:?}"), "OwnCertificate { certificates: 2, .. }");
        }
    }

    #[test]
    fn every_other_is_told_what_is_wrong() {
        let (certificate, key) = made(|_| {});
        let (_, other_key) = made(|_| {});
        assert_eq!(problem(&certificate, &other_key), "the key is not that of the first certificate in the file");
        assert!(problem("", &key).starts_with("the file of the certificate holds no certificate"));
        assert!(problem(&certificate, &certificate).starts_with("the file of the key holds no private key"));
        let (expired, key) = made(|parameters| parameters.not_after = date_time_ymd(2020, 1, 1));
        assert_eq!(problem(&expired, &key), "the certificate expired at 2020-01-01T00:00:00Z: renew it");
        let (early, key) = made(|parameters| parameters.not_before = date_time_ymd(3000, 1, 1));
        assert!(problem(&early, &key).starts_with("the certificate is not valid before 3000-01-01T00:00:00Z"));
        let (server, key) = made(|parameters| parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
        assert!(problem(&server, &key).starts_with("the certificate is not for clients"));
    }
}

//! [`Trust`]: the authorities and the lists of revoked certificates by which clients are verified.

use std::{fmt, path::PathBuf, sync::Arc, time::SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateRevocationListDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::parse_x509_crl;

use super::{
    CertificateError, ClientMode, ClientRules, FileProblem,
    life::{Life, shown, time_of},
    pair::read_public,
};
use crate::tls::{Authorities, certificates_of};

/// The authorities and the lists of revoked certificates by which clients are verified.
pub(super) struct Trust {
    /// Of what the files held.
    pub(super) digest: [u8; 32],
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) authorities: (PathBuf, Vec<Life>),
    /// Until when each list is the newest; None: its authority has not said.
    pub(super) lists: Vec<(PathBuf, Option<SystemTime>)>,
    /// What is to think about, with the file.
    pub(super) warnings: Vec<String>,
}

/// What the files of some rules hold.
pub(super) struct TrustContent<'a> {
    rules: &'a ClientRules,
    ca_file: &'a PathBuf,
    authorities: Vec<u8>,
    lists: Vec<Vec<u8>>,
}

impl<'a> TrustContent<'a> {
    /// None: these rules ask for no certificate.
    pub(super) fn read(rules: &'a ClientRules) -> Result<Option<Self>, CertificateError> {
        if rules.mode == ClientMode::None {
            return Ok(None);
        }
        let ca_file = rules.ca_file.as_ref().ok_or(CertificateError::NoAuthorities)?;
        let lists: Result<Vec<_>, _> = rules.crl_files.iter().map(|path| read_public(path)).collect();
        Ok(Some(Self { rules, ca_file, authorities: read_public(ca_file)?, lists: lists? }))
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        for content in self.lists.iter().chain([&self.authorities]) {
            context.update(&(content.len() as u64).to_be_bytes());
            context.update(content);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl Trust {
    /// Checks what was read.
    pub(super) fn of(content: &TrustContent<'_>, now: SystemTime) -> Result<Self, CertificateError> {
        let in_ca_file = |problem: FileProblem| problem.of(content.ca_file);
        let certificates = certificates_of(&content.authorities).map_err(|problem| in_ca_file(problem.into()))?;
        let mut warnings = Vec::new();
        let mut lives = Vec::new();
        let mut subjects = Vec::new();
        for certificate in &certificates {
            let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { continue };
            lives.push(Life::of(&parsed));
            subjects.push((parsed.subject().as_raw().to_vec(), parsed.subject().to_string()));
        }
        for (index, life) in lives.iter().enumerate() {
            // The library does not look at the dates of an authority, so clients of this one are verified all the same.
            if now > life.not_after {
                let (file, at) = (content.ca_file.display(), shown(life.not_after));
                warnings
                    .push(format!("{file}: certificate {} expired at {at}: the authority's clients are accepted still", index + 1));
            }
        }
        let roots = Authorities::of(certificates).map_err(|problem| in_ca_file(problem.into()))?.roots();
        let (mut ders, mut lists, mut issuers) = (Vec::new(), Vec::new(), Vec::new());
        for (path, data) in content.rules.crl_files.iter().zip(&content.lists) {
            let list = revocation_list(data).map_err(|problem| problem.of(path))?;
            let (_, parsed) = parse_x509_crl(&list).map_err(|_| FileProblem::NoRevocationList.of(path))?;
            let next = parsed.next_update().map(time_of);
            if let Some(next) = next.filter(|next| now > *next) {
                return Err(FileProblem::RevocationListExpired(shown(next)).of(path));
            }
            issuers.push(parsed.issuer().as_raw().to_vec());
            lists.push((path.clone(), next));
            ders.push(list);
        }
        let uncovered = subjects.iter().filter(|(raw, _)| !issuers.is_empty() && !issuers.contains(raw));
        warnings.extend(uncovered.map(|(_, name)| {
            let name = name.escape_debug();
            format!("{}: no list in crl_files is of the authority {name}, so its clients are refused", content.ca_file.display())
        }));
        let verifier = verifier(content.rules.mode, roots, ders).map_err(in_ca_file)?;
        let authorities = (content.ca_file.clone(), lives);
        Ok(Self { digest: content.digest(), verifier, authorities, lists, warnings })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Trust").field("authorities", &self.authorities.0).field("lists", &self.lists).finish_non_exhaustive()
    }
}

fn verifier(
    mode: ClientMode,
    roots: Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Arc<dyn ClientCertVerifier>, FileProblem> {
    // Left to itself, the library takes an expired list without a word.
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::new(default_provider()))
        .with_crls(lists)
        .enforce_revocation_expiration();
    let builder = if mode == ClientMode::Optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| FileProblem::Verifier(error.to_string()))
}

fn revocation_list(data: &[u8]) -> Result<CertificateRevocationListDer<'static>, FileProblem> {
    const DER: u8 = 0x30;
    match data.first() {
        Some(&DER) => Ok(data.to_vec().into()),
        _ => CertificateRevocationListDer::from_pem_slice(data).map_err(|_| FileProblem::NoRevocationList),
    }
}

//! One order: from the account to the certificate's file.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{
    super::{
        AcmeChallenge, AcmeSettings, CertificateError,
        pair::{Content, Pair},
    },
    challenges::{Challenges, Unanswerable},
};
use crate::private_file::{self, PrivateFileError};

/// For an order as a whole.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For one question to the authority.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the authority may take to look at the answers, and to issue.
const POLLING: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));
/// The authority has forgotten the account (RFC 8555 section 6.7).
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
const MAX_ACCOUNT_BYTES: usize = 64 * 1024;

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("the authority: {0}")]
    Authority(#[from] instant_acme::Error),
    #[error("the authority does not offer the challenge {kind} for {domain}")]
    NoChallenge { domain: String, kind: &'static str },
    #[error("the authority refused {domain}: {why}")]
    Refused { domain: String, why: String },
    #[error("the authority did not answer in time")]
    Timeout,
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("{} is not an account: {source}", path.display())]
    Account { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("the challenge cannot be answered: {0}")]
    Unanswerable(#[from] Unanswerable),
    #[error("what was issued cannot be used: {0}")]
    Useless(#[from] CertificateError),
}

/// Orders a certificate and writes it to its file. `replaced` is the one that it follows, where the authority wants to know.
pub(super) async fn order(
    settings: &AcmeSettings,
    challenges: &Challenges,
    replaced: Option<&CertificateDer<'_>>,
) -> Result<(), OrderError> {
    let ordering = place_order(settings, challenges, replaced);
    let outcome = timeout(ORDER_TIMEOUT, ordering).await.unwrap_or(Err(OrderError::Timeout));
    challenges.close();
    outcome
}

/// When the authority suggests to renew a certificate, and when to ask again (RFC 9773). None: it has no opinion.
pub(super) async fn suggestion(
    settings: &AcmeSettings,
    certificate: &CertificateDer<'_>,
) -> Result<Option<((SystemTime, SystemTime), Duration)>, OrderError> {
    let asking = async {
        let Ok(identifier) = CertificateIdentifier::try_from(certificate) else { return Ok(None) };
        let account = account(settings).await?;
        match account.renewal_info(&identifier).await {
            Ok((info, again)) => {
                let window = info.suggested_window;
                Ok(Some(((window.start.into(), window.end.into()), again)))
            }
            Err(instant_acme::Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    };
    timeout(ASK_TIMEOUT, asking).await.unwrap_or(Err(OrderError::Timeout))
}

async fn place_order(
    settings: &AcmeSettings,
    challenges: &Challenges,
    replaced: Option<&CertificateDer<'_>>,
) -> Result<(), OrderError> {
    let account = account(settings).await?;
    let identifiers: Vec<_> = settings.domains.iter().cloned().map(Identifier::Dns).collect();
    let wanted = NewOrder::new(&identifiers);
    let wanted = match replaced.and_then(|certificate| CertificateIdentifier::try_from(certificate).ok()) {
        Some(identifier) => wanted.replaces(identifier),
        None => wanted,
    };
    let mut order = match account.new_order(&wanted).await {
        Err(instant_acme::Error::Api(problem)) if problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT) => {
            let path = settings.account_file();
            fs::remove_file(&path).map_err(|source| OrderError::Folder { path, source })?;
            self::account(settings).await?.new_order(&wanted).await?
        }
        order => order?,
    };
    answer(settings, challenges, &mut order).await?;
    match order.poll_ready(&POLLING).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return Err(refused(&mut order).await.unwrap_or(OrderError::Timeout)),
        Err(error) => return Err(refused(&mut order).await.unwrap_or(error.into())),
    }
    let key = Zeroizing::new(order.finalize().await?);
    let chain = order.poll_certificate(&POLLING).await?;
    let files = settings.pair();
    let content = Zeroizing::new(format!("{}\n{}", chain.trim_end(), key.as_str()));
    // Nothing that could not be served takes the place of what serves.
    let issued = Pair::of(&files, &Content::of(content.as_bytes()), SystemTime::now())?;
    if let Some(domain) = settings.domains.iter().find(|domain| !issued.names.contains(domain)) {
        return Err(OrderError::Refused { domain: domain.clone(), why: "the certificate is not for it".to_owned() });
    }
    private_file::write(&files.chain, content.as_bytes(), true)?;
    Ok(())
}

/// Answers the questions about each name, and has them asked.
async fn answer(settings: &AcmeSettings, challenges: &Challenges, order: &mut Order) -> Result<(), OrderError> {
    let (wanted, kind) = match settings.challenge {
        AcmeChallenge::TlsAlpn => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
        AcmeChallenge::Http => (ChallengeType::Http01, "http-01"),
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(wanted.clone()) else {
            return Err(OrderError::NoChallenge { domain, kind });
        };
        let known = challenge.key_authorization();
        match settings.challenge {
            AcmeChallenge::TlsAlpn => challenges.open_tls(&domain, known.digest().as_ref())?,
            AcmeChallenge::Http => challenges.open_http(&challenge.token, known.as_str()),
        }
        challenge.set_ready().await?;
    }
    Ok(())
}

/// Which name was refused, and why, if the authority says so.
async fn refused(order: &mut Order) -> Option<OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let state = authorization.refresh().await.ok()?;
        let domain = state.identifier().to_string();
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return Some(OrderError::Refused { domain, why: problem.to_string() });
        }
    }
    None
}

/// The account, made when it is first needed.
async fn account(settings: &AcmeSettings) -> Result<Account, OrderError> {
    let builder = match &settings.ca_file {
        Some(path) => Account::builder_with_root(path)?,
        None => Account::builder()?,
    };
    let path = settings.account_file();
    if path.exists() {
        let content = private_file::read(&path, MAX_ACCOUNT_BYTES)?;
        let credentials: AccountCredentials =
            serde_json::from_slice(&content).map_err(|source| OrderError::Account { path, source })?;
        return Ok(builder.from_credentials(credentials).await?);
    }
    prepare(&settings.folder)?;
    let contact: Vec<_> = settings.email.iter().map(|email| format!("mailto:{email}")).collect();
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    // Whoever names an authority in the config has agreed; docs/tls.md says so.
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&wanted, settings.directory.clone(), None).await?;
    let content = serde_json::to_vec(&credentials).map_err(|source| OrderError::Account { path: path.clone(), source })?;
    private_file::write(&path, &Zeroizing::new(content), true)?;
    Ok(account)
}

/// Makes the folder, which nobody else may read.
fn prepare(folder: &Path) -> Result<(), OrderError> {
    let failed = |source| OrderError::Folder { path: folder.to_owned(), source };
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)
}

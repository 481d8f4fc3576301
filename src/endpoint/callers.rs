//! [`Caller`]: the proof that who calls an endpoint may vouch for users.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, header};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    certificate::ClientCertificate,
    endpoint::{CallerSettings, only},
    exchange::Exchange,
    private_file::{Secret, SecretError},
    token::{AssertedUser, Rejection, Timestamp},
};

/// Those who may call an endpoint.
#[derive(Debug)]
pub(super) struct Callers(Vec<Known>);

#[derive(Debug)]
struct Known {
    name: String,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Basic { username: String, passwords: Vec<Secret> },
    Bearer(Vec<Secret>),
    ApiKey { header: HeaderName, keys: Vec<Secret> },
    Certificate { thumbprints: Vec<[u8; 32]>, names: Vec<String> },
    Issuer(String),
}

/// The claim that names the tenant of a token of Microsoft.
pub const TENANT: &str = "tid";

/// An authenticated caller. What it says of a user is worth as much as our own key: only [`Callers::authenticate`] makes one.
#[derive(Debug)]
pub(super) struct Caller<'a> {
    name: &'a str,
    /// The tenant of its token, if it has one.
    tenant: Option<String>,
}

impl Caller<'_> {
    /// Its name in logs.
    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// The tenant that it speaks for; none where its credentials do not say.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The user whom it vouches for.
    pub(super) fn user(
        &self,
        id: &str,
        name: Option<&str>,
        claims: Vec<(String, Value)>,
        end: Timestamp,
    ) -> Result<AssertedUser, Rejection> {
        AssertedUser::new(id, name, claims, end)
    }
}

impl Callers {
    /// Reads their secrets.
    pub(super) fn new(settings: &[CallerSettings]) -> Result<Self, SecretError> {
        settings.iter().map(Known::new).collect::<Result<_, _>>().map(Self)
    }

    /// Which of them a request comes from.
    ///
    /// Errors: [`Rejection::CallerUnauthenticated`], whatever is wrong with the credentials; of a token of an issuer, what is wrong with it.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
        exchange: &Exchange,
        now: Timestamp,
    ) -> Result<Caller<'_>, Rejection> {
        // Each of them is compared, so that the time does not tell which one was nearly right.
        let found =
            self.0.iter().filter(|known| known.is_proven(headers, certificate)).fold(None, |first, known| first.or(Some(known)));
        if let Some(known) = found {
            return Ok(Caller { name: &known.name, tenant: None });
        }
        let issuers = || self.0.iter().filter_map(|known| if let Proof::Issuer(name) = &known.proof { Some(name) } else { None });
        let Some(token) = bearer(headers).filter(|_| issuers().next().is_some()) else {
            return Err(Rejection::CallerUnauthenticated);
        };
        let identity = exchange.identify_caller(token, now).await?;
        identity.verified().check_certificate(certificate.map(|shown| &shown.thumbprint))?;
        let known = issuers().find(|name| **name == **identity.verified().issuer_name());
        let tenant = identity.verified().claim(TENANT).and_then(Value::as_str).map(str::to_owned);
        known.map(|name| Caller { name, tenant }).ok_or(Rejection::CallerUnauthenticated)
    }

    /// Whether one of them says a name and a password, so that a refusal asks for that.
    pub(super) fn have_passwords(&self) -> bool {
        self.0.iter().any(|known| matches!(known.proof, Proof::Basic { .. }))
    }
}

impl Known {
    fn new(settings: &CallerSettings) -> Result<Self, SecretError> {
        let (name, proof) = match settings {
            CallerSettings::Basic { username, password_file } => {
                let passwords = Secret::read_all(password_file)?;
                (username.clone(), Proof::Basic { username: username.clone(), passwords })
            }
            CallerSettings::Bearer { secret_file } => ("bearer".to_owned(), Proof::Bearer(Secret::read_all(secret_file)?)),
            CallerSettings::ApiKey { header, secret_file } => {
                (header.to_string(), Proof::ApiKey { header: header.clone(), keys: Secret::read_all(secret_file)? })
            }
            CallerSettings::Certificate { thumbprints, names } => {
                let proof = Proof::Certificate { thumbprints: thumbprints.clone(), names: names.clone() };
                ("certificate".to_owned(), proof)
            }
            CallerSettings::Issuer(name) => (name.clone(), Proof::Issuer(name.clone())),
        };
        Ok(Self { name, proof })
    }

    fn is_proven(&self, headers: &HeaderMap, certificate: Option<&ClientCertificate>) -> bool {
        match &self.proof {
            Proof::Basic { username, passwords } => basic(headers).is_some_and(|credentials| {
                let (name, password) = credentials.split_once(':').unwrap_or_default();
                // Both are looked at, so that the time does not tell which of them is wrong.
                is_one(passwords, password.as_bytes()) & (name == username)
            }),
            Proof::Bearer(secrets) => bearer(headers).is_some_and(|said| is_one(secrets, said)),
            Proof::ApiKey { header, keys } => {
                only(headers, header).ok().flatten().is_some_and(|said| is_one(keys, said.as_bytes()))
            }
            Proof::Certificate { thumbprints, names } => certificate.is_some_and(|shown| {
                thumbprints.contains(&shown.thumbprint) || shown.names.iter().any(|name| names.contains(name))
            }),
            Proof::Issuer(_) => false,
        }
    }
}

/// Whether this is one of these secrets; each is compared.
pub(super) fn is_one(secrets: &[Secret], said: &[u8]) -> bool {
    secrets.iter().fold(false, |found, secret| found | secret.is(said))
}

/// What `Authorization` says after `Basic`, decoded (RFC 7617 section 2).
pub(super) fn basic(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let encoded = after(headers, "basic")?;
    let decoded = STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok().map(Zeroizing::new)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    after(headers, "bearer")
}

/// What the only `Authorization` says after this scheme (RFC 9110 section 11.4).
fn after<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a [u8]> {
    let value = only(headers, &header::AUTHORIZATION).ok()??.as_bytes();
    let (said, rest) = value.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii();
    said.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_known_by_its_hash_or_by_one_of_its_names() {
        let made = |name: &str| {
            let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            ClientCertificate::of(std::slice::from_ref(pair.cert.der())).unwrap()
        };
        let (caller, namesake, other) = (made("b2c.contoso.com"), made("b2c.contoso.com"), made("contoso.com"));
        let known = |thumbprints: Vec<[u8; 32]>, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Known::new(&CallerSettings::Certificate { thumbprints, names }).unwrap()
        };
        let by_hash = known(vec![caller.thumbprint], &[]);
        let by_name = known(Vec::new(), &["fabrikam.com", "b2c.contoso.com"]);
        let headers = HeaderMap::new();
        assert!(by_hash.is_proven(&headers, Some(&caller)) && by_name.is_proven(&headers, Some(&caller)));
        assert!(!by_hash.is_proven(&headers, Some(&namesake)) && by_name.is_proven(&headers, Some(&namesake)));
        for shown in [Some(&other), None] {
            assert!(!by_hash.is_proven(&headers, shown) && !by_name.is_proven(&headers, shown));
        }
    }
}

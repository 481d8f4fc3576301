//! Recorded discovery documents, and the headers that came with recorded key sets: what is read of them.

use std::{fs, path::Path};

use serde_json::Value;

use super::*;
use crate::{
    corpus::folder,
    jwks::{
        schedule,
        test_keys::document,
        test_provider::{Answer, TestProvider, install_crypto},
    },
};

const HOUR: Duration = Duration::from_secs(3_600);

/// A document, its issuer, and where the keys are, or why it leads nowhere.
type Lead = (&'static str, Option<&'static str>, Result<&'static str, &'static str>);

const DOCUMENTS: &[Lead] = &[
    // The document of a test: its keys lie beside it in a directory.
    (
        "aad-v1-2014.json",
        Some("https://sts.windows.net/d062b2b0-9aca-4ff7-b32a-ba47231a4002/"),
        Err("https://contoso.com/d: the jwks_uri JsonWebKeySet.json is not a valid URL: relative URL without a base"),
    ),
    // The issuer of every tenant is a template.
    (
        "dockyard-azure.json",
        Some("https://login.microsoftonline.com/{tenantid}/v2.0"),
        Ok("https://login.microsoftonline.com/common/discovery/v2.0/keys"),
    ),
    (
        "dockyard-keycloak.json",
        Some("http://localhost:8080/realms/master"),
        Ok("http://localhost:8080/realms/master/protocol/openid-connect/certs"),
    ),
    (
        "wellknown-entra-organizations.json",
        Some("https://login.microsoftonline.com/{tenantid}/v2.0"),
        Ok("https://login.microsoftonline.com/organizations/discovery/v2.0/keys"),
    ),
    ("wellknown-google.json", Some("https://accounts.google.com"), Ok("https://www.googleapis.com/oauth2/v3/certs")),
];

/// Headers, how long they say that the answer stays fresh, and the interval that comes of it where an hour is configured.
const HEADERS: &[(&str, Option<u64>, Duration)] = &[
    ("dockyard-auth0-jwks-headers.json", Some(15), Duration::from_secs(300)),
    ("dockyard-azure-jwks-headers.json", Some(86_400), HOUR),
    ("dockyard-google-jwks-headers.json", Some(21_532), HOUR),
    ("dockyard-okta-jwks-headers.json", Some(3_828_277), HOUR),
    ("dockyard-vault-jwks-headers.json", None, HOUR),
];

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_recorded_discovery_document_leads_to_its_keys() {
    let Some(folder) = folder().map(|folder| folder.join("discovery")) else { return };
    assert_eq!(names(&folder), DOCUMENTS.iter().map(|row| row.0).collect::<Vec<_>>());
    let url = Url::parse("https://contoso.com/d").unwrap();
    for (name, issuer, keys) in DOCUMENTS {
        let discovery = Discovery::parse(&url, &fs::read(folder.join(name)).unwrap()).unwrap();
        assert_eq!(discovery.issuer().as_deref(), *issuer, "{name}");
        let found = discovery.jwks_uri(&url).map(String::from).map_err(|error| error.to_string());
        assert_eq!(found.as_ref().map(String::as_str).map_err(String::as_str), *keys, "{name}");
    }
}

#[tokio::test]
async fn every_recorded_answer_says_how_long_it_stays_fresh() {
    let Some(folder) = folder().map(|folder| folder.join("http")) else { return };
    assert_eq!(names(&folder), HEADERS.iter().map(|row| row.0).collect::<Vec<_>>());
    install_crypto();
    let fetcher = Fetcher::new(&JwksSettings::new(Vec::new()), KeySetLimits::default()).unwrap();
    let provider = TestProvider::start().await;
    let source = Source::new(&KeySource::Jwks(provider.url("http", "/keys"))).unwrap();
    for (name, max_age, interval) in HEADERS {
        let headers: Vec<(String, Value)> = serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap();
        // How the body was sent is of that connection.
        let of_connection = ["connection", "content-encoding", "content-length", "transfer-encoding"];
        let kept = headers.iter().filter(|(name, _)| !of_connection.contains(&name.to_ascii_lowercase().as_str()));
        let lines: String = kept.map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap())).collect();
        provider.set("/keys", Answer::Headed(document(&[("a", 0)]), lines));
        let fetched = fetcher.fetch(&source).await.unwrap();
        assert_eq!(fetched.max_age, max_age.map(Duration::from_secs), "{name}");
        assert_eq!(schedule::honouring(fetched.max_age, HOUR), *interval, "{name}");
    }
}

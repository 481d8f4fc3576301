//! One element of `issuers` is one party: its keys sign for each of its `iss`, and one `sub` is one user.

use url::Url;

use crate::{
    config::{
        read::{
            issuer_rule::DISCOVERED,
            presets::{TENANT_PLACE, cloud_of},
        },
        section::Section,
    },
    jwks::KeySource,
    token::{CLOUDS, Party, Provider},
};

/// Refuses several parties with several sources of keys. One source is one party, whatever it calls itself: anyone who has it signs
/// for all.
pub(in crate::config) fn check(section: &mut Section<'_>, provider: Provider, issuers: &[String], sources: &[KeySource]) {
    const OWN: &str = "one element of issuers per provider (with shared_user_ids: true if one id means one person)";
    if sources.len() < 2 {
        return;
    }
    if issuers == [DISCOVERED] {
        let documents: Vec<_> = sources.iter().map(|source| document(provider, source)).collect();
        if documents.iter().any(|document| document.is_none() || *document != documents[0]) {
            section.refuse(
                "issuer",
                &format!(
                    "is discovered, with sources of keys that may belong to several providers: a key of one could sign for the \
                     other; accepted: one discovery document, several of one Microsoft tenant, or {OWN}"
                ),
            );
        }
        return;
    }
    let mut parties: Vec<_> = issuers.iter().map(|issuer| party(provider, issuer)).collect();
    parties.sort();
    parties.dedup();
    if parties.len() > 1 {
        section.refuse(
            "issuer",
            &format!(
                "has issuers of several providers, and there are several sources of keys: a key of one could sign for the other; accepted: \
                 the names of one provider, one source of keys, or {OWN}"
            ),
        );
    }
}

/// Who has this `iss`. A GUID in its path is a tenant only where the provider is Microsoft; a template is that of its cloud.
fn party(provider: Provider, issuer: &str) -> Party {
    if let Some(cloud) =
        CLOUDS.iter().find(|cloud| issuer == cloud.issuer_1(TENANT_PLACE) || issuer == cloud.issuer_2(TENANT_PLACE))
    {
        return Party::of(cloud.version_1);
    }
    if provider == Provider::Other { Party::by_name(issuer) } else { Party::of(issuer) }
}

/// What the discovery documents of one party have in common: all but the query, or, at Microsoft, the host and the tenant.
fn document(provider: Provider, source: &KeySource) -> Option<String> {
    let KeySource::Discovery(text) = source else { return None };
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let is_microsoft = provider != Provider::Other
        || cloud_of(text).is_some()
        || [".b2clogin.com", ".b2clogin.cn", ".ciamlogin.com"].iter().any(|suffix| host.ends_with(suffix));
    let path = if is_microsoft { url.path_segments()?.find(|segment| !matches!(*segment, "tfp" | "te"))? } else { url.path() };
    Some(format!("{host}:{}/{path}", url.port_or_known_default().unwrap_or_default()))
}

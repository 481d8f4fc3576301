//! `issuers`: whose tokens are accepted, and where their keys are.

use std::{collections::HashSet, time::Duration};

use jsonwebtoken::Algorithm;

use crate::{
    config::{
        IssuerConfig,
        field::Field,
        formats::{CLAIM, Format, KEY_URL, NAME, POLICY, TEXT},
        outside::Target,
        read::{
            doubtful,
            identity::{self, Permitted},
            issuer_keys,
            issuer_rule::{DISCOVERED, rule},
            parties,
            presets::{Expansion, Given, PRESETS, Preset, TENANT_PLACE, cloud_of},
        },
        section::Section,
    },
    jwks::KeySource,
    token::{CLOUDS, IssuerSettings, Provider, TakenAt, TokenKind, TokenKinds, is_tenant_id, public_key_algorithms},
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The name of an issuer that is given none, and whose URLs have no host that could be one.
const NAMELESS: &str = "issuer";

/// The audiences of Microsoft Graph: its tokens are opaque to all others.
const GRAPH: [&str; 2] = ["00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com"];

const AUDIENCE: Format<String> =
    Format { accepted: "the exact aud of the tokens: an id or a URI", shown: true, parse: doubtful::parse_audience };
const ISSUER: Format<String> = Format { accepted: "the exact iss of the tokens", shown: true, parse: doubtful::parse_issuer };

const TOKEN_KINDS: [(&str, TokenKind); 3] =
    [("access", TokenKind::Access), ("id", TokenKind::Id), ("app_only", TokenKind::AppOnly)];

pub(in crate::config) const TAKEN_AT: [(&str, TakenAt); 2] = [("routes", TakenAt::Routes), ("endpoints", TakenAt::Endpoints)];

/// The application id of the service that calls custom authentication extensions, in every tenant.
pub(in crate::config) const MICROSOFT_EXTENSIONS: &str = "99045fe1-7639-4a75-9d4a-577b6ca3810f";

pub(in crate::config) const ACCEPT_OR_REFUSE: [(&str, bool); 2] = [("accept", true), ("refuse", false)];

/// An issuer as it was read.
pub(in crate::config) struct Issuer<'a> {
    pub(in crate::config) config: IssuerConfig,
    pub(in crate::config) field: Field<'a>,
    /// `shared_user_ids`.
    pub(in crate::config) shared: bool,
}

pub(in crate::config) fn issuer(field: Field<'_>) -> Issuer<'_> {
    let mut section = field.section();
    let preset = section.field("preset").map(|field| field.choice(&PRESETS));
    let discovery = section.texts("discovery", &KEY_URL);
    let jwks_uris = section.texts("jwks_uri", &KEY_URL);
    doubtful::key_sources(&mut section, &discovery, &jwks_uris);
    let issuers = section.texts("issuer", &ISSUER);
    let policies = policies(&mut section);
    let jwks_file = section.file("jwks_file", Target::Keys);
    let sources = ["discovery", "jwks_uri", "jwks_file"].into_iter().any(|key| section.field(key).is_some());

    let given = Given { policies: &policies, issuers: &issuers, discovery: &discovery, sources };
    let expansion = match preset {
        Some(Some(preset)) => preset.expand(&mut section, &given),
        Some(None) => Expansion::plain(),
        None => plain(&mut section, sources),
    };
    refuse_parameters(&mut section, preset);

    let key_sources: Vec<_> = match sources {
        true => discovery
            .into_iter()
            .map(KeySource::Discovery)
            .chain(jwks_uris.into_iter().map(KeySource::Jwks))
            .chain(jwks_file.map(KeySource::File))
            .collect(),
        false => expansion.discovery.into_iter().map(KeySource::Discovery).collect(),
    };
    let settings = issuer_keys::settings(&mut section, key_sources, expansion.keep);
    let shared = section.flag("shared_user_ids", false);
    let permitted = Permitted { list: preset == Some(Some(Preset::B2c)), mutable: section.flag("mutable_user_id", false) };
    let user_id = section.field("user_id").and_then(|field| identity::user_id(&field, &permitted));
    let issuers = if section.field("issuer").is_some() { issuers } else { expansion.issuers };
    if issuers == [DISCOVERED] && !settings.sources.iter().any(|source| matches!(source, KeySource::Discovery(_))) {
        section.refuse("issuer", "discovered needs a discovery document; set discovery");
    }
    let default_name = expansion.name.or_else(|| host_name(settings.sources.first(), &issuers));
    check_clouds(&mut section, &issuers, &settings.sources);
    let provider = preset.flatten().map_or_else(|| provider(&issuers), Preset::provider);
    parties::check(&mut section, provider, &issuers, &settings.sources);
    let cloud_instance = microsoft_cloud(provider, &issuers, &settings.sources);
    let name = section.text("name", &NAME).or(default_name).unwrap_or_else(|| NAMELESS.to_owned());
    let client_ids = section.texts("client_ids", &TEXT);
    let audiences = audiences(&mut section, provider, &issuers, client_ids.is_empty());
    let taken_at = section.choice("for", &TAKEN_AT, TakenAt::default());
    let is_caller = taken_at == TakenAt::Endpoints;
    let authorized_parties = section.texts("authorized_parties", &TEXT);
    let default = IssuerSettings::new(&name, rule(&mut section, issuers), audiences);
    let rules = IssuerSettings {
        provider,
        taken_at,
        algorithms: section.field("algorithms").map_or_else(|| default.algorithms.clone(), |field| algorithms(&field)),
        policies,
        authorized_parties: match authorized_parties.is_empty() && is_caller {
            true => vec![MICROSOFT_EXTENSIONS.to_owned()],
            false => authorized_parties,
        },
        client_ids,
        takes_sender_constrained: section.choice("sender_constrained", &ACCEPT_OR_REFUSE, default.takes_sender_constrained),
        takes_group_overage: section.choice("group_overage", &ACCEPT_OR_REFUSE, default.takes_group_overage),
        kinds: section.field("tokens").map_or_else(|| default_kinds(taken_at), |field| kinds(&field)),
        user_id: user_id.unwrap_or(expansion.user_id),
        name_claim: claim_name(&mut section, "name_claim", &default.name_claim),
        role_claim: claim_name(&mut section, "role_claim", &default.role_claim),
        leeway: section.duration("leeway", default.leeway, Duration::ZERO..=MINUTE * 5),
        max_lifetime: section.limit("max_lifetime", MINUTE..=DAY * 30),
        cloud_instance,
        binds_keys: settings.sources.len() > 1,
        ..default
    };
    section.finish();
    Issuer { config: IssuerConfig { rules, jwks: settings }, field, shared }
}

/// Clients have users; those who call an endpoint are services.
fn default_kinds(taken_at: TakenAt) -> TokenKinds {
    match taken_at {
        TakenAt::Routes => TokenKinds::default(),
        TakenAt::Endpoints => TokenKinds { access: false, id: false, app_only: true },
    }
}

/// The provider of these issuers, if no preset is given.
fn provider(issuers: &[String]) -> Provider {
    let hosted = |suffix: &str| {
        let host = |issuer: &String| issuer.strip_prefix("https://").and_then(|rest| rest.split('/').next()).map(str::to_owned);
        issuers.iter().filter_map(host).any(|host| host.ends_with(suffix))
    };
    if hosted(".b2clogin.com") || hosted(".b2clogin.cn") {
        Provider::B2c
    } else if hosted(".ciamlogin.com") {
        Provider::ExternalId
    } else if issuers.iter().any(|issuer| is_of_entra(issuer)) {
        Provider::Entra
    } else {
        Provider::Other
    }
}

fn is_of_entra(issuer: &str) -> bool {
    CLOUDS.iter().any(|cloud| issuer.starts_with(cloud.version_1) || issuer.starts_with(cloud.version_2))
}

/// The Microsoft cloud of an issuer of Entra, by the name that keys have for it. The public cloud's key sets hold keys of the American
/// government's cloud too, and both write one `iss` of version 1: then the place of the keys decides.
fn microsoft_cloud(provider: Provider, issuers: &[String], sources: &[KeySource]) -> Option<String> {
    if provider == Provider::ExternalId {
        return None;
    }
    let own = issuers.iter().find_map(|issuer| cloud_of(issuer));
    let of_keys = || urls(sources).find_map(|url| cloud_of(url));
    let of_version_1 = || CLOUDS.iter().find(|cloud| issuers.iter().any(|issuer| issuer.starts_with(cloud.version_1)));
    let is_of_entra = issuers.iter().any(|issuer| is_of_entra(issuer));
    let known = own.or_else(|| of_keys().filter(|_| is_of_entra)).or_else(of_version_1);
    known.map(|cloud| cloud.name.to_owned()).or_else(|| issuers.iter().find_map(|issuer| other_cloud(issuer)))
}

/// A cloud that is not known here, by the host of an `iss`.
fn other_cloud(issuer: &str) -> Option<String> {
    let host = issuer.strip_prefix("https://login.")?.split('/').next()?;
    host.contains("microsoftonline.").then(|| host.to_owned())
}

fn urls(sources: &[KeySource]) -> impl Iterator<Item = &String> {
    sources.iter().filter_map(|source| match source {
        KeySource::Discovery(url) | KeySource::Jwks(url) => Some(url),
        KeySource::File(_) => None,
    })
}

/// Keys of one cloud sign no tokens of another.
fn check_clouds(section: &mut Section<'_>, issuers: &[String], sources: &[KeySource]) {
    let Some(own) = issuers.iter().find_map(|issuer| cloud_of(issuer)) else { return };
    if let Some(other) = urls(sources).filter_map(|url| cloud_of(url)).find(|other| *other != own) {
        section.refuse(
            "issuer",
            &format!("belongs to the cloud {}, the keys to {}; accepted: both from one cloud", own.name, other.name),
        );
    }
}

/// Without a preset everything must be there.
fn plain(section: &mut Section<'_>, sources: bool) -> Expansion {
    let issuer = section.field("issuer").is_some();
    if !issuer && !sources {
        section.missing("preset", "b2c, entra, external-id or oidc; without one, set issuer, and discovery or jwks_uri");
    } else if !issuer {
        section.missing("issuer", "the iss of the tokens; without a preset it cannot be derived");
    } else if !sources {
        section.missing("discovery", "where the keys are (or set jwks_uri); without a preset it cannot be derived");
    }
    Expansion::plain()
}

/// Reports the parameters of other presets.
fn refuse_parameters(section: &mut Section<'_>, preset: Option<Option<Preset>>) {
    let preset = match preset {
        // An unknown preset is reported already.
        Some(None) => {
            ["tenant", "tenant_id", "domains"].iter().for_each(|key| drop(section.field(key)));
            return;
        }
        Some(preset) => preset,
        None => None,
    };
    if !matches!(preset, Some(Preset::B2c | Preset::Entra | Preset::ExternalId)) {
        section.refuse("tenant", "is valid only with the presets b2c, entra and external-id");
    }
    if !matches!(preset, Some(Preset::B2c | Preset::ExternalId)) {
        section.refuse("tenant_id", "is valid only with the presets b2c and external-id");
    }
    if !matches!(preset, Some(Preset::B2c | Preset::ExternalId)) {
        section.refuse("domains", "is valid only with the presets b2c and external-id");
    }
}

/// The name of a claim that something is read from.
fn claim_name(section: &mut Section<'_>, key: &'static str, default: &str) -> String {
    let Some(field) = section.field(key) else { return default.to_owned() };
    let claim = field.text(&CLAIM).unwrap_or_else(|| default.to_owned());
    doubtful::claim(&field, &claim);
    claim
}

/// Policies are compared without regard to case, so two that differ in case are one.
fn policies(section: &mut Section<'_>) -> Vec<String> {
    let policies = section.texts("policies", &POLICY);
    let mut seen = HashSet::new();
    if !policies.iter().all(|policy| seen.insert(policy.to_ascii_lowercase())) {
        section.refuse("policies", "has two elements that differ only in case; keep one");
    }
    policies
}

/// The audiences. Entra's tokens of version 1 name an API `api://<its id>`, those of version 2 by the id alone: within one tenant both
/// are the same registration. Another tenant's administrator could give that name to a registration of theirs.
fn audiences(section: &mut Section<'_>, provider: Provider, issuers: &[String], required: bool) -> Vec<String> {
    let what = "the id of your API's registration; without it, tokens for any other application would be accepted";
    let field = if required { section.required("audiences", what) } else { section.field("audiences") };
    let Some(field) = field else { return Vec::new() };
    let mut audiences = field.texts(&AUDIENCE);
    audiences.iter().for_each(|audience| doubtful::audience(&field, audience));
    if audiences.iter().any(|audience| GRAPH.contains(&audience.trim_end_matches('/').to_ascii_lowercase().as_str())) {
        field.problem("names Microsoft Graph, whose tokens nobody else can verify; clients must ask for a scope of your API");
    }
    let takes_version_1 = issuers.iter().any(|issuer| CLOUDS.iter().any(|cloud| issuer.starts_with(cloud.version_1)));
    if provider != Provider::Entra || !takes_version_1 {
        return audiences;
    }
    let named = |id: &String| is_tenant_id(id).then(|| format!("api://{id}"));
    let missing: Vec<_> = audiences.iter().filter_map(named).filter(|name| !audiences.contains(name)).collect();
    match issuers.iter().any(|issuer| issuer.contains(TENANT_PLACE)) {
        false => audiences.extend(missing),
        true => missing.iter().for_each(|name| {
            field.warning(format!(
                "version 1 tokens, the default of a registration, have {name} as aud; list it too if yours issues them"
            ));
        }),
    }
    audiences
}

fn algorithms(field: &Field<'_>) -> Vec<Algorithm> {
    let known = public_key_algorithms();
    let mut algorithms = Vec::new();
    for element in field.elements() {
        let symmetric =
            element.scalar("an algorithm such as RS256").is_some_and(|text| text.to_ascii_uppercase().starts_with("HS"));
        if symmetric {
            element.problem(
                "HMAC is refused: its key would be the published key, so anyone could sign; accepted: asymmetric algorithms such as RS256",
            );
            continue;
        }
        match element.choice(&known) {
            Some(algorithm) if algorithms.contains(&algorithm) => element.problem("appears twice in the list; keep one"),
            Some(algorithm) => algorithms.push(algorithm),
            None => {}
        }
    }
    algorithms
}

fn kinds(field: &Field<'_>) -> TokenKinds {
    let mut kinds = TokenKinds { access: false, id: false, app_only: false };
    for element in field.elements() {
        let Some(kind) = element.choice(&TOKEN_KINDS) else { continue };
        let place = match kind {
            TokenKind::Access => &mut kinds.access,
            TokenKind::Id => &mut kinds.id,
            TokenKind::AppOnly => &mut kinds.app_only,
            // It has no name in the config.
            TokenKind::Other => continue,
        };
        if std::mem::replace(place, true) {
            element.problem("appears twice in the list; keep one");
        }
    }
    kinds
}

/// A name made of the host where the keys or the issuer are.
fn host_name(source: Option<&KeySource>, issuers: &[String]) -> Option<String> {
    let source = source.and_then(|source| match source {
        KeySource::Discovery(url) | KeySource::Jwks(url) => Some(url),
        KeySource::File(_) => None,
    });
    let host =
        issuers.first().into_iter().chain(source).find_map(|url| url::Url::parse(url).ok()?.host_str().map(str::to_owned))?;
    let name: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(64).collect();
    Some(name.trim_matches('-').to_owned()).filter(|name| !name.is_empty())
}

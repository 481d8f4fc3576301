//! `endpoint` of a route: what the gateway answers itself there.

use std::time::Duration;

use crate::{
    config::{
        field::Field,
        formats::{CLAIM, Format, GUID, HEADER, NAME, TEXT, URL},
        outside::Target,
        read::{
            browsers::browsers,
            identity,
            issuers::Issuer,
            metadata,
            mint::{Profile, profile_named},
            permission::permission,
            tls::CLIENT_CERTIFICATE,
        },
        section::Section,
        suggest::shown,
    },
    endpoint::{
        CallerSettings, ClientSettings, Dialect, EndpointSettings, OnFailure, SignInSettings, TargetSettings,
        TokenExchangeSettings, UserIds,
    },
    proxy::RouteSettings,
    token::{Permission, TakenAt, TokenKeyId, UserIdRule},
};

/// What an endpoint can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    TokenExchange,
    SignIn(Dialect),
    KeySet,
}

pub(in crate::config) const KINDS: [(&str, Kind); 5] = [
    ("token_exchange", Kind::TokenExchange),
    ("b2c_policy", Kind::SignIn(Dialect::B2cPolicy)),
    ("b2c_user_flow", Kind::SignIn(Dialect::B2cUserFlow)),
    ("entra", Kind::SignIn(Dialect::Entra)),
    ("jwks", Kind::KeySet),
];
pub(in crate::config) const USER_IDS: [(&str, UserIds); 2] = [("guid", UserIds::Guid), ("profile", UserIds::Profile)];
pub(in crate::config) const ON_FAILURE: [(&str, OnFailure); 2] = [("omit", OnFailure::Omit), ("fail", OnFailure::Fail)];

const TOKEN_CLAIM: &str = "syncToken";
const USER_ID: &str = "objectId";
const USER_MESSAGE: &str = "You cannot be signed in to this service at the moment. Try again later.";
const LIFETIME: Duration = Duration::from_secs(3_600);
const DEADLINE: Duration = Duration::from_millis(700);

/// The hash of a certificate.
const SHA256: Format<[u8; 32]> =
    Format { accepted: "the SHA-256 of the certificate, 64 hexadecimal digits", shown: true, parse: sha256 };
/// It comes back to B2C as the value of a member, and to users as text.
const CLIENT_ID: Format<String> = Format { accepted: "1 to 128 of A-Z a-z 0-9 - . _ ~", shown: true, parse: client_id };

/// A route that the gateway answers itself.
pub(in crate::config) fn route(
    mut section: Section<'_>,
    field: &Field<'_>,
    mut route: RouteSettings,
    profiles: &[Profile<'_>],
    issuers: &[Issuer<'_>],
) -> RouteSettings {
    const FORWARDING: &str = "the gateway answers this route itself; this is for routes that forward";
    for key in [
        "upstream",
        "exact",
        "methods",
        "access",
        "pass_authorization",
        "token",
        "forward_certificate",
        "user_query",
        "nonce",
        "errors",
        "on_invalid",
        "close_codes",
        "resource",
    ] {
        section.refuse(key, FORWARDING);
    }
    route.requires_certificate = section.choice("client_certificate", &CLIENT_CERTIFICATE, false);
    section.refuse("preset", "the gateway answers this route itself; presets are for backends");
    section.required("path", "where the endpoint is, such as /token");
    route.exact = true;
    let callers = issuers.iter().map(|issuer| &issuer.config.rules).filter(|rules| rules.taken_at == TakenAt::Endpoints);
    let callers: Vec<_> = callers.map(|rules| rules.name.as_str()).collect();
    route.endpoint = endpoint(field, profiles, &callers);
    let joined = |issuer: &&Issuer<'_>| {
        let rules = &issuer.config.rules;
        rules.taken_at == TakenAt::Routes && matches!(rules.user_id, UserIdRule::Template(_))
    };
    if let (Some(EndpointSettings::SignIn(_)), Some(issuer)) = (&route.endpoint, issuers.iter().find(joined)) {
        field.warning(format!(
            "users of the issuer {} have a joined id on routes, and the id that the caller names here: one person gets two ids",
            issuer.config.rules.name
        ));
    }
    match &route.endpoint {
        Some(EndpointSettings::KeySet) => {
            let without_kid = profiles.iter().filter(|profile| profile.settings.key_id == TokenKeyId::None);
            let names: Vec<_> = without_kid.map(|profile| profile.settings.name.as_str()).collect();
            if !names.is_empty() {
                field.warning(format!(
                    "tokens of the profiles {} have no kid, by which many readers of key sets find the key; set kid: thumbprint",
                    names.join(", ")
                ));
            }
            section.refuse("mint", "a key set is the same for all profiles");
            refuse_permission(&mut section, "anybody may read a key set");
        }
        Some(EndpointSettings::SignIn(_)) => refuse_permission(&mut section, "callers vouch for users, who have no token here"),
        _ => route.permission = Permission::new(permission(&mut section)),
    }
    if let Some(field) = section.field("mint") {
        route.profile = profile_named(&field, profiles);
    }
    if matches!(route.endpoint, Some(EndpointSettings::TokenExchange(_))) {
        let browsers = browsers(&mut section, false);
        (route.allowed_origins, route.cors) = (browsers.origins, browsers.cors);
    } else {
        section.refuse("allowed_origins", "no page asks here");
        section.refuse("cors", "no page asks here");
    }
    section.finish();
    route
}

fn refuse_permission(section: &mut Section<'_>, why: &str) {
    for key in ["scopes", "any_scopes", "roles", "any_roles", "claims", "any_claims"] {
        section.refuse(key, why);
    }
}

fn endpoint(field: &Field<'_>, profiles: &[Profile<'_>], callers: &[&str]) -> Option<EndpointSettings> {
    let mut section = field.section();
    let kind = section.required("type", "token_exchange, b2c_policy, b2c_user_flow, entra, or jwks");
    let kind = kind.and_then(|field| field.choice(&KINDS))?;
    let settings = match kind {
        Kind::TokenExchange => EndpointSettings::TokenExchange(token_exchange(&mut section, profiles)),
        Kind::SignIn(dialect) => EndpointSettings::SignIn(sign_in(&mut section, dialect, callers)),
        Kind::KeySet => EndpointSettings::KeySet,
    };
    section.finish();
    Some(settings)
}

fn token_exchange(section: &mut Section<'_>, profiles: &[Profile<'_>]) -> TokenExchangeSettings {
    let targets = section.field("targets").map(|field| field.entries()).unwrap_or_default();
    let target = |(name, field): (&str, Field<'_>)| {
        if let Err(wrong) = (TEXT.parse)(name) {
            field.problem(format!("{wrong}; accepted: {}", TEXT.accepted));
        }
        TargetSettings { name: name.to_owned(), profile: profile_named(&field, profiles) }
    };
    let targets = targets.into_iter().map(target).collect();
    let mut clients: Vec<ClientSettings> = Vec::new();
    for element in section.field("clients").map(|field| field.elements()).unwrap_or_default() {
        let mut section = element.section();
        let id = section.field("id");
        if id.is_none() {
            element.problem("does not say which client it is; accepted: an id, and a secret_file unless the client is public");
        }
        let id = id.and_then(|field| field.text(&CLIENT_ID)).unwrap_or_default();
        let secret_file = section.file("secret_file", Target::SharedSecret);
        section.finish();
        if clients.iter().any(|known| known.id == id) {
            element.problem(format!("the id {} appears twice; accepted: one client for each id", shown(&id)));
        }
        clients.push(ClientSettings { id, secret_file });
    }
    let issuer = section.text("issuer", &URL).map(|url| metadata::text(&url));
    TokenExchangeSettings { targets, clients, issuer }
}

fn sign_in(section: &mut Section<'_>, dialect: Dialect, issuers: &[&str]) -> SignInSettings {
    let is_entra = dialect == Dialect::Entra;
    let who = if is_entra {
        "who may ask, such as `issuer: NAME` of an issuer with `for: endpoints`"
    } else {
        "who may ask, such as `basic`"
    };
    let callers = section.required("callers", who).map(|field| field.elements()).unwrap_or_default();
    let user_id = if is_entra { None } else { section.field("user_id") };
    let user_id = user_id.and_then(|field| {
        let claim = field.text(&CLAIM)?;
        if identity::is_chosen(&claim) {
            field.problem(format!("{claim} can be chosen or changed by users; accepted: an id of the directory, such as objectId"));
        }
        Some(claim)
    });
    let tenants = match is_entra {
        true => section.required("tenants", "the ids of the tenants whose users sign in").map(|field| field.texts(&GUID)),
        false => None,
    };
    SignInSettings {
        dialect,
        callers: callers.into_iter().filter_map(|field| caller(field.section(), issuers)).collect(),
        token_claim: token_claim(section, dialect),
        user_id: user_id.unwrap_or_else(|| USER_ID.to_owned()),
        user_ids: section.choice("user_ids", &USER_IDS, UserIds::default()),
        lifetime: section.duration("lifetime", LIFETIME, Duration::from_secs(60)..=Duration::from_secs(3_600)),
        deadline: section.duration("deadline", DEADLINE, Duration::from_millis(100)..=Duration::from_secs(20)),
        on_failure: section.choice("on_failure", &ON_FAILURE, OnFailure::default()),
        user_message: section.text("user_message", &TEXT).unwrap_or_else(|| USER_MESSAGE.to_owned()),
        tenants: tenants.unwrap_or_default(),
        applications: if is_entra { section.texts("applications", &GUID) } else { Vec::new() },
    }
}

fn token_claim(section: &mut Section<'_>, dialect: Dialect) -> String {
    /// Members of the answer that mean something to a user flow.
    const OF_THE_PROTOCOL: [&str; 5] = ["version", "action", "status", "code", "userMessage"];
    let Some(field) = section.field("token_claim") else { return TOKEN_CLAIM.to_owned() };
    let claim = field.text(&CLAIM).unwrap_or_default();
    if dialect == Dialect::B2cUserFlow && OF_THE_PROTOCOL.contains(&claim.as_str()) {
        field.problem(format!(
            "{claim} belongs to the protocol; accepted: the name of a custom attribute, such as extension_SyncToken"
        ));
    }
    claim
}

/// One of those who may call, in one of five ways.
fn caller(mut section: Section<'_>, issuers: &[&str]) -> Option<CallerSettings> {
    const ACCEPTED: &str = "one of basic, bearer, api_key, certificate, issuer";
    let ways = ["basic", "bearer", "api_key", "certificate", "issuer"].map(|key| section.field(key));
    let caller = match ways {
        [Some(field), None, None, None, None] => basic(field.section()),
        [None, Some(field), None, None, None] => secret(field.section()).map(|secret_file| CallerSettings::Bearer { secret_file }),
        [None, None, Some(field), None, None] => api_key(field.section()),
        [None, None, None, Some(field), None] => certificate(field.section()),
        [None, None, None, None, Some(field)] => issuer(&field, issuers),
        _ => {
            section.problem(&format!("does not say how the caller proves who it is; accepted: {ACCEPTED}"));
            None
        }
    };
    section.finish();
    caller
}

fn basic(mut section: Section<'_>) -> Option<CallerSettings> {
    let username = section.required("username", "the name that the caller gives").and_then(|field| field.text(&CLIENT_ID));
    let password_file = section.required("password_file", "the file with the password");
    let password_file = password_file.and_then(|_| section.file("password_file", Target::SharedSecret));
    section.finish();
    Some(CallerSettings::Basic { username: username?, password_file: password_file? })
}

fn api_key(mut section: Section<'_>) -> Option<CallerSettings> {
    /// What HTTP itself says, and what proxies write.
    const TAKEN: [&str; 9] = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "proxy-authorization",
        "transfer-encoding",
    ];
    let header = section.required("header", "the header with the key, such as x-api-key").and_then(|field| {
        let name = field.text(&HEADER)?;
        if TAKEN.contains(&name.as_str()) {
            field.problem(format!("{name} has a meaning of its own; accepted: a header such as x-api-key"));
        }
        Some(name)
    });
    let secret_file = secret(section)?;
    Some(CallerSettings::ApiKey { header: header?.parse().ok()?, secret_file })
}

fn certificate(mut section: Section<'_>) -> Option<CallerSettings> {
    let thumbprints = section.texts("sha256", &SHA256);
    let names = section.texts("names", &TEXT);
    if thumbprints.is_empty() && names.is_empty() && section.field("sha256").is_none() && section.field("names").is_none() {
        section.problem("does not say which certificate it is; accepted: sha256, names, or both");
    }
    section.finish();
    Some(CallerSettings::Certificate { thumbprints, names })
}

fn secret(mut section: Section<'_>) -> Option<std::path::PathBuf> {
    section.required("secret_file", "the file with the secret");
    let file = section.file("secret_file", Target::SharedSecret);
    section.finish();
    file
}

fn issuer(field: &Field<'_>, issuers: &[&str]) -> Option<CallerSettings> {
    let name = field.text(&NAME)?;
    if !issuers.contains(&name.as_str()) {
        let known = if issuers.is_empty() { "none has it".to_owned() } else { format!("accepted: {}", issuers.join(", ")) };
        field.problem(format!("there is no issuer {} with `for: endpoints`; {known}", shown(&name)));
    }
    Some(CallerSettings::Issuer(name))
}

/// As `openssl x509 -fingerprint -sha256` prints it, or without the colons.
fn sha256(text: &str) -> Result<[u8; 32], &'static str> {
    const WRONG: &str = "is not a SHA-256";
    let digits: Vec<_> = text.bytes().filter(|byte| *byte != b':').map(|byte| char::from(byte).to_digit(16)).collect();
    let bytes: Option<Vec<_>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [Some(high), Some(low)] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(WRONG)
}

fn client_id(text: &str) -> Result<String, &'static str> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if (1..=128).contains(&text.len()) && text.bytes().all(fine) { Ok(text.to_owned()) } else { Err("cannot be a name here") }
}

//! A file to a [`Config`]: reads it and assembles the parts.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{
    config::{
        Config, Findings, Problem, Reference, Written,
        document::{self, MAX_BYTES, Node},
        field::Field,
        formats::REALM,
        problem::Position,
        read::{
            basics, headers,
            issuers::{self, Issuer},
            limits, listen, mint,
            routes::{self, Rest},
            signing, tls, trust, upstreams,
        },
        reading::Reading,
    },
    endpoint::{CLIENT_CLAIMS, EndpointSettings, TENANT},
    proxy::{ProxySettings, RouteSettings},
    signing::SigningSettings,
    token::{MintingProfile, Source, TakenAt},
};

/// Maximum number of issuers: each is a task that fetches, and a token may have to be compared with each.
const MAX_ISSUERS: usize = 64;

/// A config that can be used, and what else there is to say about the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What to think about, in the order of the file; never a mistake.
    pub warnings: Vec<Problem>,
    /// The files and variables that it names. None of them was checked.
    pub references: Vec<Reference>,
    /// The keys that are in it.
    pub written: Written,
}

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file has mistakes.
    #[error("{}", Report { path, findings })]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All of them.
        findings: Findings,
        /// The files and variables that it names all the same. None of them was checked.
        references: Vec<Reference>,
        /// What it says of the signing key, if nothing is wrong with that.
        signing: Option<Box<SigningSettings>>,
    },
}

/// What was found in a file, as a compiler would print it: a line for each, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The file, as the user named it.
    pub path: &'a Path,
    /// What was found in it.
    pub findings: &'a Findings,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for warning in &self.findings.warnings {
            let (at, rest) = (warning.at, warning.what());
            writeln!(out, "{path}:{}:{}: warning: {rest}", at.line, at.column)?;
        }
        for problem in &self.findings.problems {
            writeln!(out, "{path}:{problem}")?;
        }
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        write!(out, "{path}: {}", count(self.findings.problems.len(), "problem"))?;
        if !self.findings.warnings.is_empty() {
            write!(out, ", {}", count(self.findings.warnings.len(), "warning"))?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads and checks a config file. Relative paths in it are relative to its folder. Warnings are dropped; see [`Config::read`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::read(path).map(|loaded| loaded.config)
    }

    /// Reads and checks a config file, and keeps what else there is to say about it.
    pub fn read(path: &Path) -> Result<Loaded, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut text = Vec::new();
        // One byte more than is accepted, so that a file that is too large is seen to be.
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let base_dir = absolute.parent().unwrap_or(Path::new("/"));
        let read = Draft::read(&text, base_dir);
        let signing = read.signing().cloned().map(Box::new);
        let (references, path) = (read.references.clone(), path.to_owned());
        read.finish().map_err(|findings| ConfigError::Invalid { path, findings, references, signing })
    }

    /// Checks the text of a config file. Reads no other file; relative paths in it are relative to `base_dir`.
    pub fn parse(text: impl AsRef<[u8]>, base_dir: &Path) -> Result<Loaded, Findings> {
        Draft::read(text.as_ref(), base_dir).finish()
    }
}

/// What was read from a file, with stand-ins for mistakes.
struct Draft {
    /// Nothing if the file is not YAML.
    config: Option<Config>,
    findings: Findings,
    references: Vec<Reference>,
    written: Written,
}

impl Draft {
    fn read(text: &[u8], base_dir: &Path) -> Self {
        let reading = Reading::new(base_dir);
        let root = document::parse(text, &reading);
        let written = root.as_ref().map(Written::of).unwrap_or_default();
        let config = root.map(|root| config(&root, &reading));
        let (findings, references) = reading.finish();
        Self { config, findings, references, written }
    }

    /// The settings of the key, if nothing is wrong with them.
    fn signing(&self) -> Option<&SigningSettings> {
        let is_wrong = self.findings.problems.iter().any(|problem| problem.key.starts_with("signing"));
        self.config.as_ref().filter(|_| !is_wrong).map(|config| &config.signing)
    }

    fn finish(self) -> Result<Loaded, Findings> {
        let Self { config, findings, references, written } = self;
        match config {
            Some(config) if findings.problems.is_empty() => Ok(Loaded { config, warnings: findings.warnings, references, written }),
            _ => Err(findings),
        }
    }
}

/// Assembles the parts. If there are mistakes, the result contains stand-ins, and the caller discards it.
fn config(root: &Node, reading: &Reading) -> Config {
    let mut root = Field::new(String::new(), Position::START, root, reading).section();
    let listen = listen::listen(root.section("listen"));
    let admin = basics::admin(root.section("admin"));
    if let Some(address) = listen.addresses().find(|address| listen::meet(*address, admin.address))
        && let Some(field) = root.field("admin").or_else(|| root.field("listen"))
    {
        field.problem(format!("listen.address {address} and admin.address {} overlap; accepted: different ports", admin.address));
    }
    let issuers = issuers(root.required("issuers", "the list of issuers whose tokens are accepted"));
    let token_limits = basics::token_limits(root.section("token"));
    if token_limits.token >= listen.header_bytes
        && let Some(field) = root.field("token").or_else(|| root.field("listen"))
    {
        field.problem("token.max_bytes must be less than listen.header_bytes, or tokens of that size never arrive");
    }
    let signing = signing::signing(root.section("signing"));
    let mut profiles = mint::profiles(&mut root, signing.algorithm);
    let root_routes = root.field("routes");
    let upstreams = upstreams::upstreams(&mut root, routes::forwards(root_routes.as_ref()));
    let routes = routes::routes(
        root_routes,
        &Rest { upstreams: &upstreams, issuers: &issuers, algorithm: signing.algorithm },
        &mut profiles,
    );
    let (headers, tell) = headers::headers(root.section("headers"));
    mint::check_use(&profiles, &routes);
    tls::check_use(root.field("routes"), &listen, &routes);
    let profiles: Vec<_> = profiles.into_iter().map(|profile| profile.settings).collect();
    let keep = |mut issuer: Issuer<'_>| {
        issuer.config.rules.kept_claims = match issuer.config.rules.taken_at {
            TakenAt::Routes => kept_claims(&routes, &profiles, &issuer.config.rules.name_claim),
            TakenAt::Endpoints => vec![TENANT.to_owned()],
        };
        issuer.config
    };
    let issuers = issuers.into_iter().map(keep).collect();
    let (shutdown_delay, shutdown_grace) = basics::shutdown(root.section("shutdown"));
    let config = Config {
        proxy: ProxySettings {
            listen,
            upstreams: upstreams.into_iter().map(|upstream| upstream.settings).collect(),
            routes,
            headers,
            tell,
            limits: limits::limits(root.section("limits")),
            realm: root.text("realm", &REALM).unwrap_or_else(|| ProxySettings::REALM.to_owned()),
        },
        admin,
        issuers,
        token_limits,
        profiles,
        signing,
        cache: basics::cache(root.section("cache")),
        log: basics::log(root.section("log")),
        shutdown_grace,
        shutdown_delay,
        threads: root.number("threads", 0, 0..=1_024),
    };
    root.finish();
    config
}

fn issuers(field: Option<Field<'_>>) -> Vec<Issuer<'_>> {
    let Some(field) = field else { return Vec::new() };
    let elements = field.elements();
    if elements.len() > MAX_ISSUERS {
        field.problem(format!("the list has {} elements; accepted: up to {MAX_ISSUERS}", elements.len()));
        return Vec::new();
    }
    let issuers: Vec<_> = elements.into_iter().map(issuers::issuer).collect();
    trust::check(&issuers);
    issuers
}

/// The claims that routes and profiles name, each once; no other is kept in memory.
fn kept_claims(routes: &[RouteSettings], profiles: &[MintingProfile], name_claim: &str) -> Vec<String> {
    let rules = routes
        .iter()
        .map(|route| route.permission.settings())
        .flat_map(|demands| demands.all_claims.iter().chain(&demands.any_claims));
    let demanded = rules.map(|rule| rule.claim.as_str());
    let minted = profiles.iter().flat_map(MintingProfile::sources).filter_map(|source| match source {
        Source::Claim(claim) => Some(claim.as_str()),
        Source::Name => Some(name_claim),
        Source::UserId | Source::Roles | Source::Scopes | Source::First(_) | Source::All(_) => None,
    });
    // Where an exchange asks which client a token was made for.
    let asks =
        |route: &&RouteSettings| matches!(&route.endpoint, Some(EndpointSettings::TokenExchange(one)) if !one.clients.is_empty());
    let parties = routes.iter().filter(asks).flat_map(|_| CLIENT_CLAIMS);
    let names: BTreeSet<_> = demanded.chain(parties).chain(minted).map(str::to_owned).collect();
    names.into_iter().collect()
}

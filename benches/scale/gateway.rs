//! A gateway in a process of its own, with the issuer and the sizes that a part of the bench wants.

use std::{error::Error, io, net::SocketAddr, path::PathBuf, time::Duration};

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use syncgate::{
    config::{IssuerConfig, LogFormat, LogLevel, LogSettings},
    demo::{World, http_client, world, world::WorldOptions},
    endpoint::{CallerSettings, Dialect, EndpointSettings, OnFailure, SignInSettings, UserIds},
    exchange::CacheSettings,
    jwks::{JwksSettings, KeySource},
    proxy::RouteSettings,
    signing::{SigningKeySource, SigningSettings},
    token::{IssuerRule, IssuerSettings, TakenAt, TokenKinds},
};

use crate::harness::{process::RoleProcess, role};

/// The issuer of all tokens, whoever makes them.
pub const ISSUER: &str = "https://login.contoso.example/9c0c1f5e-0000-4000-8000-000000000000/v2.0/";
/// Whom they are for.
pub const AUDIENCE: &str = "00000000-0000-4000-8000-0000000000aa";

/// The issuer of the tokens of those who call in the middle of a sign-in.
pub const CALLERS: &str = "https://callers.contoso.example";
/// Microsoft's service that calls custom authentication extensions.
pub const MICROSOFT: &str = "99045fe1-7639-4a75-9d4a-577b6ca3810f";
/// The tenant and the application whose users sign in.
pub const TENANT: &str = "775527ff-9a37-4307-8b3d-cc311f58d925";
pub const APPLICATION: &str = "1b3f9c9c-0000-4000-8000-5d1f2a3b4c5d";
/// Where they call.
pub const SIGN_INS: &str = "/mint/entra";

const FLAG: &str = "--gateway";

/// What a gateway is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub cores: Vec<usize>,
    pub upstream: SocketAddr,
    /// The issuer's keys.
    pub key_set: PathBuf,
    /// Its own key.
    pub key: PathBuf,
    /// Which algorithm it signs with: ES256, or else RS256.
    pub signs_es256: bool,
    /// Threads that sign; 0 for its default.
    pub signing_threads: usize,
    /// Most cached users.
    pub users: usize,
    /// The keys of those who may call [`SIGN_INS`] as Entra does; none: it is not there.
    pub callers: Option<PathBuf>,
}

impl Settings {
    /// Starts the gateway, and waits until it serves. The first word that it says is the address of its metrics.
    pub fn start(&self) -> Result<RoleProcess, Box<dyn Error>> {
        Ok(RoleProcess::spawn(&[FLAG.to_owned(), serde_json::to_string(self)?])?)
    }

    /// Those of this process; none if it is to be no gateway.
    pub fn of_this_process() -> Result<Option<Self>, Box<dyn Error>> {
        let mut arguments = std::env::args().skip_while(|argument| argument != FLAG).skip(1);
        Ok(arguments.next().map(|settings| serde_json::from_str(&settings)).transpose()?)
    }
}

/// Serves until standard input ends.
pub fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    role::end_with_parent();
    role::pin_to_all(&settings.cores)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let world = World::start(WorldOptions::default().config(move |config| configure(config, settings))).await?;
        let client = http_client()?;
        while client.get(world.admin_url("/readyz")).send().await?.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        role::announce(world.gateway.address(), &world.gateway.admin_address().to_string(), "")?;
        std::future::pending::<io::Result<()>>().await?;
        Ok(())
    })
}

fn configure(config: &mut syncgate::config::Config, settings: Settings) {
    config.proxy.upstreams = vec![world::upstream("default", settings.upstream)];
    config.proxy.listen.max_connections = 100_000;
    config.threads = settings.cores.len();
    // Connections that are not used in one part are used in the next.
    config.proxy.listen.keepalive_timeout = Duration::from_secs(600);
    for issuer in &mut config.issuers {
        issuer.rules.issuer = IssuerRule::Exact(vec![ISSUER.into()]);
        issuer.rules.audiences = vec![AUDIENCE.into()];
        issuer.rules.algorithms = vec![Algorithm::RS256, Algorithm::ES256];
        issuer.jwks = JwksSettings::new(vec![KeySource::File(settings.key_set.clone())]);
    }
    if let Some(key_set) = settings.callers {
        config.issuers.push(callers(key_set));
        config.proxy.routes.push(sign_ins());
    }
    // No user token is renewed while the bench runs.
    config.profiles.iter_mut().for_each(|profile| profile.ttl = Duration::from_secs(24 * 3600));
    config.signing = SigningSettings {
        algorithm: if settings.signs_es256 { Algorithm::ES256 } else { Algorithm::RS256 },
        key: SigningKeySource::PrivateKey { file: settings.key, passphrase: None },
        threads: settings.signing_threads,
        ..config.signing.clone()
    };
    // Room for all users: what it costs to be bounded is not the question here.
    config.cache = CacheSettings { entries: 2_000_000, bytes: 8 << 30 };
    config.log = LogSettings { format: LogFormat::Json, level: LogLevel::Info, requests: true, ..LogSettings::default() };
}

/// Whose tokens are taken of those who call: of Microsoft's service alone.
fn callers(key_set: PathBuf) -> IssuerConfig {
    let rules = IssuerSettings {
        taken_at: TakenAt::Endpoints,
        algorithms: vec![Algorithm::ES256],
        authorized_parties: vec![MICROSOFT.into()],
        kinds: TokenKinds { access: false, id: false, app_only: true },
        ..IssuerSettings::new("callers", IssuerRule::Exact(vec![CALLERS.into()]), vec![AUDIENCE.into()])
    };
    IssuerConfig { rules, jwks: JwksSettings::new(vec![KeySource::File(key_set)]) }
}

/// The endpoint of `type: entra`. A sign-in without a token fails, so that it is seen; the rest are the defaults.
fn sign_ins() -> RouteSettings {
    let endpoint = EndpointSettings::SignIn(SignInSettings {
        dialect: Dialect::Entra,
        callers: vec![CallerSettings::Issuer("callers".into())],
        token_claim: "syncToken".into(),
        user_id: "objectId".into(),
        user_ids: UserIds::Guid,
        lifetime: Duration::from_secs(3600),
        deadline: Duration::from_millis(700),
        on_failure: OnFailure::Fail,
        user_message: String::new(),
        tenants: vec![TENANT.into()],
        applications: vec![APPLICATION.into()],
    });
    let (name, path) = ("sign_ins".into(), SIGN_INS.into());
    RouteSettings { name, path, exact: true, endpoint: Some(endpoint), ..RouteSettings::default() }
}

//! [`World`]: issuer, gateway and backend in one process, wired together.

use std::{
    fmt, io,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    admin::{AdminSettings, credential::Credential},
    certificate::TlsSettings,
    config::{Config, IssuerConfig, LogFormat, LogLevel, LogSettings},
    demo::{
        DemoBackend, DemoCertificate, DemoIssuer, DemoKey, FREE_PORT, endpoints,
        issuer::{Behaviour, Endpoint, IssuerOptions, SignInCall},
    },
    exchange::CacheSettings,
    jwks::{JwksSettings, KeySource},
    limits::LimitSettings,
    proxy::{HeaderSettings, ListenSettings, ListenerSettings, ProxySettings, RouteSettings, TellSettings, UpstreamSettings},
    server::{Gateway, StartError},
    signing::{SigningKeySource, SigningSettings},
    token::{IssuerRule, IssuerSettings, MintingProfile, Provider, TokenLimits, UserIdRule},
};

/// Why the world does not start.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The gateway does not.
    #[error("the gateway: {0}")]
    Gateway(#[from] StartError),
    /// Something around it does not.
    #[error("{what}: {source}")]
    Part {
        /// Which part.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Where the parts of a world listen. Port 0: a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The gateway.
    pub gateway: SocketAddr,
    /// Its listener for operators.
    pub admin: SocketAddr,
    /// The issuer.
    pub issuer: SocketAddr,
    /// The backend.
    pub backend: SocketAddr,
}

impl Places {
    /// Free ports, so that any number of worlds can stand side by side.
    pub const FREE: Self = Self { gateway: FREE_PORT, admin: FREE_PORT, issuer: FREE_PORT, backend: FREE_PORT };

    /// Ports that people remember (8080, 9090, 8081, 8082), free ones instead of those that are taken, and which are.
    pub fn friendly() -> (Self, Vec<u16>) {
        let mut taken = Vec::new();
        let mut place = |port| {
            let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if TcpListener::bind(wanted).is_ok() {
                return wanted;
            }
            taken.push(port);
            FREE_PORT
        };
        let places = Self { gateway: place(8080), admin: place(9090), issuer: place(8081), backend: place(8082) };
        (places, taken)
    }

    /// The port that people remember for TLS (8443), or a free one if that is taken.
    pub fn friendly_tls() -> SocketAddr {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, 8443));
        if TcpListener::bind(wanted).is_ok() { wanted } else { FREE_PORT }
    }
}

/// How a world is to be.
pub struct WorldOptions {
    places: Places,
    issuer: IssuerOptions,
    issuer_behaviour: Behaviour,
    has_endpoints: bool,
    tls: Option<SocketAddr>,
    adjust: Box<dyn FnOnce(&mut Config) + Send>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        let issuer_behaviour = Behaviour::Normal;
        let (places, issuer) = (Places::FREE, IssuerOptions::default());
        Self { places, issuer, issuer_behaviour, has_endpoints: false, tls: None, adjust: Box::new(|_| {}) }
    }
}

impl WorldOptions {
    /// Where the parts listen.
    pub fn places(mut self, places: Places) -> Self {
        self.places = places;
        self
    }

    /// What the issuer is called and what its tokens say. Its address comes from the places.
    pub fn issuer(mut self, options: IssuerOptions) -> Self {
        self.issuer = options;
        self
    }

    /// How the issuer's discovery document and key set answer when the gateway starts.
    pub fn issuer_behaves(mut self, behaviour: Behaviour) -> Self {
        self.issuer_behaviour = behaviour;
        self
    }

    /// Gives the gateway endpoints of its own behind the other routes (`/token`, `/mint/b2c`, `/.well-known/jwks.json`), and has the issuer call
    /// the second whenever a user logs in.
    pub fn endpoints(mut self) -> Self {
        self.has_endpoints = true;
        self
    }

    /// Gives the gateway a second listener, with TLS, and a certificate for this machine.
    pub fn tls(mut self, address: SocketAddr) -> Self {
        self.tls = Some(address);
        self
    }

    /// Changes the gateway's config before it starts.
    pub fn config(mut self, adjust: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        self.adjust = Box::new(adjust);
        self
    }
}

impl fmt::Debug for WorldOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WorldOptions").field("places", &self.places).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Issuer, gateway and backend, running.
#[derive(Debug)]
pub struct World {
    /// The issuer that the gateway trusts.
    pub issuer: DemoIssuer,
    /// The backend that pins the gateway's key.
    pub backend: DemoBackend,
    /// The gateway between them.
    pub gateway: Gateway,
    /// What the backend pins.
    pub pinned_key_pem: String,
    /// What the gateway's listener with TLS shows, if it has one.
    pub certificate: Option<DemoCertificate>,
    /// Holds the gateway's signing key, the operators' credential and the password of the issuer's call, in a directory that only this user
    /// can open. Dropping it removes them.
    _key_dir: TempDir,
}

impl World {
    /// Starts everything. The gateway may still be fetching the issuer's keys when this returns.
    pub async fn start(options: WorldOptions) -> Result<Self, WorldError> {
        let part = |what| move |source| WorldError::Part { what, source };
        let key = tokio::task::spawn_blocking(DemoKey::generate).await.map_err(io::Error::other);
        let key = key.and_then(|made| made).map_err(part("the signing key"))?;
        let pinned_key_pem = key.public_key_pem().map_err(part("the signing key"))?;
        let (key_dir, key_file) = store(&key).map_err(part("the file of the signing key"))?;

        let issuer = IssuerOptions { address: options.places.issuer, ..options.issuer };
        let issuer = DemoIssuer::start_with(issuer).await.map_err(part("the issuer"))?;
        issuer.behave(Endpoint::Discovery, options.issuer_behaviour.clone());
        issuer.behave(Endpoint::Keys, options.issuer_behaviour);
        let backend = DemoBackend::start_at(options.places.backend, &pinned_key_pem).await.map_err(part("the backend"))?;

        let mut config = config(&options.places, &issuer, &backend, key_file);
        let credential_file = key_dir.path().join("admin-credential");
        Credential::create(&credential_file, false)
            .map_err(|error| io::Error::other(error.to_string()))
            .map_err(part("the credential"))?;
        config.admin.credential_file = Some(credential_file);
        let certificate = options.tls.map(|_| DemoCertificate::create(key_dir.path())).transpose();
        let certificate = certificate.map_err(part("the certificate"))?;
        if let (Some(address), Some(certificate)) = (options.tls, &certificate) {
            let tls = TlsSettings { certificates: vec![certificate.files.clone()], ..TlsSettings::default() };
            config.proxy.listen.listeners.push(ListenerSettings { tls: Some(tls), ..ListenerSettings::at(address) });
        }
        let mut password = None;
        if options.has_endpoints {
            let file = key_dir.path().join("sign-in-password");
            password = Some(endpoints::make_password(&file).map_err(part("the password of the issuer's call"))?);
            config.proxy.routes.extend(endpoints::routes(options.places.gateway, file));
        }
        (options.adjust)(&mut config);
        let gateway = Gateway::start(config).await?;
        if let Some(password) = password {
            let url = format!("http://{}{}", gateway.address(), endpoints::MINT);
            let (username, claim) = (endpoints::CALLER.to_owned(), endpoints::CLAIM.to_owned());
            issuer.call_at_sign_in(SignInCall { url, username, password, claim }).map_err(part("the issuer's call"))?;
        }
        Ok(Self { issuer, backend, gateway, pinned_key_pem, certificate, _key_dir: key_dir })
    }

    /// Where everything listens.
    pub fn places(&self) -> Places {
        Places {
            gateway: self.gateway.address(),
            admin: self.gateway.admin_address(),
            issuer: self.issuer.address(),
            backend: self.backend.address(),
        }
    }

    /// A URL of the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.address())
    }

    /// Where the gateway speaks TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.gateway.addresses().get(1).copied()
    }

    /// A WebSocket URL of the gateway.
    pub fn socket_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.gateway.address())
    }

    /// A URL of the operators' listener.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.admin_address())
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.gateway.stop().await;
        self.backend.stop().await;
        self.issuer.stop().await;
    }
}

/// Writes the key where nobody else can read it.
fn store(key: &DemoKey) -> io::Result<(TempDir, PathBuf)> {
    let dir = tempfile::Builder::new().prefix("syncgate-demo-").tempdir()?;
    let path = dir.path().join("signing.pem");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(key.private_key_pem()?.as_bytes())?;
    Ok((dir, path))
}

/// The gateway's config for these two: one issuer, one upstream, one route for everything.
pub fn config(places: &Places, issuer: &DemoIssuer, backend: &DemoBackend, key_file: impl AsRef<Path>) -> Config {
    Config {
        proxy: ProxySettings {
            listen: ListenSettings { listeners: vec![ListenerSettings::at(places.gateway)], ..ListenSettings::default() },
            upstreams: vec![upstream("default", backend.address())],
            routes: vec![RouteSettings::default()],
            headers: HeaderSettings::default(),
            tell: TellSettings::default(),
            // All of a world's clients are behind one address.
            limits: LimitSettings::none(),
            realm: ProxySettings::REALM.into(),
        },
        admin: AdminSettings { address: places.admin, credential_file: None },
        issuers: vec![trust(issuer)],
        token_limits: TokenLimits::default(),
        profiles: vec![MintingProfile::default()],
        signing: SigningSettings::new(SigningKeySource::PrivateKey { file: key_file.as_ref().to_owned(), passphrase: None }),
        cache: CacheSettings::default(),
        log: LogSettings { format: LogFormat::Text, level: LogLevel::Info, requests: false, ..LogSettings::default() },
        shutdown_grace: Duration::from_secs(5),
        shutdown_delay: Duration::ZERO,
        threads: 0,
    }
}

/// The settings that trust a demo issuer, with its tenant's name as the issuer's name. Keys are fetched every second, so that a
/// rotation can be watched.
pub fn trust(issuer: &DemoIssuer) -> IssuerConfig {
    let options = issuer.options();
    IssuerConfig {
        rules: IssuerSettings {
            provider: Provider::B2c,
            policies: vec![options.policy.clone()],
            user_id: UserIdRule::Claims(vec!["oid".into(), "sub".into()]),
            ..IssuerSettings::new(&options.tenant, IssuerRule::Exact(vec![issuer.issuer()]), vec![options.audience.clone()])
        },
        jwks: JwksSettings {
            refresh: Duration::from_secs(1),
            ..JwksSettings::new(vec![KeySource::Discovery(issuer.discovery_url())])
        },
    }
}

/// An upstream at this address, plain http, with the defaults of the config file.
pub fn upstream(name: &str, address: SocketAddr) -> UpstreamSettings {
    UpstreamSettings::new(name, &address.ip().to_string(), address.port())
}

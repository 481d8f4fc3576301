//! What the other processes do.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use syncgate::{
    config::{Config, LogFormat, LogLevel, LogSettings},
    demo::{FREE_PORT, World, http_client, world, world::WorldOptions},
    endpoint::{EndpointSettings, TokenExchangeSettings},
    metrics::Metrics,
    proxy::{Access, AccessLog, AccessLogFormat, EventLoops, ListenSettings, RouteSettings, UnauthenticatedProxyForBenches},
    server::install_crypto,
    token::{Permission, PermissionSettings},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::{nginx, short_token::short};

/// What the upstream answers.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 43\r\n\r\n{\"ok\":true,\"id\":\"42\",\"rev\":\"1-0123456789a\"}";

/// A process of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers every request with the same 43 bytes.
    Upstream,
    /// A bare Pingora proxy, built like the gateway.
    Bare { log: bool },
    /// The gateway.
    Gateway { log: bool },
    /// The gateway, whose route is public: it reads no token and forwards what came, with its log.
    Public,
    /// The gateway as a token endpoint at `/token`, beside a route with a scope that the token lacks, with its log. It has no upstream.
    TokenEndpoint,
    /// nginx as a plain proxy, with its log.
    Nginx,
}

impl Role {
    const ALL: [Self; 8] = [
        Self::Upstream,
        Self::Bare { log: true },
        Self::Bare { log: false },
        Self::Gateway { log: true },
        Self::Gateway { log: false },
        Self::Public,
        Self::TokenEndpoint,
        Self::Nginx,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Bare { log: true } => "bare",
            Self::Bare { log: false } => "bare-without-log",
            Self::Gateway { log: true } => "gateway",
            Self::Gateway { log: false } => "gateway-without-log",
            Self::Public => "public",
            Self::TokenEndpoint => "token-endpoint",
            Self::Nginx => "nginx",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Bare { log: true } => "bare, log",
            Self::Bare { log: false } => "bare, no log",
            Self::Gateway { log: true } => "gateway, log",
            Self::Gateway { log: false } => "gateway, no log",
            Self::Public => "public route, log",
            Self::TokenEndpoint => "token endpoint, log",
            Self::Nginx => "nginx, log",
        }
    }
}

/// What a process is started for.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub role: Role,
    pub core: usize,
    /// Where a proxy forwards to.
    pub upstream: Option<SocketAddr>,
}

impl Part {
    const FLAG: &'static str = "--role";

    /// The part of this process; none if it was started by a person.
    pub fn of_this_process() -> Result<Option<Self>, Box<dyn Error>> {
        let mut arguments = std::env::args().skip_while(|argument| argument != Self::FLAG).skip(1);
        let Some(name) = arguments.next() else { return Ok(None) };
        let role = Role::ALL.into_iter().find(|role| role.name() == name).ok_or("no such role")?;
        let core = arguments.next().ok_or("a role needs a core")?.parse()?;
        Ok(Some(Self { role, core, upstream: arguments.next().map(|address| address.parse()).transpose()? }))
    }

    /// The arguments that start it.
    pub fn arguments(&self) -> Vec<String> {
        let upstream = self.upstream.map(|address| address.to_string());
        [Self::FLAG.to_owned(), self.role.name().to_owned(), self.core.to_string()].into_iter().chain(upstream).collect()
    }
}

/// The cores that this process may use.
pub fn cores() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Keeps this thread, and those it starts, on one core.
pub fn pin_to(core: usize) -> io::Result<()> {
    pin_to_all(&[core])
}

/// Keeps this thread, and those it starts, on these cores.
pub fn pin_to_all(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

/// Has this process end when its standard input does.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

/// Plays a part until standard input ends.
pub fn play(part: Part) -> Result<(), Box<dyn Error>> {
    // Who plays nginx has to end it first.
    if part.role != Role::Nginx {
        end_with_parent();
    }
    pin_to(part.core)?;
    let upstream = || part.upstream.ok_or("a proxy needs an upstream");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match part.role {
        Role::Upstream => Ok(runtime.block_on(serve_answers())?),
        Role::Bare { log } => runtime.block_on(serve_bare(upstream()?, log)),
        Role::Gateway { log } => runtime.block_on(serve_gateway(forwarding(upstream()?, Access::Protected), log)),
        Role::Public => {
            let access = Access::Public { pass_authorization: true };
            runtime.block_on(serve_gateway(forwarding(upstream()?, access), true))
        }
        Role::TokenEndpoint => runtime.block_on(serve_gateway(token_endpoint, true)),
        Role::Nginx => nginx::play(upstream()?),
    }
}

/// Tells the parent where to connect, with which token, and where the keys of its issuer are.
pub fn announce(address: SocketAddr, token: &str, keys_url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{address} {token} {keys_url}")?;
    out.flush()
}

async fn serve_answers() -> io::Result<()> {
    let listener = TcpListener::bind(FREE_PORT).await?;
    announce(listener.local_addr()?, "", "")?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream));
    }
}

/// One answer for each header block; requests here have no body.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(ANSWER).await?;
        }
    }
}

/// Forwards to this upstream.
fn forwarding(upstream: SocketAddr, access: Access) -> impl FnOnce(&mut Config) + Send + 'static {
    move |config| {
        config.proxy.upstreams = vec![world::upstream("default", upstream)];
        config.proxy.routes.iter_mut().for_each(|route| route.access = access);
    }
}

/// Exchanges tokens, and refuses them everywhere else for a scope.
fn token_endpoint(config: &mut Config) {
    let endpoint = EndpointSettings::TokenExchange(TokenExchangeSettings::default());
    let scope = PermissionSettings { all_scopes: vec!["docs.admin".into()], ..PermissionSettings::default() };
    let token = RouteSettings { name: "token".into(), path: "/token".into(), exact: true, ..RouteSettings::default() };
    config.proxy.routes.iter_mut().for_each(|route| route.permission = Permission::new(scope.clone()));
    config.proxy.routes.push(RouteSettings { endpoint: Some(endpoint), ..token });
    // Nothing is signed while it is measured, and no line of the log is left out.
    config.profiles.iter_mut().for_each(|profile| profile.ttl = Duration::from_secs(24 * 3600));
    config.log.refusals_per_second = u32::MAX;
}

/// A gateway with one event loop and this config.
async fn serve_gateway(adjust: impl FnOnce(&mut Config) + Send + 'static, log: bool) -> Result<(), Box<dyn Error>> {
    // The world's own issuer makes the token; its backend stays idle.
    let options = WorldOptions::default().config(move |config| {
        config.issuers.iter_mut().for_each(|issuer| issuer.jwks.refresh = Duration::from_secs(3600));
        config.log = LogSettings { format: LogFormat::Json, level: LogLevel::Info, requests: log, ..LogSettings::default() };
        config.threads = 1;
        adjust(config);
    });
    let world = World::start(options).await?;
    while http_client()?.get(world.admin_url("/readyz")).send().await?.status() != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let is_public = world.gateway.config().proxy.routes.iter().all(|route| route.access != Access::Protected);
    let token = if is_public { String::new() } else { short(world.issuer.token("alice")).sign() };
    announce(world.gateway.address(), &token, &world.issuer.keys_url())?;
    std::future::pending().await
}

async fn serve_bare(address: SocketAddr, log: bool) -> Result<(), Box<dyn Error>> {
    install_crypto();
    let route = RouteSettings { name: "default".into(), path: "/".into(), ..RouteSettings::default() };
    let upstream = world::upstream("default", address);
    let metrics = Arc::new(Metrics::new()?);
    // As many refusals a second as there may be: none is left out.
    let access_log = log.then(|| AccessLog::start(AccessLogFormat::Json, u32::MAX, &metrics.proxy)).transpose()?;
    let proxy = UnauthenticatedProxyForBenches::new(
        &ListenSettings::default(),
        upstream,
        &route,
        metrics,
        access_log,
        EventLoops::start(1)?,
    )?;
    let socket = TcpListener::bind(FREE_PORT).await?;
    announce(socket.local_addr()?, "", "")?;
    proxy.run(socket, CancellationToken::new(), Duration::ZERO).await;
    Ok(())
}

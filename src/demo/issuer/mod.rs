//! An issuer that looks like Azure AD B2C, over real HTTP: discovery document, key set, token endpoint, key rotation.
//!
//! It can be made to misbehave, and it counts fetches.

mod documents;
mod endpoints;
mod sign_in;
mod token;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
pub use sign_in::SignInCall;
pub use token::TokenBuilder;

use self::sign_in::Calls;
use crate::demo::{
    DemoKey, FREE_PORT,
    http::{HttpServer, Port},
};

/// What the issuer is called and what its tokens say.
#[derive(Clone, Debug)]
pub struct IssuerOptions {
    /// Where it listens. Default: a free port of loopback.
    pub address: SocketAddr,
    /// The tenant's name: `contoso` for `contoso.onmicrosoft.com`.
    pub tenant: String,
    /// The tenant's GUID, which is in `iss`.
    pub tenant_id: String,
    /// The policy, in the case that `tfp` has; URLs have it in lower case.
    pub policy: String,
    /// `aud`: the id of the API's registration.
    pub audience: String,
    /// `azp`: the id of the client's registration.
    pub client: String,
    /// `scp`, separated by spaces.
    pub scope: String,
    /// `exp` - `nbf`. B2C's default is an hour.
    pub token_lifetime: Duration,
}

impl Default for IssuerOptions {
    fn default() -> Self {
        Self {
            address: FREE_PORT,
            tenant: "contoso".into(),
            tenant_id: "9c0c1f5e-0000-4000-8000-000000000000".into(),
            policy: "B2C_1_signin".into(),
            audience: "00000000-0000-4000-8000-0000000000aa".into(),
            client: "00000000-0000-4000-8000-0000000000cc".into(),
            scope: "docs.read docs.write".into(),
            token_lifetime: Duration::from_secs(3600),
        }
    }
}

/// What can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The discovery document.
    Discovery,
    /// The key set.
    Keys,
    /// Tokens.
    Token,
}

/// How an endpoint answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Normal,
    /// With this status and no document.
    Status(u16),
    /// As it should, after a while.
    Slow(Duration),
    /// Never; the connection stays open.
    Silent,
    /// With this text instead of the document.
    Document(String),
    /// With a document that breaks off.
    InvalidJson,
    /// With `{"keys":[]}`.
    EmptySet,
    /// With the right document and so many bytes of white space after it, without a `Content-Length`.
    Oversized(usize),
    /// With 302 to this URL.
    Redirect(String),
    /// Keys only: each key as `x5c`, a certificate, without `n` and `e`.
    X5cOnly,
}

/// The keys of the issuer: those that its key set shows, in this order, and the one that signs.
#[derive(Clone, Debug)]
struct Keys {
    published: Vec<DemoKey>,
    signing: DemoKey,
}

#[derive(Debug)]
struct State {
    options: IssuerOptions,
    base: String,
    keys: ArcSwap<Keys>,
    keys_made: AtomicUsize,
    behaviours: [ArcSwap<Behaviour>; 3],
    fetches: [AtomicU64; 3],
    sign_in: ArcSwapOption<Calls>,
}

/// A running issuer. Dropping it stops it.
#[derive(Debug)]
pub struct DemoIssuer {
    state: Arc<State>,
    server: HttpServer,
}

impl DemoIssuer {
    /// Starts an issuer of default name on a free port.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(IssuerOptions::default()).await
    }

    /// Starts an issuer. Fails where the address is taken.
    pub async fn start_with(options: IssuerOptions) -> io::Result<Self> {
        let port = Port::bind(options.address)?;
        let base = format!("http://{}", port.address());
        let signing = make_key(0).await?;
        let state = Arc::new(State {
            options,
            base,
            keys: ArcSwap::from_pointee(Keys { published: vec![signing.clone()], signing }),
            keys_made: AtomicUsize::new(1),
            behaviours: Default::default(),
            fetches: Default::default(),
            sign_in: ArcSwapOption::empty(),
        });
        let server = HttpServer::start(port, endpoints::router(state.clone()))?;
        Ok(Self { state, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What its tokens say.
    pub fn options(&self) -> &IssuerOptions {
        &self.state.options
    }

    /// Its `iss`: with the tenant's GUID and a slash at the end, and not the beginning of any other URL of the issuer.
    pub fn issuer(&self) -> String {
        self.state.issuer()
    }

    /// URL of the discovery document.
    pub fn discovery_url(&self) -> String {
        self.state.policy_url("/v2.0/.well-known/openid-configuration")
    }

    /// URL of the key set.
    pub fn keys_url(&self) -> String {
        self.state.policy_url("/discovery/v2.0/keys")
    }

    /// URL of the token endpoint.
    pub fn token_url(&self) -> String {
        self.state.policy_url("/oauth2/v2.0/token")
    }

    /// URL of the doors that have no place at Microsoft: `POST /demo/announce`, `/demo/rotate`, `/demo/retire`.
    pub fn door_url(&self, door: &str) -> String {
        format!("{}/demo/{door}", self.state.base)
    }

    /// The `oid` of a user: a GUID made of the name.
    pub fn user_id(&self, user: &str) -> String {
        self.state.user_id(user)
    }

    /// A token for a user, to be changed at will and signed.
    pub fn token(&self, user: &str) -> TokenBuilder {
        self.state.token(user)
    }

    /// The keys that the key set shows.
    pub fn published_keys(&self) -> Vec<DemoKey> {
        self.state.keys.load().published.clone()
    }

    /// The key that signs.
    pub fn signing_key(&self) -> DemoKey {
        self.state.keys.load().signing.clone()
    }

    /// Shows a new key beside the others. The old one signs on. Returns the new one.
    pub async fn announce(&self) -> io::Result<DemoKey> {
        self.state.announce().await
    }

    /// Signs with the last announced key from now on, or with a new one where none waits. The old ones stay in the key set.
    pub async fn rotate(&self) -> io::Result<DemoKey> {
        self.state.rotate().await
    }

    /// Takes every key but the signing one out of the key set.
    pub fn retire(&self) {
        self.state.retire();
    }

    /// Makes the key set show exactly these keys, for sets that flap. The signing key does not change.
    pub fn publish(&self, published: Vec<DemoKey>) {
        self.state.keys.rcu(|keys| Keys { published: published.clone(), signing: keys.signing.clone() });
    }

    /// Changes how an endpoint answers from now on.
    pub fn behave(&self, endpoint: Endpoint, behaviour: Behaviour) {
        self.state.behaviours[endpoint as usize].store(Arc::new(behaviour));
    }

    /// Has its policy make this call whenever a user logs in from now on, and put what it gets into the access token. Where the call fails,
    /// the token has no such claim. Tokens of [`token`](Self::token) never have it.
    pub fn call_at_sign_in(&self, call: SignInCall) -> io::Result<()> {
        self.state.sign_in.store(Some(Arc::new(Calls::new(call)?)));
        Ok(())
    }

    /// How often an endpoint was asked, whatever it answered.
    pub fn fetches(&self, endpoint: Endpoint) -> u64 {
        self.state.fetches[endpoint as usize].load(Ordering::SeqCst)
    }

    /// Goes away: open connections are cut, new ones refused.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Comes back, on the same port.
    pub async fn resume(&self) -> io::Result<()> {
        self.server.resume().await
    }
}

impl State {
    fn issuer(&self) -> String {
        format!("{}/{}/v2.0/", self.base, self.options.tenant_id)
    }

    fn policy_url(&self, path: &str) -> String {
        let Self { base, options, .. } = self;
        format!("{base}/{}.onmicrosoft.com/{}{path}", options.tenant, options.policy.to_ascii_lowercase())
    }

    async fn announce(&self) -> io::Result<DemoKey> {
        let key = make_key(self.keys_made.fetch_add(1, Ordering::SeqCst)).await?;
        self.keys.rcu(|keys| {
            let published = keys.published.iter().chain([&key]).cloned().collect();
            Keys { published, signing: keys.signing.clone() }
        });
        Ok(key)
    }

    async fn rotate(&self) -> io::Result<DemoKey> {
        let waiting = {
            let keys = self.keys.load();
            keys.published.last().filter(|last| last.kid() != keys.signing.kid()).cloned()
        };
        let signing = match waiting {
            Some(key) => key,
            None => self.announce().await?,
        };
        self.keys.rcu(|keys| Keys { published: keys.published.clone(), signing: signing.clone() });
        Ok(signing)
    }

    fn retire(&self) {
        self.keys.rcu(|keys| Keys { published: vec![keys.signing.clone()], signing: keys.signing.clone() });
    }
}

async fn make_key(index: usize) -> io::Result<DemoKey> {
    tokio::task::spawn_blocking(move || DemoKey::shared(index)).await.map_err(io::Error::other)?
}

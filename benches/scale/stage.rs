//! [`Stage`]: what all parts of the bench need: cores, descriptors, an issuer, the clients.

use std::{
    error::Error,
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::{Method, body::Bytes};
use serde_json::{Map, json};
use syncgate::{
    demo::{MetricsText, http_client},
    server::install_crypto,
    signing::{NewKey, PrivateKeyPem, SigningKey},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::{
    gateway::{AUDIENCE, ISSUER},
    harness::{process::RoleProcess, role},
    load::{
        client::Shared,
        http::{HttpClient, Question},
        mint::Mint,
        raise_descriptors,
        tally::Tally,
        target::Target,
        tokens::Tokens,
    },
};

/// Descriptors that this process needs beside those of its connections.
const OTHER_DESCRIPTORS: usize = 500;

/// Everything but the gateways.
pub struct Stage {
    pub runtime: Runtime,
    pub is_test: bool,
    pub cores: Vec<usize>,
    /// Connections that a process can have.
    pub descriptors: usize,
    folder: TempDir,
}

/// What clients ask for.
pub struct Ask {
    pub method: Method,
    pub path: &'static str,
    /// In JSON; empty: none.
    pub body: Bytes,
}

impl Default for Ask {
    fn default() -> Self {
        Self { method: Method::GET, path: "/docs/42?include=meta", body: Bytes::new() }
    }
}

impl Stage {
    pub fn set(is_test: bool) -> Result<Self, Box<dyn Error>> {
        install_crypto();
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            is_test,
            cores: role::cores()?,
            descriptors: raise_descriptors().saturating_sub(OTHER_DESCRIPTORS),
            folder: tempfile::tempdir()?,
        })
    }

    /// The core of load and upstream.
    pub fn own_core(&self) -> usize {
        self.cores.first().copied().unwrap_or(0)
    }

    /// The core of the gateways.
    pub fn gateway_core(&self) -> usize {
        self.cores.last().copied().unwrap_or(0)
    }

    pub fn keep_to_first_core(&self) -> io::Result<()> {
        if self.cores.len() < 2 {
            eprintln!("One core only: gateway, load and upstream share it.");
        }
        role::pin_to(self.own_core())
    }

    /// An issuer with one key of this kind, and the file of its key set.
    pub fn issuer(&self, kind: NewKey) -> Result<(Mint, PathBuf), Box<dyn Error>> {
        let key: SigningKey = PrivateKeyPem::generate(kind)?.signing_key()?;
        let public = key.public().ok_or("the key has no public half")?;
        let kid = public.thumbprint().to_owned();
        let mut jwk = public.jwk();
        jwk["kid"] = json!(kid);
        let file = self.folder.path().join(format!("{kid}.json"));
        fs::write(&file, json!({ "keys": [jwk] }).to_string())?;
        let (issuer, audience) = (ISSUER.to_owned(), AUDIENCE.to_owned());
        Ok((Mint { key, kid, issuer, audience, lifetime: Duration::from_secs(3600), claims: Map::new() }, file))
    }

    /// Where a gateway's own key is to be.
    pub fn key_file(&self, kind: NewKey) -> Result<PathBuf, Box<dyn Error>> {
        let file = self.folder.path().join(format!("{kind:?}.pem"));
        if !file.exists() {
            PrivateKeyPem::generate(kind)?.create(&file, false)?;
        }
        Ok(file)
    }

    /// What requests to a gateway share.
    pub fn shared(&self, tokens: Tokens) -> Result<Arc<Shared>, Box<dyn Error>> {
        let (timeout, hold) = (Duration::from_secs(10), Duration::ZERO);
        Ok(Arc::new(Shared { tokens, tally: Tally::new()?, timeout, hold, waits_at_end: true }))
    }

    /// Clients of a gateway, without connections.
    pub fn clients(&self, gateway: &RoleProcess, shared: &Shared, count: usize) -> Result<Vec<HttpClient>, Box<dyn Error>> {
        self.clients_that(gateway, shared, count, &Ask::default())
    }

    /// Clients that ask for this.
    pub fn clients_that(
        &self,
        gateway: &RoleProcess,
        shared: &Shared,
        count: usize,
        ask: &Ask,
    ) -> Result<Vec<HttpClient>, Box<dyn Error>> {
        let url = format!("http://{}{}", gateway.address(), ask.path).parse()?;
        let mut headers = vec!["Accept: application/json".to_owned(), "User-Agent: bench/1".to_owned()];
        if !ask.body.is_empty() {
            headers.push("Content-Type: application/json".to_owned());
        }
        let target = Arc::new(self.runtime.block_on(Target::resolve(&url, &headers, None))?);
        let token_header = shared.tokens.name.clone();
        let question = Arc::new(Question { target, method: ask.method.clone(), body: ask.body.clone(), token_header });
        Ok((0..count).map(|_| HttpClient::new(Arc::clone(&question))).collect())
    }

    /// Waits until a series of a gateway has this value.
    pub fn await_metric(&self, gateway: &RoleProcess, series: &str, value: usize) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.metric(gateway, series)? != value as f64 {
            if Instant::now() > deadline {
                return Err(format!("{series} is {}, not {value}", self.metric(gateway, series)?).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The sum of one of a gateway's series.
    pub fn metric(&self, gateway: &RoleProcess, series: &str) -> Result<f64, Box<dyn Error>> {
        let text = self.runtime.block_on(async {
            http_client()?
                .get(format!("http://{}/metrics", gateway.word(0)))
                .send()
                .await?
                .text()
                .await
                .map_err(Box::<dyn Error>::from)
        })?;
        Ok(MetricsText::new(text).sum(series, &[]))
    }
}

/// Fails unless all answers were 200.
pub fn all_good(shared: &Shared) -> Result<(), Box<dyn Error>> {
    let counts = shared.tally.so_far();
    let is_good = counts.completed > 0 && counts.problems.is_empty() && counts.statuses.keys().all(|status| *status == 200);
    if is_good { Ok(()) } else { Err(format!("not all were served: {:?}, {:?}", counts.statuses, counts.problems).into()) }
}

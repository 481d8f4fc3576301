//! A world to be loaded: issuer, gateway and backend in this process.

use std::{io::Write as _, time::Duration};

use serde_json::Map;
use syncgate::{
    demo::{World, http_client, world::WorldOptions},
    signing::SigningKey,
};
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use crate::load::{Trouble, mint::Mint};

/// A running world, on threads of its own. Dropping it ends it.
pub struct Demo {
    world: World,
    _threads: Runtime,
}

impl Demo {
    /// Starts it and waits until it serves.
    pub fn start() -> Result<Self, Trouble> {
        let threads = Runtime::new().map_err(|error| Trouble::with("cannot start threads", error))?;
        let world = threads.block_on(async {
            let world = World::start(WorldOptions::default()).await.map_err(|error| Trouble::with("the demo", error))?;
            let client = http_client().map_err(|error| Trouble::with("the demo", error))?;
            let is_ready = async || client.get(world.admin_url("/readyz")).send().await.is_ok_and(|answer| answer.status() == 200);
            while !is_ready().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(world)
        })?;
        Ok(Self { world, _threads: threads })
    }

    /// A URL of its gateway.
    pub fn url(&self, path: &str) -> String {
        self.world.url(path)
    }

    /// Makes tokens as its issuer does.
    pub fn mint(&self) -> Result<Mint, Trouble> {
        let issuer = &self.world.issuer;
        let trouble = |error: &dyn std::fmt::Display| Trouble::with("the demo's key", error);
        let key = issuer.signing_key();
        // Whoever reads a key reads it from a file that others cannot read; this one is made so.
        let mut file = NamedTempFile::new().map_err(|error| trouble(&error))?;
        let pem = key.private_key_pem().map_err(|error| trouble(&error))?;
        file.write_all(pem.as_bytes()).map_err(|error| trouble(&error))?;
        Ok(Mint {
            key: SigningKey::open(file.path(), None).map_err(|error| trouble(&error))?,
            kid: key.kid().to_owned(),
            issuer: issuer.issuer(),
            audience: issuer.options().audience.clone(),
            lifetime: issuer.options().token_lifetime,
            claims: Map::new(),
        })
    }
}

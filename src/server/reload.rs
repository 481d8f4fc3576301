//! Applies a new config under traffic: all of it or nothing.
//!
//! Everything that can fail is prepared first. Only then is it swapped in, in an order in which no request sees half of it: a
//! request keeps the settings that it began with.

use std::{sync::Arc, time::SystemTime};

use super::{Gateway, Running, StartError, access_log, expect_names, is_access_logged, issuer_keys, issuers, spawn};
use crate::{
    config::{Config, ConfigError},
    metrics::Metrics,
    signing::SigningKey,
    token::Timestamp,
};

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file has mistakes, or cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What it says cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Gateway {
    /// Serves by another config from now on. The signing key is read again too. No connection is dropped, and users who are known stay
    /// known unless a setting that made them has changed.
    ///
    /// If the config cannot be used the last good one stays. Either way the log and `syncgate_config_last_reload_success` say so; what
    /// only a restart can change is named in the log.
    pub fn reload(&self, config: Result<Config, ConfigError>) -> Result<(), ReloadError> {
        let outcome = config.map_err(ReloadError::from).and_then(|config| self.replace(config).map_err(ReloadError::from));
        match &outcome {
            Ok(()) => note_success(&self.metrics),
            Err(error) => {
                self.metrics.config.last_reload_success.set(0);
                tracing::error!(%error, "the new config is not valid; the last good one is kept");
            }
        }
        outcome
    }

    fn replace(&self, config: Config) -> Result<(), StartError> {
        let mut running = self.running();
        let running = &mut *running;
        let signing_key = SigningKey::load(&config.signing)?;
        let issuers = issuers(&config, &running.issuers, &mut running.purged, &self.metrics, &self.stop_rest)?;
        let keys = issuer_keys(&config, &issuers);
        let exchange = Arc::new(running.exchange.reconfigured(keys, config.token_limits.clone(), config.profiles.clone()));
        let access_log = match self.proxy.access_log().filter(|_| is_access_logged(&config.log)) {
            Some(same) => {
                same.limit_refusals(config.log.refusals_per_second);
                Some(same)
            }
            None => access_log(&config.log, &self.metrics)?,
        };
        let live = self.proxy.prepare(&config.proxy, Arc::clone(&exchange), access_log)?;

        // From here on nothing can fail.
        if !running.signing_key.signs_like(&signing_key) {
            let name = |key: &SigningKey, secret: &str| key.signer().thumbprint().unwrap_or(secret).to_owned();
            let (before, now) = (name(&running.signing_key, "a secret"), name(&signing_key, "another secret"));
            tracing::warn!(
                before,
                now,
                "tokens are now signed with another key: a backend that knows only the old one answers 401 to everyone until it has the new one \
                 (of a key pair: syncgate keys public --config FILE). To go back, restore the old key in its file and send SIGHUP"
            );
            exchange.replace_signing_key(signing_key.clone());
        }
        expect_names(&config, &issuers);
        self.proxy.replace(live);
        let shown = issuers.iter().map(|(issuer, _)| (issuer.name.clone(), Arc::clone(&issuer.keys)));
        self.admin.replace(Arc::clone(&exchange), shown, config.admin.credential_file.clone());
        for old in &running.issuers {
            if !issuers.iter().any(|(new, _)| Arc::ptr_eq(&new.keys, &old.keys)) {
                old.stop.cancel();
            }
        }
        self.metrics.jwks.keep_only(&issuers.iter().map(|(issuer, _)| issuer.name.as_str()).collect::<Vec<_>>());
        // Tasks that have ended would stay in the set otherwise.
        while running.tasks.try_join_next().is_some() {}
        let issuers = spawn(issuers, &mut running.tasks);
        let needs_restart = keep_what_needs_a_restart(&running.config, config);
        let names: Vec<_> = needs_restart.names;
        *running = Running {
            config: needs_restart.config,
            signing_key,
            exchange,
            issuers,
            purged: std::mem::take(&mut running.purged),
            tasks: std::mem::take(&mut running.tasks),
        };
        tracing::info!("the new config is in use");
        if !names.is_empty() {
            tracing::warn!(settings = names.join(", "), "these changed settings need a restart");
        }
        Ok(())
    }
}

/// A config less its changes that only a restart can make.
struct NeedsRestart {
    config: Config,
    names: Vec<&'static str>,
}

fn keep_what_needs_a_restart(old: &Config, mut config: Config) -> NeedsRestart {
    let mut names = Vec::new();
    let mut keep = |name, is_same: bool| {
        if !is_same {
            names.push(name);
        }
    };
    let (listen, before) = (&mut config.proxy.listen, &old.proxy.listen);
    let has_places_of_before = listen.has_places_of(before);
    keep("listen.address, listen.also, listen.proxy_protocol", has_places_of_before);
    if !has_places_of_before {
        listen.listeners.clone_from(&before.listeners);
    }
    keep("listen.max_connections", listen.max_connections == before.max_connections);
    listen.max_connections = before.max_connections;
    keep("admin.address", config.admin.address == old.admin.address);
    config.admin.address = old.admin.address;
    keep("signing.threads", config.signing.threads == old.signing.threads);
    config.signing.threads = old.signing.threads;
    keep("signing.queue", config.signing.queue == old.signing.queue);
    config.signing.queue = old.signing.queue;
    keep("cache.entries", config.cache.entries == old.cache.entries);
    keep("cache.bytes", config.cache.bytes == old.cache.bytes);
    config.cache = old.cache.clone();
    keep("log.format", config.log.format == old.log.format);
    config.log.format = old.log.format;
    keep("shutdown.delay", config.shutdown_delay == old.shutdown_delay);
    config.shutdown_delay = old.shutdown_delay;
    keep("shutdown.grace", config.shutdown_grace == old.shutdown_grace);
    config.shutdown_grace = old.shutdown_grace;
    keep("threads", config.threads == old.threads);
    config.threads = old.threads;
    NeedsRestart { config, names }
}

/// The config in use is good, and from now.
pub(super) fn note_success(metrics: &Metrics) {
    metrics.config.last_reload_success.set(1);
    metrics.config.last_reload_success_timestamp.set(Timestamp::from(SystemTime::now()).as_seconds());
}

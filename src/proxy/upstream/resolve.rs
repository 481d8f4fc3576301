//! Keeps the addresses of an upstream up to date, in the background.

use std::{io, path::Path, sync::Arc, time::Duration};

use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::proxy::upstream::{backend::Backend, place::Address, settings::Target};

/// How soon a name that did not resolve is asked for again, at the latest.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Backend {
    /// Keeps the addresses up to date until stopped. A name that cannot be resolved keeps its last addresses.
    pub(in crate::proxy) async fn keep_resolved(self: Arc<Self>, stop: CancellationToken) {
        self.try_sockets().await;
        let mut resolver = Resolver { backend: &self, last: vec![Vec::new(); self.settings.targets.len()], failing: Vec::new() };
        loop {
            let pause = resolver.resolve().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Tells which Unix sockets cannot be connected to at the start.
    async fn try_sockets(&self) {
        for target in &self.settings.targets {
            if let Target::Socket(path) = target
                && let Err(error) = UnixStream::connect(path).await
            {
                let hint = socket_hint(path, &error);
                tracing::warn!(upstream = self.name(), address = %target, %error, "a Unix socket does not accept connections{hint}");
            }
        }
    }
}

fn socket_hint(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!(": the gateway's user may not write to {}, or not enter its directory", path.display())
        }
        io::ErrorKind::NotFound => ": the backend creates it when it starts".to_owned(),
        _ => String::new(),
    }
}

struct Resolver<'a> {
    backend: &'a Backend,
    /// The last addresses of each target.
    last: Vec<Vec<Address>>,
    /// The targets whose names do not resolve.
    failing: Vec<usize>,
}

impl Resolver<'_> {
    /// Resolves each name once. Says when to do so again.
    async fn resolve(&mut self) -> Duration {
        let settings = &self.backend.settings;
        for (index, target) in settings.targets.iter().enumerate() {
            let outcome = match target {
                Target::Socket(path) => Ok(vec![Address::Socket(path.clone())]),
                Target::Host { host, port } => {
                    let resolved = tokio::net::lookup_host((host.as_str(), *port)).await;
                    resolved.map(|addresses| addresses.map(Address::Tcp).collect())
                }
            };
            let outcome = outcome.map_err(|error| error.to_string());
            let found = outcome.and_then(|found| if found.is_empty() { Err("no address".to_owned()) } else { Ok(found) });
            self.note(index, target, found);
        }
        let all: Vec<_> =
            self.last.iter().enumerate().flat_map(|(index, found)| found.iter().map(move |one| (one.clone(), index))).collect();
        if !all.is_empty() {
            let is_first = self.backend.addresses().all().is_empty();
            if self.backend.publish(all) && !is_first {
                let addresses: Vec<_> =
                    self.backend.addresses().all().iter().map(|place| place.standing.address().to_owned()).collect();
                tracing::info!(
                    upstream = self.backend.name(),
                    addresses = addresses.join(", "),
                    "the upstream has other addresses"
                );
            }
        }
        if self.failing.is_empty() { settings.resolve_every } else { settings.resolve_every.min(RETRY_INTERVAL) }
    }

    fn note(&mut self, index: usize, target: &Target, outcome: Result<Vec<Address>, String>) {
        let upstream = self.backend.name();
        let was_failing = self.failing.contains(&index);
        match outcome {
            Ok(found) => {
                if was_failing {
                    self.failing.retain(|failing| *failing != index);
                    tracing::info!(upstream, host = %target, "the upstream's name resolves again");
                }
                if let Some(last) = self.last.get_mut(index) {
                    *last = found;
                }
            }
            Err(cause) if !was_failing => {
                self.failing.push(index);
                tracing::warn!(upstream, host = %target, cause, "the upstream's name does not resolve; its last addresses are kept");
            }
            Err(_) => {}
        }
    }
}

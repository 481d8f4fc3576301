//! [`ServerTls`]: how the handshakes of one listener are answered.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::Ticketer,
    server::{ClientHello, ProducesTickets},
};

use super::{
    CertificateError, TlsSettings,
    names::Names,
    pair::Pair,
    policies::{Policies, Trusts},
};

/// The record that answers a hello for which there is no certificate: a fatal alert `unrecognized_name` (RFC 6066 section 3).
pub const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];

/// How the handshakes of one listener are answered. What is replaced applies to the next handshake; connections keep what they have.
pub struct ServerTls {
    current: ArcSwap<Current>,
    /// Held while something is changed, so that two changes do not overwrite each other.
    changing: Mutex<()>,
}

/// What was loaded for new settings, ready to be used.
pub struct Prepared(Current);

/// What handshakes are answered with.
pub(super) struct Current {
    pub(super) settings: TlsSettings,
    /// In the order of the settings.
    pub(super) pairs: Vec<Arc<Pair>>,
    pub(super) trusts: Trusts,
    names: Arc<Names>,
    policies: Policies,
    /// For clients that are not asked for a certificate.
    ticketer: Arc<dyn ProducesTickets>,
}

impl ServerTls {
    /// Reads and checks everything that the settings name.
    pub fn load(settings: &TlsSettings, now: SystemTime) -> Result<Self, CertificateError> {
        let current = Current::load(settings, Ticketer::new()?, now)?;
        Ok(Self { current: ArcSwap::from_pointee(current), changing: Mutex::new(()) })
    }

    /// With what to answer this hello; None: with [`UNRECOGNIZED_NAME`].
    pub fn config_for(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let current = self.current.load();
        let name = hello.server_name();
        current.names.answers(name).then(|| Arc::clone(current.policies.for_name(name)))
    }

    /// Whether a request for this host may come over a connection whose client asked for `name`: both have the same rules for client
    /// certificates. If not, the answer is 421, and the client connects again (RFC 9110 section 15.5.20).
    pub fn is_alike(&self, name: Option<&str>, host: &str) -> bool {
        let current = self.current.load();
        Arc::ptr_eq(current.policies.for_name(name), current.policies.for_name(Some(host)))
    }

    /// For a handshake as a whole.
    pub fn handshake_timeout(&self) -> Duration {
        self.current.load().settings.handshake_timeout
    }

    /// Whether a certificate is for this host: a name, or an address without brackets. The port is not part of it.
    pub fn serves(&self, name: &str) -> bool {
        self.current.load().names.covers(name)
    }

    /// What is to think about, one line for each.
    pub fn warnings(&self) -> Vec<String> {
        let current = self.current.load();
        let of_clients = current.trusts.0.iter().flatten().flat_map(|trust| &trust.warnings);
        current.pairs.iter().flat_map(|pair| &pair.warnings).chain(of_clients).cloned().collect()
    }

    /// Reads and checks what other settings name. Nothing is changed yet.
    pub fn prepare(&self, settings: &TlsSettings, now: SystemTime) -> Result<Prepared, CertificateError> {
        let ticketer = Arc::clone(&self.current.load().ticketer);
        Current::load(settings, ticketer, now).map(Prepared)
    }

    /// Answers by what was prepared from now on.
    pub fn adopt(&self, prepared: Prepared) {
        let _changing = self.change();
        self.current.store(Arc::new(prepared.0));
    }

    /// Both: prepares and adopts, or changes nothing.
    pub fn replace(&self, settings: &TlsSettings, now: SystemTime) -> Result<(), CertificateError> {
        self.adopt(self.prepare(settings, now)?);
        Ok(())
    }

    pub(super) fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Exchanges what has been read again, unless the settings have changed since `seen` was.
    pub(super) fn renew(&self, seen: &Arc<Current>, pairs: Vec<Arc<Pair>>, trusts: Trusts) -> Result<(), CertificateError> {
        let _changing = self.change();
        if Arc::ptr_eq(&self.current.load(), seen) {
            let renewed = Current::of(seen.settings.clone(), pairs, trusts, Arc::clone(&seen.ticketer))?;
            self.current.store(Arc::new(renewed));
        }
        Ok(())
    }

    /// Nothing is left half done under this lock, so one that a panic left behind is as good as any.
    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServerTls").field("pairs", &self.current.load().pairs).finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Prepared").field(&self.0.pairs).finish()
    }
}

impl Current {
    fn load(settings: &TlsSettings, ticketer: Arc<dyn ProducesTickets>, now: SystemTime) -> Result<Self, CertificateError> {
        let read = |files| Pair::read(files, now).map(Arc::new);
        let pairs: Result<Vec<_>, _> = settings.certificates.iter().map(read).collect();
        let trusts = Trusts::read(&settings.client_certificates, now)?;
        Self::of(settings.clone(), pairs?, trusts, ticketer)
    }

    fn of(
        settings: TlsSettings,
        pairs: Vec<Arc<Pair>>,
        trusts: Trusts,
        ticketer: Arc<dyn ProducesTickets>,
    ) -> Result<Self, CertificateError> {
        let names = Arc::new(Names::of(&pairs, &settings.default)?);
        let policies = Policies::of(&settings, &names, &trusts, &ticketer)?;
        Ok(Self { settings, pairs, trusts, names, policies, ticketer })
    }
}

#[cfg(test)]
#[path = "server_tls_tests.rs"]
mod tests;

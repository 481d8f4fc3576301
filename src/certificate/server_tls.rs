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
    AcmeSettings, CertificateError, DefaultCertificate, TlsSettings,
    acme::Challenges,
    names::Names,
    pair::Pair,
    policies::{Policies, Trusts},
};

/// The record that answers a hello for which there is no certificate: a fatal alert `unrecognized_name` (RFC 6066 section 3).
pub const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];

/// How the handshakes of one listener are answered. What is replaced applies to the next handshake; connections keep what they have.
pub struct ServerTls {
    current: ArcSwap<Current>,
    /// What an authority is answered that issues a certificate.
    challenges: Challenges,
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
        Ok(Self { current: ArcSwap::from_pointee(current), challenges: Challenges::default(), changing: Mutex::new(()) })
    }

    /// With what to answer this hello; None: with [`UNRECOGNIZED_NAME`].
    pub fn config_for(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        if let Some(answer) = self.challenges.config_for(hello) {
            return Some(answer);
        }
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

    /// What a plain listener answers to a request for this path, whatever its host: the text that proves to an authority that a name is
    /// ours (RFC 8555 section 8.3). None, and at once, unless a certificate is being issued and the path is its.
    pub fn http_challenge(&self, path: &[u8]) -> Option<String> {
        self.challenges.answer(path)
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

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// Serves the certificate that has just been issued.
    pub(super) fn take_issued(&self, now: SystemTime) {
        let seen = self.current();
        let Some(files) = seen.settings.acme.as_ref().map(AcmeSettings::pair) else { return };
        let taken = Pair::read(&files, now).and_then(|pair| {
            let mut pairs: Vec<_> = seen.pairs.iter().filter(|known| known.files != files).cloned().collect();
            pairs.push(Arc::new(pair));
            self.renew(&seen, pairs, seen.trusts.clone())
        });
        if let Err(error) = taken {
            tracing::warn!(%error, "an issued certificate cannot be used");
        }
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
        let mut pairs: Vec<_> = settings.certificates.iter().map(read).collect::<Result<_, _>>()?;
        // Whatever is wrong with an issued one, it is issued again.
        let issued = settings.acme.as_ref().map(AcmeSettings::pair).filter(|files| files.chain.exists());
        match issued.as_ref().map(read) {
            Some(Ok(pair)) => pairs.push(pair),
            Some(Err(error)) => tracing::warn!(%error, "the certificate that was issued cannot be used; another is ordered"),
            None => {}
        }
        let trusts = Trusts::read(&settings.client_certificates, now)?;
        Self::of(settings.clone(), pairs, trusts, ticketer)
    }

    fn of(
        settings: TlsSettings,
        pairs: Vec<Arc<Pair>>,
        trusts: Trusts,
        ticketer: Arc<dyn ProducesTickets>,
    ) -> Result<Self, CertificateError> {
        let is_awaited = |name: &String| settings.acme.as_ref().is_some_and(|acme| acme.domains.contains(name));
        let names = match Names::of(&pairs, &settings.default) {
            // Until it is issued there is none.
            Err(CertificateError::NoDefault { name }) if is_awaited(&name) => Names::of(&pairs, &DefaultCertificate::Refused),
            names => names,
        };
        let names = Arc::new(names?);
        let policies = Policies::of(&settings, &names, &trusts, &ticketer)?;
        Ok(Self { settings, pairs, trusts, names, policies, ticketer })
    }
}

#[cfg(test)]
#[path = "server_tls_tests.rs"]
mod tests;

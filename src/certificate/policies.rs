//! [`Policies`]: how handshakes are answered, by the name that the client asks for.
//!
//! A resumed session brings its client's certificate along, or the lack of one, and nothing of it is verified again. So whoever is
//! asked for a certificate gets no ticket: each handshake verifies it by the authorities and lists of that time. And what was begun
//! without a certificate is resumed only where none is asked for.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs::default_provider,
    server::{NoServerSessionStorage, ProducesTickets},
    version::{TLS12, TLS13},
};

use super::{
    CertificateError, ClientCertificateSettings, ClientRules, MinVersion, TlsSettings,
    names::{Names, canonical},
    trust::{Trust, TrustContent},
};

/// By what clients are verified, for each of the rules of a listener: first those for all names, then those of names, in order.
#[derive(Clone, Debug)]
pub(super) struct Trusts(pub(super) Vec<Option<Arc<Trust>>>);

/// How handshakes are answered, by the name that the client asks for.
pub(super) struct Policies {
    rest: Arc<ServerConfig>,
    exact: HashMap<String, Arc<ServerConfig>>,
    /// By what is behind `*.`.
    any_label: HashMap<String, Arc<ServerConfig>>,
}

impl Trusts {
    pub(super) fn read(settings: &ClientCertificateSettings, now: SystemTime) -> Result<Self, CertificateError> {
        let read = |rules| Ok(TrustContent::read(rules)?.map(|content| Trust::of(&content, now)).transpose()?.map(Arc::new));
        all_rules(settings).map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// The rules of a listener, in the order of [`Trusts`].
pub(super) fn all_rules(settings: &ClientCertificateSettings) -> impl Iterator<Item = &ClientRules> {
    [&settings.rules].into_iter().chain(settings.names.iter().map(|(_, rules)| rules))
}

impl Policies {
    pub(super) fn of(
        settings: &TlsSettings,
        names: &Arc<Names>,
        trusts: &Trusts,
        ticketer: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, CertificateError> {
        let config = |trust: Option<&Arc<Trust>>| config(settings, names, trust.map(Arc::as_ref), ticketer).map(Arc::new);
        let rest = config(trusts.0.first().and_then(Option::as_ref))?;
        let (mut exact, mut any_label) = (HashMap::new(), HashMap::new());
        for ((name, _), trust) in settings.client_certificates.names.iter().zip(trusts.0.iter().skip(1)) {
            let (name, config) = (canonical(name), config(trust.as_ref())?);
            match name.strip_prefix("*.") {
                Some(parent) => any_label.insert(parent.to_owned(), config),
                None => exact.insert(name, config),
            };
        }
        Ok(Self { rest, exact, any_label })
    }

    /// The policy for a client that asks for this name.
    pub(super) fn for_name(&self, name: Option<&str>) -> &Arc<ServerConfig> {
        let Some(name) = name.map(canonical) else { return &self.rest };
        let beside = || name.split_once('.').and_then(|(_, parent)| self.any_label.get(parent));
        self.exact.get(&name).or_else(beside).unwrap_or(&self.rest)
    }
}

/// Early data stays off, which is the default: it can be replayed, and a request with a token is what one would replay.
fn config(
    settings: &TlsSettings,
    names: &Arc<Names>,
    trust: Option<&Trust>,
    ticketer: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, CertificateError> {
    const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    const NEW: &[&SupportedProtocolVersion] = &[&TLS13];
    let versions = match settings.min_version {
        MinVersion::Tls12 => BOTH,
        MinVersion::Tls13 => NEW,
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions)?;
    let builder = match trust {
        Some(trust) => builder.with_client_cert_verifier(Arc::clone(&trust.verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(names) as Arc<_>);
    // Tickets or nothing: no sessions are kept here, so that there is one place to clear.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match trust {
        Some(_) => config.send_tls13_tickets = 0,
        None => {
            config.ticketer = Arc::clone(ticketer);
            // Clients use one.
            config.send_tls13_tickets = 1;
        }
    }
    let protocols: &[&[u8]] = if settings.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

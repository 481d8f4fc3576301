//! [`Names`]: which certificate a client gets, by the name that it asks for.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc};

use rustls::{
    SignatureAlgorithm, SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{CertificateError, DefaultCertificate, pair::Pair};

/// The certificates of a listener by their names. Those of one name are in the order in which they are tried: the quick ones first.
pub(super) struct Names {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what is behind `*.`.
    any_label: HashMap<String, Vec<Arc<CertifiedKey>>>,
    default: Vec<Arc<CertifiedKey>>,
}

impl Names {
    pub(super) fn of(pairs: &[Arc<Pair>], default: &DefaultCertificate) -> Result<Self, CertificateError> {
        let (mut exact, mut any_label) = (HashMap::new(), HashMap::new());
        for pair in pairs {
            for name in &pair.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut any_label, rest),
                    None => (&mut exact, name.as_str()),
                };
                insert(map, name, &pair.key);
            }
        }
        let mut names = Self { exact, any_label, default: Vec::new() };
        names.default = match default {
            DefaultCertificate::First => names.like_the_first(pairs),
            DefaultCertificate::Refused => Vec::new(),
            DefaultCertificate::Of(name) => {
                let keys: Vec<_> = names.candidates(&canonical(name)).cloned().collect();
                if keys.is_empty() {
                    return Err(CertificateError::NoDefault { name: name.clone() });
                }
                keys
            }
        };
        Ok(names)
    }

    /// Whether a certificate is for this host.
    pub(super) fn covers(&self, host: &str) -> bool {
        self.candidates(&canonical(host)).next().is_some()
    }

    /// Whether a client that asks for this name gets any certificate.
    pub(super) fn answers(&self, name: Option<&str>) -> bool {
        !self.default.is_empty() || name.is_some_and(|name| self.covers(name))
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(canonical).unwrap_or_default();
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let mut candidates = self.candidates(&name).peekable();
        // If there is one of the name, another name's would be of no use.
        let first = candidates.peek().copied().or(self.default.first());
        let found = match candidates.peek() {
            Some(_) => candidates.find(fits),
            None => self.default.iter().find(fits),
        };
        // Of a kind that the client does not know: then the handshake ends with the alert for that.
        found.or(first).cloned()
    }

    /// Those of the name itself, then those of all names beside it.
    fn candidates(&self, name: &str) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        // A star does not stand for a part of an address.
        let parent = name.split_once('.').filter(|(label, _)| !label.is_empty() && name.parse::<IpAddr>().is_err());
        let beside = parent.and_then(|(_, parent)| self.any_label.get(parent));
        self.exact.get(name).into_iter().chain(beside).flatten()
    }

    /// The first pair, and those that have one of its names.
    fn like_the_first(&self, pairs: &[Arc<Pair>]) -> Vec<Arc<CertifiedKey>> {
        let Some(first) = pairs.first() else { return Vec::new() };
        let alike = |pair: &&Arc<Pair>| pair.names.iter().any(|name| first.names.contains(name));
        let mut keys: Vec<_> = pairs.iter().filter(alike).map(|pair| Arc::clone(&pair.key)).collect();
        keys.sort_by_key(slowness);
        keys
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Names")
            .field("exact", &self.exact.len())
            .field("any_label", &self.any_label.len())
            .finish_non_exhaustive()
    }
}

/// In lower case and without the dot of the root.
pub(super) fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn insert(map: &mut HashMap<String, Vec<Arc<CertifiedKey>>>, name: &str, key: &Arc<CertifiedKey>) {
    let keys = map.entry(name.to_owned()).or_default();
    // A certificate may have a name twice.
    if !keys.iter().any(|known| Arc::ptr_eq(known, key)) {
        keys.push(Arc::clone(key));
        keys.sort_by_key(slowness);
    }
}

fn slowness(key: &Arc<CertifiedKey>) -> u8 {
    u8::from(key.key.algorithm() == SignatureAlgorithm::RSA)
}

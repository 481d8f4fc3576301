//! Errors that keep the listeners from accepting connections.

use std::io;

use super::Metrics;

/// One of the two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// The one for clients.
    Clients,
    /// The one for operators.
    Operators,
}

impl Listening {
    /// As in the config.
    const fn label(self) -> &'static str {
        match self {
            Self::Clients => "listen",
            Self::Operators => "admin",
        }
    }
}

impl Metrics {
    /// Counts a connection that could not be accepted.
    pub fn accept_failed(&self, listener: Listening, error: &io::Error) {
        self.accept_errors.with_label_values(&[listener.label(), kind(error)]).inc();
    }
}

/// The closed list behind the label `kind`.
fn kind(error: &io::Error) -> &'static str {
    // The same numbers on Linux, macOS and the BSDs.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match (error.raw_os_error(), error.kind()) {
        (Some(ENFILE | EMFILE), _) => "descriptors",
        (_, io::ErrorKind::OutOfMemory) => "memory",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_is_told_from_other_trouble() {
        let metrics = Metrics::new().unwrap();
        metrics.accept_failed(Listening::Clients, &io::Error::from_raw_os_error(24));
        metrics.accept_failed(Listening::Operators, &io::Error::from_raw_os_error(12));
        metrics.accept_failed(Listening::Operators, &io::Error::other("x"));
        let text = metrics.render().unwrap();
        for series in ["listener=\"listen\"", "listener=\"admin\""] {
            assert!(text.contains(series), "{text}");
        }
        for kind in ["descriptors", "memory", "other"] {
            assert!(text.contains(&format!("kind=\"{kind}\"")), "{kind}: {text}");
        }
    }
}

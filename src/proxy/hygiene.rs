//! What a client may not say to the upstream: identity headers, in every spelling.
//!
//! Many servers (CGI, WSGI, PHP and what stands on them) read `X_Remote_User` as `X-Remote-User`, so a dash and an underscore are one.

use http::HeaderName;
use pingora::http::RequestHeader;

use crate::proxy::HeaderSettings;

/// Names that frame a message or name its target. The header itself is the upstream's business; a spelling with an underscore is nobody's,
/// but CGI and WSGI read it as the real one.
const FRAMING: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The names that are removed from each request.
#[derive(Debug)]
pub(super) struct StripList {
    /// By first byte: most headers of a request begin with one that no name here begins with.
    names: [Vec<Unwanted>; 256],
    kept: &'static [&'static str],
}

/// A name, or the beginning of names, folded.
#[derive(Clone, Debug)]
enum Unwanted {
    Exactly(String),
    Beginning(String),
}

impl StripList {
    /// `written` are the headers that the gateway itself writes: it replaces those, and removes their other spellings.
    pub(super) fn new(settings: &HeaderSettings, written: &[&str]) -> Self {
        let mut list = Self { names: [const { Vec::new() }; 256], kept: &[] };
        for name in settings.strip.iter().map(String::as_str).chain(written.iter().copied()) {
            let unwanted = match name.strip_suffix('*') {
                Some(beginning) => Unwanted::Beginning(folded(beginning)),
                None => Unwanted::Exactly(folded(name)),
            };
            match unwanted.text().bytes().next() {
                Some(first) => list.names.get_mut(usize::from(first)).into_iter().for_each(|names| names.push(unwanted.clone())),
                // Every name begins with nothing.
                None => list.names.iter_mut().for_each(|names| names.push(unwanted.clone())),
            }
        }
        list
    }

    /// The same, but these names (in lower case) stay in this spelling.
    pub(super) fn except(self, kept: &'static [&'static str]) -> Self {
        Self { kept, ..self }
    }

    /// Removes them, but for those that are replaced right after. Running it again changes nothing more, as a retried request needs.
    pub(super) fn apply(&self, request: &mut RequestHeader, is_replaced: impl Fn(&HeaderName) -> bool) {
        let is_unwanted = |name: &&HeaderName| self.matches(name.as_str()) && !is_replaced(name);
        let unwanted: Vec<_> = request.headers.keys().filter(is_unwanted).cloned().collect();
        for name in unwanted {
            request.remove_header(&name);
        }
    }

    fn matches(&self, name: &str) -> bool {
        if self.kept.contains(&name) {
            return false;
        }
        // `HeaderName` is lower case already; only underscores are left to fold.
        if !name.contains('_') {
            return self.matches_folded(name);
        }
        let folded = folded(name);
        FRAMING.contains(&folded.as_str()) || self.matches_folded(&folded)
    }

    fn matches_folded(&self, name: &str) -> bool {
        let candidates = name.bytes().next().and_then(|first| self.names.get(usize::from(first)));
        candidates.is_some_and(|names| names.iter().any(|unwanted| unwanted.matches(name)))
    }
}

impl Unwanted {
    fn text(&self) -> &str {
        match self {
            Self::Exactly(text) | Self::Beginning(text) => text,
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exactly(text) => name == text,
            Self::Beginning(text) => name.starts_with(text.as_str()),
        }
    }
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(names: &[&'static str], list: &StripList) -> Vec<String> {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for name in names {
            request.append_header(*name, "x").unwrap();
        }
        list.apply(&mut request, |_| false);
        request.headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn every_spelling_of_a_listed_name_goes() {
        let list = StripList::new(&HeaderSettings::default(), &["authorization"]);
        let spoofed = ["X-Remote-User", "x_remote_user", "X-REMOTE_User", "Authorization", "X-Auth-CouchDB-Roles", "x_hasura-role"];
        assert_eq!(left(&spoofed, &list), Vec::<String>::new());
    }

    #[test]
    fn what_frames_a_message_has_one_spelling() {
        let list = StripList::new(&HeaderSettings::default(), &[]);
        assert_eq!(left(&["content-length", "content_length", "Transfer_Encoding", "host"], &list), ["content-length", "host"]);
    }

    #[test]
    fn all_values_of_a_name_go() {
        let list = StripList::new(&HeaderSettings { strip: vec!["X-User".into()] }, &[]);
        assert_eq!(left(&["x-user", "x-user", "accept"], &list), ["accept"]);
    }

    #[test]
    fn an_exception_stays_in_its_own_spelling_alone() {
        let list =
            StripList::new(&HeaderSettings::default(), &["authorization"]).except(&["authorization", "x-realm-access-token"]);
        let sent = ["authorization", "x-realm-access-token", "x_realm_access_token", "x-user"];
        assert_eq!(left(&sent, &list), ["authorization", "x-realm-access-token"]);
    }

    #[test]
    fn other_headers_stay() {
        let list = StripList::new(&HeaderSettings::default(), &["authorization"]);
        let kept = ["accept", "x-userland", "x-forwarded-for", "cookie", "content-type", "x-request-id"];
        assert_eq!(left(&kept, &list), kept);
    }
}

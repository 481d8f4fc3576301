//! What a client may not say to the upstream: identity headers, in every spelling.
//!
//! Many servers (CGI, WSGI, PHP and what stands on them) read `X_Remote_User` as `X-Remote-User`, so a dash and an underscore are one.

use std::collections::HashSet;

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
    exact: HashSet<String>,
    prefixes: Vec<String>,
    kept: &'static [&'static str],
}

impl StripList {
    /// `written` are the headers that the gateway itself writes: it replaces those, and removes their other spellings.
    pub(super) fn new(settings: &HeaderSettings, written: &[&str]) -> Self {
        let mut list = Self { exact: HashSet::new(), prefixes: Vec::new(), kept: &[] };
        for name in settings.strip.iter().map(String::as_str).chain(written.iter().copied()) {
            match name.strip_suffix('*') {
                Some(prefix) => list.prefixes.push(folded(prefix)),
                None => drop(list.exact.insert(folded(name))),
            }
        }
        list
    }

    /// The same, but these names (in lower case) stay in this spelling.
    pub(super) fn except(self, kept: &'static [&'static str]) -> Self {
        Self { kept, ..self }
    }

    /// Removes them. Running it again changes nothing more, as a retried request needs.
    pub(super) fn apply(&self, request: &mut RequestHeader) {
        let unwanted: Vec<_> = request.headers.keys().filter(|name| self.matches(name.as_str())).cloned().collect();
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
        self.exact.contains(name) || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
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
        list.apply(&mut request);
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

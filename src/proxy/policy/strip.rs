//! Headers that a client may not send to the upstream: identity headers, in every spelling, and hop-by-hop ones.
//!
//! Many servers (CGI, WSGI, PHP and others built on them) read `X_Remote_User` as `X-Remote-User`, and some treat every
//! character that is not a letter or digit alike, so all of these are equal here.

use http::{HeaderMap, HeaderName};
use pingora::Result;

use crate::proxy::{
    address,
    http::{Nominations, hop_by_hop},
    policy::header_settings::HeaderSettings,
};

/// Names that frame a message or name its target. The header itself is the upstream's business; a spelling with an underscore is nobody's,
/// but CGI and WSGI read it as the real one.
const FRAMING: [&str; 4] = ["content-encoding", "content-length", "content-type", "host"];

/// The names that are removed from each request.
#[derive(Debug)]
pub(in crate::proxy) struct StripList {
    /// By [`bucket`]: most headers of a request are in one that no name here is in.
    names: [Vec<Unwanted>; 256],
    kept: &'static [&'static str],
}

/// Folded names.
#[derive(Clone, Debug)]
enum Unwanted {
    /// This name, in every spelling.
    Name(String),
    /// This name, in every spelling but its own.
    OtherSpelling(&'static str),
    /// All names that begin with this.
    Beginning(String),
}

impl StripList {
    /// `written` are the headers that the gateway itself writes: it replaces those, and removes their other spellings.
    pub(in crate::proxy) fn new(settings: &HeaderSettings, written: &[&str]) -> Self {
        let mut list = Self { names: [const { Vec::new() }; 256], kept: &[] };
        for name in FRAMING {
            list.add(Unwanted::OtherSpelling(name));
        }
        list.add_all(settings.strip.iter().map(String::as_str).chain(written.iter().copied()).chain(hop_by_hop::NAMES));
        list
    }

    /// With what tells who the client is, which upstreams hear from the gateway alone.
    pub(super) fn with_tellings(mut self) -> Self {
        self.add_all(address::TELLING.into_iter());
        self
    }

    fn add_all<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            self.add(match name.strip_suffix('*') {
                Some(beginning) => Unwanted::Beginning(folded(beginning)),
                None => Unwanted::Name(folded(name)),
            });
        }
    }

    fn add(&mut self, unwanted: Unwanted) {
        let text = unwanted.text().as_bytes();
        if matches!(unwanted, Unwanted::Beginning(_)) && text.len() < BUCKET_BYTES {
            self.names.iter_mut().for_each(|names| names.push(unwanted.clone()));
        } else if let Some(names) = self.names.get_mut(bucket(text)) {
            names.push(unwanted);
        }
    }

    /// The same, but these names (in lower case) stay in this spelling.
    pub(super) fn except(self, kept: &'static [&'static str]) -> Self {
        Self { kept, ..self }
    }

    /// Says of the names of a header which are unwanted: what is listed, and what its `Connection` names.
    ///
    /// Errors: 400 for a `Connection` that names what is not its own.
    pub(in crate::proxy) fn unwanted_in<'a>(&'a self, headers: &HeaderMap) -> Result<impl Fn(&HeaderName) -> bool + use<'a>> {
        let nominations = Nominations::of(headers)?;
        Ok(move |name: &HeaderName| self.matches(name.as_str()) || nominations.name(name))
    }

    fn matches(&self, name: &str) -> bool {
        let candidates = self.names.get(bucket(name.as_bytes()));
        let is_unwanted = candidates.is_some_and(|names| names.iter().any(|unwanted| unwanted.matches(name)));
        is_unwanted && !self.kept.contains(&name)
    }
}

impl Unwanted {
    fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Beginning(text) => text,
            Self::OtherSpelling(text) => text,
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(text) => equals_folded(name.as_bytes(), text),
            Self::OtherSpelling(text) => name != *text && equals_folded(name.as_bytes(), text),
            Self::Beginning(text) => name.as_bytes().get(..text.len()).is_some_and(|beginning| equals_folded(beginning, text)),
        }
    }
}

fn equals_folded(name: &[u8], text: &str) -> bool {
    // Most often it is spelled like that.
    name == text.as_bytes() || (name.len() == text.len() && name.iter().map(|byte| fold(*byte)).eq(text.bytes()))
}

fn folded(name: &str) -> String {
    name.bytes().map(|byte| char::from(fold(byte))).collect()
}

fn fold(byte: u8) -> u8 {
    /// Looked up, since many bytes of each request are asked about.
    const FOLDED: [u8; 256] = {
        let mut folded = [b'-'; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            if byte.is_ascii_alphanumeric() {
                folded[byte as usize] = byte.to_ascii_lowercase();
            }
            byte += 1;
        }
        folded
    };
    FOLDED.get(usize::from(byte)).copied().unwrap_or(b'-')
}

/// How many bytes of a name [`bucket`] looks at.
const BUCKET_BYTES: usize = 3;

/// By the first and the third byte: many names begin with `x-`.
fn bucket(name: &[u8]) -> usize {
    let at = |index: usize| name.get(index).map_or(0, |byte| fold(*byte));
    usize::from(at(0).wrapping_mul(8) ^ at(2))
}

#[cfg(test)]
mod tests {
    use pingora::http::RequestHeader;

    use super::*;

    fn left(names: &[&'static str], list: &StripList) -> Vec<String> {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for name in names {
            request.append_header(*name, "x").unwrap();
        }
        let is_unwanted = list.unwanted_in(&request.headers).unwrap();
        request.headers.keys().filter(|name| !is_unwanted(name)).map(ToString::to_string).collect()
    }

    #[test]
    fn every_spelling_of_a_listed_name_goes() {
        let list = StripList::new(&HeaderSettings::default(), &["authorization"]);
        let spoofed = [
            "X-Remote-User",
            "x_remote_user",
            "X-REMOTE_User",
            "x.remote.user",
            "x-remote~user",
            "Authorization",
            "X-Auth-CouchDB-Roles",
            "x_hasura-role",
            "SCRIPT_NAME",
        ];
        assert_eq!(left(&spoofed, &list), Vec::<String>::new());
    }

    #[test]
    fn what_frames_a_message_has_one_spelling() {
        let list = StripList::new(&HeaderSettings::default(), &[]);
        assert_eq!(left(&["content-length", "content_length", "Content_Type", "host"], &list), ["content-length", "host"]);
    }

    #[test]
    fn what_is_hop_by_hop_goes_no_further() {
        let list = StripList::new(&HeaderSettings { strip: Vec::new() }, &[]);
        let names = [
            "connection",
            "http2-settings",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        assert_eq!(left(&names, &list), Vec::<String>::new());
        assert_eq!(left(&["Transfer_Encoding", "Proxy_Authorization", "Keep_Alive", "content-length"], &list), ["content-length"]);
    }

    #[test]
    fn what_connection_names_goes_too() {
        let list = StripList::new(&HeaderSettings { strip: Vec::new() }, &[]);
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in [("Connection", "keep-alive, X-Private"), ("X-Private", "1"), ("X-Custom", "2")] {
            request.append_header(name, value).unwrap();
        }
        let is_unwanted = list.unwanted_in(&request.headers).unwrap();
        assert_eq!(request.headers.keys().filter(|name| !is_unwanted(name)).collect::<Vec<_>>(), ["x-custom"]);
        request.insert_header("Connection", "host").unwrap();
        assert!(list.unwanted_in(&request.headers).is_err());
    }

    #[test]
    fn a_short_beginning_is_found_in_every_bucket() {
        let list = StripList::new(&HeaderSettings { strip: vec!["x-*".into(), "ab".into(), "c".into()] }, &[]);
        assert_eq!(left(&["x-a", "x_zebra", "xa", "ab", "abc", "c", "d"], &list), ["xa", "abc", "d"]);
    }

    #[test]
    fn names_of_another_host_go_where_a_route_has_one() {
        let sent = [
            "forwarded",
            "x-forwarded-host",
            "X_FORWARDED_HOST",
            "x-host",
            "x-forwarded-server",
            "x-original-host",
            "x-http-host-override",
        ];
        let list = |host: Option<&str>| {
            let hosts = [None, host.map(str::to_owned)];
            StripList::new(&HeaderSettings::default().for_hosts(hosts.iter()), &[])
        };
        assert_eq!(left(&sent, &list(Some("admin.test"))), Vec::<String>::new());
        assert_eq!(left(&sent, &list(None)).len(), sent.len());
        assert_eq!(left(&["x-forwarded-for", "x-forwarded-proto"], &list(Some("admin.test"))).len(), 2);
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
    fn what_tells_who_the_client_is_goes_in_every_spelling() {
        let list = StripList::new(&HeaderSettings { strip: Vec::new() }, &[]).with_tellings();
        let names = ["x-forwarded-for", "X_Forwarded_Proto", "forwarded", "x.real.ip", "x-forwarded-server", "x-edge"];
        assert_eq!(left(&names, &list), ["x-edge"]);
    }

    #[test]
    fn other_headers_stay() {
        let list = StripList::new(&HeaderSettings::default(), &["authorization"]);
        let kept = ["accept", "x-userland", "x-forwarded-for", "cookie", "content-type", "x-request-id"];
        assert_eq!(left(&kept, &list), kept);
    }
}

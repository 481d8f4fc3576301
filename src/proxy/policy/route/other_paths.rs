//! Paths that a request names in its header: the destination or the source of a copy. The request is checked against their
//! routes too.

use http::{HeaderMap, HeaderValue};

use super::{Found, RouteTable};
use crate::{
    proxy::{http::same_name, policy::target},
    token::Rejection,
};

/// More places that a relative path may begin at are not looked into.
const MAX_BASES: usize = 64;

/// A path that a request names beside its target.
#[derive(Debug, PartialEq, Eq)]
struct OtherPath {
    /// What the request does there.
    method: &'static str,
    path: Vec<u8>,
    /// Whether it is that by the specification. Else some server alone takes it for that, so that what no route takes, or another upstream
    /// has, does not count.
    is_certain: bool,
}

impl RouteTable {
    /// The route of a request with a header in which [`Fields::names_path`](crate::proxy::http::Fields::names_path) was found: that
    /// of its target, checked against those of all paths that it names. `COPY` writes to its `Destination`, and `MOVE` deletes too
    /// (RFC 4918 sections 9.8 and 9.9); an `Upload-Concat` of tus reads all that it lists.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`Rejection::AmbiguousPath`] where such a path is on another host, cannot be read, or no route takes it.
    pub(in crate::proxy) fn find_with_others(
        &self,
        host: &str,
        method: &str,
        path: &[u8],
        headers: &HeaderMap,
    ) -> Result<Found<'_>, Rejection> {
        let found = self.find(host, method, path)?;
        let folded = method.to_ascii_uppercase();
        let rules = self.same_everywhere(host, method);
        let is_same = |method: &str| rules.is_some() && self.same_everywhere(host, method) == rules;
        if !self.has_hosts && [folded.as_str(), "PUT", "DELETE", "GET"].into_iter().all(is_same) {
            return Ok(found);
        }
        let mut others = Vec::new();
        for other in other_paths(host, &folded, path, headers).ok_or(Rejection::AmbiguousPath)? {
            match self.find(host, other.method, &other.path) {
                Ok(of_other) if other.is_certain || of_other.route.upstream == found.route.upstream => others.push(of_other),
                Err(Rejection::NoRoute) | Ok(_) if !other.is_certain => {}
                _ => return Err(Rejection::AmbiguousPath),
            }
        }
        self.held_to_all(&found, &others)
    }
}

/// The paths that a request names in its header. None if one of them cannot be read. `method` in upper case.
fn other_paths(host: &str, method: &str, path: &[u8], headers: &HeaderMap) -> Option<Vec<OtherPath>> {
    let is_move = method == "MOVE";
    let (mut destination, mut concatenated) = (None, None);
    for (name, value) in headers {
        let name = name.as_str();
        let one = match name {
            "destination" if is_move || method == "COPY" => &mut destination,
            // OpenStack's: of another account.
            _ if same_name(name, "destination-account") => return None,
            _ if same_name(name, "upload-concat") => &mut concatenated,
            // Of object stores: in terms of a bucket or an account, which are in no place of the path that is known here.
            _ if is_copied_from(name) => return None,
            _ => continue,
        };
        if one.replace(value).is_some() {
            return None;
        }
    }
    let mut paths = Vec::new();
    if let Some(destination) = destination {
        readings(host, path, destination.as_bytes(), "PUT", &mut paths)?;
        if is_move {
            paths.push(OtherPath { method: "DELETE", path: path.to_vec(), is_certain: true });
        }
    }
    for part in concatenated.map_or(Some(Vec::new()), parts)? {
        readings(host, path, part, "GET", &mut paths)?;
    }
    Some(paths)
}

/// `X-Copy-From`, `X-Amz-Copy-Source` and their like.
fn is_copied_from(name: &str) -> bool {
    name.starts_with('x')
        && ["copy-from", "copy-source"].iter().any(|known| {
            let parts = (0..name.len()).filter_map(|start| name.get(start..start + known.len()));
            parts.into_iter().any(|part| same_name(part, known))
        })
}

/// What an upload consists of (tus 1.0, concatenation). None if it does not say so.
fn parts(value: &HeaderValue) -> Option<Vec<&[u8]>> {
    const FINAL: &[u8] = b"final;";
    let value = value.as_bytes().trim_ascii();
    if value.eq_ignore_ascii_case(b"partial") {
        return Some(Vec::new());
    }
    let (kind, list) = value.split_at_checked(FINAL.len())?;
    kind.eq_ignore_ascii_case(FINAL).then(|| list.split(|byte| *byte == b' ').filter(|part| !part.is_empty()).collect())
}

/// What a reference may be for servers, by a request for `path`. None if it is at another host, or cannot be read.
///
/// CouchDB takes all that has no scheme for the name of a document, beside the one that is copied; OpenStack's object store for one
/// below the account.
fn readings(host: &str, path: &[u8], reference: &[u8], method: &'static str, paths: &mut Vec<OtherPath>) -> Option<()> {
    let reference = reference.split(|byte| *byte == b'?').next()?.trim_ascii();
    if let Some(rest) = reference.strip_prefix(b"http://").or_else(|| reference.strip_prefix(b"https://")) {
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'\\' | b'#')).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let path = if rest.is_empty() { b"/" } else { rest };
        paths.push(OtherPath { method, path: path.to_vec(), is_certain: true });
        return (target::is_of_host(authority, host) && path.starts_with(b"/")).then_some(());
    }
    let has_scheme = reference.windows(3).any(|part| part == b"://");
    if has_scheme || matches!(reference, [] | [b'/' | b'\\', b'/' | b'\\', ..] | [b'\\', ..]) {
        return None;
    }
    let (is_absolute, rest) = reference.strip_prefix(b"/").map_or((false, reference), |rest| (true, rest));
    let slashes: Vec<_> = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).collect();
    if slashes.len() > MAX_BASES {
        return None;
    }
    for (index, slash) in slashes.iter().enumerate() {
        let is_certain = if is_absolute { index == 0 } else { index + 1 == slashes.len() };
        let base = path.get(..*slash)?;
        paths.push(OtherPath { method, path: [base, b"/", rest].concat(), is_certain });
    }
    Some(())
}

#[cfg(test)]
#[path = "other_paths_tests.rs"]
mod tests;

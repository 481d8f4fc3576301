//! Spellings of what is guarded: a generator, the same ones each time.

mod fields;
mod hosts;
mod known;
mod paths;

use std::collections::HashSet;

use super::request::{Family, Request};

/// How many are made: one in so many of all, and those that once led around some gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneIn(pub usize);

impl OneIn {
    fn of<T>(self, all: Vec<T>) -> impl Iterator<Item = T> {
        all.into_iter().step_by(self.0)
    }
}

/// A request with what it tries to get round.
pub struct Spelling {
    pub family: Family,
    pub request: Request,
}

/// All spellings, none twice.
pub fn all(extent: OneIn) -> Vec<Spelling> {
    // The login is one more path: what holds for the other need not be tried as often.
    let path =
        known::paths("admin").into_iter().chain(extent.of(paths::of("admin"))).map(|target| (Family::Path, Request::get(target)));
    let of_login = OneIn(extent.0 * 7).of(paths::of("auth"));
    let login = known::paths("auth").into_iter().chain(of_login).map(|target| (Family::Login, login(target)));
    let host = known::hosts().into_iter().chain(extent.of(hosts::all())).map(|request| (Family::Host, request));
    let prefix = known::prefixes().into_iter().chain(extent.of(fields::prefixes())).map(|request| (Family::Prefix, request));
    let method = known::overrides().into_iter().chain(extent.of(fields::overrides())).map(|request| (Family::Override, request));
    let mut made = HashSet::new();
    let every = path.chain(login).chain(host).chain(prefix).chain(method);
    every.filter(|(_, request)| made.insert(request.clone())).map(|(family, request)| Spelling { family, request }).collect()
}

/// A login with a provider that the gateway does not let by.
fn login(target: Vec<u8>) -> Request {
    Request { method: "POST", body: r#"{"provider":"nickname","data":"x","app_id":""}"#, ..Request::get(target) }
}

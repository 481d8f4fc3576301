//! The settings of the whole edge.

use crate::{
    limits::LimitSettings,
    proxy::{HeaderSettings, ListenSettings, RouteSettings, TellSettings, UpstreamSettings},
};

/// Everything the edge needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxySettings {
    /// The listener.
    pub listen: ListenSettings,
    /// The backends; never empty.
    pub upstreams: Vec<UpstreamSettings>,
    /// The routes; never empty.
    pub routes: Vec<RouteSettings>,
    /// Header hygiene.
    pub headers: HeaderSettings,
    /// What upstreams are told of clients.
    pub tell: TellSettings,
    /// How often, and how many at a time.
    pub limits: LimitSettings,
    /// The `realm` of challenges. Default [`REALM`](Self::REALM).
    pub realm: String,
}

impl ProxySettings {
    /// The default realm.
    pub const REALM: &'static str = "syncgate";
}

//! The limits of the printout.

use crate::{
    config::{print::yaml::Yaml, read::limits::show_rate},
    limits::LimitSettings,
};

/// The keys of `limits`.
pub(super) fn print_limits(limits: &LimitSettings, yaml: &mut Yaml) {
    let count = |count: Option<u32>| count.map_or_else(|| "none".to_owned(), |count| count.to_string());
    yaml.open("limits");
    yaml.open("address");
    yaml.plain("connections", count(limits.address.connections));
    yaml.plain("new", show_rate(limits.address.new));
    yaml.plain("handshakes", count(limits.address.handshakes));
    yaml.plain("refused", show_rate(limits.address.refused));
    yaml.close();
    yaml.open("user");
    yaml.plain("requests", show_rate(limits.user.requests));
    yaml.plain("sockets", count(limits.user.sockets));
    yaml.plain("mints", show_rate(limits.user.mints));
    yaml.close();
    yaml.close();
}

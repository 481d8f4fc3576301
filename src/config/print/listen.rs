//! The listeners of the printout.

use crate::{
    config::{
        print::{tls::print_tls, yaml::Yaml},
        read::addresses,
    },
    proxy::{ListenSettings, ListenerSettings},
};

/// The keys of `listen`.
pub(super) fn print_listen(listen: &ListenSettings, yaml: &mut Yaml) {
    let (first, further) = listen.listeners.split_first().unzip();
    yaml.open("listen");
    if let Some(first) = first {
        yaml.text("address", &first.address.to_string());
        keys(first, yaml);
    }
    if let Some(further) = further.filter(|further| !further.is_empty()) {
        yaml.open("also");
        for listener in further {
            yaml.element("address", &listener.address.to_string());
            keys(listener, yaml);
            yaml.close();
        }
        yaml.close();
    }
    yaml.plain("max_connections", listen.max_connections);
    yaml.duration("header_timeout", listen.header_timeout);
    yaml.duration("keepalive_timeout", listen.keepalive_timeout);
    yaml.duration("body_timeout", listen.body_timeout);
    yaml.duration("write_timeout", listen.write_timeout);
    yaml.size("header_bytes", listen.header_bytes);
    yaml.limit("max_stream_age", listen.max_stream_age);
    yaml.duration("stream_grace", listen.stream_grace);
    yaml.limit("ping_every", listen.ping_every);
    yaml.list("trusted_proxies", &listen.trust.proxies.ranges().iter().map(ToString::to_string).collect::<Vec<_>>());
    yaml.text("client_address", addresses::name_of(&listen.trust.client_field));
    yaml.open("http2");
    yaml.plain("max_streams", listen.http2.max_streams);
    yaml.limit("max_age", listen.http2.max_age);
    yaml.close();
    yaml.close();
}

/// Those of one listener, but for its address.
fn keys(listener: &ListenerSettings, yaml: &mut Yaml) {
    yaml.plain("proxy_protocol", listener.proxy_protocol);
    match &listener.tls {
        Some(tls) => print_tls(tls, yaml),
        None => yaml.plain("redirect_to_https", listener.redirect_port.map_or("none".to_owned(), |port| port.to_string())),
    }
}

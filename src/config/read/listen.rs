//! `listen`: the listeners for clients.

use std::{net::SocketAddr, time::Duration};

use crate::{
    config::{
        field::Field,
        read::{addresses, tls},
        section::Section,
    },
    proxy::{Http2Settings, ListenSettings, ListenerSettings},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const MAX_FURTHER_LISTENERS: usize = 16;

pub(in crate::config) fn listen(mut section: Section<'_>) -> ListenSettings {
    let default = ListenSettings::default();
    let settings = ListenSettings {
        listeners: listeners(&mut section),
        max_connections: section.number("max_connections", default.max_connections, 1..=1_000_000),
        header_timeout: section.duration(
            "header_timeout",
            default.header_timeout,
            Duration::from_millis(100)..=Duration::from_secs(300),
        ),
        keepalive_timeout: section.duration("keepalive_timeout", default.keepalive_timeout, SECOND..=HOUR),
        body_timeout: section.duration("body_timeout", default.body_timeout, SECOND..=HOUR),
        write_timeout: section.duration("write_timeout", default.write_timeout, SECOND..=HOUR),
        header_bytes: section.size("header_bytes", default.header_bytes, 1_024..=1_048_576),
        max_stream_age: section.limit("max_stream_age", SECOND..=HOUR * 24 * 30),
        stream_grace: section.duration("stream_grace", default.stream_grace, Duration::ZERO..=SECOND * 60),
        ping_every: section.limit("ping_every", SECOND..=HOUR),
        trust: addresses::trust(&mut section),
        http2: http2(section.section("http2")),
    };
    if settings.trust.proxies.is_empty() && settings.listeners.iter().any(|listener| listener.proxy_protocol) {
        section.missing("trusted_proxies", "the load balancers whose PROXY protocol is believed; every other connection is closed");
    }
    section.finish();
    settings
}

fn http2(mut section: Section<'_>) -> Http2Settings {
    let default = Http2Settings::default();
    let settings = Http2Settings {
        max_streams: section.number("max_streams", default.max_streams, 1..=1_000),
        max_age: section.limit_or("max_age", default.max_age, SECOND * 60..=HOUR * 24 * 30),
    };
    section.finish();
    settings
}

/// The listener of the section itself, and those of `also`.
fn listeners(section: &mut Section<'_>) -> Vec<ListenerSettings> {
    let mut listeners = vec![listener(section, Some(ListenerSettings::default().address))];
    let Some(also) = section.field("also") else { return listeners };
    let elements = also.elements();
    if elements.len() > MAX_FURTHER_LISTENERS {
        also.problem(format!("the list has {} elements; accepted: up to {MAX_FURTHER_LISTENERS}", elements.len()));
        return listeners;
    }
    for element in elements {
        let mut section = element.section();
        let listener = listener(&mut section, None);
        section.finish();
        if listeners.iter().any(|other| meet(other.address, listener.address)) {
            element.problem(format!("{} is the address of another listener too; accepted: different ports", listener.address));
        }
        if has_acme(&listener) && listeners.iter().any(has_acme) {
            element.problem("a certificate is issued for one listener; in the others name its file: chain_file and key_file");
        }
        listeners.push(listener);
    }
    listeners
}

fn has_acme(listener: &ListenerSettings) -> bool {
    listener.tls.as_ref().is_some_and(|tls| tls.acme.is_some())
}

/// One listener. Without a default, it has to name its address.
fn listener(section: &mut Section<'_>, default: Option<SocketAddr>) -> ListenerSettings {
    let address = match default {
        Some(default) => section.address("address", default),
        None => section.required_address("address").unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
    };
    let tls = section.field("tls").map(|field| tls::settings(&field));
    let redirect_port = section.field("redirect_to_https").and_then(|field| redirect_port(&field));
    if tls.is_some() && redirect_port.is_some() {
        section.refuse("redirect_to_https", "is for a listener without tls: there is nothing to redirect to");
    }
    ListenerSettings { address, proxy_protocol: section.flag("proxy_protocol", false), tls, redirect_port }
}

/// The port of https, as clients see it.
fn redirect_port(field: &Field<'_>) -> Option<u16> {
    const ACCEPTED: &str = "none, or the port of https as clients see it: 1 to 65535 (default none)";
    if field.scalar(ACCEPTED)? == "none" {
        return None;
    }
    field.quantity(|text| text.parse().ok(), ["small", "large"], &(1..=u16::MAX), ACCEPTED)
}

/// Whether only one of two listeners could have its address.
pub(in crate::config) fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_address
}

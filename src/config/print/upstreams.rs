//! The printout of an upstream.

use crate::{
    config::{
        print::yaml::{Yaml, word},
        read::upstreams,
    },
    proxy::{Target, UpstreamSettings},
};

pub(super) fn print_upstream(upstream: &UpstreamSettings, yaml: &mut Yaml) {
    yaml.open(&upstream.name);
    match upstream.targets.as_slice() {
        [only] => yaml.text("url", &url(upstream, only)),
        several => yaml.list("url", &several.iter().map(|target| url(upstream, target)).collect::<Vec<_>>()),
    }
    if let Some(path) = &upstream.ca_file {
        yaml.path("ca_file", path);
    }
    if upstream.server_name.is_some() || upstream.certificate.is_some() {
        yaml.open("tls");
        if let Some(name) = &upstream.server_name {
            yaml.text("server_name", name);
        }
        if let Some(files) = &upstream.certificate {
            yaml.path("certificate", &files.certificate);
            yaml.path("key", &files.key);
        }
        yaml.close();
    }
    yaml.plain("http2", upstream.http2);
    yaml.plain("host", word(&upstreams::HOST_HEADERS, &upstream.host_header));
    yaml.plain("sticky", upstream.sticky);
    if let Some(health) = &upstream.health {
        yaml.open("health");
        yaml.text("path", &health.path);
        yaml.duration("every", health.every);
        yaml.duration("timeout", health.timeout);
        yaml.close();
    }
    yaml.duration("connect_timeout", upstream.connect_timeout);
    yaml.duration("read_timeout", upstream.read_timeout);
    yaml.duration("write_timeout", upstream.write_timeout);
    yaml.duration("idle_timeout", upstream.idle_timeout);
    yaml.duration("resolve_every", upstream.resolve_every);
    yaml.duration("drain_spread", upstream.drain_spread);
    yaml.close();
}

fn url(upstream: &UpstreamSettings, target: &Target) -> String {
    match target {
        Target::Socket(_) => target.to_string(),
        Target::Host { .. } => {
            let scheme = if upstream.tls { "https" } else { "http" };
            format!("{scheme}://{target}{}", upstream.prefix)
        }
    }
}

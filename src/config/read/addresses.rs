//! Who the client is: the keys of `listen` and `headers` that are about addresses.

use http::HeaderName;
use ipnet::IpNet;

use crate::{
    config::{
        formats::{Format, HEADER},
        section::Section,
    },
    proxy::{ClientField, ForwardedFor, TellSettings, TrustSettings, TrustedProxies},
};

pub(in crate::config) const FORWARDED_FOR: [(&str, ForwardedFor); 2] =
    [("client", ForwardedFor::Client), ("chain", ForwardedFor::Chain)];

/// Fields that say something else, or that no request is without.
const NO_CLIENT: [&str; 8] =
    ["authorization", "connection", "content-length", "content-type", "cookie", "host", "transfer-encoding", "upgrade"];

const RANGE: Format<IpNet> =
    Format { accepted: "an address, or a range such as 10.0.0.0/8 or 2001:db8::/32", shown: true, parse: range };
const CLIENT_FIELD: Format<ClientField> =
    Format { accepted: "x-forwarded-for, forwarded, or the name of another field", shown: true, parse: client_field };

/// Which proxies in front are believed.
pub(in crate::config) fn trust(section: &mut Section<'_>) -> TrustSettings {
    let ranges = section.field("trusted_proxies");
    let proxies = ranges.as_ref().map(|field| field.texts(&RANGE)).unwrap_or_default();
    if let Some(field) = ranges.filter(|_| proxies.iter().any(is_wide)) {
        field.warning(
            "covers so many addresses that clients may be among them, and could then claim any address; name the proxies alone",
        );
    }
    let field = section.field("client_address");
    if let Some(field) = field.as_ref().filter(|_| proxies.is_empty()) {
        field.warning("is not read from anyone, since trusted_proxies names no proxy");
    }
    let client_field = field.and_then(|field| field.text(&CLIENT_FIELD)).unwrap_or_default();
    TrustSettings { proxies: TrustedProxies::new(proxies), client_field }
}

/// What upstreams are told.
pub(in crate::config) fn tell(section: &mut Section<'_>) -> TellSettings {
    let default = TellSettings::default();
    TellSettings {
        forwarded_for: section.choice("forwarded_for", &FORWARDED_FOR, default.forwarded_for),
        forwarded: section.flag("forwarded", default.forwarded),
    }
}

/// The name of the field, as the config has it.
pub(in crate::config) fn name_of(field: &ClientField) -> &str {
    match field {
        ClientField::XForwardedFor => "x-forwarded-for",
        ClientField::Forwarded => "forwarded",
        ClientField::Named(name) => name.as_str(),
    }
}

/// No network of proxies is as large, and no provider's.
fn is_wide(range: &IpNet) -> bool {
    match range {
        IpNet::V4(range) => range.prefix_len() < 8,
        IpNet::V6(range) => range.prefix_len() < 16,
    }
}

fn range(text: &str) -> Result<IpNet, &'static str> {
    let range = match text.parse::<std::net::IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| "is not a range of addresses")?,
    };
    match range {
        _ if range.trunc() != range => Err("has bits behind its prefix; write the first address of the range"),
        IpNet::V6(of_v6) if of_v6.prefix_len() >= 96 && of_v6.addr().to_ipv4_mapped().is_some() => {
            Err("is of IPv4 in the form of IPv6; write it as IPv4")
        }
        range => Ok(range),
    }
}

fn client_field(text: &str) -> Result<ClientField, &'static str> {
    let name = (HEADER.parse)(text)?;
    match name.as_str() {
        "x-forwarded-for" => Ok(ClientField::XForwardedFor),
        "forwarded" => Ok(ClientField::Forwarded),
        other if NO_CLIENT.contains(&other) => Err("says something else"),
        other => HeaderName::from_bytes(other.as_bytes()).map(ClientField::Named).map_err(|_| "is not a header name"),
    }
}

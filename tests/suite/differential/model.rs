//! The models of `tests/oracle`, held against the servers themselves.

use super::{
    program::Setup,
    request::{Family, Handler, Seen},
    spellings::Spelling,
    trial::Readings,
};
use crate::oracle::{Server, is_covered};

const MODELS: &[(&str, Server)] = &[
    ("nginx", Server::Nginx),
    ("nginx-expression", Server::Nginx),
    ("nginx-caseless", Server::NginxUnmerged),
    ("apache", Server::Apache),
    ("apache-slashes-decoded", Server::ApacheSlashesDecoded),
    ("apache-slashes-left", Server::ApacheSlashesLeft),
    ("caddy", Server::Caddy),
    ("caddy-expression", Server::Caddy),
    ("haproxy", Server::HaProxy),
    ("haproxy-decoded", Server::HaProxyDecoded),
    ("haproxy-normalised", Server::HaProxyNormalised),
    ("lighttpd", Server::Lighttpd),
    ("lighttpd-decoded", Server::Lighttpd),
    ("varnish", Server::Varnish),
    ("envoy-mesh", Server::Envoy),
    ("envoy-unescaped", Server::EnvoyUnescaped),
    ("envoy-untouched", Server::EnvoyUntouched),
    ("node-url", Server::NodeUrl),
    ("node-url-decoded", Server::NodeUrlDecoded),
    ("node-url-legacy", Server::NodeUrlLegacy),
    ("express", Server::Express),
    ("koa", Server::Koa),
    ("fastify", Server::Fastify),
    ("fastify-loose", Server::FastifyLoose),
    ("hapi", Server::Hapi),
    ("hono", Server::Hono),
    ("flask", Server::Flask),
    ("django", Server::Django),
    ("bottle", Server::Bottle),
    ("wsgi", Server::Wsgi),
    ("starlette", Server::Starlette),
    ("rack", Server::Rack),
    ("sinatra", Server::Sinatra),
    ("jetty-servlets", Server::Jetty),
    ("jetty-forwarded", Server::Jetty),
    ("php", Server::Php),
];

/// How a model and its server agree about a server's spellings.
#[derive(Debug, Default)]
struct Agreement {
    spellings: usize,
    /// Of those that the server took for what is guarded, those that the model does not.
    missed: Vec<String>,
    /// Those that the model takes for what is guarded, and the server does not, or refuses.
    cautious: usize,
    /// Those whose path the server told.
    told: usize,
    /// Of these, those whose path is among the model's readings.
    read_alike: usize,
}

/// Holds each model against its server, says how far they agree, and returns what a server takes for guarded and its model does not.
pub fn compare(setups: &[Setup], spellings: &[Spelling], readings: &Readings) -> Vec<String> {
    let mut missed = Vec::new();
    let mut total = Agreement::default();
    for (setup, seen) in setups.iter().zip(&readings.seen) {
        let (_, server) =
            MODELS.iter().find(|(name, _)| *name == setup.name).unwrap_or_else(|| panic!("{} has no model", setup.name));
        let agreement = agreement(*server, spellings, seen);
        println!(
            "  {:<24} {:>6} spellings, {:>4} missed by the model, {:>6} that it alone guards, {:>6} of {:>6} paths alike",
            setup.name,
            agreement.spellings,
            agreement.missed.len(),
            agreement.cautious,
            agreement.read_alike,
            agreement.told
        );
        total.spellings += agreement.spellings;
        total.cautious += agreement.cautious;
        total.told += agreement.told;
        total.read_alike += agreement.read_alike;
        missed.extend(agreement.missed.into_iter().map(|spelling| format!("{}: {spelling}", setup.name)));
    }
    let same = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    println!(
        "  models: {} of {} decisions alike ({:.2} %), {} paths of {} ({:.2} %)",
        total.spellings - total.cautious - missed.len(),
        total.spellings,
        same(total.spellings - total.cautious - missed.len(), total.spellings),
        total.read_alike,
        total.told,
        same(total.read_alike, total.told)
    );
    missed
}

fn agreement(server: Server, spellings: &[Spelling], seen: &[Seen]) -> Agreement {
    let mut agreement = Agreement::default();
    for (spelling, seen) in spellings.iter().zip(seen).filter(|(spelling, _)| spelling.family == Family::Path) {
        let target = &spelling.request.target;
        // What begins otherwise, or holds white space, is no target.
        if target.first() != Some(&b'/') || target.iter().any(u8::is_ascii_whitespace) {
            continue;
        }
        agreement.spellings += 1;
        let readings = server.readings(target);
        let by_model = readings.iter().any(|reading| is_covered(reading, "/admin", false));
        let by_server = matches!(seen.handler, Handler::Admin | Handler::Below);
        match (by_model, by_server) {
            (false, true) => agreement.missed.push(format!(
                "{} is {} ({}), not {}",
                target.escape_ascii(),
                seen.handler.name(),
                seen.path.as_deref().unwrap_or_default().escape_ascii(),
                readings.first().map(|reading| reading.escape_ascii().to_string()).unwrap_or_default()
            )),
            (true, false) => agreement.cautious += 1,
            _ => {}
        }
        if let Some(path) = &seen.path {
            agreement.told += 1;
            agreement.read_alike += usize::from(readings.contains(path));
        }
    }
    agreement
}

//! The proxies as users run them: which program, and with what.

use std::{
    error::Error,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::{
    harness::{
        issuer::Issuer,
        program::{Program, Recipe, log_file},
    },
    results::Case,
};

/// Them, in the order in which the results name them.
pub const PEERS: [Case; 9] = [
    Case::Nginx,
    Case::NginxWithoutLog,
    Case::Haproxy,
    Case::HaproxyJwtVerify,
    Case::Envoy,
    Case::EnvoyJwtAuthn,
    Case::EnvoyJwtAuthnCache,
    Case::Syncgate,
    Case::SyncgateWithoutLog,
];

/// Starts a peer on a core and waits until it listens.
pub fn start(case: Case, core: usize, upstream: SocketAddr, issuer: &Issuer) -> Result<Program, Box<dyn Error>> {
    start_of(&program(case), case, core, upstream, issuer)
}

/// The same, of another build.
pub fn start_of(program: &Path, case: Case, core: usize, upstream: SocketAddr, issuer: &Issuer) -> Result<Program, Box<dyn Error>> {
    let (arguments, config) = (arguments(case), config(case));
    let recipe = Recipe { title: case.title(), program, arguments, config, is_syncgate: case.is_syncgate() };
    Program::start(&recipe, core, upstream, issuer, |folder| {
        // Lines written together, as the gateway and Envoy do it.
        let log = format!("{} combined buffer=64k flush=1s", log_file(folder).display());
        let cache = "jwt_cache_config: { jwt_cache_size: 1000 }";
        Ok(vec![
            ("log_requests", (case != Case::SyncgateWithoutLog).to_string()),
            ("access_log", if case == Case::NginxWithoutLog { "off".to_owned() } else { log }),
            ("jwt_cache_config", if case == Case::EnvoyJwtAuthnCache { cache } else { "" }.to_owned()),
        ])
    })
}

fn config(case: Case) -> &'static str {
    match case {
        Case::Nginx | Case::NginxWithoutLog => include_str!("conf/nginx.conf"),
        Case::Haproxy => include_str!("conf/haproxy.cfg"),
        Case::HaproxyJwtVerify => include_str!("conf/haproxy-jwt.cfg"),
        Case::EnvoyJwtAuthn | Case::EnvoyJwtAuthnCache => include_str!("conf/envoy-jwt.yaml"),
        _ if case.is_syncgate() => include_str!("conf/syncgate.yaml"),
        _ => include_str!("conf/envoy.yaml"),
    }
}

fn program(case: Case) -> PathBuf {
    match case {
        Case::Nginx | Case::NginxWithoutLog => "nginx".into(),
        Case::Haproxy | Case::HaproxyJwtVerify => "haproxy".into(),
        _ if case.is_syncgate() => env!("CARGO_BIN_EXE_syncgate").into(),
        _ => "envoy".into(),
    }
}

/// All but the config's name, which is the last.
fn arguments(case: Case) -> &'static [&'static str] {
    match case {
        Case::Nginx | Case::NginxWithoutLog => &["-c"],
        Case::Haproxy | Case::HaproxyJwtVerify => &["-db", "-f"],
        _ if case.is_syncgate() => &["run", "--config"],
        _ => &["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn", "-c"],
    }
}

//! `syncgate run`.

use std::{path::Path, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};

use crate::{
    cli::{
        Failure,
        check::key_problem,
        config_file::ConfigFile,
        descriptors::{self, Carried},
        logging::{self, LogHandle},
    },
    config::{Config, Loaded},
    server::{Gateway, StartError},
};

/// Run the gateway.
///
/// Reads the config, loads the signing key, binds both listeners and serves until SIGTERM, SIGINT or SIGQUIT. Then it stops accepting
/// connections, lets requests finish within `shutdown.grace`, and exits as soon as none is left. A second signal ends it at once. The exit
/// code is 0 in both cases, and 2 if the gateway could not start.
///
/// SIGHUP reloads the config and the signing key. If they are valid, they take effect without dropping a connection; if not, the last
/// good ones are kept, and the log says why. SIGUSR1 and SIGUSR2 are ignored and logged.
///
/// Issuers and DNS need not be reachable at start: protected routes answer 503 until the first key set has been fetched.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  syncgate check --config gateway.yaml && syncgate run --config gateway.yaml")]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigFile,
}

/// Two, so that an operator's scrape does not hold up a connection that is being accepted.
const SUPPORT_THREADS: usize = 2;
/// How often lost lines of the log are counted.
const LOST_LINES_INTERVAL: Duration = Duration::from_secs(1);

impl RunArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let loaded = Config::read(self.config.path()).map_err(|error| Failure::Trouble(error.to_string()))?;
        let mut config = loaded.config.clone();
        let log = logging::start(&config.log);
        logging::log_panics();
        for warning in &loaded.warnings {
            tracing::warn!(warning = %warning, "config");
        }
        descriptors::raise();
        let carried = Carried::by(&config);
        carried.bound(&mut config);
        // For the accepting, the keys and the operators; requests have event loops of their own.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(SUPPORT_THREADS).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Trouble(format!("cannot start threads: {error}")))?;
        let outcome = runtime.block_on(serve(config, carried, &loaded, self.config.path(), &log));
        // Nothing that is left may hold up the exit: a name being looked up, a key set being fetched.
        runtime.shutdown_timeout(Duration::from_millis(100));
        outcome
    }
}

async fn serve(config: Config, carried: Carried, loaded: &Loaded, path: &Path, log: &LogHandle) -> Result<(), Failure> {
    let trouble = |error: &dyn std::fmt::Display| Failure::Trouble(format!("syncgate: {error}"));
    let heard = |kind| signal(kind).map_err(|error| trouble(&error));
    let (mut terminate, mut interrupt, mut quit) =
        (heard(SignalKind::terminate())?, heard(SignalKind::interrupt())?, heard(SignalKind::quit())?);
    let mut hang_up = heard(SignalKind::hangup())?;
    // Other servers open their logs again at these; unheard, they end the process.
    let (mut user_1, mut user_2) = (heard(SignalKind::user_defined1())?, heard(SignalKind::user_defined2())?);
    let gateway = Gateway::start(config).await.map_err(|error| match error {
        // Told as `check` tells it.
        StartError::Signing(error) => match key_problem(&loaded.references, &error) {
            Some(problem) => Failure::Trouble(format!("{}:{problem}", path.display())),
            None => trouble(&error),
        },
        error => trouble(&error),
    })?;
    let mut looks = tokio::time::interval(LOST_LINES_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lost = 0;
    let name = loop {
        tokio::select! {
            _ = looks.tick() => {
                let now = log.lost();
                gateway.metrics().proxy.log_dropped.inc_by(now.saturating_sub(lost));
                lost = now;
            }
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = quit.recv() => break "SIGQUIT",
            _ = user_1.recv() => tracing::info!(signal = "SIGUSR1", "this signal is ignored"),
            _ = user_2.recv() => tracing::info!(signal = "SIGUSR2", "this signal is ignored"),
            _ = hang_up.recv() => {
                let config = Config::load(path).map(|mut config| {
                    carried.bound(&mut config);
                    config
                });
                let level = config.as_ref().ok().map(|config| config.log.level);
                if let (Ok(()), Some(level)) = (gateway.reload(config), level) {
                    log.set_level(level);
                }
            }
        }
    };
    tracing::info!(signal = name, "stopping");
    tokio::select! {
        () = gateway.stop() => tracing::info!("stopped"),
        // A second signal does not wait for the grace.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = quit.recv() => {}
    }
    Ok(())
}

//! `syncgate demo`.

use std::io::{self, IsTerminal, Write};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Failure, logging},
    config::{LogFormat, LogLevel, LogSettings},
    demo::{
        World,
        guide::{guide, secure_guide},
        story::{self, Progress},
        world::{Places, WorldError, WorldOptions},
    },
    terminal::Look,
};

/// Start issuer, gateway and backend in one process, and print commands to try. Runs until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Run the demo as a scripted client instead, on free ports, one line per step. Fails at the first mismatch.
    #[arg(long)]
    check: bool,
    /// Serve https too, with HTTP/2, and a certificate of its own making.
    #[arg(long, conflicts_with = "check")]
    tls: bool,
}

impl DemoArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let look = if io::stdout().is_terminal() { Look::Terminal } else { Look::Plain };
        let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Trouble(format!("cannot start threads: {error}")))?;
        runtime.block_on(async { if self.check { check(look).await } else { show(self.tls, look).await } })
    }
}

async fn show(tls: bool, look: Look) -> Result<(), Failure> {
    // What goes wrong, such as a login for which the gateway mints no token, and nothing else between the commands.
    let _log = logging::start(&LogSettings { format: LogFormat::Text, level: LogLevel::Warn, ..LogSettings::default() });
    let (places, taken) = Places::friendly();
    for port in taken {
        say(&format!("Port {port} is in use: another one is used.\n"));
    }
    let mut options = WorldOptions::default().places(places).endpoints();
    if tls {
        options = options.tls(Places::friendly_tls());
    }
    let world = World::start(options).await.map_err(cannot_start)?;
    say(&guide(&world.places(), &world.issuer, look));
    if let (Some(address), Some(certificate)) = (world.tls_address(), &world.certificate) {
        say(&secure_guide(address, &certificate.authority_file, look));
    }
    say(&look.dim("\nPress Ctrl-C to stop.\n"));
    let ended = stop_signal().await;
    world.stop().await;
    ended.map_err(|error| Failure::Trouble(format!("cannot wait for Ctrl-C: {error}")))
}

async fn check(look: Look) -> Result<(), Failure> {
    let world = World::start(WorldOptions::default().endpoints()).await.map_err(cannot_start)?;
    let outcome = story::play(&world, &mut |progress| tell(progress, look)).await;
    world.stop().await;
    match outcome {
        Ok(()) => {
            say("The demo passed.\n");
            Ok(())
        }
        Err(mismatch) => {
            if look == Look::Terminal {
                say("\r\x1b[2K");
            }
            Err(Failure::No(format!("{} {mismatch}", look.red("✗"))))
        }
    }
}

/// On a terminal a step is shown while it runs; its tick then takes its place.
fn tell(progress: Progress<'_>, look: Look) {
    match (progress, look) {
        (Progress::Begins(step), Look::Terminal) => say(&look.dim(&format!("… {step}"))),
        (Progress::Begins(_), Look::Plain) => {}
        (Progress::Holds(step), Look::Terminal) => say(&format!("\r\x1b[2K{} {step}\n", look.green("✓"))),
        (Progress::Holds(step), Look::Plain) => say(&format!("✓ {step}\n")),
    }
}

/// Writes to standard output. A closed pipe does not stop the world.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn cannot_start(error: WorldError) -> Failure {
    Failure::Trouble(format!("the demo cannot start: {error}"))
}

async fn stop_signal() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

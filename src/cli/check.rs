//! `syncgate check`.

use std::path::{Path, PathBuf};

use crate::{
    cli::Failure,
    config::{Config, ConfigError, Effective, FileKind, Findings, Loaded, Position, Problem, Report},
    signing::SecretSource,
};

/// Say everything that is wrong with a config file, all at once.
///
/// Each mistake comes with its place, its key, what is wrong and what is accepted:
///
///   gateway.yaml:12:5: issuers[0].leeway: 10m is too much; accepted: 0s to 5m (default 1m)
///
/// The files that the config names are opened; nothing is fetched and nothing is started. Warnings do not fail the check.
/// The exit code is 0 when the file can be used, 1 when it has mistakes, 2 when it cannot be read.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  syncgate check --config gateway.yaml\n  syncgate check --config gateway.yaml --print > effective.yaml"
)]
pub(super) struct CheckArgs {
    /// The config file (YAML). Relative paths in it are relative to its folder.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Print the settings in full, with defaults filled in and presets expanded: a config file that means the same.
    ///
    /// Secrets appear as the file or variable that they come from.
    #[arg(long)]
    print: bool,
}

impl CheckArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let loaded = match Config::read(&self.config) {
            Ok(loaded) => loaded,
            Err(error @ ConfigError::Unreadable { .. }) => return Err(Failure::Trouble(error.to_string())),
            Err(error @ ConfigError::Invalid { .. }) => return Err(Failure::No(error.to_string())),
        };
        let findings = Findings { problems: outside_problems(&loaded), warnings: loaded.warnings.clone() };
        if !findings.problems.is_empty() {
            return Err(Failure::No(Report { path: &self.config, findings: &findings }.to_string()));
        }
        if !findings.warnings.is_empty() {
            eprintln!("{}", Report { path: &self.config, findings: &findings });
        }
        match self.print {
            true => print!("{}", Effective(&loaded.config)),
            false => println!("{}", summary(&self.config, &loaded.config)),
        }
        Ok(())
    }
}

/// What is wrong outside of the config file itself: the files and variables that it names.
fn outside_problems(loaded: &Loaded) -> Vec<Problem> {
    let mut problems: Vec<_> = loaded.files.iter().filter_map(|file| file.check().err()).collect();
    if let Some(SecretSource::Environment(variable)) = &loaded.config.signing.passphrase
        && std::env::var_os(variable).is_none()
    {
        let key_file = loaded.files.iter().find(|file| file.kind == FileKind::SigningKey);
        let text = format!("the environment variable {variable} is not set");
        problems.push(Problem {
            at: key_file.map_or(Position::START, |file| file.at),
            key: "signing.passphrase_env".to_owned(),
            text,
        });
    }
    problems.sort_by_key(|problem| problem.at);
    problems
}

/// One line that says that all is well.
fn summary(path: &Path, config: &Config) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!(
        "{}: ok ({}, {}, {})",
        path.display(),
        count(config.issuers.len(), "issuer"),
        count(config.proxy.routes.len(), "route"),
        count(config.proxy.upstreams.len(), "upstream"),
    )
}

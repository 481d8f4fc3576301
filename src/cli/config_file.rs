//! The argument that names the config file.

use std::path::{Path, PathBuf};

/// `--config FILE`, or just `FILE`.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct ConfigFile {
    /// The config file (YAML). Relative paths in it are relative to its folder. See conf/gateway.yaml for every setting.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same, without --config.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that was named.
    pub(super) fn path(&self) -> &Path {
        self.config.as_deref().or(self.file.as_deref()).unwrap_or(Path::new(""))
    }

    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Self { config: Some(path), file: None }
    }
}

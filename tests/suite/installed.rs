//! Packages of npm and PyPI that tests need, installed when the first of them runs. What is installed is pinned: `package-lock.json` and
//! `requirements.txt` of a directory.
//!
//! Needs Node 20 or newer with npm, and Python 3.10 or newer. Without them the tests are skipped and say so; with
//! `SYNCGATE_NO_SKIP` that is a failure.

use std::{path::PathBuf, time::Duration};

use tokio::{process::Command, sync::Mutex};

/// What the tests with real clients and backends need.
pub static INTEROP: Packages = Packages::of("interop");
/// What the differential tests need.
pub static DIFFERENTIAL: Packages = Packages::of("differential");

/// A folder of `tests` with packages of its own.
pub struct Packages {
    name: &'static str,
    node: Installed,
    python: Installed,
}

type Installed = Mutex<Option<Result<(), String>>>;

impl Packages {
    const fn of(name: &'static str) -> Self {
        Self { name, node: Mutex::const_new(None), python: Mutex::const_new(None) }
    }

    pub fn folder(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(self.name)
    }

    /// A command of the Python environment.
    pub fn python_command(&self, name: &str) -> String {
        self.environment().join("bin").join(name).display().to_string()
    }

    /// The Python of an environment of its own.
    fn environment(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-python", self.name))
    }

    /// Whether the packages of npm are there; installs them if they are not. Skips aloud where that is not possible.
    pub async fn node(&self) -> bool {
        is_ready(&self.node, self.install_node()).await
    }

    /// The same for those of PyPI.
    pub async fn python(&self) -> bool {
        is_ready(&self.python, self.install_python()).await
    }

    async fn install_node(&self) -> Result<(), String> {
        let version = self.output("node", &["--version"]).await?;
        let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < 20) {
            return Err(format!("node is {}; 20 or newer is needed", version.trim()));
        }
        // What npm has installed it writes down there.
        let lock = std::fs::metadata(self.folder().join("package-lock.json")).and_then(|file| file.modified());
        let installed = std::fs::metadata(self.folder().join("node_modules/.package-lock.json")).and_then(|file| file.modified());
        if matches!((lock, installed), (Ok(lock), Ok(installed)) if installed >= lock) {
            return Ok(());
        }
        self.output("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).await.map(drop)
    }

    async fn install_python(&self) -> Result<(), String> {
        let wanted = std::fs::read(self.folder().join("requirements.txt")).map_err(|error| format!("requirements.txt: {error}"))?;
        let environment = self.environment();
        let done = environment.join("installed.txt");
        if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        let check = "import sys; sys.exit('Python 3.10 or newer is needed' if sys.version_info < (3, 10) else 0)";
        self.output("python3", &["-c", check]).await?;
        self.output("python3", &["-m", "venv", "--clear", environment.to_str().unwrap()]).await?;
        let arguments = ["install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements.txt"];
        self.output(&self.python_command("pip"), &arguments).await?;
        std::fs::write(done, wanted).map_err(|error| error.to_string())
    }

    async fn output(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let run = Command::new(program).args(arguments).current_dir(self.folder()).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(300), run).await;
        match output.map_err(|_| format!("{program} does not end"))?.map_err(|error| format!("{program}: {error}"))? {
            output if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            output => Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))),
        }
    }
}

async fn is_ready(installed: &Installed, install: impl Future<Output = Result<(), String>>) -> bool {
    let mut installed = installed.lock().await;
    if installed.is_none() {
        *installed = Some(install.await);
    }
    match installed.as_ref().unwrap() {
        Ok(()) => true,
        Err(why) => {
            assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "must not be skipped: {why}");
            eprintln!("SKIPPED: {why}");
            false
        }
    }
}

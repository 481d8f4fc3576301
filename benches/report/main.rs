//! Writes what the benches found out into `docs/benchmarks.md` and `docs/plots/`: tables and plots, between marks.
//!
//! Reads `target/bench/peers.json` (bench `peers`) and `target/bench/scale.json` (bench `scale`); what is not there stays as it was.
//! `make bench-report`; with `-- --test` it renders and writes nothing.

mod document;
mod peers;
#[path = "../plot/mod.rs"]
mod plot;
#[path = "../peers/results.rs"]
mod results;
mod scale;

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// A generated part of the page.
pub struct Part {
    /// Markdown.
    pub text: String,
    /// File names and SVG.
    pub plots: Vec<(&'static str, String)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let is_test = std::env::args().any(|argument| argument == "--test");
    let found = if is_test { root.join("benches/report/example") } else { root.join("target/bench") };
    let page = root.join("docs/benchmarks.md");
    let mut text = fs::read_to_string(&page)?;
    let mut plots = Vec::new();
    let parts = [
        ("peers", read(&found.join("peers.json"))?.map(|results| peers::part(&results)).transpose()?),
        ("scale", read(&found.join("scale.json"))?.map(|results| scale::part(&results))),
    ];
    for (name, part) in parts {
        let Some(part) = part else {
            eprintln!("{name}: no results in {}; its part of the page stays", found.display());
            continue;
        };
        text = document::with_part(&text, name, &part.text)?;
        plots.extend(part.plots);
    }
    if is_test {
        eprintln!("{} plots", plots.len());
        return Ok(());
    }
    let folder = root.join("docs/plots");
    fs::create_dir_all(&folder)?;
    for (name, svg) in plots {
        fs::write(folder.join(name), svg)?;
        eprintln!("Written: docs/plots/{name}");
    }
    fs::write(page, text)?;
    eprintln!("Written: docs/benchmarks.md");
    Ok(())
}

/// The results of a bench; none if it has not run.
fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, Box<dyn Error>> {
    match fs::read(file) {
        Ok(json) => Ok(Some(serde_json::from_slice(&json).map_err(|error| format!("{}: {error}", file.display()))?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

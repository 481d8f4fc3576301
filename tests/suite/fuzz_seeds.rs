//! The seeds of fuzz targets, replayed.

use std::{fs, path::Path};

#[path = "../../fuzz/src/answer.rs"]
mod answer;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let seeds: Vec<_> = files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    assert!(!seeds.is_empty(), "{target}");
    seeds
}

#[test]
fn an_answer_is_heard_as_hyper_hears_it() {
    for (name, seed) in seeds("answer") {
        println!("{name}");
        // As it is, and cut off anywhere.
        for end in 0..=seed.len() {
            answer::hold(&seed[..end]);
        }
    }
}

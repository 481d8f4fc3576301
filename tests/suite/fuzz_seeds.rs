//! The seeds of fuzz targets whose property is told in the package of the fuzz targets, replayed.

use std::{fs, path::Path};

#[path = "../../fuzz/src/answer.rs"]
mod answer;
#[path = "../../fuzz/src/request_target.rs"]
mod request_target;

/// Holds each seed as it is, and cut off anywhere.
fn replay(target: &str, hold: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{target}");
    for path in files {
        println!("{}", path.display());
        let seed = fs::read(&path).unwrap();
        for end in 0..=seed.len() {
            hold(&seed[..end]);
        }
    }
}

#[test]
fn an_answer_is_heard_as_hyper_hears_it() {
    replay("answer", answer::hold);
}

#[test]
fn no_server_reads_a_target_as_what_a_route_guards_that_was_not_asked() {
    replay("request_target", request_target::hold);
}

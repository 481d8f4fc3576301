//! What a backend sees of a header: the seeds of the fuzz target, and headers made of the names that matter, in every spelling.

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*, sample::select};

#[path = "../../fuzz/src/forwarding.rs"]
mod property;

#[test]
fn the_seeds_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/forwarding");
    let seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(seeds.len() > 4);
    for seed in seeds {
        (0..=seed.len()).for_each(|end| property::hold(&seed[..end]));
    }
}

/// A name with another sign for each dash, and other case.
fn spelled(name: &str, signs: &[char], capitals: &[bool]) -> String {
    let (mut signs, mut capitals) = (signs.iter().cycle(), capitals.iter().cycle());
    name.chars()
        .map(|letter| match letter {
            '-' => *signs.next().unwrap(),
            letter if *capitals.next().unwrap() => letter.to_ascii_uppercase(),
            letter => letter,
        })
        .collect()
}

proptest! {
    #[test]
    fn no_spelling_of_an_unwanted_name_reaches_a_backend(
        name in select(property::NAMES.to_vec()),
        signs in vec(select("-_.~!|^+*'#$%&`".chars().collect::<Vec<_>>()), 1..5),
        capitals in vec(any::<bool>(), 1..9),
    ) {
        let header = format!("accept: */*\n{}: x\nx-request-id: 7", spelled(name, &signs, &capitals));
        property::hold(header.as_bytes());
    }
}

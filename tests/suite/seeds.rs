//! The seeds of fuzz targets, replayed.

use std::{fs, path::Path};

use syncgate::fuzzing::{
    hold_authorities, hold_body, hold_client, hold_config, hold_envelope, hold_exchange, hold_frames, hold_intake, hold_key_file,
    hold_place, hold_proxy_header,
};

#[track_caller]
fn replay(target: &str, hold: impl Fn(&[u8]) -> Result<(), String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 5, "{target} has no seeds");
    for file in files {
        let seed = fs::read(&file).unwrap();
        assert_eq!(hold(&seed), Ok(()), "{}", file.display());
        // Cut anywhere, it is another input.
        for end in 0..seed.len().min(200) {
            assert_eq!(hold(&seed[..end]), Ok(()), "{end} bytes of {}", file.display());
        }
    }
}

#[test]
fn the_seeds_of_frames_hold() {
    replay("frames", hold_frames);
}

#[test]
fn the_seeds_of_place_hold() {
    replay("place", hold_place);
}

#[test]
fn the_seeds_of_body_hold() {
    replay("body", hold_body);
}

#[test]
fn the_seeds_of_intake_hold() {
    replay("intake", hold_intake);
}

#[test]
fn the_seeds_of_certificate_and_key_hold() {
    replay("certificate_and_key", |input| {
        hold_key_file(input)?;
        hold_authorities(input)
    });
}

#[test]
fn the_seeds_of_config_hold() {
    replay("config", hold_config);
}

#[test]
fn the_seeds_of_proxy_header_hold() {
    replay("proxy_header", hold_proxy_header);
}

#[test]
fn the_seeds_of_client_hold() {
    replay("client", hold_client);
}

#[test]
fn the_seeds_of_exchange_hold() {
    replay("exchange", hold_exchange);
}

#[test]
fn the_seeds_of_envelope_hold() {
    replay("envelope", hold_envelope);
}

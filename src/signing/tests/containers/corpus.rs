//! The public key files of `SYNCGATE_CORPUS`: every container and scheme that common tools have written.

use x509_parser::prelude::FromDer as _;

use super::*;

/// The files that do not open, by a part of their name, and why. Where `true` stands openssl does not read them either.
const WORDS: &[(&str, &str, bool)] = &[
    ("aria-192-cbc", "PBES2 with the cipher ARIA-192", false),
    ("seed-cbc", "PBES2 with the cipher SEED", false),
    ("prf(hmac-sha3-256)", "PBKDF2 with HMAC with SHA3-256", true),
    ("prf(hmac-sha3-512)", "PBKDF2 with HMAC with SHA3-512", true),
    ("mac(sha3-256,", "a MAC with SHA3-256", false),
    ("mac(sha3-512,", "a MAC with SHA3-512", false),
    ("mac(md4,", "a MAC with MD4", false),
    ("cert&key(pbeWithMD2AndDES-CBC", "the scheme pbeWithMD2AndDES-CBC", true),
    ("pass-mac(ascii),pass-cipher(ascii2)", "has one passphrase for the file and another for the key in it", true),
    (
        "rsa(2048,sha256),cert(pbeWithSHAAnd40BitRC2-CBC,salt(8),iter(2048)),mac(",
        "contains a certificate; it must contain the private key",
        true,
    ),
    ("rsa-pss(2048,sha256,restrict)", "restricted to SHA-256 with a mask of SHA-256 and a salt of at least 40 bytes", true),
    ("dsa(1024", "contains a private key of type DSA", true),
];

/// Fewer opened would be a step back.
const LEAST: usize = 70;

fn key_files() -> Option<PathBuf> {
    crate::corpus::folder().map(|corpus| corpus.join("keyfiles"))
}

#[test]
fn every_key_file_opens_or_is_told_what_it_is() {
    let Some(folder) = key_files() else { return };
    let Some(openssl) = Openssl::find() else { return };
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with(".txt"));
    names.sort();
    let mut opened = 0;
    for name in &names {
        let kind = if name.contains("pass(unicode") {
            "unicode"
        } else if name.contains("pass(empty") {
            "empty"
        } else {
            "ascii"
        };
        let passphrase = fs::read_to_string(folder.join(format!("password-{kind}.txt"))).unwrap();
        openssl.write("key.file", fs::read(folder.join(name)).unwrap());
        let expected = WORDS.iter().find(|(part, ..)| name.contains(part));
        match (openssl.load("key.file", Some(&passphrase)), expected) {
            (Ok(key), None) => {
                opened += 1;
                // What openssl reads it reads as the same key.
                if let Some(public) = public_by_openssl(&openssl, &passphrase) {
                    // It says of a key for PSS that it is one; all else is the same.
                    let is_same =
                        if name.contains("rsa-pss(") { key.public().unwrap().bits() == bits(&public) } else { pem(&key) == public };
                    assert!(is_same, "{name}: {public}");
                }
                if !passphrase.is_empty()
                    && !name.contains("1000000")
                    && !name.contains("key(none)")
                    && !name.contains("pkcs8(none)")
                {
                    assert_eq!(openssl.problem("key.file", Some("another")), KeyProblem::PassphraseWrong, "{name}");
                }
            }
            (Err(SigningError::Key { problem, .. }), Some((_, words, openssl_fails_too))) => {
                assert!(problem.to_string().contains(words), "{name}: {problem}");
                if !openssl_fails_too {
                    assert!(pem(&openssl.follow(&problem, "key.file", &passphrase)).starts_with("-----BEGIN PUBLIC KEY-----"));
                }
            }
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
    eprintln!("{opened} of {} key files open", names.len());
    assert!(opened >= LEAST, "{opened} of {}", names.len());
}

#[test]
fn a_file_with_two_passphrases_is_made_one_with_one() {
    let Some(folder) = key_files() else { return };
    let Some(openssl) = Openssl::find() else { return };
    let name = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("pass-cipher("));
    openssl.write("key.file", fs::read(name.unwrap()).unwrap());
    let [first, second] = ["ascii", "ascii2"].map(|kind| fs::read_to_string(folder.join(format!("password-{kind}.txt"))).unwrap());
    let problem = openssl.problem("key.file", Some(&first));
    assert_eq!(problem, KeyProblem::TwoPassphrases);
    openssl.follow_with(
        &problem,
        "key.file",
        &second,
        &[&first, &second, &second, &second].map(|line| format!("{line}\n")).concat(),
    );
}

/// The key in a public key, without what says of which kind it is.
fn bits(public: &str) -> Vec<u8> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(public.as_bytes()).unwrap();
    x509_parser::x509::SubjectPublicKeyInfo::from_der(&pem.contents).unwrap().1.subject_public_key.data.to_vec()
}

/// None: openssl does not read it.
fn public_by_openssl(openssl: &Openssl, passphrase: &str) -> Option<String> {
    openssl.write("answer", passphrase);
    let _ = fs::remove_file(openssl.path("plain.file"));
    let run = |arguments: &str| {
        let output =
            Command::new("openssl").args(arguments.split(' ')).current_dir(openssl.0.path()).stdin(Stdio::null()).output().unwrap();
        (output.status.success() && output.stdout.starts_with(b"-----BEGIN PUBLIC"))
            .then(|| String::from_utf8(output.stdout).unwrap())
    };
    let _ = Command::new("openssl")
        .args(["pkcs12", "-legacy", "-in", "key.file", "-nodes", "-nocerts", "-out", "plain.file", "-passin", "file:answer"])
        .current_dir(openssl.0.path())
        .output();
    run("pkey -in plain.file -pubout").or_else(|| run("pkey -in key.file -pubout"))
}

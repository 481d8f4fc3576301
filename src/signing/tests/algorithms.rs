//! Every algorithm: what is minted is accepted by implementations that nobody here wrote, as a token and not only as a signature.

use std::time::Duration;

use jsonwebtoken::{DecodingKey, Validation};
use ring::signature::{self as other, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Value, json};

use super::*;
use crate::token::{Lifetime, Minter, MintingProfile, Timestamp, TokenKeyId, testing};

/// Algorithm, the openssl commands that make its key, and the options with which openssl verifies a signature.
const ROWS: [(Algorithm, &str, &str); 9] = [
    (Algorithm::RS256, "genrsa -out key.pem 2048", "-sha256"),
    (Algorithm::RS384, "genrsa -out key.pem 2048", "-sha384"),
    (Algorithm::RS512, "genrsa -out key.pem 2048", "-sha512"),
    (Algorithm::PS256, "genrsa -out key.pem 2048", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"),
    (Algorithm::PS384, "genrsa -out key.pem 2048", "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48"),
    (Algorithm::PS512, "genrsa -out key.pem 2048", "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:64"),
    (Algorithm::ES256, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem", "-sha256"),
    (Algorithm::ES384, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem", "-sha384"),
    (Algorithm::EdDSA, "genpkey -algorithm ED25519 -out key.pem", ""),
];

const SECRET: &str = "contoso's secret of at least 32 bytes";

fn settings(algorithm: Algorithm, key: SigningKeySource) -> SigningSettings {
    SigningSettings { algorithm, ..SigningSettings::new(key) }
}

fn load(openssl: &Openssl, algorithm: Algorithm) -> Result<SigningKey, SigningError> {
    let file = openssl.path("key.pem");
    SigningKey::load(&settings(algorithm, SigningKeySource::PrivateKey { file, passphrase: None }))
}

/// A user token of this key, with a `kid` where the key has one.
fn mint(key: &SigningKey) -> String {
    let mut profile = MintingProfile::new("contoso", "sub");
    profile.key_id = TokenKeyId::Thumbprint;
    let now = Timestamp::from(std::time::SystemTime::now());
    let verified = testing::verified("chris", now.plus(Duration::from_secs(600)));
    let minted = Minter::new(profile).mint(&verified, key.signer().as_ref(), Lifetime::Ttl, now, [0; 16]);
    minted.unwrap().as_str().to_owned()
}

fn header(token: &str) -> Value {
    let encoded = token.split('.').next().unwrap();
    serde_json::from_slice(&base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, encoded).unwrap()).unwrap()
}

/// What is signed, and the signature.
fn parts(token: &str) -> (&str, Vec<u8>) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    (signed, base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap())
}

/// A library for tokens reads and verifies it with the key as backends pin it, in both forms.
fn a_library_accepts(token: &str, algorithm: Algorithm, public: &PublicKey) {
    let pem = public.pem().as_bytes();
    let from_pem = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        _ => DecodingKey::from_rsa_pem(pem),
    };
    let from_jwk = DecodingKey::from_jwk(&serde_json::from_value(public.jwk()).unwrap());
    for key in [from_pem.unwrap(), from_jwk.unwrap()] {
        let read = jsonwebtoken::decode::<Value>(token, &key, &Validation::new(algorithm)).unwrap();
        assert_eq!(read.claims["sub"], "chris");
    }
}

/// Another implementation of the cryptography.
fn ring_accepts(token: &str, algorithm: Algorithm, public: &PublicKey) -> bool {
    let verification: &dyn VerificationAlgorithm = match algorithm {
        Algorithm::RS256 => &other::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &other::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &other::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &other::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &other::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &other::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &other::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &other::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &other::ED25519,
        other => panic!("{other:?}"),
    };
    let (signed, signature) = parts(token);
    UnparsedPublicKey::new(verification, public.bits()).verify(signed.as_bytes(), &signature).is_ok()
}

/// The openssl command line, given nothing but the public key and the token.
fn openssl_accepts(openssl: &Openssl, token: &str, algorithm: Algorithm, options: &str, public: &PublicKey) {
    let (signed, mut signature) = parts(token);
    if matches!(algorithm, Algorithm::ES256 | Algorithm::ES384) {
        signature = der_of_ecdsa(&signature);
    }
    openssl.write("public.pem", public.pem());
    openssl.write("message", signed);
    openssl.write("signature", &signature);
    if algorithm == Algorithm::EdDSA {
        let verdict = openssl.run("pkeyutl -verify -pubin -inkey public.pem -rawin -in message -sigfile signature");
        assert_eq!(verdict, b"Signature Verified Successfully\n");
    } else {
        let verdict = openssl.run(&format!("dgst {options} -verify public.pem -signature signature message"));
        assert_eq!(verdict, b"Verified OK\n", "{algorithm:?}");
    }
}

/// R and S side by side to the DER that openssl reads (RFC 3279 section 2.2.3).
fn der_of_ecdsa(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if number.first().is_some_and(|byte| *byte >= 0x80) { vec![0] } else { vec![] };
        [vec![0x02, (sign.len() + number.len()) as u8], sign, number].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

#[test]
fn other_implementations_accept_the_tokens_of_every_algorithm() {
    let Some(openssl) = Openssl::find() else { return };
    for (algorithm, command, options) in ROWS {
        openssl.run(command);
        let key = load(&openssl, algorithm).unwrap();
        let public = key.public().unwrap();
        assert_eq!(public.pem().as_bytes(), openssl.run("pkey -in key.pem -pubout"), "{algorithm:?}");
        let token = mint(&key);
        assert_eq!(header(&token), json!({ "alg": algorithm, "typ": "JWT", "kid": public.thumbprint() }));

        a_library_accepts(&token, algorithm, public);
        assert!(ring_accepts(&token, algorithm, public), "{algorithm:?}");
        openssl_accepts(&openssl, &token, algorithm, options, public);

        // The same checks refuse another token under this key.
        let other = mint(&SigningKey::generate_rsa(2048).unwrap());
        assert!(!ring_accepts(&other, algorithm, public), "{algorithm:?}");
    }
}

#[test]
fn other_implementations_accept_tokens_of_a_shared_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    keep_secret(&file);
    let key = SigningKey::load(&settings(Algorithm::HS256, SigningKeySource::Secret(SecretSource::File(file)))).unwrap();
    assert!(key.public().is_none());
    let token = mint(&key);
    assert_eq!(header(&token), json!({ "alg": "HS256", "typ": "JWT" }), "a secret has no thumbprint");

    let secret = DecodingKey::from_secret(SECRET.as_bytes());
    let read = jsonwebtoken::decode::<Value>(&token, &secret, &Validation::new(Algorithm::HS256)).unwrap();
    assert_eq!(read.claims["sub"], "chris");
    let (signed, signature) = parts(&token);
    let ring = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    ring::hmac::verify(&ring, signed.as_bytes(), &signature).unwrap();

    let Some(openssl) = Openssl::find() else { return };
    openssl.write("message", signed);
    let mac = Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "hmac", "-macopt", &format!("key:{SECRET}"), "-binary", "message"])
        .current_dir(openssl.0.path())
        .output()
        .unwrap();
    assert_eq!(mac.stdout, signature);
}

#[test]
fn a_secret_is_long_enough_and_goes_with_hs256_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let load = |content: &str, algorithm| {
        fs::write(&file, content).unwrap();
        keep_secret(&file);
        SigningKey::load(&settings(algorithm, SigningKeySource::Secret(SecretSource::File(file.clone()))))
    };
    load(&"x".repeat(32), Algorithm::HS256).unwrap();
    let error = load(&format!("{}\n", "x".repeat(31)), Algorithm::HS256).unwrap_err();
    assert!(matches!(&error, SigningError::SecretTooShort { length: 31, .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("the secret in {} has 31 bytes", file.display())), "{error}");
    let error = load(SECRET, Algorithm::RS256).unwrap_err();
    assert!(matches!(error, SigningError::AlgorithmOfOtherKind(Algorithm::RS256)), "{error}");
    let key = SigningKeySource::PrivateKey { file: file.clone(), passphrase: None };
    let error = SigningKey::load(&settings(Algorithm::HS256, key)).unwrap_err();
    assert!(matches!(error, SigningError::AlgorithmOfOtherKind(Algorithm::HS256)), "{error}");
    let key = load(SECRET, Algorithm::HS256).unwrap();
    assert!(!format!("{key:?} {:?}", key.signer()).contains("contoso"));
}

#[test]
fn the_algorithm_must_fit_the_key() {
    let Some(openssl) = Openssl::find() else { return };
    for (command, key, fitting) in [
        (ROWS[0].1, "RSA", &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        (ROWS[6].1, "P-256", &["ES256"]),
        (ROWS[7].1, "P-384", &["ES384"]),
        (ROWS[8].1, "Ed25519", &["EdDSA"]),
    ] {
        openssl.run(command);
        for (algorithm, ..) in ROWS {
            let name = format!("{algorithm:?}");
            match load(&openssl, algorithm) {
                Ok(loaded) => {
                    assert!(fitting.contains(&name.as_str()), "{key}: {name}");
                    assert_eq!(loaded.signer().algorithm(), algorithm);
                }
                Err(error) => {
                    assert!(!fitting.contains(&name.as_str()), "{key}: {name}");
                    let text = format!(
                        "contains a key of type {key}, which cannot sign {name}: set signing.algorithm to {}, or use another key",
                        fitting.join(", ")
                    );
                    assert_eq!(error.to_string(), format!("{} {text}", openssl.path("key.pem").display()));
                }
            }
        }
    }
}

/// The command that makes a key for PSS alone, with these restrictions.
fn make_pss(openssl: &Openssl, restrictions: &str) {
    openssl.run(&format!("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048{restrictions} -out key.pem"));
}

#[test]
fn a_key_for_pss_alone_signs_with_pss_and_nothing_else() {
    let Some(openssl) = Openssl::find() else { return };
    let sha = |bits: u32, salt: u32| {
        let option = "-pkeyopt rsa_pss_keygen_";
        format!(" {option}md:sha{bits} {option}mgf1_md:sha{bits} {option}saltlen:{salt}")
    };
    for (restrictions, fitting) in [
        (String::new(), &["PS256", "PS384", "PS512"][..]),
        (sha(256, 32), &["PS256"]),
        (sha(256, 20), &["PS256"]),
        (sha(384, 48), &["PS384"]),
        (sha(512, 0), &["PS512"]),
    ] {
        make_pss(&openssl, &restrictions);
        for (algorithm, _, options) in ROWS {
            let name = format!("{algorithm:?}");
            match load(&openssl, algorithm) {
                Ok(key) => {
                    assert!(fitting.contains(&name.as_str()), "{restrictions}: {name}");
                    let token = mint(&key);
                    let public = key.public().unwrap();
                    a_library_accepts(&token, algorithm, public);
                    assert!(ring_accepts(&token, algorithm, public), "{restrictions}: {name}");
                    openssl_accepts(&openssl, &token, algorithm, options, public);
                    // And so does openssl with the key as the file has it, which holds it to the restrictions.
                    openssl.run("pkey -in key.pem -pubout -out public.pem");
                    let verdict = openssl.run(&format!("dgst {options} -verify public.pem -signature signature message"));
                    assert_eq!(verdict, b"Verified OK\n", "{restrictions}: {name}");
                }
                Err(error) => {
                    assert!(!fitting.contains(&name.as_str()), "{restrictions}: {error}");
                    let text = format!(
                        "contains a key of type RSA-PSS, which cannot sign {name}: set signing.algorithm to {}",
                        fitting.join(", ")
                    );
                    assert!(error.to_string().contains(&text), "{error}");
                }
            }
        }
        // Whoever asks for no algorithm has the first that fits; so `keys public` prints the key.
        let key = openssl.load("key.pem", None).unwrap();
        assert_eq!(format!("{:?}", key.signer().algorithm()), fitting[0]);
        // In every container.
        for command in [
            "pkcs8 -topk8 -in key.pem -out key.file -passout pass:secret",
            "pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.file",
            "pkcs12 -export -nocerts -inkey key.pem -out key.file -passout pass:secret",
        ] {
            openssl.run(command);
            let opened = openssl.load("key.file", Some("secret")).unwrap_or_else(|error| panic!("{command}: {error}"));
            assert_eq!(opened.public(), key.public(), "{command}");
        }
    }
    let option = "-pkeyopt rsa_pss_keygen_";
    for (restrictions, words) in [
        (sha(256, 33), "SHA-256 with a mask of SHA-256 and a salt of at least 33 bytes"),
        (sha(224, 28), "SHA-224 with a mask of SHA-224 and a salt of at least 28 bytes"),
        (sha(1, 20), "SHA-1 with a mask of SHA-1 and a salt of at least 20 bytes"),
        (
            format!(" {option}md:sha256 {option}mgf1_md:sha1 {option}saltlen:32"),
            "SHA-256 with a mask of SHA-1 and a salt of at least 32 bytes",
        ),
    ] {
        make_pss(&openssl, &restrictions);
        let problem = openssl.problem("key.pem", None);
        assert_eq!(problem, KeyProblem::PssRestriction(words.to_owned()));
        assert!(problem.to_string().ends_with("create a key with `syncgate keys generate --out NEW`"), "{problem}");
    }
}

#[test]
fn keys_of_every_kind_come_in_every_format() {
    let Some(openssl) = Openssl::find() else { return };
    let p12 = "pkcs12 -export -passout pass:secret -out key.pem -inkey cert.pem -in cert.pem";
    for (algorithm, request) in [
        (Algorithm::ES256, "-newkey ec -pkeyopt ec_paramgen_curve:P-256"),
        (Algorithm::ES384, "-newkey ec -pkeyopt ec_paramgen_curve:P-384"),
        (Algorithm::EdDSA, "-newkey ed25519"),
    ] {
        // Key and certificate in one file.
        openssl.run(&format!("req -x509 -nodes {request} -subj /CN=contoso -keyout cert.pem -out cert.pem"));
        let public = openssl.run("pkey -in cert.pem -pubout");
        let mut commands = vec!["pkcs8 -topk8 -in cert.pem -out key.pem -passout pass:secret", p12];
        if algorithm != Algorithm::EdDSA {
            // With and without the name of the curve in a section of its own.
            commands.extend(["ec -in cert.pem -out key.pem", "ec -in cert.pem -no_public -out key.pem"]);
        }
        for command in commands {
            openssl.run(command);
            let key = openssl.load("key.pem", Some("secret")).unwrap_or_else(|error| panic!("{command}: {error}"));
            assert_eq!(key.public().unwrap().pem().as_bytes(), public, "{command}");
            assert_eq!(key.signer().algorithm(), algorithm);
        }
        assert_eq!(openssl.load("cert.pem", None).unwrap().public().unwrap().pem().as_bytes(), public);
    }
}

#[test]
fn generated_keys_are_of_the_kind_that_was_asked_for() {
    let Some(openssl) = Openssl::find() else { return };
    for (kind, algorithm, text) in [
        (NewKey::Rsa(2048), Algorithm::RS256, "2048 bit"),
        (NewKey::Ec(256), Algorithm::ES256, "P-256"),
        (NewKey::Ec(384), Algorithm::ES384, "P-384"),
        (NewKey::Ed25519, Algorithm::EdDSA, "ED25519"),
    ] {
        let generated = PrivateKeyPem::generate(kind).unwrap();
        generated.create(&openssl.path("new.pem"), true).unwrap();
        let shown = String::from_utf8(openssl.run("pkey -in new.pem -noout -text")).unwrap();
        assert!(shown.contains(text), "{shown}");
        let key = openssl.load("new.pem", None).unwrap();
        assert_eq!(key.signer().algorithm(), algorithm);
        assert_eq!(key.public(), generated.signing_key().unwrap().public());
        assert!(!format!("{key:?} {:?}", key.signer()).contains("PRIVATE"));
    }
    let error = PrivateKeyPem::generate(NewKey::Ec(521)).unwrap_err();
    assert_eq!(error.to_string(), "an EC key of 521 bits is not supported; accepted: 256 or 384");
}

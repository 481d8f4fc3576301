//! Files that the openssl command line makes, as the documentation of this room says, and files that are wrong.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::private_file::PrivateFileError;

mod algorithms;
mod containers;

const MESSAGE: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.eyJ1c2VySWQiOiJjb250b3NvIn0";

/// The openssl command line in a directory of its own.
struct Openssl(TempDir);

impl Openssl {
    /// None if it is not installed; then the test is skipped, aloud. In CI that is a failure.
    fn find() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
            return Some(Self(tempfile::tempdir().unwrap()));
        }
        assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "the openssl command line is not installed");
        eprintln!("SKIPPED: the openssl command line is not installed");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command line, split at spaces; what it makes can be read by nobody else.
    fn run(&self, arguments: &str) -> Vec<u8> {
        let output =
            Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        for file in fs::read_dir(self.0.path()).unwrap() {
            keep_secret(&file.unwrap().path());
        }
        output.stdout
    }

    /// A key of 2048 bits with its certificate in `mycert.pem`.
    fn make_key_and_certificate(&self) {
        self.run("req -x509 -nodes -newkey rsa:2048 -subj /CN=contoso -keyout mycert.pem -out mycert.pem");
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        keep_secret(&path);
        path
    }

    fn load(&self, name: &str, passphrase: Option<&str>) -> Result<SigningKey, SigningError> {
        let passphrase = passphrase.map(|text| SecretSource::File(self.write("passphrase", text)));
        SigningKey::open(&self.path(name), passphrase.as_ref())
    }

    fn problem(&self, name: &str, passphrase: Option<&str>) -> KeyProblem {
        match self.load(name, passphrase) {
            Err(SigningError::Key { path, problem }) if path == self.path(name) => problem,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// What the key signs is accepted by openssl under the public key in `public.pem`.
    fn accepts_signature_of(&self, key: &SigningKey) {
        self.write("message", MESSAGE);
        self.write("signature", key.signer().try_sign(MESSAGE).unwrap());
        let verdict = self.run("dgst -sha256 -verify public.pem -signature signature message");
        assert_eq!(verdict, b"Verified OK\n");
    }
}

fn keep_secret(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_files_of_the_documented_recipe_work_as_they_are() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.run("req -x509 -nodes -newkey rsa:4096 -subj /CN=contoso -keyout mycert.pem -out mycert.pem");
    openssl.run("pkcs12 -export -passout pass:secret -out certificate.pfx -inkey mycert.pem -in mycert.pem");
    let public = openssl.run("rsa -in mycert.pem -pubout");
    openssl.write("public.pem", &public);

    let pem = openssl.load("mycert.pem", None).unwrap();
    let pfx = openssl.load("certificate.pfx", Some("secret\n")).unwrap();
    for key in [&pem, &pfx] {
        assert_eq!(key.public().unwrap().pem(), String::from_utf8_lossy(&public));
        assert_eq!(key.signer().algorithm(), jsonwebtoken::Algorithm::RS256);
        openssl.accepts_signature_of(key);
    }
    assert_eq!(pem.public(), pfx.public());
}

#[test]
fn every_documented_format_opens_with_its_passphrase_and_with_no_other() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.run("rsa -in mycert.pem -pubout");
    openssl.write("public.pem", &public);
    let p12 = "pkcs12 -export -out key.file -inkey mycert.pem -in mycert.pem";
    let pkcs8 = "pkcs8 -topk8 -in mycert.pem -out key.file";
    for command in [
        "rsa -in mycert.pem -aes256 -passout pass:secret -out key.file",
        &format!("{pkcs8} -passout pass:secret"),
        &format!("{pkcs8} -passout pass:secret -v2 aes-128-cbc"),
        &format!("{pkcs8} -passout pass:secret -scrypt"),
        &format!("{p12} -passout pass:secret"),
        &format!("{p12} -passout pass:secret -legacy"),
        &format!("{p12} -passout pass:secret -legacy -descert"),
        &format!("{p12} -passout pass:secret -macalg sha512 -name contoso"),
    ] {
        openssl.run(command);
        let key = openssl.load("key.file", Some("secret")).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert_eq!(key.public().unwrap().pem(), String::from_utf8_lossy(&public), "{command}");
        openssl.accepts_signature_of(&key);
        assert_eq!(openssl.problem("key.file", Some("Secret")), KeyProblem::PassphraseWrong, "{command}");
        assert_eq!(openssl.problem("key.file", Some("")), KeyProblem::PassphraseWrong, "{command}");
        assert_eq!(openssl.problem("key.file", None), KeyProblem::PassphraseMissing, "{command}");
    }
}

#[test]
fn formats_without_a_passphrase_or_with_an_empty_one_open_either_way() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.run("rsa -in mycert.pem -pubout");
    let p12 = "pkcs12 -export -out key.file -inkey mycert.pem -in mycert.pem -passout pass:";
    for command in [
        "pkcs8 -topk8 -nocrypt -in mycert.pem -out key.file",
        "rsa -traditional -in mycert.pem -out key.file",
        p12,
        &format!("{p12} -legacy"),
        &format!("{p12} -keypbe NONE -certpbe NONE"),
        &format!("{p12} -keypbe NONE -certpbe NONE -nomac"),
    ] {
        openssl.run(command);
        for passphrase in [None, Some("")] {
            let key = openssl.load("key.file", passphrase).unwrap_or_else(|error| panic!("{command}, {passphrase:?}: {error}"));
            assert_eq!(key.public().unwrap().pem(), String::from_utf8_lossy(&public), "{command}");
        }
    }
    let text = fs::read_to_string(openssl.path("mycert.pem")).unwrap();
    openssl.write("windows.pem", format!("Bag Attributes\r\n  key: value\r\n{}", text.replace('\n', "\r\n")));
    assert_eq!(openssl.load("windows.pem", Some("not needed")).unwrap().public().unwrap().pem(), String::from_utf8_lossy(&public));
}

#[test]
fn a_certificate_must_belong_to_the_key() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    openssl.run("req -x509 -nodes -newkey rsa:2048 -subj /CN=fabrikam -keyout other.key -out other.pem");
    let [ours, other, key] = ["mycert.pem", "other.pem", "other.key"].map(|name| fs::read_to_string(openssl.path(name)).unwrap());

    openssl.write("mixed.pem", format!("{key}{ours}"));
    assert_eq!(openssl.problem("mixed.pem", None), KeyProblem::SeveralPrivateKeys(2));
    openssl.write("mixed.pem", format!("{key}{}", &ours[ours.find("-----BEGIN CERTIFICATE").unwrap()..]));
    assert_eq!(openssl.problem("mixed.pem", None), KeyProblem::CertificateOfAnotherKey);
    openssl.write("chain.pem", format!("{other}{ours}"));
    openssl.load("chain.pem", None).unwrap();
    assert_eq!(openssl.problem("other.pem", None), KeyProblem::NotThePrivateKey("a certificate"));
    openssl.run("pkcs12 -export -nokeys -passout pass: -in other.pem -out certificates.pfx");
    assert_eq!(openssl.problem("certificates.pfx", None), KeyProblem::NotThePrivateKey("a certificate"));
}

#[test]
fn keys_that_do_not_sign_are_named() {
    let Some(openssl) = Openssl::find() else { return };
    for (command, name) in [
        ("ecparam -name secp521r1 -genkey -out key.pem", "EC on a curve that is neither P-256 nor P-384, or damaged"),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out key.pem", "EC on the curve P-521"),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out key.pem", "EC on the curve secp256k1"),
        ("genpkey -algorithm ED448 -out key.pem", "Ed448"),
        ("genpkey -algorithm X25519 -out key.pem", "1.3.101.110"),
    ] {
        openssl.run(command);
        assert_eq!(openssl.problem("key.pem", None), KeyProblem::KeyType(name.into()), "{command}");
    }
    for command in ["genrsa -out key.pem 1024", "genrsa -traditional -out key.pem 1024", "genrsa -out key.pem 2040"] {
        openssl.run(command);
        let problem = openssl.problem("key.pem", None);
        assert!(matches!(&problem, KeyProblem::Rejected(reason) if reason.description_() == "TooSmall"), "{problem}");
    }
    openssl.run("genrsa -out key.pem 4104");
    assert_eq!(openssl.problem("key.pem", None), KeyProblem::TooLong(4104));
}

#[test]
fn what_is_no_key_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    for (content, expected) in [
        (&b""[..], KeyProblem::Empty),
        (b"not a key", KeyProblem::Unrecognised),
        (b"\xff\x00\x00", KeyProblem::Unrecognised),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", KeyProblem::NotThePrivateKey("a public key")),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", KeyProblem::NoPrivateKey),
        (b"-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n", damaged("the section PRIVATE KEY is not base64")),
        (b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", damaged("the section PRIVATE KEY is not base64")),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", damaged("the section PRIVATE KEY has no end")),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END CERTIFICATE-----\n",
            damaged("the section PRIVATE KEY is not closed before another one begins or ends"),
        ),
    ] {
        fs::write(&path, content).unwrap();
        keep_secret(&path);
        match SigningKey::open(&path, None) {
            Err(SigningError::Key { problem, .. }) => assert_eq!(problem, expected),
            other => panic!("{other:?}"),
        }
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = SigningKey::open(&path, None).unwrap_err();
    assert!(matches!(error, SigningError::File(PrivateFileError::Exposed { mode: 0o644, .. })), "{error}");
}

fn damaged(what: &str) -> KeyProblem {
    KeyProblem::Damaged(what.into())
}

#[test]
fn a_file_that_was_cut_short_is_damaged_wherever_the_cut_is() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    openssl.run("pkcs12 -export -passout pass: -out whole.pfx -inkey mycert.pem -in mycert.pem");
    let whole = fs::read(openssl.path("whole.pfx")).unwrap();
    for length in 1..whole.len() {
        match SigningKey::parse(&whole[..length], None, None) {
            Err(KeyProblem::Damaged(_)) => {}
            other => panic!("{length} of {} bytes: {other:?}", whole.len()),
        }
    }
    openssl.run("rsa -in mycert.pem -outform DER -out whole.der");
    let whole = fs::read(openssl.path("whole.der")).unwrap();
    for length in (1..whole.len()).step_by(7) {
        let pem = pem::encode("PRIVATE KEY", &whole[..length]);
        match SigningKey::parse(pem.as_bytes(), None, None) {
            Err(KeyProblem::Damaged(_)) => {}
            other => panic!("{length} of {} bytes: {other:?}", whole.len()),
        }
    }
}

#[test]
fn a_generated_key_file_is_one_that_openssl_reads_and_that_loads() {
    let Some(openssl) = Openssl::find() else { return };
    let generated = PrivateKeyPem::generate(NewKey::Rsa(2048)).unwrap();
    generated.create(&openssl.path("key.pem"), false).unwrap();
    let written = fs::read(openssl.path("key.pem")).unwrap();
    assert_eq!(openssl.run("pkey -in key.pem"), written);

    let key = openssl.load("key.pem", None).unwrap();
    assert_eq!(key.public().unwrap().pem(), generated.signing_key().unwrap().public().unwrap().pem());
    assert_eq!(key.public().unwrap().pem().as_bytes(), openssl.run("rsa -in key.pem -pubout"));
}

#[test]
fn keys_are_generated_in_three_sizes_only() {
    for bits in [0, 1024, 2047, 8192] {
        let error = SigningKey::generate_rsa(bits).unwrap_err();
        assert!(matches!(error, SigningError::Bits { bits: refused, .. } if refused == bits), "{error}");
    }
    let key = SigningKey::generate_rsa(2048).unwrap();
    assert_eq!(key.signer().try_sign(MESSAGE).unwrap().len(), 2048 / 8);
    assert_ne!(key.public(), SigningKey::generate_rsa(2048).unwrap().public());
}

#[test]
fn a_private_key_cannot_be_printed() {
    let pem = PrivateKeyPem::generate(NewKey::Rsa(2048)).unwrap();
    let key = pem.signing_key().unwrap();
    assert_eq!(format!("{pem:?}"), "PrivateKeyPem(..)");
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ thumbprint: {:?}, .. }}", key.signer().thumbprint()));
    assert_eq!(format!("{:?}", key.signer()), "RsaSigner { algorithm: RS256, .. }");
}

proptest! {
    #[test]
    fn no_content_panics(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SigningKey::parse(&data, None, None).is_err());
    }

    #[test]
    fn no_pem_section_panics(
        label in "(ENCRYPTED |RSA )?PRIVATE KEY|CERTIFICATE",
        der in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        prop_assert!(SigningKey::parse(pem::encode(&label, &der).as_bytes(), None, None).is_err());
    }
}

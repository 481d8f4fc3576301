//! Files of other tools, made on the spot where the tool is there.

use super::*;

fn run(openssl: &Openssl, tool: &str, arguments: &[&str]) -> bool {
    let Ok(output) = Command::new(tool).args(arguments).current_dir(openssl.0.path()).stdin(Stdio::null()).output() else {
        eprintln!("SKIPPED: {tool} is not installed");
        return false;
    };
    assert!(output.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    for file in fs::read_dir(openssl.0.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            keep_secret(&path);
        }
    }
    true
}

/// By libcrypto itself, since its command line cannot leave a password out: as Windows and Azure Key Vault do.
const WITHOUT_PASSWORD: &str = r#"
import ctypes, ctypes.util, sys
c = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
for name in ["BIO_new_file", "PEM_read_bio_PrivateKey", "PEM_read_bio_X509", "PKCS12_create"]:
    getattr(c, name).restype = ctypes.c_void_p
P = ctypes.c_void_p
def pem(read):
    bio = P(c.BIO_new_file(b"mycert.pem", b"r"))
    return P(read(bio, None, None, None))
key, certificate = pem(c.PEM_read_bio_PrivateKey), pem(c.PEM_read_bio_X509)
assert key and certificate
for index, (scheme, mac) in enumerate([(0, 0), (146, 1), (427, 0), (0, -1)]):
    store = P(c.PKCS12_create(None, None, key, certificate, None, scheme, scheme, 0, mac, 0))
    assert store, "scheme %d" % scheme
    out = P(c.BIO_new_file(b"null%d.pfx" % index, b"wb"))
    assert c.i2d_PKCS12_bio(out, store) == 1
    c.BIO_free(out)
"#;

#[test]
fn a_file_without_a_password_opens_as_one_with_an_empty_one_does() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    if !run(&openssl, "python3", &["-c", WITHOUT_PASSWORD]) {
        return;
    }
    let files: Vec<String> = (0..4).map(|index| format!("null{index}.pfx")).collect();
    for file in &files {
        for passphrase in [None, Some(""), Some("\n")] {
            assert_eq!(pem(&openssl.load(file, passphrase).unwrap()), public, "{file}, {passphrase:?}");
        }
        assert_eq!(openssl.problem(file, Some("secret")), KeyProblem::PassphraseWrong, "{file}");
    }
}

#[test]
fn what_java_writes_opens() {
    let Some(openssl) = Openssl::find() else { return };
    for (kind, bits) in [("RSA", "2048"), ("EC", "256")] {
        for file in ["default.p12", "legacy.p12"] {
            let mut arguments = vec!["-genkeypair", "-keyalg", kind, "-keysize", bits, "-dname", "CN=contoso", "-alias", "a"];
            arguments.extend(["-storetype", "PKCS12", "-keystore", file, "-storepass", "secret"]);
            if file == "legacy.p12" {
                arguments.push("-J-Dkeystore.pkcs12.legacy");
            }
            let _ = fs::remove_file(openssl.path(file));
            if !run(&openssl, "keytool", &arguments) {
                return;
            }
            let key = openssl.load(file, Some("secret")).unwrap_or_else(|error| panic!("{kind} {file}: {error}"));
            assert_eq!(key.signer().algorithm(), if kind == "EC" { Algorithm::ES256 } else { Algorithm::RS256 });
            assert_eq!(openssl.problem(file, Some("another")), KeyProblem::PassphraseWrong);
        }
    }
}

/// Indefinite lengths and strings in pieces.
#[test]
fn what_nss_writes_opens() {
    let Some(openssl) = Openssl::find() else { return };
    fs::create_dir(openssl.path("db")).unwrap();
    fs::write(openssl.path("noise"), [7; 64]).unwrap();
    if !run(&openssl, "certutil", &["-N", "-d", "sql:db", "--empty-password"]) {
        return;
    }
    run(
        &openssl,
        "certutil",
        &["-S", "-d", "sql:db", "-n", "contoso", "-s", "CN=contoso", "-x", "-t", ",,", "-z", "noise", "-g", "2048"],
    );
    for ciphers in [
        &[][..],
        &["-c", "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC", "-C", "PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC"],
    ] {
        let _ = fs::remove_file(openssl.path("nss.p12"));
        let arguments = [&["-o", "nss.p12", "-n", "contoso", "-d", "sql:db", "-W", "secret"][..], ciphers].concat();
        run(&openssl, "pk12util", &arguments);
        let data = fs::read(openssl.path("nss.p12")).unwrap();
        assert_eq!(data[..2], [0x30, 0x80], "BER");
        openssl.load("nss.p12", Some("secret")).unwrap_or_else(|error| panic!("{ciphers:?}: {error}"));
        assert_eq!(openssl.problem("nss.p12", Some("Secret")), KeyProblem::PassphraseWrong);
        assert_eq!(openssl.problem("nss.p12", None), KeyProblem::PassphraseMissing);
    }
}

#[test]
fn a_passphrase_of_any_text_is_taken_as_openssl_takes_it() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    for passphrase in ["Łódź", "🔑🔑", "a b\tc", "x", &"long ".repeat(40)] {
        openssl.write("answer", passphrase);
        for command in [
            "pkcs12 -export -in mycert.pem -inkey mycert.pem -out key.file -passout file:answer",
            "pkcs12 -export -legacy -in mycert.pem -inkey mycert.pem -out key.file -passout file:answer",
            "pkcs8 -topk8 -in mycert.pem -out key.file -passout file:answer",
        ] {
            openssl.run(command);
            assert_eq!(
                pem(&openssl.load("key.file", Some(passphrase)).unwrap_or_else(|error| panic!("{command}, {passphrase}: {error}"))),
                public
            );
        }
    }
}

//! Every container that common tools write, and what is said of the others. The oracle is openssl: of the same file it prints the same
//! public key, and each remedy is run as it is printed.

use super::*;

mod corpus;
mod foreign;
mod tools;

/// What a problem tells people to run, with the files in place. None: no command is named.
fn remedy(problem: &KeyProblem) -> Option<String> {
    let text = problem.to_string();
    // The whole of it: a command may have quotes of its own.
    let (first, last) = (text.find('`')?, text.rfind('`')?);
    (first < last).then(|| text[first + 1..last].to_owned())
}

impl Openssl {
    /// Runs the command that a problem names, in a shell, on `old`; then `new.file` opens. What asks for a passphrase gets it.
    fn follow(&self, problem: &KeyProblem, old: &str, passphrase: &str) -> SigningKey {
        self.follow_with(problem, old, passphrase, "")
    }

    /// As before, but openssl asks, as it asks people, and gets these lines.
    fn follow_with(&self, problem: &KeyProblem, old: &str, passphrase: &str, lines: &str) -> SigningKey {
        let mut line =
            remedy(problem).unwrap_or_else(|| panic!("no command: {problem}")).replace("OLD", old).replace("NEW", "new.file");
        let _ = fs::remove_file(self.path("new.file"));
        if line.starts_with("openssl") && !passphrase.is_empty() && lines.is_empty() {
            // One line for each of the two.
            self.write("answer", format!("{passphrase}\n{passphrase}\n"));
            line.push_str(" -passin file:answer -passout file:answer");
        }
        // Without a terminal openssl asks standard input.
        let mut child = Command::new("setsid");
        child
            .args(["sh", "-c", &line])
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        keep_secret(&self.path("new.file"));
        self.load("new.file", Some(passphrase)).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn public_of(&self, file: &str) -> String {
        String::from_utf8(self.run(&format!("pkey -in {file} -pubout"))).unwrap()
    }
}

fn pem(key: &SigningKey) -> String {
    key.public().unwrap().pem().to_owned()
}

/// Nothing but the public half could be the same of two keys by accident.
fn opens_as(openssl: &Openssl, command: &str, passphrase: &str, public: &str) {
    let key = openssl.load("key.file", Some(passphrase)).unwrap_or_else(|error| panic!("{command}: {error}"));
    assert_eq!(pem(&key), public, "{command}");
    if passphrase.is_empty() {
        return;
    }
    assert_eq!(openssl.problem("key.file", Some("another")), KeyProblem::PassphraseWrong, "{command}");
    assert_eq!(openssl.problem("key.file", None), KeyProblem::PassphraseMissing, "{command}");
}

#[test]
fn every_cipher_and_hash_that_openssl_writes_by_a_default_of_any_version_opens() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    let legacy = "-provider legacy -provider default";
    let pkcs8 = format!("pkcs8 {legacy} -topk8 -in mycert.pem -out key.file -passout pass:secret");
    let p12 = format!("pkcs12 {legacy} -export -in mycert.pem -inkey mycert.pem -out key.file -passout pass:secret");
    let mut commands = Vec::new();
    for cipher in [
        "aes-128-cbc",
        "aes-192-cbc",
        "aes-256-cbc",
        "camellia-128-cbc",
        "camellia-192-cbc",
        "camellia-256-cbc",
        "des3",
        "des",
        "rc2-cbc",
        "rc2-40-cbc",
        "rc2-64-cbc",
    ] {
        commands.push(format!("{pkcs8} -v2 {cipher}"));
        commands.push(format!("{pkcs8} -v2 {cipher} -outform DER"));
    }
    for prf in [
        "hmacWithMD5",
        "hmacWithSHA1",
        "hmacWithSHA224",
        "hmacWithSHA384",
        "hmacWithSHA512",
        "hmacWithSHA512-224",
        "hmacWithSHA512-256",
    ] {
        commands.push(format!("{pkcs8} -v2 aes-256-cbc -v2prf {prf}"));
    }
    for scheme in ["PBE-MD5-DES", "PBE-SHA1-DES", "PBE-MD5-RC2-64", "PBE-SHA1-RC2-64"] {
        commands.push(format!("{pkcs8} -v1 {scheme}"));
    }
    for scheme in ["PBE-SHA1-3DES", "PBE-SHA1-2DES", "PBE-SHA1-RC2-128", "PBE-SHA1-RC2-40", "PBE-SHA1-RC4-128", "PBE-SHA1-RC4-40"] {
        commands.push(format!("{pkcs8} -v1 {scheme}"));
        commands.push(format!("{p12} -keypbe {scheme} -certpbe {scheme} -macalg sha1"));
    }
    for cipher in
        ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "camellia-128-cbc", "camellia-256-cbc", "des-ede3-cbc", "des-cbc", "rc2-cbc"]
    {
        commands.push(format!("{p12} -keypbe {cipher} -certpbe {cipher}"));
    }
    for mac in ["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512-224", "sha512-256"] {
        commands.push(format!("{p12} -macalg {mac}"));
    }
    commands.extend([
        format!("{p12} -iter 1"),
        format!("{p12} -nomaciter"),
        format!("{p12} -nomac"),
        format!("{p12} -iter 100000"),
    ]);
    for cipher in ["aes128", "aes192", "aes256", "camellia128", "camellia192", "camellia256", "des3", "des"] {
        commands.push(format!("rsa {legacy} -traditional -{cipher} -in mycert.pem -passout pass:secret -out key.file"));
    }
    // The recipe of docs/signing-key.md without its -nodes, as OpenSSL 1.1 and 3.0 write it.
    commands.push("req -x509 -newkey rsa:2048 -subj /CN=contoso -passout pass:secret -keyout key.file -out key.file".to_owned());
    for command in commands {
        openssl.run(&command);
        let public = if command.starts_with("req") {
            String::from_utf8(openssl.run("pkey -in key.file -passin pass:secret -pubout")).unwrap()
        } else {
            public.clone()
        };
        opens_as(&openssl, &command, "secret", &public);
    }
}

#[test]
fn elliptic_keys_come_in_every_form_too() {
    let Some(openssl) = Openssl::find() else { return };
    for curve in ["P-256", "P-384"] {
        openssl.run(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out plain.pem"));
        let public = openssl.public_of("plain.pem");
        for command in [
            "ec -in plain.pem -out key.file -aes256 -passout pass:secret",
            "ec -in plain.pem -out key.file -des3 -passout pass:secret",
            "pkcs8 -topk8 -in plain.pem -out key.file -v2 des3 -passout pass:secret",
        ] {
            openssl.run(command);
            opens_as(&openssl, command, "secret", &public);
        }
        for command in [
            "ec -in plain.pem -out key.file",
            "ec -in plain.pem -out key.file -outform DER",
            "ec -in plain.pem -out key.file -param_enc explicit",
            "ec -in plain.pem -out key.file -param_enc explicit -outform DER",
            "pkcs8 -topk8 -nocrypt -in plain.pem -out key.file -outform DER",
            "pkey -in plain.pem -ec_param_enc explicit -out key.file",
        ] {
            openssl.run(command);
            opens_as(&openssl, command, "", &public);
        }
    }
}

#[test]
fn keys_in_der_are_read_and_what_is_no_private_key_is_said_to_be_none() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    for command in [
        "rsa -in mycert.pem -outform DER -out key.file",
        "rsa -in mycert.pem -traditional -outform DER -out key.file",
        "pkcs8 -topk8 -nocrypt -in mycert.pem -outform DER -out key.file",
    ] {
        openssl.run(command);
        opens_as(&openssl, command, "", &public);
    }
    const EITHER: &str = "a certificate, or a certificate request";
    for (command, der, pem) in [
        ("x509 -in mycert.pem", EITHER, "a certificate"),
        ("rsa -in mycert.pem -pubout", "a public key", "a public key"),
        ("rsa -in mycert.pem -RSAPublicKey_out", "a public key", "a public key"),
        ("crl2pkcs7 -nocrl -certfile mycert.pem", "certificates (PKCS#7)", "certificates (PKCS#7)"),
        ("req -new -key mycert.pem -subj /CN=contoso", EITHER, "a certificate request"),
    ] {
        for (form, what) in [("DER", der), ("PEM", pem)] {
            openssl.run(&format!("{command} -outform {form} -out key.file"));
            let problem = openssl.problem("key.file", None);
            assert_eq!(problem, KeyProblem::NotThePrivateKey(what), "{command} {form}");
            assert_eq!(problem.to_string(), format!("contains {what}; it must contain the private key"));
        }
    }
    for (public, what) in [
        ("ssh-rsa AAAAB3NzaC1yc2E alice@contoso.com\n", "is an OpenSSH public key: the private key is needed"),
        (r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, "is a JWK of a public key: the private key is needed"),
    ] {
        openssl.write("key.file", public);
        assert_eq!(openssl.problem("key.file", None).to_string(), what);
    }
    openssl.run("dsaparam -genkey -out dsa.pem 2048");
    for command in ["dsa -in dsa.pem -outform DER -out key.file", "pkcs8 -topk8 -nocrypt -in dsa.pem -outform DER -out key.file"] {
        openssl.run(command);
        assert_eq!(openssl.problem("key.file", None), KeyProblem::KeyType("DSA".into()), "{command}");
    }
    openssl.run("genrsa -primes 3 -out key.file 2048");
    assert_eq!(openssl.problem("key.file", None), KeyProblem::ManyPrimes);
    openssl.run("genrsa -traditional -primes 3 -out key.file 2048");
    assert_eq!(openssl.problem("key.file", None), KeyProblem::ManyPrimes);
}

#[test]
fn a_cipher_that_is_not_supported_is_named_and_its_remedy_works() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    let legacy = "-provider legacy -provider default";
    let pkcs8 = format!("pkcs8 {legacy} -topk8 -in mycert.pem -out key.file -passout pass:secret");
    let p12 = format!("pkcs12 {legacy} -export -in mycert.pem -inkey mycert.pem -out key.file -passout pass:secret");
    for (command, name) in [
        (format!("{pkcs8} -v2 aria-128-cbc -outform DER"), "PBES2 with the cipher ARIA-128"),
        (format!("{pkcs8} -v2 seed-cbc"), "PBES2 with the cipher SEED"),
        (format!("{pkcs8} -v2 cast5-cbc"), "PBES2 with the cipher CAST5"),
        (format!("{p12} -keypbe aria-192-cbc"), "PBES2 with the cipher ARIA-192"),
        (format!("{p12} -keypbe seed-cbc"), "PBES2 with the cipher SEED"),
        (format!("{p12} -macalg sha3-256"), "a MAC with SHA3-256"),
        (format!("{p12} -macalg md4"), "a MAC with MD4"),
        (
            format!("rsa {legacy} -traditional -aria256 -in mycert.pem -passout pass:secret -out key.file"),
            "the header DEK-Info with the cipher ARIA-256-CBC",
        ),
        (
            format!("rsa {legacy} -traditional -seed -in mycert.pem -passout pass:secret -out key.file"),
            "the header DEK-Info with the cipher SEED-CBC",
        ),
    ] {
        openssl.run(&command);
        let problem = openssl.problem("key.file", Some("secret"));
        assert!(matches!(&problem, KeyProblem::NotSupported { what, .. } if what == name), "{command}: {problem}");
        // Without the passphrase it is the same, or what has to be said first.
        let without = openssl.problem("key.file", None);
        assert!(without == problem || without == KeyProblem::PassphraseMissing, "{command}: {without}");
        assert_eq!(pem(&openssl.follow(&problem, "key.file", "secret")), public, "{command}");
    }
}

/// A file that another implementation has made; the openssl of most machines does not write PBMAC1 yet.
#[test]
fn a_file_with_pbmac1_opens_and_its_mac_counts() {
    let Some(openssl) = Openssl::find() else { return };
    let file = include_bytes!("../../../tests/vectors/pbmac1_sha256.p12");
    openssl.write("key.file", file);
    openssl.run("pkcs12 -nomacver -in key.file -nodes -passin pass:1234 -out plain.file");
    let public = openssl.public_of("plain.file");
    opens_as(&openssl, "RFC 9879", "1234", &public);
    // The last bytes are `NOT USED`, instead of a salt, behind the MAC.
    let mut damaged = file.to_vec();
    let mac = damaged.len() - 20;
    damaged[mac] ^= 1;
    openssl.write("key.file", damaged);
    assert_eq!(openssl.problem("key.file", Some("1234")), KeyProblem::PassphraseWrong);
}

#[test]
fn rounds_are_counted_and_too_many_are_not_begun() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    openssl.run("pkcs12 -export -in mycert.pem -inkey mycert.pem -out key.file -passout pass:secret -iter 200000 -macalg sha1");
    openssl.load("key.file", Some("secret")).unwrap();
    let data = fs::read(openssl.path("key.file")).unwrap();
    let secret = SecretText::read(&SecretSource::File(openssl.write("passphrase", "secret"))).unwrap();
    let problem = SigningKey::parse_within(&data, Some(&secret), None, 200_000).unwrap_err();
    assert!(matches!(problem, KeyProblem::TooManyRounds { most: 200_000, .. }), "{problem}");
    assert_eq!(pem(&openssl.follow(&problem, "key.file", "secret")), openssl.public_of("mycert.pem"));
}

//! Files that hold a key in another form: named, and what is named works.

use super::*;

/// The commands of other programs; a test says so when it does without one.
fn has(tool: &str) -> bool {
    let is_there =
        Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("SKIPPED: {tool} is not installed");
    }
    is_there
}

fn shell(openssl: &Openssl, line: &str) {
    let output = Command::new("sh").args(["-c", line]).current_dir(openssl.0.path()).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    for file in fs::read_dir(openssl.0.path()).unwrap() {
        keep_secret(&file.unwrap().path());
    }
}

#[test]
fn what_windows_and_old_macs_do_to_a_text_does_no_harm() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    let text = fs::read_to_string(openssl.path("mycert.pem")).unwrap();
    let pkcs1 = String::from_utf8(openssl.run("rsa -in mycert.pem -traditional")).unwrap();
    for text in [text, pkcs1] {
        for changed in [
            format!("\u{feff}{text}"),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\r"),
            format!("\u{feff}\r\n{}", text.replace('\n', "\r\n")),
        ] {
            openssl.write("key.file", changed);
            assert_eq!(pem(&openssl.load("key.file", None).unwrap()), public);
        }
    }
    openssl.run("rsa -in mycert.pem -traditional -aes256 -passout pass:secret -out key.file");
    let text = fs::read_to_string(openssl.path("key.file")).unwrap();
    openssl.write("key.file", format!("\u{feff}{}", text.replace('\n', "\r\n")));
    for passphrase in ["secret", "\u{feff}secret\r\n"] {
        assert_eq!(pem(&openssl.load("key.file", Some(passphrase)).unwrap()), public);
    }
}

#[test]
fn a_pem_that_was_changed_on_its_way_is_named_and_put_right() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    let text = fs::read_to_string(openssl.path("mycert.pem")).unwrap();
    let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let base64 = |data: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, data);
    openssl.run("pkcs12 -export -in mycert.pem -inkey mycert.pem -out key.pfx -passout pass:");
    openssl.run("rsa -in mycert.pem -outform DER -out key.der");
    let read = |name: &str| fs::read(openssl.path(name)).unwrap();
    for (what, content) in [
        ("is text in UTF-16", [&[0xff, 0xfe][..], &utf16(u16::to_le_bytes)].concat()),
        ("is text in UTF-16", [&[0xfe, 0xff][..], &utf16(u16::to_be_bytes)].concat()),
        ("is text in UTF-16", utf16(u16::to_le_bytes)),
        ("is text in UTF-16", utf16(u16::to_be_bytes)),
        ("has the two characters \\n instead of line breaks", text.replace('\n', "\\n").into_bytes()),
        ("has the two characters \\n instead of line breaks", text.replace('\n', "\\r\\n").into_bytes()),
        ("is enclosed in quotes", format!("\"{text}\"\n").into_bytes()),
        ("is enclosed in quotes", format!("'{}'", text.trim_end()).into_bytes()),
        ("has spaces, or nothing, instead of line breaks", text.replace('\n', " ").into_bytes()),
        ("has spaces, or nothing, instead of line breaks", text.replace('\n', "").into_bytes()),
        ("is base64 of a PEM", base64(text.as_bytes()).into_bytes()),
        ("is base64 of a binary file (a PKCS#12 or a key in DER)", base64(&read("key.pfx")).into_bytes()),
        ("is base64 of a binary file (a PKCS#12 or a key in DER)", [base64(&read("key.der")).as_bytes(), b"\n"].concat()),
    ] {
        openssl.write("key.file", &content);
        let problem = openssl.problem("key.file", None);
        assert!(matches!(&problem, KeyProblem::Foreign { what: named, .. } if *named == what), "{what}: {problem}");
        assert_eq!(pem(&openssl.follow(&problem, "key.file", "")), public, "{what}");
    }
    // Two things at once, as JSON has it: one after the other.
    openssl.write("key.file", format!("\"{}\"", text.replace('\n', "\\n")));
    let problem = openssl.problem("key.file", None);
    let command = remedy(&problem).unwrap().replace("OLD", "key.file").replace("NEW", "next.file");
    shell(&openssl, &command);
    let problem = openssl.problem("next.file", None);
    assert_eq!(pem(&openssl.follow(&problem, "next.file", "")), public);
}

#[test]
fn keys_of_other_programs_are_named_and_converted() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.make_key_and_certificate();
    let public = openssl.public_of("mycert.pem");
    for (command, what) in [
        (
            "rsa -provider legacy -provider default -in mycert.pem -outform PVK -pvk-none -out key.file",
            "is a Microsoft private key (PVK)",
        ),
        ("rsa -in mycert.pem -outform MSBLOB -out key.file", "is a Microsoft private key (a key blob)"),
    ] {
        openssl.run(command);
        let problem = openssl.problem("key.file", None);
        assert!(problem.to_string().starts_with(what), "{problem}");
        assert_eq!(pem(&openssl.follow(&problem, "key.file", "")), public, "{what}");
    }
    if has("ssh-keygen") {
        for kind in ["rsa -b 2048", "ecdsa -b 256"] {
            shell(&openssl, &format!("rm -f key.file*; ssh-keygen -q -t {kind} -N '' -f key.file"));
            let problem = openssl.problem("key.file", None);
            assert!(problem.to_string().starts_with("is an OpenSSH key: "), "{problem}");
            let command = problem.to_string();
            let command = command.split('`').nth(1).unwrap().replace("OLD", "key.file").replace("NEW", "new.file");
            shell(&openssl, &format!("{command} -P '' -N ''"));
            let key = openssl.load("new.file", None).unwrap();
            assert_eq!(pem(&key), openssl.public_of("new.file"));
        }
    }
    if has("node") {
        let made = "const c=require('crypto');const k=c.generateKeyPairSync('ec',{namedCurve:'P-256'});\
                    require('fs').writeFileSync('key.file',JSON.stringify(k.privateKey.export({format:'jwk'})));\
                    require('fs').writeFileSync('public.pem',k.publicKey.export({type:'spki',format:'pem'}))";
        shell(&openssl, &format!("node -e \"{made}\""));
        let problem = openssl.problem("key.file", None);
        assert!(problem.to_string().starts_with("is a JWK: "), "{problem}");
        assert_eq!(pem(&openssl.follow(&problem, "key.file", "")), fs::read_to_string(openssl.path("public.pem")).unwrap());
        shell(&openssl, "test \"$(stat -c %a new.file)\" = 600");
    }
    if has("keytool") {
        for kind in ["JKS", "JCEKS"] {
            let make = format!(
                "rm -f key.file; keytool -genkeypair -keyalg RSA -keysize 2048 -dname CN=contoso -alias a -storetype {kind} -keystore key.file \
                 -storepass secret -keypass secret"
            );
            shell(&openssl, &make);
            let problem = openssl.problem("key.file", None);
            assert_eq!(problem.to_string().split(':').next().unwrap(), format!("is a Java keystore ({kind})"));
            let command = remedy(&problem).unwrap().replace("OLD", "key.file").replace("NEW", "new.file");
            shell(&openssl, &format!("rm -f new.file; {command} -srcstorepass secret -deststorepass secret"));
            openssl.load("new.file", Some("secret")).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_converted_is_named_at_least() {
    for (content, what) in [
        (&b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ=="[..], "is a PGP key: "),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "is a PuTTY key: "),
        (b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", "is a key in ssh.com's format: "),
        (b"<RSAKeyValue><Modulus>", "is a .NET key in XML: "),
        (b"{\"keys\":[]}", "is not a known kind of key file; accepted: "),
        (b"-----BEGIN PGP", "is not a known kind of key file; accepted: "),
    ] {
        let problem = SigningKey::parse(content, None, None).unwrap_err();
        assert!(problem.to_string().starts_with(what), "{problem}");
    }
}

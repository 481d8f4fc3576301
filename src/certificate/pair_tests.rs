//! Pairs that cannot be used, and what is said of them. Files are made by openssl where it makes what rcgen does not.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, time::Duration};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::{
    super::testing::{Bench, authority, issue, write_private},
    *,
};

const NAME: &str = "contoso.com";

fn read(files: &PairFiles) -> Result<Pair, CertificateError> {
    Pair::read(files, SystemTime::now())
}

/// What is said of a pair, without the folder.
fn told(bench: &Bench, files: &PairFiles) -> String {
    read(files).unwrap_err().to_string().replace(&format!("{}/", bench.path("").display()).replace("//", "/"), "")
}

/// Runs openssl in the bench's folder; false, aloud, if it is not there.
fn openssl(bench: &Bench, lines: &[&str]) -> bool {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "the openssl command line is not installed");
        eprintln!("SKIPPED: the openssl command line is not installed");
        return false;
    }
    for line in lines {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(bench.path("")).output().unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    true
}

#[test]
fn the_usual_keys_are_accepted_in_each_form() {
    let bench = Bench::new();
    for (name, algorithm) in [("p256", &PKCS_ECDSA_P256_SHA256), ("p384", &PKCS_ECDSA_P384_SHA384), ("ed25519", &PKCS_ED25519)] {
        let files = bench.pair_with(name, &[NAME, "*.contoso.com", "192.0.2.1"], algorithm, |_| {});
        let pair = read(&files).unwrap();
        assert_eq!(pair.names, [NAME, "*.contoso.com", "192.0.2.1"], "{name}");
        assert!(pair.warnings.is_empty(), "{:?}", pair.warnings);
    }
    let made = [
        "req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -subj /CN=a -addext subjectAltName=DNS:contoso.com",
        "rsa -in rsa.key -traditional -out rsa1.key",
        "ecparam -name prime256v1 -genkey -out sec1.key",
        "req -x509 -key sec1.key -out sec1.pem -subj /CN=a -addext subjectAltName=DNS:contoso.com",
    ];
    if openssl(&bench, &made) {
        for (chain, key, beginning) in [
            ("rsa.pem", "rsa.key", "-----BEGIN PRIVATE KEY"),
            ("rsa.pem", "rsa1.key", "-----BEGIN RSA PRIVATE KEY"),
            ("sec1.pem", "sec1.key", "-----BEGIN EC PARAMETERS"),
        ] {
            let text = fs::read_to_string(bench.path(key)).unwrap();
            assert!(text.starts_with(beginning), "{key}: {text}");
            write_private(&bench.path(key), &text);
            read(&PairFiles { chain: bench.path(chain), key: bench.path(key) }).unwrap();
        }
    }
    // Both in one file, as some servers have it.
    let (chain, key) = issue(&bench.authority, &[NAME], &PKCS_ECDSA_P256_SHA256, |_| {});
    for content in [format!("{chain}{key}"), format!("{key}{chain}")] {
        write_private(&bench.path("both.pem"), &content);
        read(&PairFiles { chain: bench.path("both.pem"), key: bench.path("both.pem") }).unwrap();
    }
}

#[test]
fn a_key_is_told_to_be_that_of_another_certificate() {
    let bench = Bench::new();
    let (one, two) = (bench.pair("one", &[NAME]), bench.pair("two", &[NAME]));
    let mixed = PairFiles { chain: one.chain, key: two.key };
    assert_eq!(
        told(&bench, &mixed),
        "two.key: is not the key of the certificate in ".to_owned() + &mixed_chain(&mixed) + ": write both files of a pair"
    );
    // Of another kind too.
    let ed = bench.pair_with("ed", &[NAME], &PKCS_ED25519, |_| {});
    let mixed = PairFiles { chain: mixed.chain, key: ed.key };
    assert!(told(&bench, &mixed).starts_with("ed.key: is not the key of the certificate in"));
}

fn mixed_chain(files: &PairFiles) -> String {
    files.chain.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_key_that_is_none_or_that_others_can_read_is_refused() {
    let bench = Bench::new();
    let files = bench.pair("one", &[NAME]);
    let key = fs::read_to_string(&files.key).unwrap();
    for (content, end) in [
        ("", "(PKCS#8, SEC1 or PKCS#1)"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "openssl pkey -in OLD -out NEW`"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA", "This one is damaged"),
        (&fs::read_to_string(&files.chain).unwrap(), "This is a certificate"),
        ("0\u{1}", "openssl pkey -inform DER -in OLD -out NEW`"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "and RSA of 2048 bits or more"),
    ] {
        write_private(&files.key, content);
        let text = told(&bench, &files);
        assert!(text.starts_with("one.key: ") && text.ends_with(end), "{text}");
    }
    write_private(&files.key, &key);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let text = told(&bench, &files);
    assert!(text.contains("can be read by others (mode 0644)"), "{text}");
    fs::remove_file(&files.key).unwrap();
    assert!(told(&bench, &files).starts_with("cannot read "));
}

#[test]
fn dates_names_purpose_and_order_are_checked() {
    let bench = Bench::new();
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let files = bench.pair_with("one", &[NAME], &PKCS_ECDSA_P256_SHA256, change);
        told(&bench, &files)
    };
    let text = with(&|it| it.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert_eq!(text, "one.pem: certificate 1 expired at 2020-01-01T00:00:00Z: renew it");
    let text = with(&|it| it.not_before = rcgen::date_time_ymd(3020, 1, 1));
    assert_eq!(text, "one.pem: certificate 1 is not valid before 3020-01-01T00:00:00Z: wait for it, or correct the clock");
    let text = with(&|it| it.subject_alt_names.clear());
    assert!(text.starts_with("one.pem: certificate 1 has no host names in it (subjectAltName)"), "{text}");
    let text = with(&|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(text.starts_with("one.pem: certificate 1 is not for servers"), "{text}");

    let (files, leaf) = (bench.pair("one", &[NAME]), |files: &PairFiles| fs::read_to_string(&files.chain).unwrap());
    let good = leaf(&files);
    for (chain, start) in [
        (bench.authority.pem() + &good, "one.pem: certificate 1 has no host names"),
        (good.clone() + &good, "one.pem: certificate 1 was not issued by the one behind it"),
        // Of the same name, and yet not the issuer.
        (good.clone() + &authority("authority").pem(), "one.pem: its certificates make no valid chain: "),
        (String::new(), "one.pem: holds no certificate; accepted: PEM"),
        (good.replace("-----END", "-----FIN"), "one.pem: certificate 1 "),
        (good.clone() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "one.pem: certificate 2 is damaged"),
    ] {
        fs::write(&files.chain, chain).unwrap();
        let text = told(&bench, &files);
        assert!(text.starts_with(start), "{text}");
    }
    fs::write(&files.chain, good + &bench.authority.pem()).unwrap();
    assert_eq!(read(&files).unwrap().lives.len(), 2);
}

#[test]
fn an_intermediate_that_ends_is_told_by_its_number() {
    let bench = Bench::new();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "intermediate");
    parameters.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let intermediate = rcgen::CertifiedIssuer::signed_by(parameters, KeyPair::generate().unwrap(), &bench.authority).unwrap();
    let (chain, key) = issue(&intermediate, &[NAME], &PKCS_ECDSA_P256_SHA256, |_| {});
    let files = bench.write("one", &(chain + &intermediate.pem()), &key);
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(2_208_988_800);
    assert_eq!(Pair::read(&files, before).unwrap().lives.len(), 2);
    let error = Pair::read(&files, before + Duration::from_secs(1)).unwrap_err().to_string();
    assert!(error.ends_with("certificate 2 expired at 2040-01-01T00:00:00Z: renew it"), "{error}");
}

#[test]
fn what_is_weak_is_refused_and_what_is_slow_is_warned_about() {
    let bench = Bench::new();
    let named = "-subj /CN=a -addext subjectAltName=DNS:contoso.com";
    let made = [
        &format!("req -x509 -newkey rsa:1024 -nodes -keyout small.key -out small.pem {named}")[..],
        &format!("req -x509 -newkey rsa:2047 -nodes -keyout odd.key -out odd.pem {named}"),
        &format!("req -x509 -newkey rsa:4096 -nodes -keyout large.key -out large.pem {named}"),
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=b",
        "req -new -newkey rsa:2048 -nodes -keyout sha1.key -out sha1.csr -subj /CN=a -addext subjectAltName=DNS:contoso.com",
        "x509 -req -sha1 -in sha1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out sha1.pem",
    ];
    if !openssl(&bench, &made) {
        return;
    }
    let files = |name: &str| {
        let key = bench.path(&format!("{name}.key"));
        write_private(&key, &fs::read_to_string(&key).unwrap());
        PairFiles { chain: bench.path(&format!("{name}.pem")), key }
    };
    for (name, what) in
        [("small", "has an RSA key of 1024 bits"), ("odd", "has an RSA key of 2047 bits"), ("sha1", "is signed with SHA-1 or MD5")]
    {
        assert_eq!(told(&bench, &files(name)), format!("{name}.pem: certificate 1 {what}, which clients refuse: make another one"));
    }
    let warnings = read(&files("large")).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("large.pem: has an RSA key of 4096 bits"), "{warnings:?}");
}

#[test]
fn a_public_certificate_without_its_intermediates_is_warned_about() {
    let bench = Bench::new();
    // Where the issuer's certificate is (RFC 5280 section 4.2.2.1): caIssuers, a URI.
    let place = [&[0x30, 16, 0x30, 14, 6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, 2][..], b"a:"].concat();
    let extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], place);
    let files = bench.pair_with("one", &[NAME], &PKCS_ECDSA_P256_SHA256, |it| it.custom_extensions = vec![extension]);
    let warnings = read(&files).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].ends_with("use the file with the whole chain"), "{warnings:?}");
    let chain = fs::read_to_string(&files.chain).unwrap() + &bench.authority.pem();
    fs::write(&files.chain, chain).unwrap();
    assert!(read(&files).unwrap().warnings.is_empty());
}

#[test]
fn odd_names_are_names_of_nobody_and_break_nothing() {
    let bench = Bench::new();
    for name in ["*", "*.", "a b", "xn--", "f*.contoso.com", "contoso.com.", &"a".repeat(300), "\u{7f}", "%00"] {
        let files = bench.pair_with("odd", &["fine.contoso.com"], &PKCS_ECDSA_P256_SHA256, |it| {
            it.subject_alt_names.push(rcgen::SanType::DnsName(name.to_owned().try_into().unwrap()));
        });
        let tls = super::super::ServerTls::load(&super::super::testing::settings(&[&files]), SystemTime::now()).unwrap();
        assert!(tls.serves("fine.contoso.com") && !tls.serves("b.fine.contoso.com") && !tls.serves("www.fabrikam.com"), "{name}");
        assert_eq!(tls.serves("contoso.com"), name == "contoso.com.", "{name}");
    }
}

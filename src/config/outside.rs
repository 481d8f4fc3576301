//! Files and environment variables that a config names, and the checks of them that need no running gateway.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    admin::credential::Credential,
    certificate::{CertificateError, ClientRules, PairFiles, ServerTls, TlsSettings, check_pair, check_rules},
    config::problem::{Position, Problem},
    jwks::check_key_file,
    private_file::Secret,
    proxy::{CertificateFiles, load_certificate},
    tls::Authorities,
};

/// Something outside that the config names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The position of its key.
    pub at: Position,
    /// Its key.
    pub key: String,
    /// What it leads to.
    pub target: Target,
}

/// What a reference leads to. Paths are as seen from the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The file with our own key.
    SigningKey(PathBuf),
    /// A file with a passphrase, or with a secret to sign with.
    Secret(PathBuf),
    /// A file with a secret that a client or a caller knows too.
    SharedSecret(PathBuf),
    /// A file with certificates of authorities, PEM.
    Authorities(PathBuf),
    /// The files of a certificate and its key.
    Pair(PairFiles),
    /// TLS whose default certificate has to be among those that it has.
    DefaultCertificate(Box<TlsSettings>),
    /// The files by which clients' certificates are verified.
    ClientRules(ClientRules),
    /// A file with a certificate and those between it and an authority, PEM.
    Certificates(PathBuf),
    /// A certificate and its key, each of which is referred to alone too.
    OwnPair(CertificateFiles),
    /// A file with an issuer's keys.
    Keys(PathBuf),
    /// A file that the gateway writes itself; it need not be there yet.
    Snapshot(PathBuf),
    /// The file with the operators' credential.
    Credential(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl Reference {
    /// Whether it is there: the file can be read; certificates, an issuer's keys and the credential can be used; the variable is set.
    /// `is_set` knows the environment.
    pub fn check(&self, is_set: impl Fn(&str) -> bool) -> Result<(), Problem> {
        let outcome = match &self.target {
            Target::SigningKey(path) => check_readable(path)
                .map_err(|problem| or_make(path, problem, &format!("syncgate keys generate --out {}", path.display()))),
            Target::Secret(path) => check_readable(path),
            Target::SharedSecret(path) => {
                check_readable(path).and_then(|()| Secret::read_all(path).map(|_| ()).map_err(|error| error.to_string()))
            }
            Target::Keys(path) => check_readable(path).and_then(|()| check_key_file(path)),
            Target::Snapshot(path) => check_folder(path),
            Target::Credential(path) => check_readable(path)
                .map_err(|problem| or_make(path, problem, "syncgate admin credential --config FILE"))
                .and_then(|()| Credential::read(path).map(|_| ()).map_err(|error| error.to_string())),
            Target::Authorities(path) => check_readable(path).and_then(|()| check_authorities(path)),
            Target::Pair(files) => check_pair(files, SystemTime::now()).map(|_| ()).map_err(|error| error.to_string()),
            Target::ClientRules(rules) => check_rules(rules, SystemTime::now()).map(|_| ()).map_err(|error| error.to_string()),
            Target::DefaultCertificate(settings) => match ServerTls::load(settings, SystemTime::now()) {
                Err(error @ CertificateError::NoDefault { .. }) => Err(error.to_string()),
                // What else is wrong is reported where it is.
                _ => Ok(()),
            },
            Target::Certificates(path) => check_readable(path),
            // Where one cannot be read, that is told of it alone.
            Target::OwnPair(files) if [&files.certificate, &files.key].into_iter().any(|path| check_readable(path).is_err()) => {
                Ok(())
            }
            Target::OwnPair(files) => load_certificate(files).map(|_| ()).map_err(|problem| problem.to_string()),
            Target::Variable(name) if is_set(name) => Ok(()),
            Target::Variable(name) => Err(format!("the environment variable {name} is not set")),
        };
        outcome.map_err(|text| self.problem(text))
    }

    /// What there is to think about, if it can be used.
    pub fn warnings(&self) -> Vec<Problem> {
        let warnings = match &self.target {
            Target::Pair(files) => check_pair(files, SystemTime::now()),
            Target::ClientRules(rules) => check_rules(rules, SystemTime::now()),
            _ => return Vec::new(),
        };
        warnings.unwrap_or_default().into_iter().map(|text| self.problem(text)).collect()
    }

    fn problem(&self, text: String) -> Problem {
        Problem { at: self.at, key: self.key.clone(), text }
    }
}

fn check_readable(path: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    // Before it is opened: opening a pipe would wait for somebody to write to it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(format!("{} is not a regular file", path.display()));
    }
    File::open(path).and_then(|mut file| file.read(&mut [0])).map(|_| ()).map_err(unreadable)
}

/// Adds the command that makes the file, where there is none.
fn or_make(path: &Path, problem: String, command: &str) -> String {
    let is_missing = path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if is_missing { format!("{problem}; create one with: {command}") } else { problem }
}

/// Whether the folder of a file to be written is there.
fn check_folder(path: &Path) -> Result<(), String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() {
        Ok(())
    } else {
        Err(format!("{} cannot be written: {} is not a directory", path.display(), folder.display()))
    }
}

fn check_authorities(path: &Path) -> Result<(), String> {
    Authorities::read(path).map(|_| ()).map_err(|problem| format!("{}: {problem}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn check(target: Target) -> Result<(), String> {
        let reference = Reference { at: Position::START, key: "key".to_owned(), target };
        reference.check(|name| name == "SET").map_err(|problem| problem.text)
    }

    #[test]
    fn a_key_file_must_be_a_file_that_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let missing = check(Target::SigningKey(path.clone())).unwrap_err();
        assert!(missing.starts_with(&format!("{} cannot be read: No such file", path.display())), "{missing}");
        assert!(missing.ends_with(&format!("; create one with: syncgate keys generate --out {}", path.display())), "{missing}");
        let text = format!("{} is not a regular file", folder.path().display());
        assert_eq!(check(Target::Secret(folder.path().to_owned())), Err(text));
        std::fs::write(&path, "").unwrap();
        assert_eq!(check(Target::SigningKey(path)), Ok(()));
    }

    #[test]
    fn authorities_must_be_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "no certificate").unwrap();
        assert_eq!(
            check(Target::Authorities(path.clone())),
            Err(format!("{}: holds no certificate; accepted: PEM", path.display()))
        );
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        let wrong = check(Target::Authorities(path.clone())).unwrap_err();
        assert_eq!(wrong, format!("{}: certificate 1 is damaged", path.display()));
        let certificate = rcgen::generate_simple_self_signed(["contoso.com".to_owned()]).unwrap();
        std::fs::write(&path, certificate.cert.pem()).unwrap();
        assert_eq!(check(Target::Authorities(path)), Ok(()));
    }

    #[test]
    fn a_certificate_and_its_key_must_belong_together_and_be_kept_secret() {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles { certificate: folder.path().join("own.pem"), key: folder.path().join("own.key") };
        let pair = || check(Target::OwnPair(files.clone()));
        assert_eq!(pair(), Ok(()), "that they are missing is told of each alone");
        let made = || rcgen::generate_simple_self_signed(["gateway".to_owned()]).unwrap();
        let (own, other) = (made(), made());
        std::fs::write(&files.certificate, own.cert.pem()).unwrap();
        std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&files.key, Permissions::from_mode(0o644)).unwrap();
        assert!(pair().unwrap_err().contains("can be read by others (mode 0644)"));
        std::fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(pair(), Ok(()));
        std::fs::write(&files.key, other.signing_key.serialize_pem()).unwrap();
        assert!(pair().unwrap_err().ends_with("the key is not that of the first certificate in the file"));
    }

    #[test]
    fn an_issuers_keys_must_be_keys_that_nobody_else_can_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let name = path.display();
        assert!(check(Target::Keys(path.clone())).unwrap_err().starts_with(&format!("{name} cannot be read: No such file")));
        let none = r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#;
        for (content, mode, told) in [
            (r#"{"keys":[]}"#, 0o666, "can be changed by anyone, who could add keys"),
            ("{", 0o644, "not a key set: "),
            (none, 0o644, "no usable key among 1"),
        ] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let problem = check(Target::Keys(path.clone())).unwrap_err();
            assert!(problem.starts_with(&format!("{name} {told}")), "{problem}");
            // The remedy, as printed.
            if let Some(command) = problem.split('`').nth(1) {
                assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
                assert_eq!(check(Target::Keys(path.clone())), Ok(()), "{command}");
            }
        }
    }

    #[test]
    fn a_credential_must_be_one_that_is_kept_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        let missing = check(Target::Credential(path.clone())).unwrap_err();
        assert!(missing.ends_with("; create one with: syncgate admin credential --config FILE"), "{missing}");
        std::fs::write(&path, "short").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let exposed = check(Target::Credential(path.clone())).unwrap_err();
        assert!(exposed.ends_with(&format!("(mode 0644): run `chmod 600 {}`", path.display())), "{exposed}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let short = check(Target::Credential(path.clone())).unwrap_err();
        assert!(short.ends_with("create one with `syncgate admin credential --config FILE --force`"), "{short}");
        Credential::create(&path, true).unwrap();
        assert_eq!(check(Target::Credential(path)), Ok(()));
    }

    #[test]
    fn a_variable_must_be_set() {
        assert_eq!(check(Target::Variable("SET".to_owned())), Ok(()));
        assert_eq!(check(Target::Variable("UNSET".to_owned())), Err("the environment variable UNSET is not set".to_owned()));
    }
}

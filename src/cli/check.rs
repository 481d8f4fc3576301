//! `syncgate check`.

use std::path::Path;

use crate::{
    cli::{Failure, config_file::ConfigFile},
    config::{Config, ConfigError, Effective, Findings, Loaded, Problem, Reference, Report},
    endpoint::EndpointSettings,
    proxy::RouteSettings,
    signing::{SigningError, SigningKey, SigningSettings},
};

/// Report everything that is wrong with a config file at once.
///
/// Each mistake is reported with its position, its key, what is wrong and what is accepted:
///
///   gateway.yaml:12:3: shutdown.grace: 2h is too long; accepted: 0s to 1h (default 30s)
///
/// The files that the config names are opened; nothing is fetched or started. Warnings do not fail the check. Findings go
/// to standard error; `ok`, or the output of --print, to standard output.
/// The exit code is 0 if the file is valid, 1 if it has mistakes, 2 if it cannot be read.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  syncgate check gateway.yaml\n  syncgate check --config gateway.yaml --print > effective.yaml\n  \
                  syncgate check --print gateway.yaml | grep -v '# default$'"
)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the settings in full, with defaults filled in and presets expanded: an equivalent config file.
    ///
    /// Comments mark defaults and values from a preset.
    /// Secrets appear as the file or variable that holds them.
    #[arg(long)]
    print: bool,
}

impl CheckArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let path = self.config.path();
        let (config, mut findings, outside) = match Config::read(path) {
            Ok(Loaded { config, warnings, references, written }) => {
                let outside = outside_problems(&references, Some(&config.signing));
                let more = references.iter().flat_map(Reference::warnings);
                let warnings = warnings.into_iter().chain(more).collect();
                (Some((config, written)), Findings { problems: Vec::new(), warnings }, outside)
            }
            Err(error @ ConfigError::Unreadable { .. }) => return Err(Failure::Trouble(error.to_string())),
            Err(ConfigError::Invalid { findings, references, signing, .. }) => {
                (None, findings, outside_problems(&references, signing.as_deref()))
            }
        };
        findings.problems.extend(outside);
        findings.problems.sort_by_key(|problem| problem.at);
        let report = || Report { path, findings: &findings }.to_string();
        let Some((config, written)) = config.filter(|_| findings.problems.is_empty()) else { return Err(Failure::No(report())) };
        if !findings.warnings.is_empty() {
            eprintln!("{}", report());
        }
        match self.print {
            true => print!("{}", Effective(&config).marked(&written)),
            false => println!("{}", summary(path, &config)),
        }
        Ok(())
    }
}

/// What is wrong outside of the config file itself: with the files and variables that it names, and with the key in its file.
fn outside_problems(references: &[Reference], signing: Option<&SigningSettings>) -> Vec<Problem> {
    let is_set = |variable: &str| std::env::var_os(variable).is_some();
    let mut problems: Vec<_> = references.iter().filter_map(|reference| reference.check(is_set).err()).collect();
    // A key or passphrase that cannot be read is reported already.
    let is_reported = problems.iter().any(|problem| problem.key.starts_with("signing."));
    if let Some(signing) = signing.filter(|_| !is_reported && key_reference(references).is_some()) {
        let error = SigningKey::load(signing).err();
        problems.extend(error.and_then(|error| key_problem(references, &error)));
    }
    problems
}

/// What is wrong with the signing key, at the place that names it.
pub(super) fn key_problem(references: &[Reference], error: &SigningError) -> Option<Problem> {
    let Reference { at, key, .. } = key_reference(references)?;
    Some(Problem { at: *at, key: key.clone(), text: error.to_string() })
}

fn key_reference(references: &[Reference]) -> Option<&Reference> {
    let keys = ["signing.key_file", "signing.secret_file", "signing.secret_env"];
    references.iter().find(|reference| keys.contains(&reference.key.as_str()))
}

/// Whether a route follows from others: nobody has written it.
fn is_metadata(route: &RouteSettings) -> bool {
    matches!(route.endpoint, Some(EndpointSettings::Metadata(_)))
}

/// One line that says that all is well.
fn summary(path: &Path, config: &Config) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!(
        "{}: ok ({}, {}, {})",
        path.display(),
        count(config.issuers.len(), "issuer"),
        count(config.proxy.routes.iter().filter(|route| !is_metadata(route)).count(), "route"),
        count(config.proxy.upstreams.len(), "upstream"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::signing::{NewKey, PrivateKeyPem};

    /// Checks a file with this text beside a key, and beside a file that is none. In the answer the folder is left out.
    fn check(text: &str, print: bool) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        PrivateKeyPem::generate(NewKey::Rsa(2048)).unwrap().create(&folder.path().join("signing.pem"), false).unwrap();
        std::fs::write(folder.path().join("secret"), "hunter2").unwrap();
        std::fs::set_permissions(folder.path().join("secret"), PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(folder.path().join("exposed.pem"), "").unwrap();
        std::fs::set_permissions(folder.path().join("exposed.pem"), PermissionsExt::from_mode(0o644)).unwrap();
        let config = folder.path().join("gateway.yaml");
        std::fs::write(&config, text).unwrap();
        let shown = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
        CheckArgs { config: ConfigFile::at(config), print }.execute().map_err(|failure| match failure {
            Failure::No(text) => shown(text),
            Failure::Trouble(text) => panic!("{text}"),
        })
    }

    const FINE: &str = "\
issuers:
  - {preset: oidc, issuer: https://login.contoso.com, audiences: [api]}
signing: {key_file: signing.pem}
upstream: {url: http://couch:5984}
";

    #[test]
    fn a_file_with_a_warning_passes() {
        assert_eq!(check(FINE, false), Ok(()));
        assert_eq!(check(FINE, true), Ok(()));
    }

    #[test]
    fn mistakes_are_listed_and_counted() {
        let text = FINE.replace("upstream:", "realms: x\nupstream:").replace("audiences: [api]", "leeway: 6m");
        assert_eq!(
            check(&text, true).unwrap_err(),
            "gateway.yaml:5:12: warning: upstream.url: plain http to another machine: user tokens can be read on the network; acceptable only in \
             a network that you trust\n\
             gateway.yaml:2:5: issuers[0].audiences: is required: the id of your API's registration; without it, tokens for any other \
             application would be accepted\n\
             gateway.yaml:2:55: issuers[0].leeway: 6m is too long; accepted: 0s to 5m (default 1m)\n\
             gateway.yaml:4:1: realms: unknown key; did you mean realm?\n\
             gateway.yaml: 3 problems, 1 warning"
        );
    }

    #[test]
    fn files_that_are_named_must_be_there() {
        let text = FINE.replace("signing.pem", "other.pem");
        assert_eq!(
            check(&text, false).unwrap_err(),
            "gateway.yaml:4:12: warning: upstream.url: plain http to another machine: user tokens can be read on the network; acceptable only in \
             a network that you trust\n\
             gateway.yaml:3:11: signing.key_file: other.pem cannot be read: No such file or directory (os error 2); create one with: syncgate \
             keys generate --out other.pem\n\
             gateway.yaml: 1 problem, 1 warning"
        );
    }

    #[test]
    fn files_are_looked_at_beside_other_mistakes() {
        let text = FINE.replace("http://couch:5984", "http://127.0.0.1, idle_timeout: 5");
        let unit = "gateway.yaml:4:35: upstream.idle_timeout: \"5\" has no unit; did you mean 5s?; accepted: 1s to 1h (default 4s)";
        for (key_file, told) in [
            ("other.pem", "other.pem cannot be read: No such file or directory (os error 2)"),
            ("exposed.pem", "exposed.pem can be read by others (mode 0644)"),
        ] {
            let report = check(&text.replace("signing.pem", key_file), false).unwrap_err();
            assert!(report.contains(&format!("gateway.yaml:3:11: signing.key_file: {told}")), "{report}");
            assert!(report.contains(unit) && report.ends_with("gateway.yaml: 2 problems"), "{report}");
        }
    }

    #[test]
    fn the_file_is_named_with_or_without_config() {
        use clap::Parser as _;
        for arguments in
            [&["check", "a.yaml"][..], &["check", "--config", "a.yaml"], &["check", "-c", "a.yaml"], &["run", "a.yaml"]]
        {
            crate::cli::Cli::try_parse_from([&["syncgate"], arguments].concat()).unwrap();
        }
        for arguments in [&["check"][..], &["check", "a.yaml", "--config", "a.yaml"]] {
            crate::cli::Cli::try_parse_from([&["syncgate"], arguments].concat()).unwrap_err();
        }
    }

    #[test]
    fn the_key_must_be_one_that_the_gateway_would_start_with() {
        let text = FINE.replace("signing.pem", "exposed.pem").replace("http://couch", "https://couch");
        assert_eq!(
            check(&text, false).unwrap_err(),
            "gateway.yaml:3:11: signing.key_file: exposed.pem can be read by others (mode 0644): run `chmod 600 exposed.pem`\n\
             gateway.yaml: 1 problem"
        );
    }

    #[test]
    fn a_secret_must_be_long_enough() {
        let signing = "signing: {algorithm: HS256, secret_file: secret}";
        let text = FINE.replace("signing: {key_file: signing.pem}", signing).replace("http://couch", "https://couch");
        assert_eq!(
            check(&text, false).unwrap_err(),
            "gateway.yaml:3:11: warning: signing.algorithm: HS256: anyone who can verify user tokens can mint them, including the backend; \
             use it only if the backend can verify nothing else\n\
             gateway.yaml:3:29: signing.secret_file: the secret in secret has 7 bytes; HS256 needs at least 32: create one with `openssl \
             rand -base64 48`\n\
             gateway.yaml: 1 problem, 1 warning"
        );
    }

    /// A certificate for contoso.com and its key in this folder, both in one file.
    fn pair_in(folder: &Path, name: &str) {
        let pair = rcgen::generate_simple_self_signed(["contoso.com".to_owned()]).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, pair.cert.pem() + &pair.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    }

    #[test]
    fn certificates_are_looked_at_as_they_are_at_start() {
        let folder = tempfile::tempdir().unwrap();
        ["one.pem", "two.pem"].iter().for_each(|name| pair_in(folder.path(), name));
        let (one, two) = (folder.path().join("one.pem"), folder.path().join("two.pem"));
        let with = |chain: &Path, key: &Path, more: &str| {
            let (chain, key) = (chain.display(), key.display());
            let tls = format!("listen: {{tls: {{certificates: [{{chain_file: {chain}, key_file: {key}}}]{more}}}}}\n");
            check(&(tls + &FINE.replace("http://couch", "https://couch")), false)
        };
        assert_eq!(with(&one, &one, ""), Ok(()));
        let error = with(&one, &two, "").unwrap_err();
        let expected = format!(
            "gateway.yaml:1:31: listen.tls.certificates[0]: {}: is not the key of the certificate in {}: write both files of a pair\n",
            two.display(),
            one.display()
        );
        assert!(error.starts_with(&expected), "{error}");
        let error = with(&one, &one, ", default: fabrikam.com").unwrap_err();
        assert!(error.contains("listen.tls: no certificate is for fabrikam.com, which is to be the default"), "{error}");
        let (ca, missing) = (one.display(), folder.path().join("missing").display().to_string());
        let clients = format!(", client_certificates: {{mode: required, ca_file: {ca}, crl_files: [{missing}]}}");
        let error = with(&one, &one, &clients).unwrap_err();
        assert!(error.contains(&format!("listen.tls.client_certificates: {missing}: cannot be read: No such file")), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("none.yaml");
        let expected = format!("{}: cannot be read: No such file or directory (os error 2)", config.display());
        match (CheckArgs { config: ConfigFile::at(config), print: false }).execute() {
            Err(Failure::Trouble(text)) => assert_eq!(text, expected),
            other => panic!("{other:?}"),
        }
    }
}

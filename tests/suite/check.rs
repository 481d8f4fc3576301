//! `syncgate check`: its streams, and what `--print` shows of a preset.

use std::{os::unix::fs::PermissionsExt as _, process::Command};

use syncgate::demo::DemoKey;
use tempfile::TempDir;

/// Exit code, standard output and standard error of `check` on the minimal config, changed.
fn check(arguments: &[&str], change: impl Fn(String) -> String) -> (Option<i32>, String, String) {
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("signing.pem");
    std::fs::write(&key, DemoKey::shared(0).unwrap().private_key_pem().unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let minimal = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/minimal.yaml")).unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), change(minimal.replace("/etc/syncgate/", ""))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncgate"));
    let output = command.current_dir(folder.path()).arg("check").args(arguments).arg("gateway.yaml").output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// What is found goes to standard error, also where it is no mistake: standard output is for those who go on with it.
#[test]
fn findings_and_answers_go_to_different_streams() {
    let ok = "gateway.yaml: ok (1 issuer, 1 route, 1 upstream)\n";
    assert_eq!(check(&[], |text| text), (Some(0), ok.to_owned(), String::new()));

    let doubtful = |text: String| text.replace("127.0.0.1:5984", "couch.contoso.com:5984");
    let (code, out, errors) = check(&[], doubtful);
    assert_eq!((code, out.as_str()), (Some(0), ok));
    assert!(errors.contains("warning: ") && errors.ends_with("gateway.yaml: 0 problems, 1 warning\n"), "{errors}");
    let (code, out, errors) = check(&["--print"], doubtful);
    assert!(code == Some(0) && out.starts_with("listen:\n") && !out.contains("warning"), "{out}");
    assert!(errors.contains("warning: "), "{errors}");

    let (code, out, errors) = check(&[], |text| text + "nonsense: 1\n");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.ends_with("gateway.yaml: 1 problem\n"), "{errors}");
}

#[test]
fn presets_are_printed_as_what_they_expand_to() {
    let (code, printed, errors) = check(&["--print"], |text| text);
    assert_eq!(code, Some(0), "{errors}");
    assert!(!printed.contains("tenant_id"), "{printed}");
    for line in [
        "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin/v2.0/.well-known/openid-configuration",
        "https://contoso.b2clogin.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0/",
        "https://contoso.b2clogin.com/tfp/9c0c1f5e-0000-4000-8000-000000000000/b2c_1_signin/v2.0/",
        "    algorithms: # default\n      - RS256 # default\n",
        "    user_id: # preset\n      - oid # preset\n      - sub # preset\n",
        "    tokens: # default\n      - access # default\n",
        "leeway: 1m",
        "max_bytes: 16KiB",
        "max_header_bytes: 4KiB",
        "max_kid_bytes: 512",
    ] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
}

#[test]
fn shells_can_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_syncgate")).args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{shell}");
        for command in ["run", "admin", "check", "explain", "keys", "demo", "completions", "purge", "credential"] {
            assert!(script.contains(command), "{command} is not in the script for {shell}");
        }
    }
}

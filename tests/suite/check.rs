//! `syncgate check --print`: what a preset expands to.

use std::{os::unix::fs::PermissionsExt as _, process::Command};

use syncgate::demo::DemoKey;
use tempfile::TempDir;

#[test]
fn presets_are_printed_as_what_they_expand_to() {
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("signing.pem");
    std::fs::write(&key, DemoKey::shared(0).unwrap().private_key_pem().unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let minimal = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/minimal.yaml")).unwrap();
    let config = folder.path().join("gateway.yaml");
    std::fs::write(&config, minimal.replace("/etc/syncgate/", "")).unwrap();

    let output = Command::new(env!("CARGO_BIN_EXE_syncgate")).args(["check", "--print", "--config"]).arg(&config).output().unwrap();
    let (printed, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(!printed.contains("tenant_id"), "{printed}");
    for line in [
        "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin/v2.0/.well-known/openid-configuration",
        "https://contoso.b2clogin.com/9c0c1f5e-0000-4000-8000-000000000000/v2.0/",
        "https://contoso.b2clogin.com/tfp/9c0c1f5e-0000-4000-8000-000000000000/b2c_1_signin/v2.0/",
        "    algorithms:\n      - RS256\n",
        "    user_id:\n      - oid\n      - sub\n",
        "    tokens:\n      - access\n",
        "leeway: 1m",
        "max_bytes: 16KiB",
        "max_header_bytes: 4KiB",
        "max_kid_bytes: 512",
    ] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
}

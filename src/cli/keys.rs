//! `syncgate keys`.

use std::{
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};

use crate::{
    cli::Failure,
    config::Config,
    signing::{NewKey, PrivateKeyPem, SecretSource, SigningKey},
};

/// Generate a signing key, or print the public key to pin.
#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    Generate(GenerateArgs),
    Public(PublicArgs),
}

/// Generate a new signing key.
///
/// Writes the private key to a file that only you can read, and the public key to another file or to standard output. Configure the private
/// key in the gateway (`signing` in its config) and pin the public key in the backend: it then accepts only tokens that the
/// gateway signed. Use RSA unless you know that the backend verifies the algorithm of another key.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The size determines the cost of a signature. Each minted token needs one, and is used for many requests. On one core of a small \
server a signature takes about 0.35 ms with 2048 bits, 1 ms with 3072 and 2 ms with 4096. 3072 bits are considered safe \
beyond 2030. Choose 2048 if thousands of users log in per second, and 4096 if a policy requires it. EC and Ed25519 take about \
0.03 ms.

signing.algorithm in the config must match: RS256 (default), RS384, RS512, PS256, PS384 or PS512 for RSA, ES256 or ES384 \
for EC, EdDSA for Ed25519.

Examples:
  syncgate keys generate --public public.pem
  syncgate keys generate --bits 4096 --out /etc/syncgate/signing-key.pem --public public.pem
  syncgate keys generate --type ec --public public.pem

With `> public.pem` instead of --public, the shell empties that file even if no key is generated.")]
struct GenerateArgs {
    /// Kind of key.
    #[arg(long = "type", value_enum, default_value = "rsa")]
    kind: Kind,
    /// Length: 2048, 3072 (default) or 4096 for RSA; 256 (P-256, default) or 384 (P-384) for EC.
    #[arg(long)]
    bits: Option<u32>,
    /// Where to write the private key: PEM (PKCS#8), not encrypted, mode 0600.
    #[arg(long, value_name = "FILE", default_value = "signing-key.pem")]
    out: PathBuf,
    /// Where to write the public key: PEM. Default: standard output. It is written after the private key, and only if that succeeded.
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    /// Replace the files if they exist. The old key is lost: backends that pin it then refuse every token.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// RSA
    Rsa,
    /// ECDSA on P-256 or P-384
    Ec,
    /// Ed25519
    Ed25519,
}

/// The format of a public key.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum PublicFormat {
    /// SubjectPublicKeyInfo in PEM
    Pem,
    /// JSON Web Key, in one line
    Jwk,
}

/// Print the public key of a signing key, for the backend to pin.
///
/// In PEM the output equals that of `openssl pkey -in FILE -pubout`. Reads the same files as the gateway: PEM (PKCS#8, encrypted or not,
/// PKCS#1 or SEC 1; a certificate in the file must match the key) and PKCS#12. The file must not be readable by others.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  syncgate keys public --config gateway.yaml > public.pem
  syncgate keys public --key signing-key.pem > public.pem
  syncgate keys public --config gateway.yaml --format jwk
  syncgate keys public --key certificate.pfx --passphrase-file passphrase.txt
  KEY_PASSPHRASE=... syncgate keys public --key certificate.pfx --passphrase-env KEY_PASSPHRASE")]
struct PublicArgs {
    /// The file with the private key.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    key: Option<PathBuf>,
    /// A gateway's config file: use the key that it names.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "passphrase_file", "passphrase_env"])]
    config: Option<PathBuf>,
    /// File with the passphrase of an encrypted key; a line break at its end is ignored.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_env")]
    passphrase_file: Option<PathBuf>,
    /// Name of the environment variable with the passphrase of an encrypted key.
    #[arg(long, value_name = "NAME")]
    passphrase_env: Option<String>,
    /// Output format.
    #[arg(long, value_enum, default_value = "pem")]
    format: PublicFormat,
}

impl KeysArgs {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let (output, note) = (&mut io::stdout().lock(), &mut io::stderr().lock());
        match self.command {
            KeysCommand::Generate(args) => args.execute(output, note),
            KeysCommand::Public(args) => args.execute(output),
        }
    }
}

impl GenerateArgs {
    fn execute(self, output: &mut impl Write, note: &mut impl Write) -> Result<(), Failure> {
        let kind = match self.kind {
            Kind::Rsa => NewKey::Rsa(self.bits.unwrap_or(3072)),
            Kind::Ec => NewKey::Ec(self.bits.unwrap_or(256)),
            Kind::Ed25519 if self.bits.is_some() => return Err(trouble("an Ed25519 key has a fixed length: omit --bits")),
            Kind::Ed25519 => NewKey::Ed25519,
        };
        let private = PrivateKeyPem::generate(kind).map_err(trouble)?;
        let key = private.signing_key().map_err(trouble)?;
        match &self.public {
            Some(public) => private.create_pair(&self.out, public, self.force).map_err(trouble)?,
            None => {
                private.create(&self.out, self.force).map_err(trouble)?;
                print(output, &public_key(&key, PublicFormat::Pem)?)?;
            }
        }
        print(
            note,
            &format!(
                "The private key is in {}. Keep it secret, and keep a backup: a backend that pins this public key trusts no other.\n",
                self.out.display()
            ),
        )
    }
}

impl PublicArgs {
    fn execute(self, output: &mut impl Write) -> Result<(), Failure> {
        let key = match (&self.key, &self.config) {
            (_, Some(config)) => SigningKey::load(&Config::load(config).map_err(trouble)?.signing),
            (Some(file), None) => {
                let passphrase =
                    self.passphrase_file.map(SecretSource::File).or(self.passphrase_env.map(SecretSource::Environment));
                SigningKey::open(file, passphrase.as_ref())
            }
            (None, None) => return Err(Failure::Trouble("no key is given: add --key FILE or --config FILE".to_owned())),
        };
        print(output, &public_key(&key.map_err(trouble)?, self.format)?)
    }
}

fn public_key(key: &SigningKey, format: PublicFormat) -> Result<String, Failure> {
    let public =
        key.public().ok_or_else(|| trouble("HS256 signs with a secret, which has no public key: the backend needs the secret"))?;
    Ok(match format {
        PublicFormat::Pem => public.pem().to_owned(),
        PublicFormat::Jwk => format!("{}\n", public.jwk()),
    })
}

fn print(output: &mut impl Write, text: &str) -> Result<(), Failure> {
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| Failure::Trouble(format!("cannot write the output: {error}")))
}

fn trouble(error: impl Display) -> Failure {
    Failure::Trouble(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(subcommand)]
        command: KeysCommand,
    }

    /// Standard output and standard error.
    fn run(arguments: &[&str]) -> Result<(String, String), String> {
        let line = CommandLine::try_parse_from([&["keys"], arguments].concat()).map_err(|error| error.to_string())?;
        let (mut output, mut note) = (Vec::new(), Vec::new());
        match line.command {
            KeysCommand::Generate(args) => args.execute(&mut output, &mut note),
            KeysCommand::Public(args) => args.execute(&mut output),
        }
        .map_err(|failure| failure.to_string())?;
        Ok((String::from_utf8(output).unwrap(), String::from_utf8(note).unwrap()))
    }

    fn text(path: &Path) -> &str {
        path.to_str().unwrap()
    }

    #[test]
    fn the_public_key_printed_is_that_of_the_key_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let (output, note) = run(&["generate", "--bits", "2048", "--out", text(&path)]).unwrap();
        assert!(output.starts_with("-----BEGIN PUBLIC KEY-----\n") && output.ends_with("\n-----END PUBLIC KEY-----\n"), "{output}");
        assert!(note.contains(text(&path)), "{note}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(run(&["public", "--key", text(&path)]).unwrap(), (output, String::new()));
    }

    #[test]
    fn every_kind_of_key_is_made_and_printed_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, members) in [
            ("rsa", json!({ "alg": "RS256", "kty": "RSA", "use": "sig", "e": "AQAB" })),
            ("ec", json!({ "alg": "ES256", "kty": "EC", "use": "sig", "crv": "P-256" })),
            ("ed25519", json!({ "alg": "EdDSA", "kty": "OKP", "use": "sig", "crv": "Ed25519" })),
        ] {
            let path = folder.path().join(kind);
            let (pem, _) = run(&["generate", "--type", kind, "--out", text(&path)]).unwrap();
            assert_eq!(run(&["public", "--key", text(&path)]).unwrap().0, pem);
            let (line, _) = run(&["public", "--key", text(&path), "--format", "jwk"]).unwrap();
            let jwk: serde_json::Value = serde_json::from_str(&line).unwrap();
            for (name, value) in members.as_object().unwrap() {
                assert_eq!(&jwk[name], value, "{line}");
            }
            assert!(jwk.get("d").is_none() && jwk.get("kid").is_none(), "{line}");
        }
    }

    #[test]
    fn a_shared_secret_has_no_public_key() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let config = folder.path().join("gateway.yaml");
        let yaml = "issuers: [{preset: oidc, issuer: 'https://login.contoso.com', audiences: [api]}]\n\
                    signing: {algorithm: HS256, secret_file: secret}\nupstream: {url: 'http://127.0.0.1:1'}\n";
        fs::write(&config, yaml).unwrap();
        let error = run(&["public", "--config", text(&config)]).unwrap_err();
        assert_eq!(error, "HS256 signs with a secret, which has no public key: the backend needs the secret");
    }

    #[test]
    fn an_existing_file_is_replaced_only_when_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let generate = ["generate", "--bits", "2048", "--out", text(&path)];
        let (first, _) = run(&generate).unwrap();
        let error = run(&generate).unwrap_err();
        assert_eq!(
            error,
            format!("{} already exists and was not changed: choose another file, or replace it with --force", path.display())
        );
        assert_eq!(run(&["public", "--key", text(&path)]).unwrap().0, first);

        let (second, _) = run(&[&generate[..], &["--force"]].concat()).unwrap();
        assert_ne!(second, first);
        assert_eq!(run(&["public", "--key", text(&path)]).unwrap().0, second);
    }

    #[test]
    fn the_public_key_goes_to_a_file_of_its_own_and_a_refusal_changes_neither() {
        let folder = tempfile::tempdir().unwrap();
        let [private, public] = ["signing.pem", "public.pem"].map(|name| folder.path().join(name));
        let generate = ["generate", "--type", "ec", "--out", text(&private), "--public", text(&public)];
        let (output, note) = run(&generate).unwrap();
        assert_eq!(output, "");
        assert!(note.contains(text(&private)), "{note}");
        let contents = || [&private, &public].map(|path| fs::read_to_string(path).unwrap_or_default());
        let [first_private, first_public] = contents();
        assert_eq!(run(&["public", "--key", text(&private)]).unwrap().0, first_public);
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o7777, 0o600);

        let refusal = |path: &Path| {
            format!("{} already exists and was not changed: choose another file, or replace it with --force", path.display())
        };
        assert_eq!(run(&generate).unwrap_err(), refusal(&public));
        assert_eq!(contents(), [first_private.clone(), first_public.clone()]);
        fs::remove_file(&public).unwrap();
        assert_eq!(run(&generate).unwrap_err(), refusal(&private));
        assert_eq!(contents(), [first_private.clone(), String::new()]);
        fs::rename(&private, &public).unwrap();
        assert_eq!(run(&generate).unwrap_err(), refusal(&public));
        assert_eq!(contents(), [String::new(), first_private.clone()]);

        run(&[&generate[..], &["--force"]].concat()).unwrap();
        assert_ne!(contents(), [first_private, first_public]);
        assert_eq!(run(&["public", "--key", text(&private)]).unwrap().0, contents()[1]);

        let missing = folder.path().join("missing").join("public.pem");
        let other = folder.path().join("other.pem");
        let error = run(&["generate", "--type", "ec", "--out", text(&other), "--public", text(&missing)]).unwrap_err();
        let remedy = format!("print its public key with `syncgate keys public --key {}`", other.display());
        assert!(error.contains(&remedy), "{error}");
        run(&["public", "--key", text(&other)]).unwrap();
        let error = run(&["generate", "--type", "ec", "--out", text(&missing), "--public", text(&missing)]).unwrap_err();
        assert_eq!(error, "the private and the public key cannot go to the same file");
    }

    #[test]
    fn sizes_that_do_not_sign_and_two_passphrases_are_refused_before_anything_is_done() {
        for (arguments, expected) in [
            (&["--bits", "1024"][..], "an RSA key of 1024 bits is not supported; accepted: 2048, 3072 or 4096"),
            (&["--type", "ec", "--bits", "521"], "an EC key of 521 bits is not supported; accepted: 256 or 384"),
            (&["--type", "ed25519", "--bits", "256"], "an Ed25519 key has a fixed length: omit --bits"),
        ] {
            assert_eq!(run(&[&["generate"], arguments].concat()).unwrap_err(), expected);
        }
        let error = run(&["public", "--key", "key.pem", "--passphrase-file", "a", "--passphrase-env", "B"]).unwrap_err();
        assert!(error.contains("cannot be used with"), "{error}");
    }

    #[test]
    fn a_key_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing.pem");
        let error = run(&["public", "--key", text(&path)]).unwrap_err();
        assert!(error.starts_with(&format!("cannot read {}: ", path.display())), "{error}");
        let error = run(&["public", "--key", text(&path), "--passphrase-env", "NO_SUCH_VARIABLE_OF_CONTOSO"]).unwrap_err();
        assert!(error.starts_with(&format!("cannot read {}: ", path.display())), "{error}");
    }
}

//! Why a key cannot be used.

use std::path::PathBuf;

use aws_lc_rs::error::KeyRejected;
use jsonwebtoken::Algorithm;

use crate::private_file::PrivateFileError;

/// Why a key cannot be used, with a message that an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key file or the passphrase file cannot be read or written, or is not kept secret.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The environment variable for a passphrase or secret does not exist.
    #[error("the environment variable {name}, which holds a secret of the signing key, is not set")]
    SecretNotSet {
        /// The variable.
        name: String,
    },
    /// The passphrase or secret is not text.
    #[error("the secret in {place} is not UTF-8 text{hint}")]
    SecretNotText {
        /// The file or the variable.
        place: String,
        /// What it is, where that is easily seen, and what to do about it.
        hint: &'static str,
    },
    /// The secret begins with a byte order mark, which the backend may take for a part of it, or not.
    #[error("the secret in {0} begins with a byte order mark: remove it with `sed -i '1s/^\\xEF\\xBB\\xBF//' {0}`")]
    SecretWithMark(String),
    /// The secret for HS256 could be guessed.
    #[error("the secret in {place} has {length} bytes; HS256 needs at least 32: create one with `openssl rand -base64 48`")]
    SecretTooShort {
        /// The file or the variable.
        place: String,
        /// Its length.
        length: usize,
    },
    /// The settings do not fit together.
    #[error("{0:?} does not fit this kind of key: HS256 needs a secret, every other algorithm a private key")]
    AlgorithmOfOtherKind(Algorithm),
    /// The file was read and cannot be used.
    #[error("{path} {problem}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        problem: KeyProblem,
    },
    /// No key of this size is made.
    #[error("an {family} key of {bits} bits is not supported; accepted: {accepted}")]
    Bits {
        /// The kind of key.
        family: &'static str,
        /// What was asked for.
        bits: u32,
        /// What can be made.
        accepted: &'static str,
    },
    /// The public key would replace the private one.
    #[error("the private and the public key cannot go to the same file")]
    OneFileForBoth,
    /// The private key was written, the public key was not.
    #[error("{cause}. The private key is in {}: print its public key with `syncgate keys public --key {}`", private.display(), private.display())]
    PublicKey {
        /// The file with the private key.
        private: PathBuf,
        /// Why the public key was not written.
        cause: PrivateFileError,
    },
    /// The cryptographic library made no key.
    #[error("no key could be generated: the cryptographic library failed")]
    Generation,
}

/// What is wrong with the content of a key file. Each message follows the file's name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KeyProblem {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// Another kind of file.
    #[error("is not a known kind of key file; accepted: PEM, PKCS#12, and keys in DER")]
    Unrecognised,
    /// A key, but in another form.
    #[error("{what}: {remedy}")]
    Foreign {
        /// What the file is.
        what: &'static str,
        /// What makes an accepted file of it.
        remedy: &'static str,
    },
    /// Cut short, or not base64, or not the structure that it says it is.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// Nothing that is known.
    #[error("contains no private key")]
    NoPrivateKey,
    /// The other half of a key, or what goes with it.
    #[error("contains {0}; it must contain the private key")]
    NotThePrivateKey(&'static str),
    /// Which one signs would be a guess.
    #[error("contains {0} private keys: put the signing key into its own file")]
    SeveralPrivateKeys(usize),
    /// Encrypted, and no passphrase was given.
    #[error(
        "is encrypted, and no passphrase is configured: set signing.passphrase_file or signing.passphrase_env (for `syncgate keys public \
         --key`: --passphrase-file or --passphrase-env)"
    )]
    PassphraseMissing,
    /// Decryption failed. Encryption does not tell which of the two it was.
    #[error("cannot be decrypted: the passphrase is wrong, or the file is damaged")]
    PassphraseWrong,
    /// An old or rare cipher, hash function or key derivation.
    #[error("is protected in a way that is not supported ({what}): {remedy}")]
    NotSupported {
        /// Its exact name.
        what: String,
        /// How to get a file that is supported.
        remedy: String,
    },
    /// Two passphrases, of which one can be given.
    #[error(
        "has one passphrase for the file and another for the key in it: `openssl pkcs12 -twopass -in OLD -out NEW` asks for both and writes \
         a file with one"
    )]
    TwoPassphrases,
    /// Key derivation that would take minutes at each start.
    #[error("needs more than {most} rounds of key derivation: rewrite it with fewer, with `{command}`")]
    TooManyRounds {
        /// Rounds that are done for one file.
        most: u64,
        /// What makes another file of it.
        command: &'static str,
    },
    /// A kind of key that signs no tokens here.
    #[error(
        "contains a private key of type {0}; accepted: RSA, P-256, P-384, Ed25519. Create one with `syncgate keys generate --out NEW`"
    )]
    KeyType(String),
    /// The configured algorithm is for other keys.
    #[error("contains a key of type {key}, which cannot sign {algorithm:?}: set signing.algorithm to {}, or use another key", names(.fits))]
    AlgorithmDoesNotFit {
        /// The kind of key.
        key: &'static str,
        /// What was configured.
        algorithm: Algorithm,
        /// What fits the key.
        fits: Vec<Algorithm>,
    },
    /// RSA for PSS alone, and with another hash function or a longer salt than JWTs are signed with.
    #[error(
        "contains an RSA-PSS key restricted to {0}, which no JWT algorithm uses (PS256, PS384, PS512: a salt as long as the hash): create \
         a key with `syncgate keys generate --out NEW`"
    )]
    PssRestriction(String),
    /// RSA, but of more than two primes (RFC 8017 section 3.2).
    #[error(
        "contains an RSA key with more than two primes, which is not supported: create one with `syncgate keys generate --out NEW`"
    )]
    ManyPrimes,
    /// RSA, but too short or not consistent.
    #[error("contains an RSA key that cannot be used ({0}): 2048 to 4096 bits are accepted")]
    Rejected(KeyRejected),
    /// RSA, but so long that signatures would take tens of milliseconds.
    #[error("contains an RSA key of {0} bits: 2048 to 4096 bits are accepted, since a longer one signs too slowly")]
    TooLong(usize),
    /// A certificate, but not that of the key.
    #[error(
        "contains a certificate whose key does not match the private key: a backend that pins the certificate's key would refuse every token"
    )]
    CertificateOfAnotherKey,
}

impl KeyProblem {
    /// `command` converts the file; none: no tool reads it.
    pub(super) fn not_supported(what: String, command: Option<String>) -> Self {
        let remedy = command.map_or_else(
            || "openssl cannot read it either; export the key again from the program that created it".to_owned(),
            |command| format!("convert it with `{command}`"),
        );
        Self::NotSupported { what, remedy }
    }
}

fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>().join(", ")
}

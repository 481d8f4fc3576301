//! What one token costs, as a ratio to the bare signature check with a parsed RSA-2048 key.
//!
//! `cargo bench --bench token`; with `-- --test` each case once.

mod measure;

use std::{error::Error, hint::black_box, io};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use measure::{Comparison, gate::Gate, tokens::Issuer};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use syncgate::{
    demo::DemoKey,
    signing::SigningKey,
    token::{KeySet, KeySetLimits, Lifetime, Minter, MintingProfile, Rejection},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let issuer = runtime.block_on(Issuer::start())?;
    eprintln!("generating keys");
    let document = fourteen_keys(&issuer)?;
    let minter = Minter::new(MintingProfile::default());
    let signers = [2048, 3072, 4096].map(SigningKey::generate_rsa);
    let [rsa_2048, rsa_3072, rsa_4096] = signers;
    let (rsa_2048, rsa_3072, rsa_4096) = (rsa_2048?, rsa_3072?, rsa_4096?);

    let good = issuer.rs256("alice").sign();
    let es256 = issuer.es256("alice");
    let expired = issuer.rs256("alice").expires_in(-3600).sign();
    let forged = issuer.rs256("alice").signed_by(&DemoKey::generate()?).sign();
    let unknown_key = issuer.rs256("alice").header("kid", "another").sign();
    let no_base64 = good.replacen('.', ".*", 1);
    // Found out at the very end of the claims.
    let duplicate = issuer.rs256("alice").raw_claims(with_duplicate(&good)?).sign();
    let (message, signature) = good.rsplit_once('.').ok_or("no token")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let key = raw_key(&issuer)?;
    // After everything else: keys can take a minute on a busy machine, and no token may be from the future.
    let gate = Gate::new(&issuer)?;
    let verified = gate.verify(&good).map_err(|rejection| format!("{rejection:?}"))?;
    let mint =
        |signer: &SigningKey| drop(black_box(minter.mint(&verified, signer.signer().as_ref(), Lifetime::Ttl, gate.now, [0; 16])));
    eprintln!("a token of {} bytes, a key set of {} bytes", good.len(), document.len());

    Comparison::default()
        .case("bare RSA-2048 signature check", || assert!(key.verify_sig(message.as_bytes(), &signature).is_ok()))
        .bounded("verify RS256", 1.2, || gate.accept(&good))
        .case("verify ES256", || gate.accept(&es256))
        .bounded("refuse: malformed base64url", 0.15, || gate.refuse(&no_base64, Rejection::TokenMalformed))
        .bounded("refuse: duplicate claim", 0.15, || gate.refuse(&duplicate, Rejection::DuplicateMember))
        .case("refuse: expired", || gate.refuse(&expired, Rejection::Expired))
        .bounded("refuse: unknown key", 0.35, || gate.refuse(&unknown_key, Rejection::UnknownKey))
        .case("refuse: forged signature", || gate.refuse(&forged, Rejection::BadSignature))
        .bounded("parse a set of 14 keys", 60.0, || assert!(KeySet::parse(document.as_bytes(), &KeySetLimits::default()).is_ok()))
        .case("mint, RSA-2048", || mint(&rsa_2048))
        .case("mint, RSA-3072", || mint(&rsa_3072))
        .case("mint, RSA-4096", || mint(&rsa_4096))
        .run("token");
    Ok(())
}

fn raw_key(issuer: &Issuer) -> Result<ParsedPublicKey, Box<dyn Error>> {
    let pem = issuer.demo().signing_key().public_key_pem()?;
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())?;
    Ok(ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref())?)
}

/// One key is EC, as in no set of B2C; the other thirteen are RSA-2048.
fn fourteen_keys(issuer: &Issuer) -> io::Result<String> {
    let others: Vec<_> = (0..12).map(|_| DemoKey::generate()).collect::<Result<_, _>>()?;
    Ok(issuer.key_set(&others))
}

/// The claims of a token, with the first one again at the end.
fn with_duplicate(token: &str) -> Result<String, Box<dyn Error>> {
    let payload = token.split('.').nth(1).ok_or("no token")?;
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(payload)?)?;
    Ok(claims.trim_end_matches('}').to_owned() + r#","aud":"again"}"#)
}

//! Whose requests they are: tokens from a file, or minted.

use std::{fs, path::Path};

use syncgate::signing::SigningKey;

use crate::{
    args::UserArgs,
    load::{Trouble, mint::Mint, tokens::Tokens},
};

/// Hot users when nobody says how many.
const USERS: u32 = 100;

/// The tokens that the command line asks for, with so many of cold users, whose requests are this share of all.
pub fn tokens(args: &UserArgs, mint: Option<Mint>, cold: u64, cold_share: f64) -> Result<Tokens, Trouble> {
    let (hot, cold) = match (mint, &args.tokens) {
        (Some(mint), _) => minted(&mint, args.users.unwrap_or(USERS), cold)?,
        (None, Some(path)) => read(path, args.users, cold)?,
        (None, None) => {
            eprintln!("Requests have no token: add users with --tokens or --signing-key.");
            (Vec::new(), Vec::new())
        }
    };
    Tokens::new(&args.token_header, &hot, &cold, cold_share)
}

/// The test issuer of the command line.
pub fn mint(args: &UserArgs) -> Result<Option<Mint>, Trouble> {
    let (Some(path), Some(kid), Some(issuer), Some(audience)) = (&args.signing_key, &args.kid, &args.issuer, &args.audience) else {
        return Ok(None);
    };
    let key = SigningKey::open(path, None).map_err(|error| Trouble(error.to_string()))?;
    let claims = args.claim.iter().cloned().collect();
    let (kid, issuer, audience) = (kid.clone(), issuer.clone(), audience.clone());
    Ok(Some(Mint { key, kid, issuer, audience, lifetime: args.token_lifetime, claims }))
}

fn minted(mint: &Mint, hot: u32, cold: u64) -> Result<(Vec<String>, Vec<String>), Trouble> {
    if u64::from(hot) + cold > 10_000 {
        eprintln!("Creating {} tokens.", u64::from(hot) + cold);
    }
    Ok((mint.tokens("load", 0..u64::from(hot))?, mint.tokens(&Mint::new_kind()?, 0..cold)?))
}

fn read(path: &Path, users: Option<u32>, cold: u64) -> Result<(Vec<String>, Vec<String>), Trouble> {
    let text = fs::read_to_string(path).map_err(|error| Trouble::with(path.display(), error))?;
    let mut tokens: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let found = tokens.len();
    let cold = usize::try_from(cold).unwrap_or(usize::MAX);
    let hot = users.map_or(found.saturating_sub(cold), |users| users as usize).max(1);
    if found < hot.saturating_add(cold) {
        let what = format!("{found} tokens, but {hot} are needed for hot users and {cold} for cold ones");
        return Err(Trouble::with(path.display(), what));
    }
    tokens.truncate(hot + cold);
    let cold = tokens.split_off(hot);
    Ok((tokens, cold))
}

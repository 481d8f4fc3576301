//! The gateway's endpoints as the demo has them: `/token`, the call of the issuer's policy, the key set.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    config::token_endpoint_metadata,
    endpoint::{CallerSettings, Dialect, EndpointSettings, OnFailure, SignInSettings, TokenExchangeSettings, UserIds},
    private_file::{self, Secret},
    proxy::RouteSettings,
};

/// Where tokens are exchanged.
pub(in crate::demo) const TOKEN: &str = "/token";
/// Where the issuer's policy asks for a user's token.
pub(in crate::demo) const MINT: &str = "/mint/b2c";
/// Where the public key is, as a key set.
pub(in crate::demo) const KEYS: &str = "/.well-known/jwks.json";
/// The claim in which the policy gets the token, and puts it into the user's.
pub(in crate::demo) const CLAIM: &str = "syncToken";
/// The user name with which the policy calls.
pub(in crate::demo) const CALLER: &str = "b2c";

/// The routes of the endpoints, for a gateway that listens here. With port 0 its URL is not known yet, and no metadata is published.
pub(in crate::demo) fn routes(gateway: SocketAddr, password_file: PathBuf) -> Vec<RouteSettings> {
    let issuer = (gateway.port() != 0).then(|| format!("http://{gateway}"));
    let exchange = TokenExchangeSettings { issuer, ..TokenExchangeSettings::default() };
    let sign_in = SignInSettings {
        dialect: Dialect::B2cPolicy,
        callers: vec![CallerSettings::Basic { username: CALLER.to_owned(), password_file }],
        token_claim: CLAIM.to_owned(),
        user_id: "objectId".to_owned(),
        user_ids: UserIds::Guid,
        lifetime: Duration::from_secs(3600),
        // Longer than the default: a build for development may share its machine with others.
        deadline: Duration::from_secs(5),
        on_failure: OnFailure::Omit,
        user_message: "You cannot be signed in at the moment.".to_owned(),
        tenants: Vec::new(),
        applications: Vec::new(),
    };
    let token = route("token", TOKEN, EndpointSettings::TokenExchange(exchange.clone()));
    let metadata = token_endpoint_metadata(&token, &exchange, Some(KEYS));
    let others = [route("b2c", MINT, EndpointSettings::SignIn(sign_in)), route("keys", KEYS, EndpointSettings::KeySet)];
    [token].into_iter().chain(metadata).chain(others).collect()
}

fn route(name: &str, path: &str, endpoint: EndpointSettings) -> RouteSettings {
    RouteSettings {
        name: name.to_owned(),
        path: path.to_owned(),
        exact: true,
        endpoint: Some(endpoint),
        ..RouteSettings::default()
    }
}

/// Makes the password with which the policy calls, and writes it where nobody else can read it.
pub(in crate::demo) fn make_password(path: &Path) -> io::Result<Secret> {
    let mut random = Zeroizing::new([0; 32]);
    rand::fill(&mut random[..]).map_err(|_| io::Error::other("the cryptographic library failed"))?;
    let password = Zeroizing::new(URL_SAFE_NO_PAD.encode(&random[..]));
    private_file::write(path, password.as_bytes(), false).map_err(io::Error::other)?;
    Secret::of(password.as_bytes()).ok_or_else(|| io::Error::other("the password is too short"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn the_password_is_private_and_the_gateways_own_reader_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let password = make_password(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(Secret::read_all(&path).unwrap()[0].is(password.as_str().as_bytes()));
    }

    #[test]
    fn metadata_is_published_where_the_gateways_url_is_known() {
        let names = |address: &str| -> Vec<_> {
            routes(address.parse().unwrap(), "password".into()).into_iter().map(|route| route.name).collect()
        };
        assert_eq!(names("127.0.0.1:0"), ["token", "b2c", "keys"]);
        assert_eq!(names("127.0.0.1:8080"), ["token", "token-metadata", "b2c", "keys"]);
    }
}

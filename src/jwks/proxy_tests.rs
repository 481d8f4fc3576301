use std::os::unix::fs::PermissionsExt as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    jwks::{
        KeySource,
        fetch::{Fetcher, Source},
        test_keys::document,
        test_provider::{Answer, TestProvider, install_crypto},
    },
    token::KeySetLimits,
};

fn settings(proxy: String, login: Option<&str>, folder: &Path) -> JwksSettings {
    let proxy_credentials_file = login.map(|login| {
        let path = folder.join("login");
        private_file::write(&path, login.as_bytes(), true).unwrap();
        path
    });
    JwksSettings { proxy: Some(proxy), proxy_credentials_file, ..JwksSettings::new(Vec::new()) }
}

async fn fetch(settings: &JwksSettings, url: &str) -> Result<usize, String> {
    install_crypto();
    let fetcher = Fetcher::new(settings, KeySetLimits::default()).map_err(|error| error.to_string())?;
    let fetched = fetcher.fetch(&Source::new(&KeySource::Jwks(url.into())).unwrap()).await;
    fetched.map(|fetched| fetched.keys.keys().len()).map_err(|error| error.to_string())
}

/// The header of a request.
async fn header(stream: &mut TcpStream) -> String {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        header.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(header).unwrap()
}

/// A proxy that wants this login. Answers for the provider, which need not exist; tunnels nothing.
async fn proxy(login: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let wanted = format!("proxy-authorization: basic {}", STANDARD.encode(login)).to_ascii_lowercase();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = header(&mut stream).await.to_ascii_lowercase();
            let keys = document(&[("a", 0)]);
            let answer = match asked.contains(&wanted) {
                true => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{keys}", keys.len()),
                false => {
                    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\
                          Connection: close\r\n\r\n"
                        .to_owned()
                }
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn the_login_of_the_file_is_given_to_the_proxy_and_a_407_says_where_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let url = proxy("gateway:a:b c\u{e9}").await;
    for line in ["gateway:a:b c\u{e9}", "gateway:a:b c\u{e9}\r\n"] {
        assert_eq!(fetch(&settings(url.clone(), Some(line), folder.path()), "http://127.0.0.1:9/keys").await, Ok(1));
    }
    for (login, target) in [(None, "http://127.0.0.1:9/keys"), (Some("gateway:wrong"), "https://login.contoso.com/keys")] {
        let error = fetch(&settings(url.clone(), login, folder.path()), target).await.unwrap_err();
        assert!(error.contains("proxy_credentials_file") && !error.contains("wrong"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_login_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    for content in ["secret", "user:secret\nmore", ""] {
        let error = fetch(&settings("http://127.0.0.1:9".into(), Some(content), folder.path()), "http://127.0.0.1:9/").await;
        let error = error.unwrap_err();
        assert!(error.contains("user:password") && !error.contains("secret"), "{error}");
    }
    let exposed = settings("http://127.0.0.1:9".into(), Some("user:secret"), folder.path());
    let path = exposed.proxy_credentials_file.as_ref().unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(fetch(&exposed, "http://127.0.0.1:9/").await.unwrap_err().contains("can be read by others"));
}

/// A SOCKS proxy (RFC 1928) with a login (RFC 1929), which connects to wherever it is asked to. Returns its address.
async fn socks(login: Option<(&'static str, &'static str)>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let greeting = [client.read_u8().await?, client.read_u8().await?];
                let mut methods = vec![0; usize::from(greeting[1])];
                client.read_exact(&mut methods).await?;
                let method = if login.is_some() { 2 } else { 0 };
                if !methods.contains(&method) {
                    return client.write_all(&[5, 255]).await;
                }
                client.write_all(&[5, method]).await?;
                if let Some((user, password)) = login {
                    let text = async |client: &mut TcpStream| {
                        let mut text = vec![0; usize::from(client.read_u8().await?)];
                        client.read_exact(&mut text).await?;
                        std::io::Result::Ok(text)
                    };
                    client.read_u8().await?;
                    let is_right = text(&mut client).await? == user.as_bytes() && text(&mut client).await? == password.as_bytes();
                    client.write_all(&[1, u8::from(!is_right)]).await?;
                }
                let mut request = [0; 4];
                client.read_exact(&mut request).await?;
                let host = match request[3] {
                    1 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
                    _ => {
                        let mut name = vec![0; usize::from(client.read_u8().await?)];
                        client.read_exact(&mut name).await?;
                        String::from_utf8(name).unwrap()
                    }
                };
                let port = client.read_u16().await?;
                let mut target = TcpStream::connect((host.as_str(), port)).await?;
                client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 9]).await?;
                tokio::io::copy_bidirectional(&mut client, &mut target).await.map(|_| ())
            });
        }
    });
    address
}

#[tokio::test]
async fn socks_5_leads_to_the_provider_with_and_without_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let provider = TestProvider::start().await;
    provider.set("/keys", Answer::Body(document(&[("a", 0)])));
    let url = provider.url("http", "/keys");
    let open = socks(None).await;
    for scheme in ["socks5", "socks5h"] {
        assert_eq!(fetch(&settings(format!("{scheme}://{open}"), None, folder.path()), &url).await, Ok(1), "{scheme}");
    }
    let guarded = format!("socks5h://{}", socks(Some(("gateway", "secret"))).await);
    assert_eq!(fetch(&settings(guarded.clone(), Some("gateway:secret"), folder.path()), &url).await, Ok(1));
    let error = fetch(&settings(guarded, None, folder.path()), &url).await.unwrap_err();
    assert!(error.starts_with(&format!("{url}: ")), "{error}");
}

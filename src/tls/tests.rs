//! Certificates that people make with openssl, shown by a server over a connection. The oracle for what is accepted is curl.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use rustls::{
    ClientConnection, ServerConfig, ServerConnection, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;

use super::*;

/// A folder in which openssl works. None if it is not installed; then the test is skipped, aloud.
struct Bench(TempDir);

impl Bench {
    fn find() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
            return Some(Self(tempfile::tempdir().unwrap()));
        }
        assert!(std::env::var_os("SYNCGATE_NO_SKIP").is_none(), "the openssl command line is not installed");
        eprintln!("SKIPPED: the openssl command line is not installed");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `name.key` and `name.pem`, as `openssl req -x509` makes them, with more arguments.
    fn self_signed(&self, name: &str, more: &str) {
        let mut line = format!("req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem");
        if !more.is_empty() {
            line = format!("{line} {more}");
        }
        self.openssl(&line);
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A server with `name.key` and `name.pem`, for some connections.
    fn serve(&self, name: &str) -> Server {
        let certificates: Vec<_> =
            CertificateDer::pem_file_iter(self.path(&format!("{name}.pem"))).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
        let mut config = testing::shows(certificates, &key);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Server::start(Arc::new(config))
    }
}

struct Server {
    address: SocketAddr,
    _thread: JoinHandle<()>,
}

impl Server {
    fn start(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = Stream::new(&mut connection, &mut stream);
                if tls.read(&mut [0; 4096]).is_ok() {
                    let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                    connection.send_close_notify();
                    let _ = connection.complete_io(&mut stream);
                }
            }
        });
        Self { address, _thread: thread }
    }

    /// Whether a client that trusts what is in the file gets an answer, and what is said otherwise.
    fn ask(&self, bench: &Bench, host: &str, ca_file: &str) -> Result<(), String> {
        let path = bench.path(ca_file);
        self.request(&path, host).map_err(|error| explain(&error, Some(&path)).unwrap_or_else(|| panic!("{error}")))
    }

    fn request(&self, ca_file: &Path, host: &str) -> io::Result<()> {
        let config = Authorities::read(ca_file).unwrap().client_config().unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut tls = Stream::new(&mut connection, &mut stream);
        tls.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").and_then(|()| tls.read(&mut [0; 100])).map(|_| ())
    }

    /// Whether curl gets one. None: it is not installed.
    fn ask_by_curl(&self, bench: &Bench, host: &str, ca_file: &str) -> Option<bool> {
        let (port, address) = (self.address.port(), self.address.ip());
        let output = Command::new("curl")
            .args([
                "-sS",
                "--noproxy",
                "*",
                "--max-time",
                "10",
                "--cacert",
                ca_file,
                "--resolve",
                &format!("{host}:{port}:{address}"),
            ])
            .arg(format!("https://{host}:{port}/"))
            .current_dir(bench.0.path())
            .output();
        Some(output.ok()?.stdout == b"ok")
    }
}

const CA_FALSE: &str = "-addext basicConstraints=critical,CA:FALSE";

#[test]
fn the_certificate_that_everybody_makes_is_accepted_where_it_is_named_itself() {
    let Some(bench) = Bench::find() else { return };
    for (name, more, host, is_accepted) in [
        ("plain", "-subj /CN=localhost", "localhost", true),
        ("listed", "-subj /CN=contoso -addext subjectAltName=DNS:localhost", "localhost", true),
        ("leaf", &format!("-subj /CN=contoso -addext subjectAltName=DNS:localhost {CA_FALSE}"), "localhost", true),
        ("leaf-plain", &format!("-subj /CN=localhost {CA_FALSE}"), "localhost", true),
        ("address", "-subj /CN=contoso -addext subjectAltName=IP:127.0.0.1", "127.0.0.1", true),
        ("other", "-subj /CN=contoso", "localhost", false),
        ("other-listed", "-subj /CN=localhost -addext subjectAltName=DNS:contoso.com", "localhost", false),
        ("client", "-subj /CN=localhost -addext extendedKeyUsage=clientAuth", "localhost", false),
        ("server", "-subj /CN=localhost -addext extendedKeyUsage=serverAuth", "localhost", true),
    ] {
        bench.self_signed(name, more);
        let server = bench.serve(name);
        let outcome = server.ask(&bench, host, &format!("{name}.pem"));
        assert_eq!(outcome.is_ok(), is_accepted, "{name}: {outcome:?}");
        if let Some(by_curl) = server.ask_by_curl(&bench, host, &format!("{name}.pem")) {
            assert_eq!(by_curl, is_accepted, "{name}: curl");
        }
    }
    // Byte for byte: another certificate of the same name and key is not it.
    bench.openssl("req -x509 -key plain.key -subj /CN=localhost -out twin.pem");
    bench.self_signed("stranger", "-subj /CN=localhost");
    let server = bench.serve("plain");
    for ca_file in ["stranger.pem", "leaf.pem"] {
        assert!(server.ask(&bench, "localhost", ca_file).is_err(), "{ca_file}");
    }
    // Among others it counts too.
    bench.write("bundle.pem", format!("{}{}", bench.read("stranger.pem"), bench.read("plain.pem")));
    assert_eq!(server.ask(&bench, "localhost", "bundle.pem"), Ok(()));
}

#[test]
fn dates_count_also_for_a_certificate_that_is_named_itself() {
    let Some(bench) = Bench::find() else { return };
    bench.self_signed("plain", "-subj /CN=localhost");
    bench.openssl("x509 -in plain.pem -signkey plain.key -days -1 -out ended.pem");
    fs::copy(bench.path("plain.key"), bench.path("ended.key")).unwrap();
    let error = bench.serve("ended").ask(&bench, "localhost", "ended.pem").unwrap_err();
    assert!(error.starts_with("the server's certificate expired at 2") && error.ends_with("Z: renew it"), "{error}");
}

#[test]
fn what_is_refused_is_said_in_words_with_a_remedy_that_works() {
    let Some(bench) = Bench::find() else { return };
    let named = |name: &str| bench.path(name).display().to_string();
    bench.self_signed("ca", "-subj /CN=authority");
    bench.self_signed("stranger", "-subj /CN=stranger");
    bench.self_signed("plain", "-subj /CN=localhost");
    let issue = |name: &str, extension: &str| {
        bench.openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN=localhost"));
        bench.write("extension", extension);
        bench.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extension -out {name}.pem"
        ));
    };
    issue("good", "subjectAltName=DNS:localhost");
    let good = bench.serve("good");
    assert_eq!(good.ask(&bench, "localhost", "ca.pem"), Ok(()));
    assert_eq!(
        good.ask(&bench, "localhost", "stranger.pem").unwrap_err(),
        format!(
            "the server's certificate was issued by an authority that is not in ca_file ({}): add that authority's certificate, or the \
             server's own",
            named("stranger.pem")
        )
    );
    assert_eq!(good.ask(&bench, "localhost", "good.pem"), Ok(()), "the remedy");
    assert_eq!(
        good.ask(&bench, "contoso.com", "ca.pem").unwrap_err(),
        "the server's certificate is for localhost, not for contoso.com: use one of its names in the URL, or create a certificate with \
         `-addext subjectAltName=DNS:contoso.com`"
    );
    assert!(good.ask(&bench, "127.0.0.1", "ca.pem").unwrap_err().ends_with("`-addext subjectAltName=IP:127.0.0.1`"));

    // An authority's certificate, issued by another one.
    issue("authority", "subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:TRUE");
    let authority = bench.serve("authority");
    assert_eq!(
        authority.ask(&bench, "localhost", "ca.pem").unwrap_err(),
        format!(
            "the server's certificate is marked as an authority's (CA:TRUE), as `openssl req -x509` does: put this certificate into \
             ca_file ({})",
            named("ca.pem")
        )
    );
    assert_eq!(authority.ask(&bench, "localhost", "authority.pem"), Ok(()), "the remedy");

    // One that nobody else has issued, beside those that are trusted already.
    let own = bench.serve("plain");
    let error = own.request(&bench.path("stranger.pem"), "localhost").unwrap_err();
    assert_eq!(
        explain(&error, None).unwrap(),
        "the server's certificate is marked as an authority's (CA:TRUE), as `openssl req -x509` does: set ca_file to a file with this \
         certificate"
    );
    bench.write("stranger.pem", format!("{}{}", bench.read("stranger.pem"), bench.read("plain.pem")));
    assert_eq!(own.ask(&bench, "localhost", "stranger.pem"), Ok(()), "the remedy");

    // What OpenSSL makes without any extension.
    bench.openssl("req -newkey rsa:2048 -nodes -keyout old.key -out old.csr -subj /CN=localhost");
    bench.openssl("x509 -req -in old.csr -signkey old.key -out old.pem");
    let old = bench.serve("old").ask(&bench, "localhost", "old.pem").unwrap_err();
    assert!(old.contains("is X.509 version 1, which has no host names: create one of version 3"), "{old}");

    issue("purpose", "subjectAltName=DNS:localhost\nextendedKeyUsage=clientAuth");
    let purpose = bench.serve("purpose").ask(&bench, "localhost", "ca.pem").unwrap_err();
    assert_eq!(purpose, "the server's certificate is not for servers: create one with `-addext extendedKeyUsage=serverAuth`");
}

#[test]
fn a_server_that_speaks_no_tls_is_told() {
    let Some(bench) = Bench::find() else { return };
    bench.self_signed("plain", "-subj /CN=localhost");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let error = Server { address, _thread: thread }.ask(&bench, "localhost", "plain.pem").unwrap_err();
    assert_eq!(error, "the server does not speak TLS on this port: is it `http://`, or a different port?");
}

#[test]
fn a_file_of_authorities_is_read_or_told_what_it_is() {
    let Some(bench) = Bench::find() else { return };
    bench.self_signed("ca", "-subj /CN=authority");
    let pem = bench.read("ca.pem");
    for good in [
        pem.clone(),
        format!("\u{feff}{pem}"),
        pem.replace('\n', "\r\n"),
        format!("text\n{pem}more\n{pem}"),
        format!("{}{pem}", bench.read("ca.key")),
    ] {
        bench.write("file.pem", &good);
        Authorities::read(&bench.path("file.pem")).unwrap_or_else(|problem| panic!("{problem}: {good}"));
    }
    bench.openssl("x509 -in ca.pem -outform DER -out ca.der");
    bench.openssl("crl2pkcs7 -nocrl -certfile ca.pem -out ca.p7b");
    let utf16: Vec<u8> = format!("\u{feff}{pem}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let none = "holds no certificate; accepted: PEM";
    for (content, expected) in [
        (b"".to_vec(), none.to_owned()),
        (
            fs::read(bench.path("ca.der")).unwrap(),
            format!("{none}. This is DER: convert it with `openssl x509 -inform DER -in OLD -out NEW`"),
        ),
        (utf16, format!("{none}. This is text in UTF-16: convert it with `iconv -f UTF-16 -t UTF-8 OLD > NEW`")),
        (
            bench.read("ca.p7b").into_bytes(),
            format!("{none}. This is PKCS#7: convert it with `openssl pkcs7 -print_certs -in OLD -out NEW`"),
        ),
        (bench.read("ca.key").into_bytes(), format!("{none}. This is a private key")),
        (
            pem.replace("-----END CERTIFICATE-----", "").into_bytes(),
            "certificate 1 has no end: its line -----END CERTIFICATE----- is missing, or line breaks have become spaces".to_owned(),
        ),
        (pem.replacen("MII", "!II", 1).into_bytes(), "certificate 1 is not base64".to_owned()),
    ] {
        bench.write("file.pem", content);
        let problem = Authorities::read(&bench.path("file.pem")).unwrap_err().to_string();
        assert_eq!(problem, expected);
        // The remedy, as printed.
        if let Some(command) = problem.split('`').nth(1) {
            let command = command.replace("OLD", "file.pem").replace("NEW", "new.pem");
            let status = Command::new("sh").args(["-c", &command]).current_dir(bench.0.path()).status().unwrap();
            assert!(status.success(), "{command}");
            Authorities::read(&bench.path("new.pem")).unwrap_or_else(|problem| panic!("{command}: {problem}"));
        }
    }
    // In one line, as a shell or a variable makes it: whatever is said, not in numbers.
    for line in [pem.replace('\n', " "), pem.replace('\n', "")] {
        bench.write("file.pem", line);
        let problem = Authorities::read(&bench.path("file.pem")).unwrap_err().to_string();
        assert!(problem.contains("line breaks") || problem == none, "{problem}");
    }
}

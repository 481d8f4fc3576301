//! Spellings of a host, and headers that name one.

use super::super::request::Request;

const GUARDED: &str = "admin.test";

pub fn all() -> Vec<Request> {
    let mut all: Vec<_> = names().into_iter().map(|host| Request::get("/x").host(host)).collect();
    all.extend(forwarded());
    // A target that names a host itself.
    for target in [
        "//admin.test/x",
        "http://admin.test/x",
        "/\\admin.test/x",
        "\\\\admin.test\\x",
        "//admin.test",
        "//x@admin.test/x",
        "//admin.test:80/x",
        "///admin.test/x",
        "/http://admin.test/x",
        "@admin.test/x",
        "//admin.test%2fx",
        "/%2fadmin.test/x",
        "//admin.test?x",
        "//admin.test#x",
        "//ADMIN.test/x",
        "//%61dmin.test/x",
        "//admin.test./x",
        "/\t/admin.test/x",
        "//admin%2etest/x",
    ] {
        all.push(Request::get(target));
    }
    all
}

fn names() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for byte in (0..=255_u8).filter(|byte| !b"\r\n".contains(byte)) {
        for place in [
            "|admin.test",
            "ad|min.test",
            "admin.test|",
            "admin.test|x",
            "admin.test:|",
            "admin.test:80|",
            "admin.test|:80",
            "admin|test",
            "x|admin.test",
            "www.test|admin.test",
            "admin.test|www.test",
        ] {
            let (before, after) = place.split_once('|').unwrap();
            all.push([before.as_bytes(), &[byte], after.as_bytes()].concat());
            if !(0x30..=0x7a).contains(&byte) {
                all.push(format!("{before}%{byte:02x}{after}").into_bytes());
            }
        }
    }
    for odd in [
        GUARDED,
        "ADMIN.test",
        "admin.test:80",
        "admin.test:8080",
        "admin.test:",
        "admin.test:x",
        "admin.test:123456",
        "admin.test:80x",
        "admin.test:-1",
        "admin.test:80.",
        "admin.test:$",
        "admin.test.",
        "admin.test..",
        "admin.test.:80",
        "admin.test.:x",
        "[admin.test]",
        "[admin.test]:80",
        "admin.test,x",
        "x,admin.test",
        "admin.test, x",
        "x, admin.test",
        "admin.test x",
        "admin.test;x",
        "admin.test!",
        "admin.test/x",
        "x/admin.test",
        "x@admin.test",
        "admin.test@x",
        "admin.test#x",
        "admin.test?x",
        "http://admin.test",
        "//admin.test",
        "admin.test\\x",
        "admin.test::80",
        "admin.test:80:80",
        "admin.test:080",
        "xn--admin.test",
        "%61dmin.test",
        "admin%2etest",
        "admin\u{3002}test",
        "\u{ff41}dmin.test",
        "admin.test%00",
        "adm\u{131}n.test",
        "",
        ".",
        "\"admin.test\"",
        "admin.test\t",
        "\tadmin.test",
        "[::1]admin.test",
        "admin.test[::1]",
        "[::1]:80admin.test",
        "www.test\0admin.test",
        "www.test:80@admin.test",
        "www.test:admin.test",
        "www.test:80,admin.test",
    ] {
        all.push(odd.as_bytes().to_vec());
    }
    all
}

fn forwarded() -> Vec<Request> {
    const HEADERS: [&str; 22] = [
        "X-Forwarded-Host",
        "x_forwarded_host",
        "X-Host",
        "X-Forwarded-Server",
        "X-Original-Host",
        "X-HTTP-Host-Override",
        "X-Forwarded-HTTP-Host",
        "X-Real-Host",
        "X-Forwarded-For-Host",
        "X-Proxy-Host",
        "X-Request-Host",
        "X-Server-Name",
        "HTTP-Host",
        "Server-Name",
        "Host-Override",
        "X-Host-Override",
        "X-Forwarded-Authority",
        "X-Forwarded-Domain",
        "X-Domain",
        "Authority",
        "X-Forwarded",
        "X-Envoy-Original-Host",
    ];
    let mut all = Vec::new();
    for name in HEADERS {
        for value in [
            GUARDED,
            "admin.test:80",
            "admin.test, www.test",
            "www.test, admin.test",
            "www.test,admin.test",
            "admin.test:443, x",
            "http://admin.test/",
            "ADMIN.test",
        ] {
            all.push(Request::get("/x").header(name, value));
        }
    }
    for name in ["Forwarded", "X-Forwarded"] {
        for value in [
            "host=admin.test",
            "host=\"admin.test\"",
            "Host=admin.test:80",
            "for=1.1.1.1;host=admin.test",
            "for=1.1.1.1, host=admin.test",
            "proto=http; host=admin.test",
            "host=www.test, host=admin.test",
            "host=admin.test;host=www.test",
            "host=\"admin\\.test\"",
            "by=x;HOST=admin.test",
        ] {
            all.push(Request::get("/x").header(name, value));
        }
    }
    for (first, second) in [("www.test", GUARDED), (GUARDED, "www.test")] {
        for name in ["Host", "host", "HOST", "Host ", " Host", "Ho\tst"] {
            all.push(Request::get("/x").host(first).header(name, second));
        }
    }
    all
}

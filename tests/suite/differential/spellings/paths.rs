//! Spellings of a path.

/// Spellings of `/name` and of what is below it.
pub fn of(name: &str) -> Vec<Vec<u8>> {
    let mut all = bytes(name);
    all.extend(letters(name));
    all.extend(climbs(name));
    all.extend(authorities(name));
    all.extend(pairs(name));
    all.extend(random(name, 8_000));
    // A raw line end begins another line, which is another request's matter.
    all.retain(|target| target.len() < 200 && !target.contains(&b'\n'));
    all
}

/// A byte raw, encoded one to three times, and as the servers of one maker write it.
fn forms(byte: u8) -> [Vec<u8>; 5] {
    let text = |form: String| form.into_bytes();
    [
        vec![byte],
        text(format!("%{byte:02x}")),
        text(format!("%25{byte:02X}")),
        text(format!("%2525{byte:02x}")),
        text(format!("%u00{byte:02x}")),
    ]
}

/// Each byte at the beginning, inside and at the end of segments.
fn bytes(name: &str) -> Vec<Vec<u8>> {
    let (head, tail) = name.split_at(2);
    let places = [
        format!("/|{name}"),
        format!("/{head}|{tail}"),
        format!("/{name}|"),
        format!("/{name}|x"),
        format!("/{name}|/x"),
        format!("/x|/{name}"),
        format!("/|/{name}"),
        format!("/public/..|/{name}"),
    ];
    let at = |place: &String, form: &[u8]| {
        let (before, after) = place.split_once('|').unwrap();
        [before.as_bytes(), form, after.as_bytes()].concat()
    };
    (0..=255).flat_map(forms).flat_map(|form| places.iter().map(move |place| at(place, &form))).collect()
}

/// Letters encoded, in other cases, and in letters that are taken for them.
fn letters(name: &str) -> Vec<Vec<u8>> {
    const LIKE: &[(char, &[&str])] = &[
        ('i', &["%c4%b0", "%c4%b1", "\u{130}", "\u{131}", "%u0131", "%u0130", "i%cc%87"]),
        ('a', &["%ef%bd%81", "\u{ff41}", "%c2%aa", "%c1%a1", "%e0%81%a1", "%uff41", "a%cc%81", "a%00"]),
        ('d', &["%ef%bd%84", "%c1%a4", "%u0064"]),
        ('s', &["%c5%bf", "\u{17f}"]),
    ];
    let mut all = Vec::new();
    let mut add = |spelt: String| all.extend([format!("/{spelt}").into_bytes(), format!("/{spelt}/x").into_bytes()]);
    for (index, letter) in name.char_indices() {
        let (before, after) = (&name[..index], &name[index + 1..]);
        let byte = letter as u8;
        let encoded = forms(byte).map(|form| String::from_utf8(form).unwrap());
        let like = LIKE.iter().filter(|(of, _)| *of == letter).flat_map(|(_, like)| like.iter().map(|text| (*text).to_owned()));
        for form in
            encoded.into_iter().chain(like).chain([letter.to_ascii_uppercase().to_string(), format!("%{:02X}", byte ^ 0x20)])
        {
            add(format!("{before}{form}{after}"));
        }
        for (high, low) in [(b'0', b'0'), (b'g', b'1')] {
            add(format!("{before}%{}{}{after}", high as char, low as char));
        }
    }
    add(name.to_ascii_uppercase());
    for times in 0..3 {
        let percent = format!("%{}", "25".repeat(times));
        add(name.bytes().map(|byte| format!("{percent}{byte:02x}")).collect());
    }
    all
}

const SLASHES: [&str; 12] = ["/", "//", "%2f", "%5c", "\\", "%252f", "%255c", "/%2f", "%2f/", "%u002f", "%c0%af", "/;/"];
const UPWARDS: [&str; 26] = [
    "..",
    "%2e%2e",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%25252e%25252e",
    "..;",
    "..;x",
    "..%3b",
    ".;.",
    "%u002e%u002e",
    "%uff0e%uff0e",
    "%c0%ae%c0%ae",
    "%ef%bc%8e%ef%bc%8e",
    ".. ",
    "..%20",
    "..%00",
    ".%00.",
    "..%0a",
    "..%09",
    "...",
    "..%ff",
    "..%c2%a0",
    "..%3f",
    "..%23",
    "..?",
];

/// Ways up from below a public path, through encoded slashes and dots.
fn climbs(name: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for up in UPWARDS {
        for first in SLASHES {
            for second in SLASHES {
                all.push(format!("/public{first}{up}{second}{name}"));
            }
            for below in ["x%2fy", "x%5cy", "x", "x//y", "x;a/b", "%2e", "x%252fy"] {
                all.push(format!("/public/{below}{first}{up}{first}{up}/{name}"));
                all.push(format!("/{below}{first}{up}/{name}"));
            }
            all.push(format!("/{name}{first}{up}{first}public"));
            all.push(format!("/{name}{first}{up}"));
            all.push(format!("/{name}/x{first}{up}"));
            all.push(format!("/x{first}{up}{first}{name}{first}{up}{first}{name}"));
        }
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// Targets that a parser of URLs takes for a host and a path.
fn authorities(name: &str) -> Vec<Vec<u8>> {
    const HOSTS: [&str; 15] =
        ["x", "public", "x:80", "x@y", "@", "[::1]", "admin.test", "www.test", "x%2f", "x;y", ":80", "x?", "x#", "", "%2e%2e"];
    let starts = [
        "//",
        "/\\",
        "\\\\",
        "\\/",
        "///",
        "////",
        "/%2f",
        "/%5c",
        "/;//",
        "/.//",
        "/x/..//",
        "/%09/",
        "/\t/",
        "/%0d/",
        "http://",
        "https://",
        "HTTP://",
        "http:/",
        "http:",
        "/http://",
        "/http:/",
        "x:/",
        "x://",
        ":",
        "/public//",
        "ws://",
        "*/",
        "",
        "./",
        "../",
    ];
    let mut all = Vec::new();
    for start in starts {
        for host in HOSTS {
            for slash in ["/", "//", "\\", "%2f"] {
                all.push(format!("{start}{host}{slash}{name}").into_bytes());
            }
        }
    }
    all
}

const PIECES: &[&str] = &[
    "/",
    "//",
    "\\",
    "%2f",
    "%5c",
    "%252f",
    "/.",
    "/..",
    "/%2e%2e",
    "/%2e",
    "..;",
    "%2f..",
    "%2f%2e%2e",
    "/x",
    "x",
    "/public",
    ";",
    ";x",
    ";/",
    "%3b",
    ".",
    "..",
    "%2e",
    "%20",
    " ",
    "%0a",
    "%0d%0a",
    "%09",
    "%00",
    "%ff",
    "%c3%28",
    "%80",
    "?",
    "#",
    "%3f",
    "%23",
    "%u002f",
    "%u0061",
    "@",
    ":",
    "&",
    "+",
    "*",
    "|",
    "~",
    "%",
    "%2",
    "%zz",
    "%25",
    "//x",
    "%2fx",
    "\\x",
    "/x/..",
    "x%2fy",
];

/// Pieces in pairs around the name.
fn pairs(name: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for first in PIECES {
        for second in PIECES {
            all.push(format!("/{first}{second}/{name}"));
            all.push(format!("/{first}{name}{second}"));
            all.push(format!("/{name}{first}{second}"));
            all.push(format!("/public{first}{second}/{name}"));
        }
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// Longer rows of pieces, drawn the same each time.
fn random(name: &str, count: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    let mut row = Vec::new();
    for _ in 0..count {
        let mut target = ["/", "/public", "/x", "/public/", "//"][below(5)].to_owned();
        let (before, after) = (below(5), below(3));
        for _ in 0..before {
            target += PIECES[below(PIECES.len())];
        }
        if !target.ends_with(['/', '\\', 'f', 'c']) {
            target += "/";
        }
        target += name;
        for _ in 0..after {
            target += PIECES[below(PIECES.len())];
        }
        row.push(target.into_bytes());
    }
    row
}

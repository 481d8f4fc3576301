//! The page of `/keys`. A provider chooses its `kid`s, so all text is escaped.

use std::fmt::Write as _;

use super::key_list::{IssuerKeys, Key, Keys, Source};

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
<title>Keys - syncgate</title>\n<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #197a3b; --bad: #b3261e; --dim: #666 }
@media (prefers-color-scheme: dark) { :root { --good: #6fcf8f; --bad: #ff8f85; --dim: #a5a5a5 } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 92rem; padding: 0 1.5rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem } h3 { font-size: .95rem; margin: 1.2rem 0 .3rem }
p { margin: .2rem 0 } .dim { color: var(--dim) } .good { color: var(--good) } .bad { color: var(--bad) }
h2 span { font-size: .95rem; font-weight: normal; margin-left: .5rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .35rem 1rem .35rem 0; text-align: left; vertical-align: top }
th { color: var(--dim); font-size: .8rem; font-weight: 600; white-space: nowrap } tr:hover td { background: var(--soft) }
code { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
td:first-child { max-width: 32rem; min-width: 10rem } td:first-child code { overflow-wrap: break-word }
td:last-child { min-width: 10rem; overflow-wrap: anywhere } .time { white-space: nowrap; font-variant-numeric: tabular-nums }
</style>\n";

/// The page.
pub(super) fn render(keys: &Keys) -> String {
    let mut page = Page(String::from(HEAD));
    page.raw("<h1>Keys of the issuers</h1>");
    page.raw(&format!("<p class=\"dim\">{} UTC, as are all times here · <a href=\"/readyz\">readiness</a> · ", time(&keys.now)));
    page.raw("<a href=\"/metrics\">metrics</a></p>\n");
    keys.issuers.iter().for_each(|issuer| page.issuer(issuer));
    page.raw("</html>\n");
    page.0
}

struct Page(String);

impl Page {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn issuer(&mut self, issuer: &IssuerKeys) {
        let (class, state) = if issuer.ready { ("good", "has keys") } else { ("bad", "no keys: its tokens are answered with 503") };
        self.raw(&format!("<h2>{} <span class=\"{class}\">{state}</span></h2>\n", escaped(&issuer.name)));
        let names = |names: &[String]| names.iter().map(|name| code(name)).collect::<Vec<_>>().join(" ");
        if !issuer.discovered_issuers.is_empty() {
            self.raw(&format!("<p>Its discovery document names the issuer {}</p>\n", names(&issuer.discovered_issuers)));
        }
        if !issuer.misnamed_issuers.is_empty() {
            self.raw(&format!(
                "<p class=\"bad\">The discovery document names another issuer than the config, {}: its tokens are answered with 503</p>\n",
                names(&issuer.misnamed_issuers)
            ));
        }
        if let Some(error) = &issuer.snapshot_error {
            self.raw(&format!("<p class=\"bad\">The snapshot could not be written: {}</p>\n", escaped(error)));
        }
        for (waiting, known) in issuer.waiting() {
            self.raw(&format!(
                "<p class=\"bad\">Another key with the kid {} is used once the known one expires. If the provider changed it on purpose, use it \
                 now: {}</p>\n",
                optional_code(waiting.kid.as_deref()),
                code(&format!("syncgate admin purge --config FILE --issuer {} --kid {}", issuer.name, known.thumbprint))
            ));
        }
        if !issuer.denied.is_empty() {
            self.raw(&format!("<p>Denied by the config: {}</p>\n", names(&issuer.denied)));
        }
        if !issuer.purged.is_empty() {
            self.raw(&format!("<p class=\"bad\">Denied until the process ends: {}</p>\n", names(&issuer.purged)));
        }
        if !issuer.keys.is_empty() {
            self.keys(issuer);
        }
        self.raw("<h3>Sources</h3>\n");
        self.table(&["source", "last success", "next refresh", "state"], |page| {
            issuer.sources.iter().for_each(|source| page.source(source));
        });
        let skipped: Vec<_> = issuer.sources.iter().flat_map(|source| &source.skipped).collect();
        if !skipped.is_empty() {
            self.raw("<h3>Published keys that are not used</h3>\n");
            self.table(&["kid", "reason"], |page| {
                for key in skipped {
                    page.row(&[optional_code(key.kid.as_deref()), escaped(key.reason)]);
                }
            });
        }
    }

    fn keys(&mut self, issuer: &IssuerKeys) {
        const HEADS: &[&str] = &["kid", "type", "algorithms", "first seen", "last seen", "ends", "state"];
        let several = issuer.sources.len() > 1;
        let heads = if several { [HEADS, &["source"]].concat() } else { HEADS.to_vec() };
        self.table(&heads, |page| issuer.keys.iter().for_each(|key| page.key(key, several)));
    }

    /// The source of a key is shown if there are several.
    fn key(&mut self, key: &Key, with_source: bool) {
        let state = match key.state {
            "trusted" => "<span class=\"good\">trusted</span>".to_owned(),
            other => format!("<span class=\"bad\">{}</span>", escaped(other)),
        };
        let title = format!("<span title=\"thumbprint {}\">{}</span>", escaped(&key.thumbprint), optional_code(key.kid.as_deref()));
        let ends = key.ends.as_deref().map_or_else(|| "with its file".to_owned(), time);
        let mut cells = vec![
            title,
            key.r#type.to_owned(),
            escaped(&key.algorithms.join(", ")),
            time(&key.first_seen),
            time(&key.last_seen),
            ends,
            state,
        ];
        if with_source {
            cells.push(code(&key.source));
        }
        self.row(&cells);
    }

    fn source(&mut self, source: &Source) {
        let state = match &source.error {
            Some(error) if source.failures > 1 => {
                format!("<span class=\"bad\">failed {} times in a row: {}</span>", source.failures, escaped(error))
            }
            Some(error) => format!("<span class=\"bad\">failed: {}</span>", escaped(error)),
            None if source.last_success.is_some() => "<span class=\"good\">fetched</span>".to_owned(),
            None => "<span class=\"dim\">not fetched yet</span>".to_owned(),
        };
        let at = |moment: &Option<String>| moment.as_deref().map_or_else(|| "<span class=\"dim\">-</span>".to_owned(), time);
        self.row(&[code(&source.place), at(&source.last_success), at(&source.next_refresh), state]);
    }

    fn table(&mut self, heads: &[&str], rows: impl FnOnce(&mut Self)) {
        self.raw("<div class=\"scroll\"><table><tr>");
        heads.iter().for_each(|head| self.raw(&format!("<th>{head}</th>")));
        self.raw("</tr>\n");
        rows(self);
        self.raw("</table></div>\n");
    }

    /// A row of cells that are escaped already.
    fn row(&mut self, cells: &[String]) {
        self.raw("<tr>");
        for cell in cells {
            let class = if cell.starts_with("<time") { " class=\"time\"" } else { "" };
            self.raw(&format!("<td{class}>{cell}</td>"));
        }
        self.raw("</tr>\n");
    }
}

fn time(moment: &str) -> String {
    let readable = moment.replace('T', " ").replace('Z', "");
    format!("<time datetime=\"{}\">{}</time>", escaped(moment), escaped(&readable))
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

fn optional_code(text: Option<&str>) -> String {
    text.map_or_else(|| "<span class=\"dim\">none</span>".to_owned(), code)
}

/// Text for a page: markup and control characters are shown, not obeyed.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, letter| {
        // Writing to a string cannot fail.
        let _ = match letter {
            '&' => escaped.write_str("&amp;"),
            '<' => escaped.write_str("&lt;"),
            '>' => escaped.write_str("&gt;"),
            '"' => escaped.write_str("&quot;"),
            '\'' => escaped.write_str("&#39;"),
            control if control.is_control() => write!(escaped, "{}", control.escape_default()),
            // Marks that turn the direction of writing could make one kid look like another.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(escaped, "{}", letter.escape_default())
            }
            other => escaped.write_char(other),
        };
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_provider_chose_is_markup() {
        let hostile = "<script>alert('x')</script>\" onload=\"x\u{202e}\u{0}";
        let source = Source {
            place: hostile.into(),
            last_attempt: None,
            last_success: None,
            next_refresh: None,
            failures: 1,
            error: Some(hostile.into()),
            skipped: vec![super::super::key_list::Skipped { kid: Some(hostile.into()), reason: "symmetric" }],
        };
        let another = Source { place: "https://login.contoso.com/keys".into(), error: None, skipped: Vec::new(), ..source.clone() };
        let key = Key {
            kid: Some(hostile.into()),
            r#type: "RSA",
            algorithms: vec!["RS256".into()],
            thumbprint: hostile.into(),
            state: "trusted",
            first_seen: "2026-11-21T19:43:07Z".into(),
            last_seen: "2026-11-21T19:43:07Z".into(),
            ends: None,
            source: hostile.into(),
        };
        let issuer = IssuerKeys {
            name: "contoso".into(),
            ready: true,
            discovered_issuers: vec![hostile.into()],
            misnamed_issuers: vec![hostile.into()],
            keys: vec![key],
            sources: vec![source, another],
            denied: vec![hostile.into()],
            purged: vec![hostile.into()],
            snapshot_error: Some(hostile.into()),
        };
        let page = render(&Keys { now: "2026-11-21T19:43:07Z".into(), issuers: vec![issuer] });
        assert!(!page.contains("<script") && !page.contains("\" onload") && !page.contains('\u{202e}') && !page.contains('\0'));
        assert_eq!(page.matches("&lt;script&gt;").count(), 11, "{page}");
        assert!(page.contains("<time datetime=\"2026-11-21T19:43:07Z\">2026-11-21 19:43:07</time>"));
    }
}

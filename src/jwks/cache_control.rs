//! How long a response stays fresh (RFC 9111 section 5.2.2). Pure.

use std::time::Duration;

/// The `max-age` of these `Cache-Control` values; none where there is none or where `no-store` or `no-cache` is beside it:
/// Keycloak and Vault say so of their keys and do not mean that each request is to fetch them.
pub(super) fn max_age<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Duration> {
    let mut age = None;
    for directive in values.into_iter().flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return None,
            "max-age" => {
                let value = value.trim().trim_matches('"');
                let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                // Too many digits mean very long (RFC 9111 section 1.2.2).
                let seconds = is_number.then(|| value.parse().unwrap_or(u64::MAX));
                age = age.or(seconds.map(Duration::from_secs));
            }
            _ => {}
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_providers_send_is_read() {
        let seconds = |value: &str| max_age([value]).map(|age| age.as_secs());
        assert_eq!(seconds("max-age=86400, private"), Some(86_400));
        assert_eq!(seconds("public, max-age=15, stale-while-revalidate=15, stale-if-error=86400"), Some(15));
        assert_eq!(seconds("Max-Age=\"600\""), Some(600));
        assert_eq!(seconds("max-age=0"), Some(0));
        assert_eq!(seconds("max-age=99999999999999999999999"), Some(u64::MAX));
        for absent in
            ["private", "", "no-store", "no-cache, max-age=60", "max-age=60, NO-STORE", "max-age=-1", "max-age=x", "max-age"]
        {
            assert_eq!(seconds(absent), None, "{absent}");
        }
        assert_eq!(max_age(["private", "max-age=60"]), Some(Duration::from_secs(60)));
        assert_eq!(max_age(["max-age=60", "no-cache"]), None);
    }
}

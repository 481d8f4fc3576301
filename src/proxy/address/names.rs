//! The names of fields that tell who the client is, or how it has come.

/// Those that the gateway writes, and those that backends are known to believe: from nobody are they passed on, in no spelling. A star
/// stands for the rest of a name.
pub(in crate::proxy) const TELLING: [&str; 27] = [
    "ali-cdn-real-ip",
    "cdn-src-ip",
    "cf-connecting-ip*",
    "cf-pseudo-ipv4",
    "cf-visitor",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "front-end-https",
    "incap-client-ip",
    "true-client-ip",
    "x-arr-ssl",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded*",
    "x-https",
    "x-original-for*",
    "x-original-host*",
    "x-original-proto",
    "x-originating-ip",
    "x-real-ip",
    "x-scheme",
    "x-url-scheme",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(TELLING.is_sorted());
    }
}

use serde_json::{Value, json};

use super::{TENANT_ID, changed, config, parse, problems, small, warnings, with, without};
use crate::{
    config::Problem,
    proxy::Target,
    signing::{SecretSource, SigningKeySource},
    token::{ClaimRule, NonceRule, UserIdRule},
};

fn issuer(name: &str, more: &Value) -> Value {
    let mut issuer = json!({
        "name": name, "preset": "oidc", "issuer": format!("https://{name}.contoso.com"), "audiences": ["api"],
        "user_id": format!("{name}_{{sub}}"),
    });
    for (key, value) in more.as_object().unwrap() {
        issuer[key] = value.clone();
    }
    issuer
}

fn with_issuers(issuers: &[Value]) -> String {
    with(&[("/issuers", json!(issuers))])
}

#[test]
fn an_empty_file_is_told_all_that_it_needs() {
    let expected = [
        "issuers: is required: the list of issuers whose tokens are accepted",
        "signing.key_file: is required: the private key that signs user tokens; create one with: syncgate keys generate --out FILE",
        "upstream: is required: the backend that requests are forwarded to; at least `url: http://host:port`",
    ];
    for text in ["", "\n", "# nothing\n", "---\n", "{}", "\u{feff}"] {
        assert_eq!(problems(text), expected, "{text:?}");
    }
}

#[test]
fn each_required_key_is_asked_for() {
    assert_eq!(problems(&without("", "issuers")), ["issuers: is required: the list of issuers whose tokens are accepted"]);
    assert_eq!(
        problems(&without("/issuers/0", "audiences")),
        [
            "issuers[0].audiences: is required: the id of your API's registration; without it, tokens for any other application would be accepted"
        ]
    );
    assert_eq!(
        problems(&without("/upstream", "url")),
        ["upstream.url: is required: where requests are forwarded to, such as http://127.0.0.1:5984"]
    );
    assert_eq!(problems(&with(&[("/routes", json!([{}]))])), ["routes[0].name: is required: it appears in logs and metrics"]);
    assert_eq!(
        problems(&with(&[("/routes", json!([{ "name": "a", "nonce": {} }]))])),
        ["routes[0].nonce.header: is required: the request header whose value the nonce must equal"]
    );
}

#[test]
fn every_problem_has_its_place() {
    let text = "\
issuers:
  - preset: b2c
    tenant: contoso
    tenant_id: nine
    policies:
      - B2C_1_signin
      - 'B2C 2'
    audience: [api]
    leeway: 10m
signing: {key_file: a.pem, threds: 2}
upstream:
  url: http://127.0.0.1:5984
  url: http://127.0.0.1:5985
lisen: {}
";
    let problems: Vec<_> = parse(text).unwrap_err().problems.iter().map(Problem::to_string).collect();
    assert_eq!(
        problems,
        [
            "2:5: issuers[0].audiences: is required: the id of your API's registration; without it, tokens for any other application \
             would be accepted",
            "4:5: issuers[0].tenant_id: \"nine\" is not a GUID; accepted: a GUID such as 9c0c1f5e-0000-4000-8000-000000000000",
            "7:9: issuers[0].policies[1]: \"B2C 2\" is not a policy; accepted: a policy such as B2C_1_signin: 1 to 128 of A-Z a-z 0-9 _ -",
            "8:5: issuers[0].audience: unknown key; did you mean audiences?",
            "9:5: issuers[0].leeway: 10m is too long; accepted: 0s to 5m (default 1m)",
            "10:28: signing.threds: unknown key; did you mean threads?",
            "13:3: upstream.url: appears twice, first in line 12; keep one",
            "14:1: lisen: unknown key; did you mean listen?",
        ]
    );
}

#[test]
fn names_and_iss_belong_to_one_issuer() {
    let two = |one: &Value, other: &Value| problems(&with_issuers(&[issuer("a", one), issuer("b", other)]));
    assert_eq!(two(&json!({}), &json!({})), [""; 0]);
    assert_eq!(
        two(&json!({}), &json!({ "name": "a" })),
        ["issuers[1]: name a is already used by issuers[0]; accepted: a different name for each (name: ...)"]
    );
    assert_eq!(
        two(&json!({}), &json!({ "issuer": "https://a.contoso.com" })),
        ["issuers[1]: accepts the iss https://a.contoso.com, which issuers[0] also accepts; accepted: each iss in only one issuer"]
    );
}

#[test]
fn a_template_and_what_it_covers_are_one_iss() {
    let template = |name: &str, more: Value| {
        let mut issuer = json!({ "name": name, "preset": "entra", "tenant": "common", "audiences": ["api"] });
        issuer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        issuer
    };
    let single =
        json!({ "name": "single", "preset": "entra", "tenant": TENANT_ID, "audiences": ["api"], "user_id": "{tid}_{oid}" });
    let iss = format!("https://login.microsoftonline.com/{TENANT_ID}/v2.0");
    let clash = |iss: &str| {
        [format!("issuers[1]: accepts the iss {iss}, which issuers[0] also accepts; accepted: each iss in only one issuer")]
    };
    let (any, only) = (template("any", json!({ "any_tenant": true })), template("only", json!({ "tenants": [TENANT_ID] })));
    assert_eq!(problems(&with_issuers(&[any.clone(), single.clone()])), clash(&iss));
    assert_eq!(problems(&with_issuers(&[single.clone(), any.clone()])), clash(&iss));
    assert_eq!(problems(&with_issuers(&[single.clone(), only.clone()])), clash(&iss));
    assert_eq!(problems(&with_issuers(&[any.clone(), only.clone()])), clash(&iss));
    let twin = template("twin", json!({ "any_tenant": true }));
    assert_eq!(problems(&with_issuers(&[any, twin])), clash("https://login.microsoftonline.com/{tenantid}/v2.0"));
    // One template for different tenants, and an issuer of its own for another tenant.
    let other = template("other", json!({ "tenants": ["9c0c1f5e-0000-4000-8000-000000000001"] }));
    assert_eq!(problems(&with_issuers(&[only, other.clone()])), [""; 0]);
    assert_eq!(problems(&with_issuers(&[single, other])), [""; 0]);
}

#[test]
fn templates_stand_by_themselves_and_have_known_braces() {
    let plain = |iss: Value| {
        let issuer =
            json!({ "jwks_uri": "https://a.contoso.com/keys", "issuer": iss, "audiences": ["api"], "tenants": [TENANT_ID] });
        problems(&with(&[("/issuers/0", issuer)]))
    };
    assert_eq!(plain(json!("https://a.contoso.com/{tenantid}/")), [""; 0]);
    assert_eq!(plain(json!(["https://a.contoso.com/{tenantid}/", "https://b.contoso.com/{tenantid}"])), [""; 0]);
    assert_eq!(
        plain(json!(["https://a.contoso.com/{tenantid}/", "https://b.contoso.com"])),
        ["issuers[0].issuer: mixes elements with and without {tenantid}; accepted: {tenantid} in all of them, or in none"]
    );
    assert_eq!(
        plain(json!("https://a.contoso.com/{tenantid}/{policy}")),
        ["issuers[0].issuer: \"https://a.contoso.com/{tenantid}/{policy}\" has a brace that is not part of {tenantid}"]
    );
}

#[test]
fn user_ids_of_two_issuers_must_not_meet() {
    let two = |one: Value, other: Value| problems(&with_issuers(&[issuer("a", &one), issuer("b", &other)]));
    let bare = |index: usize| {
        format!(
            "issuers[{index}]: two people could get the same user id: there are several issuers, and user_id does not say which; accepted: \
             a combination or prefix such as {{tid}}_{{oid}} or partner_{{sub}}, or shared_user_ids: true where one id always means one person"
        )
    };
    assert_eq!(two(json!({ "user_id": "sub" }), json!({ "user_id": "{sub}x" })), [bare(0), bare(1)]);
    assert_eq!(two(json!({ "user_id": "sub", "shared_user_ids": true }), json!({})), [""; 0]);
    assert_eq!(two(json!({ "user_id": "{tid}_{sub}" }), json!({})), [""; 0]);
    let alike = two(json!({ "user_id": "x{sub}" }), json!({ "user_id": "xy{sub}" }));
    assert_eq!(
        alike,
        [
            "issuers[0]: two people could get the same user id: the prefixes of its user_id and of issuers[1] overlap; accepted: \
             different prefixes, or shared_user_ids: true where one id always means one person",
            "issuers[1]: two people could get the same user id: the prefixes of its user_id and of issuers[0] overlap; accepted: \
             different prefixes, or shared_user_ids: true where one id always means one person",
        ]
    );
}

#[test]
fn user_ids_of_two_tenants_must_not_meet() {
    let entra = |more: Value| {
        let mut issuer = json!({
            "preset": "entra", "tenant": "common", "audiences": ["api"], "user_id": "oid",
            "tenants": [TENANT_ID, "9c0c1f5e-0000-4000-8000-000000000001"],
        });
        issuer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        problems(&with(&[("/issuers/0", issuer)]))
    };
    let expected = "issuers[0]: two people could get the same user id: there are several tenants, and user_id does not contain the tenant; \
                    accepted: a combination such as {tid}_{oid}, or shared_user_ids: true where one id always means one person";
    assert_eq!(entra(json!({})), [expected]);
    assert_eq!(entra(json!({ "user_id": "entra_{oid}" })), [expected]);
    assert_eq!(entra(json!({ "shared_user_ids": true })), [""; 0]);
    assert_eq!(entra(json!({ "tenants": [TENANT_ID] })), [""; 0]);
}

#[test]
fn a_fallback_list_and_claims_that_change_need_their_switch() {
    let oidc = |user_id: Value| problems(&with_issuers(&[issuer("a", &json!({ "user_id": user_id }))]));
    assert_eq!(
        oidc(json!(["oid", "sub"])),
        [
            "issuers[0].user_id: is a list; a fallback is accepted only with preset b2c, since elsewhere one person could get two ids"
        ]
    );
    assert_eq!(oidc(json!(["oid"])), [""; 0]);
    for user_id in [json!("upn"), json!(["upn"]), json!("a_{upn}")] {
        assert_eq!(
            oidc(user_id),
            [
                "issuers[0].user_id: upn can be changed by its owner and reassigned to another person; accepted only with mutable_user_id: true"
            ]
        );
    }
    assert_eq!(
        oidc(json!("{tid}{oid}")),
        ["issuers[0].user_id: two claims are adjacent, so different people could get one id; accepted: text between them"]
    );
    let allowed = issuer("a", &json!({ "user_id": "email", "mutable_user_id": true }));
    assert_eq!(config(&with_issuers(&[allowed])).issuers[0].rules.user_id, UserIdRule::Claims(vec!["email".to_owned()]));
}

#[test]
fn keys_are_kept_until_the_next_refresh() {
    assert_eq!(
        problems(&with(&[("/issuers/0/refresh", json!("6h")), ("/issuers/0/keep", json!("5h"))])),
        ["issuers[0].keep: keep is shorter than refresh: every key would expire before it is fetched again"]
    );
    assert_eq!(
        problems(&with_issuers(&[issuer("a", &json!({ "refresh": "6h" }))])),
        ["issuers[0].refresh: keep is shorter than refresh: every key would expire before it is fetched again"]
    );
}

#[test]
fn a_passphrase_has_one_source() {
    assert_eq!(
        problems(&with(&[("/signing/passphrase_file", json!("p")), ("/signing/passphrase_env", json!("P"))])),
        ["signing.passphrase_env: cannot be combined with passphrase_file; remove one of them"]
    );
    let from = |key: &str, value: &str| match config(&with(&[(key, json!(value))])).signing.key {
        SigningKeySource::PrivateKey { passphrase, .. } => passphrase,
        secret => panic!("{secret:?}"),
    };
    assert_eq!(from("/signing/passphrase_file", "p"), Some(SecretSource::File("/etc/syncgate/p".into())));
    assert_eq!(from("/signing/passphrase_file", "/p"), Some(SecretSource::File("/p".into())));
    assert_eq!(from("/signing/passphrase_env", "P"), Some(SecretSource::Environment("P".to_owned())));
}

#[test]
fn routes_are_told_apart_and_lead_somewhere() {
    let routes = |routes: Value| problems(&with(&[("/routes", routes)]));
    assert_eq!(
        routes(
            json!([{ "name": "a" }, { "name": "a", "path": "/b" }, { "name": "c", "path": "/b" }, { "name": "d", "host": "x" }])
        ),
        [
            "routes[1]: name a is already used by routes[0]; accepted: a different name for each",
            "routes[2]: host and path are the same as in routes[1], so it can never match; accepted: a different path, host or methods \
             for each",
        ]
    );
    let mut two = small();
    two.as_object_mut().unwrap().remove("upstream");
    let two = |routes: Value| {
        let upstreams = json!({ "one": { "url": "http://127.0.0.1:1" }, "two": { "url": "https://b.contoso.com" } });
        changed(two.clone(), &[("/upstreams", upstreams), ("/routes", routes)])
    };
    assert_eq!(
        problems(&two(json!([{ "name": "a" }, { "name": "b", "path": "/b", "upstream": "Two" }]))),
        [
            "routes[0].upstream: is required: there are several upstreams; accepted: one, two",
            "routes[1].upstream: \"Two\" cannot be a name; accepted: 1 to 64 of a-z 0-9 _ -",
        ]
    );
    let fine = two(json!([{ "name": "a", "upstream": "two" }]));
    assert_eq!(warnings(&fine), ["upstreams.one: no route uses this upstream"]);
    let upstreams = config(&fine).proxy.upstreams;
    let seen: Vec<_> = upstreams.iter().map(|u| (u.name.as_str(), u.tls, u.targets[0].to_string())).collect();
    assert_eq!(seen, [("one", false, "127.0.0.1:1".to_owned()), ("two", true, "b.contoso.com:443".to_owned())]);
    assert_eq!(config(&fine).proxy.routes[0].upstream, 1);
    assert_eq!(
        problems(&with(&[("/upstreams", json!({ "one": { "url": "http://127.0.0.1" } }))])),
        ["upstreams: cannot be combined with upstream; move all of them here, each under its name"]
    );
    let bad = with(&[("/upstream", json!(null)), ("/upstreams", json!({ "A B": { "url": "http://127.0.0.1" } }))]);
    assert_eq!(
        problems(&bad.replace("\"upstream\":null,", "")),
        ["upstreams.A B: cannot be a name; accepted: 1 to 64 of a-z 0-9 _ -"]
    );
}

#[test]
fn a_route_may_demand_much_and_its_claims_are_kept() {
    let route = json!({
        "name": "a", "path": "/db/x@1", "host": "Sync.Contoso.com", "scopes": "read", "any_scopes": ["a", "b"],
        "roles": ["R"], "any_roles": ["S"], "claims": { "plan": ["team", 1, true], "tester": [] }, "any_claims": { "groups": "g" },
        "nonce": { "header": "X-Nonce" },
    });
    let config = config(&with(&[("/routes", json!([route]))]));
    let (route, permission) = (&config.proxy.routes[0], config.proxy.routes[0].permission.settings());
    assert_eq!((route.host.as_deref(), route.path.as_str()), (Some("sync.contoso.com"), "/db/x@1"));
    assert_eq!(
        (&permission.all_scopes[..], &permission.any_scopes[..]),
        (&["read".to_owned()][..], &["a".to_owned(), "b".to_owned()][..])
    );
    let rule = |claim: &str, values: &[&str]| ClaimRule {
        claim: claim.to_owned(),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
    };
    assert_eq!(permission.all_claims, [rule("plan", &["team", "1", "true"]), rule("tester", &[])]);
    assert_eq!(permission.any_claims, [rule("groups", &["g"])]);
    assert_eq!(permission.nonce, NonceRule::EqualsHeader("x-nonce".to_owned()));
    assert_eq!(config.issuers[0].rules.kept_claims, ["groups", "plan", "tester"]);
}

#[test]
fn listeners_and_limits_fit_together() {
    assert_eq!(
        problems(&with(&[("/admin/address", json!("0.0.0.0:8080"))])),
        ["admin: listen.address 0.0.0.0:8080 and admin.address 0.0.0.0:8080 overlap; accepted: different ports"]
    );
    assert_eq!(
        problems(&with(&[("/listen/address", json!("[::]:9090"))])),
        ["listen: listen.address [::]:9090 and admin.address 127.0.0.1:9090 overlap; accepted: different ports"]
    );
    let also = |addresses: &[&str]| json!(addresses.iter().map(|address| json!({ "address": address })).collect::<Vec<_>>());
    assert_eq!(
        problems(&with(&[("/listen/also", also(&["127.0.0.1:8081", "[::]:8081", "0.0.0.0:0", "0.0.0.0:0"]))])),
        ["listen.also[1]: [::]:8081 is the address of another listener too; accepted: different ports"]
    );
    assert_eq!(
        problems(&with(&[("/listen/also", also(&["127.0.0.1:8080", "127.0.0.1:9090"]))])),
        [
            "listen: listen.address 127.0.0.1:9090 and admin.address 127.0.0.1:9090 overlap; accepted: different ports",
            "listen.also[0]: 127.0.0.1:8080 is the address of another listener too; accepted: different ports",
        ]
    );
    assert_eq!(
        problems(&with(&[("/listen/also", json!([{}]))])),
        ["listen.also[0].address: is required: address and port, such as 127.0.0.1:8080 or [::]:8080"]
    );
    assert_eq!(problems(&with(&[("/listen/also", also(&["0.0.0.0:0"; 16]))])), [""; 0]);
    assert_eq!(
        problems(&with(&[("/listen/also", also(&["0.0.0.0:0"; 17]))])),
        ["listen.also: the list has 17 elements; accepted: up to 16"]
    );
    assert_eq!(problems(&with(&[("/listen/address", json!("10.0.0.1:0")), ("/admin/address", json!("127.0.0.1:0"))])), [""; 0]);
    assert_eq!(
        problems(&with(&[("/listen/header_bytes", json!("16KiB"))])),
        ["listen: token.max_bytes must be less than listen.header_bytes, or tokens of that size never arrive"]
    );
}

#[test]
fn what_deserves_a_thought_is_a_warning() {
    assert_eq!(warnings(&with(&[])), [""; 0]);
    assert_eq!(
        warnings(&with(&[("/admin/address", json!("0.0.0.0:9090")), ("/upstream/url", json!("http://couch:5984"))])),
        [
            "admin.address: anyone who can reach this address can read metrics, health and public keys without a credential",
            "upstream.url: plain http to another machine: user tokens can be read on the network; acceptable only in a network that you trust",
        ]
    );
}

#[test]
fn upstream_addresses_are_kept_for_dns_and_tls() {
    let upstream = |url: &str| {
        let upstream = config(&with(&[("/upstream/url", json!(url))])).proxy.upstreams.remove(0);
        (upstream.tls, upstream.targets)
    };
    assert_eq!(upstream("http://[::1]:80/"), (false, vec![Target::new("::1", 80)]));
    assert_eq!(upstream("HTTPS://Sync.Contoso.COM"), (true, vec![Target::new("sync.contoso.com", 443)]));
    assert_eq!(upstream("https://bücher.example"), (true, vec![Target::new("xn--bcher-kva.example", 443)]));
}

#[test]
fn a_discovered_issuer_needs_a_place_to_be_discovered_in() {
    let discovered = [("/issuers/0/issuer", json!("discovered"))];
    assert_eq!(config(&with(&discovered)).issuers[0].rules.issuer, crate::token::IssuerRule::Discovered);
    let mut no_document = discovered.to_vec();
    no_document.push(("/issuers/0/jwks_uri", json!("https://login.contoso.com/keys")));
    assert_eq!(problems(&with(&no_document)), ["issuers[0].issuer: discovered needs a discovery document; set discovery"]);
    let mut tenants = discovered.to_vec();
    tenants.push(("/issuers/0/tenants", json!([super::TENANT_ID])));
    assert_eq!(problems(&with(&tenants)), ["issuers[0].tenants: is valid only for an issuer with {tenantid} in it"]);
}

#[test]
fn more_cached_identities_than_fit_into_their_bytes_are_worth_a_warning() {
    let cache = |cache: Value| warnings(&with(&[("/cache", cache)]));
    assert_eq!(cache(json!({ "entries": 200_000 })), [""; 0]);
    assert_eq!(cache(json!({ "entries": 1_000_000, "bytes": "2GiB" })), [""; 0]);
    assert_eq!(
        cache(json!({ "entries": 1_000_000 })),
        [
            "cache.entries: too many for cache.bytes, which holds about 223696 of 1200 bytes each; set cache.bytes to 1145MiB or more"
        ]
    );
}

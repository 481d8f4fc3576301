//! A header, a line break, and claims: both as text, signed with a key that the issuers trust. What is accepted is compared with
//! a plain reading of the same text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use syncgate::token::{ClaimRule, NonceRule, Permission, PermissionSettings};
use syncgate_fuzz::{AUDIENCE, CLIENT, LEEWAY, NOW, sign, verify};

fuzz_target!(|text: &[u8]| {
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else { return };
    let (header, payload) = (&text[..end], &text[end + 1..]);
    let token = sign(header, payload);
    let Ok((issuer, verified)) = verify(token.as_bytes()) else { return };

    let header: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
    assert!(matches!(header["alg"].as_str(), Some("EdDSA" | "Ed25519")));
    assert!(["crit", "b64", "zip", "enc", "cty"].iter().all(|member| header.get(member).is_none()));

    // Kinds that are never taken.
    let typ = header["typ"].as_str().unwrap_or_default().to_ascii_lowercase();
    let typ = typ.split(';').next().unwrap().trim();
    assert!(!(typ.ends_with("+jwt") || typ.ends_with("+sd-jwt")) || matches!(typ, "at+jwt" | "application/at+jwt"));
    assert!(claims["events"].is_null());
    assert!(claims["token_use"].is_null() || matches!(claims["token_use"].as_str().unwrap().to_lowercase().as_str(), "access" | "id"));
    assert!(!matches!(claims["typ"].as_str(), Some("Refresh" | "Offline" | "Logout")));
    if issuer.name() == "b2c" {
        assert!(claims["cnf"].is_null());
        assert_ne!(claims["typ"], "ID");
    }
    if issuer.name() == "entra" {
        assert!(claims["hasgroups"] != true || !claims["groups"].is_null());
        assert!(claims["_claim_names"]["groups"].is_null() || !claims["groups"].is_null());
    }

    let audiences = claims["aud"].as_array().cloned().unwrap_or_else(|| vec![claims["aud"].clone()]);
    let by_client = issuer.name() == "oidc" && claims["aud"].is_null() && claims["client_id"] == CLIENT;
    assert!(by_client || audiences.iter().any(|audience| audience == AUDIENCE));
    let iss = claims["iss"].as_str().expect("an accepted iss is a string");
    assert!(match issuer.name() {
        "b2c" => iss == "https://contoso.b2clogin.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0/",
        "entra" => {
            assert_eq!(claims["tid"], "775527ff-9a37-4307-8b3d-cc311f58d925");
            matches!(
                iss,
                "https://login.microsoftonline.com/775527ff-9a37-4307-8b3d-cc311f58d925/v2.0"
                    | "https://sts.windows.net/775527ff-9a37-4307-8b3d-cc311f58d925/"
            )
        }
        _ => iss == "https://login.contoso.com/",
    });

    let (now, leeway) = (NOW.as_seconds() as f64, LEEWAY.as_secs_f64());
    let date = |name: &str| claims.get(name).filter(|date| !date.is_null()).map(|date| date.as_f64().expect("an accepted date is a number"));
    assert!(now < date("exp").expect("exp is there") + leeway);
    assert!(date("nbf").is_none_or(|date| date <= now + leeway + 0.001));
    assert!(date("iat").is_none_or(|date| date <= now + leeway + 0.001));
    assert!(verified.end() > NOW);

    let id = verified.user_id();
    assert!((1..=256).contains(&id.len()) && !id.chars().any(char::is_control));
    match issuer.name() {
        "b2c" => assert!([&claims["oid"], &claims["sub"]].iter().any(|claim| claim.as_str() == Some(id))),
        "entra" => assert_eq!(id, format!("{}_{}", claims["tid"].as_str().unwrap(), claims["oid"].as_str().unwrap())),
        _ => assert_eq!(claims["sub"].as_str(), Some(id)),
    }

    let scopes = ["scp", "scope"].map(|name| claims[name].to_string()).concat();
    assert!(verified.scopes().all(|scope| scopes.contains(serde_json::to_string(scope).unwrap().trim_matches('"'))));
    let permission = Permission::new(PermissionSettings {
        all_scopes: vec!["docs.read".into()],
        any_roles: vec!["Writer".into(), "a".into()],
        any_claims: vec![
            ClaimRule { claim: "email_verified".into(), values: vec!["true".into()] },
            ClaimRule { claim: "groups".into(), values: Vec::new() },
        ],
        nonce: NonceRule::EqualsHeader("x-nonce".into()),
        ..PermissionSettings::default()
    });
    if permission.check(&verified, Some(b"n")).is_ok() {
        assert_eq!(claims["nonce"], "n");
        assert!(scopes.contains("docs.read"));
    }
});

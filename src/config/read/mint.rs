//! `mint` and `profiles`: the contents of minted tokens.

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::{
    config::{
        field::Field,
        formats::{CLAIM, Format, NAME, TEXT},
        read::mint_presets::{MINT_PRESETS, MintPreset},
        section::Section,
        suggest::shown,
    },
    endpoint::EndpointSettings,
    proxy::RouteSettings,
    token::{ClaimTable, ClaimValue, Lifetime, MintingProfile, Place, Source, TokenKeyId, UserIdForm},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

pub(in crate::config) const LIFETIMES: [(&str, Lifetime); 2] = [("ttl", Lifetime::Ttl), ("end", Lifetime::End)];
pub(in crate::config) const USER_ID_FORMS: [(&str, UserIdForm); 5] = [
    ("any", UserIdForm::Any),
    ("uri_component", UserIdForm::UriComponent),
    ("couchdb", UserIdForm::CouchDb),
    ("couchbase", UserIdForm::Couchbase),
    ("uuid", UserIdForm::Uuid),
];

const TYPE_ACCEPTED: &str = "none, or text such as JWT (default JWT)";
const KEY_ID_ACCEPTED: &str = "none, thumbprint, or text of 1 to 1024 bytes (default none)";

/// A profile and where it is in the file, if it is there.
pub(in crate::config) struct Profile<'a> {
    pub(in crate::config) settings: MintingProfile,
    pub(in crate::config) field: Option<Field<'a>>,
}

/// All profiles; the first is that of `mint`.
pub(in crate::config) fn profiles<'a>(root: &mut Section<'a>, algorithm: Algorithm) -> Vec<Profile<'a>> {
    let field = root.field("mint");
    let mut profiles = vec![Profile { settings: profile(MintingProfile::NAME, root.section("mint"), algorithm), field }];
    for (name, field) in root.field("profiles").map(|field| field.entries()).unwrap_or_default() {
        match (NAME.parse)(name) {
            Ok(name) if name == MintingProfile::NAME => {
                field.problem("is reserved for the profile in mint; accepted: another name")
            }
            Ok(_) => {}
            Err(wrong) => field.problem(format!("{wrong}; accepted: {}", NAME.accepted)),
        }
        profiles.push(Profile { settings: profile(name, field.section(), algorithm), field: Some(field) });
    }
    profiles
}

/// The index of the profile of a route that has a preset and names no profile: the one that is named as the preset; else that of `mint`,
/// if the file has it; else one that is added, with what the preset gives.
pub(in crate::config) fn profile_for(
    preset: MintPreset,
    route: &Field<'_>,
    profiles: &mut Vec<Profile<'_>>,
    algorithm: Algorithm,
) -> usize {
    let name = preset.name();
    if let Some(index) = profiles.iter().position(|profile| profile.settings.name == name) {
        return index;
    }
    if profiles.first().is_some_and(|default| default.field.is_some()) {
        return 0;
    }
    check_algorithm(preset, algorithm, route);
    for (claim, what) in preset.required_claims() {
        route.problem(format!(
            "needs the claim {claim}: {what}; set it with mint: {{ preset: {name}, claims: {{ {claim}: ... }} }}"
        ));
    }
    profiles.push(Profile { settings: preset.profile(name), field: None });
    profiles.len() - 1
}

fn check_algorithm(preset: MintPreset, algorithm: Algorithm, field: &Field<'_>) {
    if !preset.algorithms().contains(&algorithm) {
        let accepted: Vec<_> = preset.algorithms().iter().map(|algorithm| format!("{algorithm:?}")).collect();
        let accepted = accepted.join(", ");
        field.problem(format!("this backend does not verify {algorithm:?}; accepted for signing.algorithm: {accepted}"));
    }
}

/// Reports profiles that no route uses.
pub(in crate::config) fn check_use(profiles: &[Profile<'_>], routes: &[RouteSettings]) {
    let named = profiles.iter().enumerate().skip(1).filter(|(index, _)| !routes.iter().any(|route| mints(route, *index)));
    named.filter_map(|(_, profile)| profile.field.as_ref()).for_each(|field| field.warning("no route uses it (mint: NAME)"));
}

/// The index of the minting profile that a route names.
pub(in crate::config) fn profile_named(field: &Field<'_>, profiles: &[Profile<'_>]) -> usize {
    let Some(name) = field.text(&NAME) else { return 0 };
    let found = profiles.iter().position(|profile| profile.settings.name == name);
    if found.is_none() {
        let names: Vec<_> = profiles.iter().map(|profile| shown(&profile.settings.name)).collect();
        field.problem(format!("there is no profile {}; accepted: {}", shown(&name), names.join(", ")));
    }
    found.unwrap_or(0)
}

/// Whether a route mints by this profile, or an endpoint on it may be asked to.
fn mints(route: &RouteSettings, profile: usize) -> bool {
    let is_target = match &route.endpoint {
        Some(EndpointSettings::TokenExchange(one)) => one.targets.iter().any(|target| target.profile == profile),
        _ => false,
    };
    route.profile == profile || is_target
}

fn profile(name: &str, mut section: Section<'_>, algorithm: Algorithm) -> MintingProfile {
    let preset = section.field("preset").and_then(|field| {
        let preset = field.choice(&MINT_PRESETS)?;
        check_algorithm(preset, algorithm, &field);
        Some(preset)
    });
    let mut profile =
        preset.map_or_else(|| MintingProfile::new(name, MintingProfile::USER_ID_CLAIM), |preset| preset.profile(name));
    claims(&mut section, preset, &mut profile);
    if let Some(field) = section.field("tables") {
        profile.tables = field.entries().into_iter().map(|(name, field)| table(name, &field)).collect();
    }
    profile.user_ids = section.choice("user_id_form", &USER_ID_FORMS, profile.user_ids);
    if let Some(field) = section.field("typ") {
        profile.token_type = none_or_text(&field, TYPE_ACCEPTED);
    }
    if let Some(field) = section.field("kid") {
        profile.key_id = match none_or_text(&field, KEY_ID_ACCEPTED) {
            None => TokenKeyId::None,
            Some(text) if text == "thumbprint" => TokenKeyId::Thumbprint,
            Some(text) => TokenKeyId::Text(text),
        };
        if profile.key_id == TokenKeyId::Thumbprint && algorithm == Algorithm::HS256 {
            field.problem("thumbprint cannot be combined with HS256: a secret has none; accepted: none, or text");
        }
    }
    profile.lifetime = section.choice("lifetime", &LIFETIMES, profile.lifetime);
    profile.ttl = section.duration("ttl", profile.ttl, SECOND * 30..=DAY);
    if section.field("max_lifetime").is_some() {
        profile.max_lifetime = section.limit("max_lifetime", MINUTE..=DAY * 30);
    }
    profile.backdate = section.duration("backdate", profile.backdate, Duration::ZERO..=MINUTE * 5);
    profile.not_before = section.flag("nbf", profile.not_before);
    profile.token_id = section.flag("jti", profile.token_id);
    check(&mut section, &profile);
    section.finish();
    profile
}

/// The claims that the file gives, beside those of the preset; without a preset they are all there is.
fn claims(section: &mut Section<'_>, preset: Option<MintPreset>, profile: &mut MintingProfile) {
    let (short, full) = (section.field("user_id_claim"), section.field("claims"));
    match (short, full) {
        (Some(field), Some(_)) => field.problem("cannot be combined with claims; put the user id there, such as sub: ${user_id}"),
        (Some(field), None) if preset.is_some() => {
            field.problem("cannot be combined with preset, which sets the claim with the user id; use claims")
        }
        (Some(field), None) => {
            if let Some(claim) = field.text(&CLAIM).filter(|claim| is_free(&field, claim)) {
                profile.claims = BTreeMap::from([(claim, ClaimValue::user_id())]);
            }
        }
        (None, Some(field)) => {
            let entries = field.entries();
            if preset.is_none() && !entries.is_empty() {
                profile.claims.clear();
            }
            entries.into_iter().for_each(|(name, field)| claim(name, &field, profile));
        }
        (None, None) => {}
    }
    for (claim, what) in preset.map(MintPreset::required_claims).unwrap_or_default() {
        if !profile.claims.contains_key(*claim) {
            section.missing(&format!("claims.{claim}"), what);
        }
    }
}

/// One claim; null takes one of the preset away.
fn claim(name: &str, field: &Field<'_>, profile: &mut MintingProfile) {
    if let Err(wrong) = (CLAIM.parse)(name) {
        field.problem(format!("{wrong}; accepted: {}", CLAIM.accepted));
    }
    if !is_free(field, name) {
        return;
    }
    let json = field.json();
    if let Some(value) = &json {
        literal_places(field, value);
    }
    // One that cannot be read has been reported, and stands as null: it must not count as missing too.
    let value = json.map_or(Ok(None), |value| ClaimValue::from_json(value).map(Some)).unwrap_or_else(|error| {
        field.problem(error.to_string());
        None
    });
    match value {
        Some(ClaimValue::Fixed(Value::Null)) => drop(profile.claims.remove(name)),
        value => drop(profile.claims.insert(name.to_owned(), value.unwrap_or(ClaimValue::Fixed(Value::Null)))),
    }
}

/// Reports a place without its `$`: every user would get that text, braces and all.
fn literal_places(field: &Field<'_>, value: &Value) {
    match value {
        Value::String(text) => {
            let after_brace = text.match_indices('{').filter(|(at, _)| !text.get(..*at).unwrap_or_default().ends_with('$'));
            let inner = after_brace.filter_map(|(at, _)| text.get(at + 1..)?.split_once('}').map(|(inner, _)| inner));
            for inner in
                inner.filter(|inner| matches!(ClaimValue::from_json(format!("${{{inner}}}").into()), Ok(ClaimValue::Place(_))))
            {
                field.problem(format!(
                    "{{{}}} has no $, so every user would get this literal text; write ${{{}}}",
                    shown(inner),
                    shown(inner)
                ));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| literal_places(field, value)),
        Value::Object(members) => members.values().for_each(|value| literal_places(field, value)),
        _ => {}
    }
}

fn is_free(field: &Field<'_>, claim: &str) -> bool {
    let reserved = MintingProfile::RESERVED.contains(&claim);
    if reserved {
        let reserved = MintingProfile::RESERVED.join(", ");
        field.problem(format!("{claim} is set by the gateway itself; accepted: any claim but {reserved}"));
    }
    !reserved
}

fn table(name: &str, field: &Field<'_>) -> ClaimTable {
    if let Err(wrong) = (NAME.parse)(name) {
        field.problem(format!("{wrong}; accepted: {}", NAME.accepted));
    }
    let mut section = field.section();
    let from = section.required("from", "what is looked up: ${roles}, ${scopes}, or ${claim:groups}").and_then(|field| {
        match ClaimValue::from_json(field.scalar(FROM_ACCEPTED)?.into()) {
            Ok(ClaimValue::Place(Place { source, default: None })) if !matches!(source, Source::First(_) | Source::All(_)) => {
                Some(source)
            }
            Ok(_) => {
                field.problem(format!("is not such a variable; accepted: {FROM_ACCEPTED}"));
                None
            }
            Err(error) => {
                field.problem(error.to_string());
                None
            }
        }
    });
    let rows = section.required("values", "from each value of the identity to the backend's, such as Sync.Admin: [admin, user]");
    let rows = rows.map(|field| field.entries()).unwrap_or_default();
    let rows = rows.into_iter().filter_map(|(left, field)| Some((left.to_owned(), right(&field)?))).collect();
    let default = section.field("default").and_then(|field| right(&field));
    section.finish();
    // Where there is no source the mistake is reported, and the result is thrown away.
    ClaimTable { name: name.to_owned(), from: from.unwrap_or(Source::Roles), rows, default }
}

const FROM_ACCEPTED: &str = "${roles}, ${scopes}, ${name}, ${user_id} or ${claim:NAME}, without a default";

/// The right side of a row: one value or a list of values, fixed.
fn right(field: &Field<'_>) -> Option<Vec<Value>> {
    let value = field.json()?;
    if value.is_null() || value.to_string().contains("${") {
        field.problem("is not a fixed value; accepted: a value, or a list of values, without ${");
        return None;
    }
    Some(match value {
        Value::Array(values) => values,
        value => vec![value],
    })
}

fn none_or_text(field: &Field<'_>, accepted: &'static str) -> Option<String> {
    let format = Format { accepted, ..TEXT };
    field.text(&format).filter(|text| text != "none")
}

/// What must hold within a profile, and what an operator should know of it.
fn check(section: &mut Section<'_>, profile: &MintingProfile) {
    let Some(field) = section.field("claims").or_else(|| section.field("preset")) else { return };
    let places: Vec<_> = profile.claims.values().flat_map(ClaimValue::places).collect();
    for table in places.iter().filter_map(|place| place.table()) {
        if !profile.tables.iter().any(|known| known.name == table) {
            field.problem(format!("there is no table {}; accepted: one of tables", shown(table)));
        }
    }
    for claim in profile.wrongly_derived() {
        field.problem(format!(
            "{} grants power in known backends, so it must not come from a client's token; accepted: a fixed value, or a table",
            shown(claim)
        ));
    }
    for (claim, word) in profile.power_for_everybody() {
        field.warning(format!(
            "{} gives {word}, which grants power in known backends, to every user; to give it to some, use a table: ${{all:TABLE}}",
            shown(claim)
        ));
    }
    if profile.claims.is_empty() {
        field.problem("no claim is left; accepted: at least one");
    } else if !places.iter().any(|place| place.source == Source::UserId) {
        field.warning("no claim has ${user_id} in it, so the backend cannot tell users apart");
    }
    let unused = |table: &&ClaimTable| !places.iter().any(|place| place.table() == Some(table.name.as_str()));
    for table in profile.tables.iter().filter(unused) {
        let name = shown(&table.name);
        field.warning(format!("the table {name} is not used; use it in a claim as ${{all:{name}}}"));
    }
}

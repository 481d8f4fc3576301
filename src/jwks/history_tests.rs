//! A year of real key sets in virtual time: the policy, and what most gateways do, against the same provider.

use std::{collections::HashSet, fmt::Write as _, fs, io::Write as _};

use serde_json::{Value, json};

use super::{tests::keys, *};
use crate::{
    corpus,
    token::{BearerToken, KeySet, TokenLimits},
};

const HOUR: Duration = Duration::from_secs(3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
/// Tokens are used at this distance, each by every key within its life.
const TOKEN_EVERY: Duration = Duration::from_secs(600);

/// What a provider published, from when on.
struct Version {
    from: Duration,
    kids: HashSet<String>,
    set: KeySet,
}

/// A record, and for how long it goes on before it begins again.
struct Record {
    versions: Vec<Version>,
    span: Duration,
    /// From the first version that stood for one refresh interval to the last version, of each key.
    lives: Vec<(String, Duration, Duration)>,
}

impl Record {
    fn load(folder: &std::path::Path, name: &str) -> Self {
        let text = fs::read(folder.join("history").join(format!("{name}.json"))).unwrap();
        let record: Value = serde_json::from_slice(&text).unwrap();
        let timeline = record["timeline"].as_array().unwrap();
        let start = timeline[0]["time"].as_u64().unwrap();
        let versions: Vec<_> = timeline
            .iter()
            .map(|version| {
                let jwks: Vec<_> =
                    version["kids"].as_array().unwrap().iter().map(|kid| &record["keys"][kid.as_str().unwrap()]).collect();
                let kids = jwks.iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned()).collect();
                let set = KeySet::parse(json!({ "keys": jwks }).to_string().as_bytes(), &KeySetLimits::default()).unwrap();
                Version { from: Duration::from_secs(version["time"].as_u64().unwrap() - start), kids, set }
            })
            .collect();
        let span = versions.last().unwrap().from + HOUR;
        let stood = |index: usize| versions.get(index + 1).map_or(span, |next: &Version| next.from) - versions[index].from;
        let all: HashSet<&String> = versions.iter().flat_map(|version| &version.kids).collect();
        let mut lives: Vec<_> = all
            .into_iter()
            .filter_map(|kid| {
                let shows = |index: &usize| versions[*index].kids.contains(kid);
                let first = (0..versions.len()).filter(shows).find(|index| stood(*index) >= HOUR.mul_f64(1.1))?;
                // It may have been used from then on, once the version had stood for the interval.
                let from = versions[first].from + HOUR.mul_f64(1.1);
                let to = versions[(0..versions.len()).rfind(shows)?].from;
                (from < to).then(|| (kid.clone(), from, to))
            })
            .collect();
        lives.sort();
        Self { versions, span, lives }
    }

    fn at(&self, time: Duration) -> &Version {
        let time = Duration::from_secs(time.as_secs() % self.span.as_secs());
        self.versions.iter().rfind(|version| version.from <= time).unwrap_or(&self.versions[0])
    }

    /// The keys that sign tokens at a time.
    fn signing(&self, time: Duration) -> impl Iterator<Item = &str> {
        let time = Duration::from_secs(time.as_secs() % self.span.as_secs());
        self.lives.iter().filter(move |(_, from, to)| (*from..=*to).contains(&time)).map(|(kid, ..)| kid.as_str())
    }
}

/// Tokens presented, and refused under each policy.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    tokens: u64,
    refused: u64,
    refused_by_replacing: u64,
}

/// Presents a token of each living key every ten minutes to a refresher that runs by its own schedule, and to a set that is replaced
/// each hour.
async fn year(record: &Record, keep: Duration) -> Outcome {
    let keys = Keys { keep: vec![Keep::For(keep)], ..keys(&Arc::new(Metrics::new().unwrap())) };
    let start = tokio::time::Instant::now();
    let epoch = Timestamp::from_seconds(1_700_000_000);
    let fetch = || {
        let keys = KeySet::from_keys(record.at(start.elapsed()).set.keys().iter().cloned());
        std::future::ready(Ok(Fetched { keys, max_age: None, issuer: None, clock_skew: None }))
    };
    let interval = schedule::interval(HOUR, keep);
    let fetching = keys.keep_fresh(0, interval, fetch, || epoch.plus(start.elapsed()));
    let mut outcome = Outcome::default();
    let users = async {
        loop {
            tokio::time::sleep(TOKEN_EVERY).await;
            let now = start.elapsed();
            let trusted = keys.store.load(epoch.plus(now));
            let hour = Duration::from_secs(now.as_secs() / 3_600 * 3_600);
            let replaced = &record.at(hour).kids;
            for kid in record.signing(now) {
                outcome.tokens += 1;
                outcome.refused += u64::from(!is_found(&trusted, kid));
                outcome.refused_by_replacing += u64::from(!replaced.contains(kid));
            }
        }
    };
    let _ = tokio::time::timeout(YEAR, async { tokio::join!(fetching, users) }).await;
    outcome
}

/// Whether the set has the key for a token that names it, found as the verifier finds it.
fn is_found(set: &KeySet, kid: &str) -> bool {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let token = format!("{}.{}.{}", part(json!({ "alg": "RS256", "kid": kid }).to_string()), part("{}".into()), part("x".into()));
    let bearer = BearerToken::parse(token.as_bytes(), &TokenLimits::default()).unwrap();
    set.find(&bearer, jsonwebtoken::Algorithm::RS256).is_ok()
}

#[tokio::test(start_paused = true)]
async fn in_a_year_of_real_key_sets_no_valid_token_is_refused() {
    let Some(folder) = corpus::folder() else { return };
    let mut report = String::from(
        "| provider | keep | tokens | refused by syncgate | refused where each fetch replaces the set |\n|---|---|---|---|---|\n",
    );
    for (name, keep) in [("entra-organizations", 50 * HOUR), ("google", HOUR), ("spotify", HOUR)] {
        let outcome = year(&Record::load(&folder, name), keep).await;
        assert!(outcome.tokens > 10_000, "{name}: {outcome:?}");
        let hours = keep.as_secs() / 3_600;
        writeln!(report, "| {name} | {hours} h | {} | {} | {} |", outcome.tokens, outcome.refused, outcome.refused_by_replacing)
            .unwrap();
        assert_eq!(outcome.refused, 0, "{name}: {outcome:?}");
        if name.starts_with("entra") {
            assert!(outcome.refused_by_replacing > 0, "the record shows what replacing costs");
        }
    }
    let _ = std::io::stderr().write_all(report.as_bytes());
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/key-sets.md")).unwrap();
    assert!(report.lines().all(|line| guide.contains(line)), "docs/key-sets.md does not hold this report:\n{report}");
}

//! Whether sign-ins, in whose middle the provider asks for a token, slow down users who are at work, and how long they take themselves.
//!
//! The gateway has one core, and signs ES256. Active users have cached tokens. A sign-in is a call as Entra makes it: its caller's token is
//! known, and each costs a signature, of which nothing is kept. Rounds without and with sign-ins take turns; the ratio is that of a round to the
//! quiet one before it.

use std::{error::Error, fmt, time::Duration};

use hyper::{Method, body::Bytes};
use serde::Serialize;
use serde_json::{Map, Value, json};
use syncgate::signing::NewKey;

use crate::{
    gateway::{APPLICATION, CALLERS, MICROSOFT, SIGN_INS, Settings, TENANT},
    harness::{
        process::RoleProcess,
        role::{Part, Role},
    },
    load::{mint::Mint, tokens::Tokens},
    rounds::{Crowd, Latency, Round, median_of, median_ratio, one_round},
    stage::{Ask, Stage},
};

/// Requests of active users a second, and sign-ins a second.
const RATES: [f64; 2] = [2_000.0, 200.0];
/// The same for a test, which runs without optimisation.
const TEST_RATES: [f64; 2] = [200.0, 20.0];
const ACTIVE_USERS: u64 = 500;
/// Most milliseconds that 99 of 100 sign-ins may take.
const MOST_OF_SIGN_IN: f64 = 50.0;
/// How many times longer 99 of 100 active users may wait beside sign-ins.
const MOST_RATIO: f64 = 2.0;

/// What came of it. Latencies are medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub rate: f64,
    pub sign_in_rate: f64,
    /// Active users alone.
    pub alone_p50_us: f64,
    pub alone_p99_us: f64,
    /// Active users beside sign-ins.
    pub beside_p50_us: f64,
    pub beside_p99_us: f64,
    /// The median of the rounds' own ratios.
    pub p50_ratio: f64,
    pub p99_ratio: f64,
    pub sign_in_p50_us: f64,
    pub sign_in_p99_us: f64,
    /// Sign-ins that got a token.
    pub signed_in: u64,
    /// Those that did not, and active users that were not answered 200.
    pub not_signed_in: u64,
    pub refused: u64,
    /// Of the gateway's core.
    pub alone_busy: f64,
    pub beside_busy: f64,
}

pub fn measure(stage: &Stage) -> Result<Outcome, Box<dyn Error>> {
    let (rounds, turn) = if stage.is_test { (1, Duration::from_millis(200)) } else { (7, Duration::from_secs(4)) };
    let [rate, sign_in_rate] = if stage.is_test { TEST_RATES } else { RATES };
    let (mint, key_set) = stage.issuer(NewKey::Ec(256))?;
    let (caller, callers) = stage.issuer(NewKey::Ec(256))?;
    let upstream = RoleProcess::start(&Part { role: Role::Upstream, core: stage.own_core(), upstream: None })?;
    let settings = Settings {
        cores: vec![stage.gateway_core()],
        upstream: upstream.address(),
        key_set,
        key: stage.key_file(NewKey::Ec(256))?,
        signs_es256: true,
        signing_threads: 0,
        users: 100_000,
        callers: Some(callers),
    };
    let gateway = settings.start()?;
    let mut active = Crowd::gather(stage, &gateway, &mint, ACTIVE_USERS, 0)?;
    let ask = Ask { method: Method::POST, path: SIGN_INS, body: Bytes::from(call().to_string()) };
    let token = Mint { issuer: CALLERS.to_owned(), claims: claims_of_service(), ..caller }.tokens("service", 0..1)?;
    let mut sign_ins = Crowd::asking(stage, &gateway, &ask, Tokens::new("Authorization: Bearer {token}", &token, &[], 0.0)?)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        alone.push(one_round(stage, &gateway, turn, (&mut active, rate), None)?);
        beside.push(one_round(stage, &gateway, turn, (&mut active, rate), Some((&mut sign_ins, sign_in_rate)))?);
        eprintln!("sign_ins: round {} of {rounds}", round + 1);
    }
    let (served, refused) = active.served();
    let (signed_in, not_signed_in) = sign_ins.served();
    if served == 0 || signed_in == 0 {
        let [active, sign_ins] = [&active, &sign_ins].map(|crowd| crowd.shared.tally.so_far().statuses);
        return Err(format!("nobody was served: {active:?}, {sign_ins:?}").into());
    }
    let of_sign_ins = |what: fn(Latency) -> f64| median_of(&beside, move |round: &Round| round.beside.map_or(f64::NAN, what));
    Ok(Outcome {
        rate,
        sign_in_rate,
        alone_p50_us: median_of(&alone, |round| round.own.p50),
        alone_p99_us: median_of(&alone, |round| round.own.p99),
        beside_p50_us: median_of(&beside, |round| round.own.p50),
        beside_p99_us: median_of(&beside, |round| round.own.p99),
        p50_ratio: median_ratio(&alone, &beside, |round| round.own.p50),
        p99_ratio: median_ratio(&alone, &beside, |round| round.own.p99),
        sign_in_p50_us: of_sign_ins(|latency| latency.p50),
        sign_in_p99_us: of_sign_ins(|latency| latency.p99),
        signed_in,
        not_signed_in,
        refused,
        alone_busy: median_of(&alone, |round| round.busy),
        beside_busy: median_of(&beside, |round| round.busy),
    })
}

impl Outcome {
    /// Whether it is as it is meant to be.
    pub fn is_within_bounds(&self) -> bool {
        self.sign_in_p99_us / 1e3 < MOST_OF_SIGN_IN && self.p99_ratio <= MOST_RATIO
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = |is_over: bool| if is_over { "  over" } else { "" };
        let [alone_p50, alone_p99, beside_p50, beside_p99, p50, p99] = [
            self.alone_p50_us,
            self.alone_p99_us,
            self.beside_p50_us,
            self.beside_p99_us,
            self.sign_in_p50_us,
            self.sign_in_p99_us,
        ]
        .map(|microseconds| microseconds / 1e3);
        writeln!(out, "{:.0} requests/s of active users, alone and beside {:.0} sign-ins/s (ES256)", self.rate, self.sign_in_rate)?;
        writeln!(out, "{:>34} {:>10} {:>10} {:>8} {:>8}", "", "alone", "beside", "ratio", "bound")?;
        writeln!(out, "{:>34} {alone_p50:>10.2} {beside_p50:>10.2} {:>8.2}", "p50 of active users, ms", self.p50_ratio)?;
        let verdict = over(self.p99_ratio > MOST_RATIO);
        let label = "p99 of active users, ms";
        writeln!(out, "{label:>34} {alone_p99:>10.2} {beside_p99:>10.2} {:>8.2} {MOST_RATIO:>8}{verdict}", self.p99_ratio)?;
        writeln!(out, "{:>34} {:>10} {p50:>10.2}", "p50 of sign-ins, ms", "")?;
        let verdict = over(p99 >= MOST_OF_SIGN_IN);
        writeln!(out, "{:>34} {:>10} {p99:>10.2} {:>8} {MOST_OF_SIGN_IN:>8}{verdict}", "p99 of sign-ins, ms", "", "")?;
        writeln!(out, "{:>34} {:>10.2} {:>10.2}", "cores that the gateway uses", self.alone_busy, self.beside_busy)?;
        writeln!(out, "{:>34} {:>10} {:>10}", "sign-ins with a token", "", self.signed_in)?;
        writeln!(out, "{:>34} {:>10} {:>10}", "sign-ins without", "", self.not_signed_in)?;
        writeln!(out, "{:>34} {:>10} {:>10}", "active users refused", "", self.refused)
    }
}

/// What the token of Microsoft's service says beside what all tokens do.
fn claims_of_service() -> Map<String, Value> {
    let claims = [("idtyp", "app"), ("azp", MICROSOFT), ("scp", "")];
    claims.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The call of a sign-in, as Microsoft documents it.
fn call() -> Value {
    let service = json!({ "id": "6fd8c5d2-0000-4000-8000-000000000004", "appId": APPLICATION, "displayName": "App" });
    json!({
        "type": "microsoft.graph.authenticationEvent.tokenIssuanceStart",
        "source": format!("/tenants/{TENANT}/applications/{APPLICATION}"),
        "data": {
            "@odata.type": "microsoft.graph.onTokenIssuanceStartCalloutData",
            "tenantId": TENANT,
            "authenticationEventListenerId": "6fd8c5d2-0000-4000-8000-000000000002",
            "customAuthenticationExtensionId": "6fd8c5d2-0000-4000-8000-000000000003",
            "authenticationContext": {
                "correlationId": "b1b1c1d1-0000-4000-8000-000000000001",
                "client": { "ip": "203.0.113.7", "locale": "en-us", "market": "en-us" },
                "protocol": "OAUTH2.0",
                "clientServicePrincipal": service,
                "resourceServicePrincipal": service,
                "user": {
                    "companyName": "Contoso", "createdDateTime": "2024-03-01T10:00:00Z", "displayName": "Alice",
                    "id": "ab3ec3b2-a435-45e4-b93a-56a005e88bb7", "mail": "alice@contoso.example", "preferredLanguage": "en-us",
                    "userPrincipalName": "alice@contoso.example", "userType": "Member",
                },
            },
        },
    })
}

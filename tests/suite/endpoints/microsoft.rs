//! Microsoft's callers as Microsoft documents them, with their timeouts and retries: what becomes of a sign-in if an answer is lost, if too
//! many tokens are signed, and if the keys of the caller change or cannot be had.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use syncgate::{
    config::Config,
    demo::{
        DemoIssuer,
        issuer::{Behaviour, Endpoint},
    },
};

use super::{ALICE, Desk, SECRET, basic, body, claims, event, sign_in::provided};
use crate::{kit::Answer, recorder::claims_of};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    /// The RESTful technical profile of a custom policy.
    Policy,
    /// The API connector of a user flow.
    Flow,
    /// A custom authentication extension.
    Entra,
}

/// What becomes of a sign-in.
#[derive(Debug, PartialEq)]
enum SignIn {
    /// It goes on, with this token or without.
    GoesOn(Option<String>),
    /// The user is told that it failed.
    Fails,
}

/// A sign-in from its caller's side.
#[derive(Debug)]
struct Outcome {
    sign_in: SignIn,
    /// The status of each answer that was read; none of a try without one.
    statuses: Vec<Option<u16>>,
}

/// When the connection of a first try breaks off.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// Once the request is sent.
    AtOnce,
    /// Once a token was minted for it.
    AfterMinting,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Policy, Self::Flow, Self::Entra];

    /// How long it waits for an answer, and how often it tries again.
    const fn patience(self) -> (Duration, usize) {
        match self {
            Self::Policy => (Duration::from_secs(30), 2),
            Self::Flow => (Duration::from_secs(20), 1),
            Self::Entra => (Duration::from_millis(1000), 1),
        }
    }

    fn request(self, desk: &Desk) -> String {
        let basic = || basic("b2c", SECRET);
        let (path, authorization, body) = match self {
            Self::Policy => ("/mint/policy", basic(), claims()),
            Self::Flow => ("/mint/flow", basic(), claims()),
            Self::Entra => ("/mint/entra", format!("Bearer {}", desk.caller_token()), event()),
        };
        let body = body.to_string();
        format!(
            "POST {path} HTTP/1.1\r\nHost: sync.contoso.com\r\nContent-Type: application/json\r\nAuthorization: {authorization}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// A user signs in.
    async fn signs_in(self, desk: &Desk) -> Outcome {
        self.signs_in_after(desk, None).await
    }

    /// A user signs in, and the first answer is lost. Where a busy machine has no answer ready in time, the user signs in again.
    async fn signs_in_after(self, desk: &Desk, loss: Option<Loss>) -> Outcome {
        let answered = async {
            loop {
                let outcome = Box::pin(self.tries(desk, loss)).await;
                if outcome.statuses.iter().any(Option::is_some) {
                    return outcome;
                }
            }
        };
        desk.kit.within(answered).await
    }

    async fn tries(self, desk: &Desk, loss: Option<Loss>) -> Outcome {
        let request = self.request(desk);
        let (timeout, retries) = self.patience();
        let mut statuses = Vec::new();
        if let Some(loss) = loss {
            let signed = desk.signed();
            let mut connection = desk.kit.connect().await;
            connection.write(request.as_bytes()).await;
            if let Loss::AfterMinting = loss {
                desk.kit.eventually(|| desk.signed() > signed).await;
            }
            statuses.push(None);
        }
        while statuses.len() <= retries {
            let answer = tokio::time::timeout(timeout, desk.kit.try_raw(request.as_bytes())).await.ok().flatten();
            statuses.push(answer.as_ref().map(|answer| answer.status));
            if let Some(answer) = answer.filter(|answer| answer.status < 500) {
                return Outcome { sign_in: self.read(&answer), statuses };
            }
        }
        Outcome { sign_in: SignIn::Fails, statuses }
    }

    fn read(self, answer: &Answer) -> SignIn {
        let said = body(answer);
        let claim = |name: &str| SignIn::GoesOn(said.get(name).map(|token| token.as_str().unwrap().to_owned()));
        match (self, answer.status) {
            (Self::Policy, 200) => claim("syncToken"),
            (Self::Flow, 200) if said["action"] == "Continue" => claim("extension_SyncToken"),
            (Self::Entra, 200) => SignIn::GoesOn(provided(&said).map(str::to_owned)),
            _ => SignIn::Fails,
        }
    }
}

impl Outcome {
    /// The sign-in goes on with a token for Alice.
    fn is_alice(&self, desk: &Desk) {
        let SignIn::GoesOn(Some(token)) = &self.sign_in else { panic!("{self:?}") };
        let claims = claims_of(&desk.kit, token);
        assert_eq!(claims["userId"], ALICE);
    }
}

/// Keys of callers are fetched when they are missing, and not by a schedule.
fn on_demand(config: &mut Config) {
    config.issuers[1].jwks.refresh = Duration::from_secs(3_600);
}

/// The provider of the callers answers so from now on.
fn behaves(callers: &DemoIssuer, behaviour: &Behaviour) {
    callers.behave(Endpoint::Discovery, behaviour.clone());
    callers.behave(Endpoint::Keys, behaviour.clone());
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_and_there_is_another_token() {
    let patient = json!({ "deadline": "20s" });
    let desk = Desk::start(json!({ "policy": patient, "flow": patient, "entra": patient })).await;
    for caller in Caller::ALL {
        for loss in [Loss::AtOnce, Loss::AfterMinting] {
            let signed = desk.signed();
            let outcome = caller.signs_in_after(&desk, Some(loss)).await;
            outcome.is_alice(&desk);
            if let Loss::AfterMinting = loss {
                assert!(desk.signed() >= signed + 2.0, "{caller:?}");
            }
        }
    }
    desk.stop().await;
}

/// A desk that can sign one token at a time and lets one more wait, and callers without end that have it do so.
async fn while_signing_is_overloaded(on_failure: &str, test: impl AsyncFnOnce(&Desk)) {
    let more = json!({ "on_failure": on_failure, "deadline": "200ms" });
    let more = json!({ "policy": more, "flow": more, "entra": more });
    let callers = DemoIssuer::start().await.unwrap();
    let desk = Desk::start_unready(more, json!({}), callers, |config| {
        (config.signing.threads, config.signing.queue) = (1, 1);
    })
    .await;
    desk.kit.await_ready().await;
    let request = Caller::Policy.request(&desk);
    let flood = join_all((0..12).map(|_| async {
        loop {
            desk.kit.raw(request.as_bytes()).await;
        }
    }));
    tokio::select! {
        _ = flood => unreachable!("it has no end"),
        () = desk.kit.within(test(&desk)) => {}
    }
    desk.stop().await;
}

#[tokio::test]
async fn sign_ins_go_on_without_the_claim_while_too_many_tokens_are_signed() {
    while_signing_is_overloaded("omit", async |desk| {
        for caller in Caller::ALL {
            // Some get a token. The one that gets none has its answer in the caller's time, and none is told that it failed.
            loop {
                let outcome = caller.signs_in(desk).await;
                match &outcome.sign_in {
                    SignIn::GoesOn(None) => break,
                    SignIn::GoesOn(Some(_)) => outcome.is_alice(desk),
                    SignIn::Fails => panic!("{caller:?}: {outcome:?}"),
                }
            }
        }
        desk.kit.eventually(|| desk.refused("signing_overloaded") >= 3.0).await;
    })
    .await;
}

#[tokio::test]
async fn sign_ins_fail_while_too_many_tokens_are_signed_where_they_must_have_one() {
    while_signing_is_overloaded("fail", async |desk| {
        for caller in Caller::ALL {
            let failed = loop {
                let outcome = caller.signs_in(desk).await;
                match &outcome.sign_in {
                    SignIn::GoesOn(None) => panic!("{caller:?}: {outcome:?}"),
                    SignIn::GoesOn(Some(_)) => outcome.is_alice(desk),
                    SignIn::Fails => break outcome,
                }
            };
            // A policy and Entra come again for what may pass. A user flow has a page for the user.
            let expected = if caller == Caller::Flow { 200 } else { 503 };
            assert!(failed.statuses.iter().flatten().all(|status| *status == expected), "{caller:?}: {failed:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_answer_comes_before_microsofts_timeout_by_default() {
    let desk = Desk::start(json!({})).await;
    let config = desk.kit.gateway.config();
    let deadlines: Vec<_> = config.proxy.routes.iter().filter_map(|route| deadline(route.endpoint.as_ref()?)).collect();
    assert_eq!(deadlines.len(), 3);
    let (timeout, _) = Caller::Entra.patience();
    assert!(deadlines.iter().all(|deadline| *deadline + Duration::from_millis(200) < timeout), "{deadlines:?}");
    desk.stop().await;
}

fn deadline(endpoint: &syncgate::endpoint::EndpointSettings) -> Option<Duration> {
    let syncgate::endpoint::EndpointSettings::SignIn(settings) = endpoint else { return None };
    Some(settings.deadline)
}

#[tokio::test]
async fn a_callers_new_key_is_fetched_when_it_calls() {
    let patient = json!({ "entra": { "deadline": "20s" } });
    let desk = Desk::start_unready(patient, json!({}), DemoIssuer::start().await.unwrap(), on_demand).await;
    desk.kit.await_ready().await;
    Caller::Entra.signs_in(&desk).await.is_alice(&desk);
    let fetched = || desk.kit.metric("syncgate_jwks_refresh_total", &[("trigger", "unknown_kid"), ("result", "changed")]);
    assert_eq!(fetched(), 0.0);
    desk.callers.rotate().await.unwrap();
    desk.callers.retire();
    Caller::Entra.signs_in(&desk).await.is_alice(&desk);
    assert_eq!(fetched(), 1.0, "the new key came when it was needed");
    desk.stop().await;
}

#[tokio::test]
async fn nothing_is_minted_while_the_keys_of_callers_are_unavailable() {
    let callers = DemoIssuer::start().await.unwrap();
    behaves(&callers, &Behaviour::Status(500));
    let patient = json!({ "deadline": "20s" });
    let desk = Desk::start_unready(json!({ "policy": patient, "entra": patient }), json!({}), callers, |config| {
        on_demand(config);
        config.issuers[1].jwks.unknown_kid.budget = 1_000;
    })
    .await;
    desk.kit.eventually(|| desk.callers.fetches(Endpoint::Discovery) > 0).await;
    let outcome = Caller::Entra.signs_in(&desk).await;
    assert_eq!((&outcome.sign_in, outcome.statuses.len()), (&SignIn::Fails, 2), "{outcome:?}");
    assert!(outcome.statuses.iter().flatten().all(|status| *status == 503), "{outcome:?}");
    desk.kit.eventually(|| desk.refused("keys_unavailable") >= 1.0).await;
    assert_eq!(desk.signed(), 0.0);
    // Whoever calls with a password is served.
    Caller::Policy.signs_in(&desk).await.is_alice(&desk);

    behaves(&desk.callers, &Behaviour::Normal);
    let signed_in = async {
        while Caller::Entra.signs_in(&desk).await.sign_in == SignIn::Fails {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    desk.kit.within(signed_in).await;
    Caller::Entra.signs_in(&desk).await.is_alice(&desk);
    desk.stop().await;
}

#[tokio::test]
async fn a_caller_whose_new_key_does_not_come_is_refused_and_no_sign_in_goes_on_for_it() {
    let more = json!({ "entra": { "deadline": "200ms" } });
    let desk = Desk::start_unready(more, json!({}), DemoIssuer::start().await.unwrap(), on_demand).await;
    desk.kit.await_ready().await;
    desk.callers.rotate().await.unwrap();
    desk.callers.retire();
    behaves(&desk.callers, &Behaviour::Silent);
    let answer = desk.kit.raw(Caller::Entra.request(&desk).as_bytes()).await;
    assert_eq!((answer.status, &body(&answer)["error"]["code"]), (503, &json!("key_not_fetched_yet")), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!((desk.signed(), desk.refused("signing_overloaded")), (0.0, 0.0));
    let outcome = Caller::Entra.signs_in(&desk).await;
    assert_eq!(outcome.sign_in, SignIn::Fails, "{outcome:?}");
    desk.stop().await;
}

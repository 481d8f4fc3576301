//! The story of the demo, played by a client: what a user does, what an attacker tries, what an operator sees.
//!
//! It ends at the first mismatch. `syncgate demo --check` reports it line by line, and a test runs it too.

mod client;
mod devices;
mod endpoints;
mod operator;
mod refusals;
mod rotation;

use std::{
    fmt,
    time::{Duration, Instant},
};

use self::client::Client;
use crate::demo::World;

/// How long a step may take.
const STEP: Duration = Duration::from_secs(30);
/// How long what follows of itself may take.
const SOON: Duration = Duration::from_secs(10);

/// Something is not as the story has it.
#[derive(Debug, thiserror::Error)]
#[error("{step}\n  expected: {expected}\n  found:    {found}")]
pub struct Mismatch {
    /// The step.
    pub step: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// How far the story is.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// This step begins.
    Begins(&'a str),
    /// It was as it should be.
    Holds(&'a str),
}

/// Plays the whole story in a world with [endpoints](crate::demo::world::WorldOptions::endpoints) that nobody else uses. Rotates the issuer's key.
pub async fn play(world: &World, tell: &mut (dyn FnMut(Progress<'_>) + Send)) -> Result<(), Mismatch> {
    let mut story = Story { tell };
    let client = story.step("A client that can reach the gateway", async { Client::new(world) }).await?;
    let start = story.step("The gateway has fetched the issuer's keys and is ready", operator::ready(&client)).await?;
    let alice = story.step("Alice logs in at the issuer", client.log_in("alice")).await?;
    let bob = story.step("Bob logs in, too", client.log_in("bob")).await?;

    story.step("Alice writes a document and reads it back", devices::documents(&client, &alice)).await?;
    story.step("Bob does not see it", devices::strangers(&client, &bob)).await?;
    story.step("A change ends the long-poll of another device", devices::long_poll(&client, &alice)).await?;
    story.step("A change arrives on the continuous feed", devices::continuous_feed(&client, &alice)).await?;
    story.step("Changes travel both ways over WebSocket", devices::sockets(&client, &alice)).await?;
    let step = "Alice's sign-in calls the gateway, and her token carries one for the backend";
    let for_backend = story.step(step, endpoints::sign_in(&client)).await?;
    let straight = endpoints::straight_to_the_backend(&client, &alice, &for_backend);
    story.step("The backend takes it, without the gateway", straight).await?;
    let exchanged =
        story.step("A token is exchanged at /token, and the backend takes it", endpoints::exchange(&client, &alice)).await?;
    story.step("The key set has the key that signed it", endpoints::key_set(&client, &exchanged)).await?;
    story.step("The backend saw only userId, signed by the key it pins", devices::received(&client, &[&alice, &bob])).await?;

    let refusals = story.step("An attacker prepares forged tokens", async { refusals::all(&client, &alice) }).await?;
    for refusal in refusals {
        let step = format!("Refused and not seen by the backend: {}", refusal.what);
        story.step(&step, refusal.check(&client)).await?;
    }
    let step = "Refused, and nothing is minted: a call of the mint endpoint without the policy's credentials";
    story.step(step, endpoints::strangers(&client, &alice)).await?;
    story.step("The issuer rotates its key under load: no valid token is refused", rotation::under_load(&client)).await?;
    story.step("A token of the old key is accepted after the key has left the set", rotation::after_retirement(&client)).await?;
    story.step("The metrics show all of this", operator::metrics(&client, &start)).await
}

struct Story<'a> {
    tell: &'a mut (dyn FnMut(Progress<'_>) + Send),
}

impl Story<'_> {
    async fn step<T>(&mut self, name: &str, part: impl Future<Output = Result<T, Unexpected>>) -> Result<T, Mismatch> {
        (self.tell)(Progress::Begins(name));
        let late = |_| Unexpected::new(format_args!("an end within {STEP:?}"), "none");
        let outcome = tokio::time::timeout(STEP, part).await.map_err(late).flatten();
        let Unexpected { expected, found } = match outcome {
            Ok(value) => {
                (self.tell)(Progress::Holds(name));
                return Ok(value);
            }
            Err(unexpected) => unexpected,
        };
        Err(Mismatch { step: name.to_owned(), expected, found })
    }
}

/// What should be, and what is.
#[derive(Debug)]
struct Unexpected {
    expected: String,
    found: String,
}

impl Unexpected {
    fn new(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { expected: expected.to_string(), found: found.to_string() }
    }
}

impl From<reqwest::Error> for Unexpected {
    fn from(error: reqwest::Error) -> Self {
        // The cause says more than the error itself ("error sending request").
        let cause = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source()).last();
        Self::new("an answer", cause.unwrap_or(&error))
    }
}

/// Compares what is with what should be.
fn same<T: PartialEq + fmt::Debug>(what: &str, expected: T, found: T) -> Result<(), Unexpected> {
    if expected == found { Ok(()) } else { Err(Unexpected::new(format_args!("{what}: {expected:?}"), format_args!("{found:?}"))) }
}

/// Looks again and again until it is as it should be. What was wrong with the last look is the answer.
async fn eventually(mut look: impl AsyncFnMut() -> Result<(), Unexpected>) -> Result<(), Unexpected> {
    let deadline = Instant::now() + SOON;
    loop {
        match look().await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
            outcome => return outcome,
        }
    }
}

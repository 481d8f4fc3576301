//! The whole story of the demo in one process: `syncgate demo --check` as a test.

use syncgate::demo::{
    World,
    story::{self, Progress},
    world::WorldOptions,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_holds() {
    let world = World::start(WorldOptions::default().endpoints()).await.unwrap();
    let mut steps = 0;
    let outcome = story::play(&world, &mut |progress| {
        if let Progress::Holds(step) = progress {
            println!("{step}");
            steps += 1;
        }
    })
    .await;
    world.stop().await;
    outcome.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(steps > 30, "the story is told to its end: {steps} steps");
}

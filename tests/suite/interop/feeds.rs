//! An event stream whose token ends, as an `EventSource` sees it.

use serde_json::{Value, json};

use super::{INTEROP, Meeting};

#[tokio::test]
async fn an_event_source_comes_back_with_a_new_token_and_misses_nothing() {
    if !INTEROP.node().await {
        return;
    }
    let Meeting { found, kit, mut server } = Meeting::hold(json!({}), "events-server.mjs", "events-client.mjs").await;
    // Two pages began. One event was half said when the token ended: the stream goes on with that one, whole.
    let began = [server.hears("connected").await, server.hears("connected").await];
    assert_eq!(began, [Value::Null, Value::Null]);
    let half = server.hears("half").await.as_u64().unwrap();
    assert_eq!(server.hears("connected").await, (half - 1).to_string());
    let numbers: Vec<_> = found["numbers"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect();
    assert_eq!((found["before"].as_u64(), numbers.len() > half as usize + 10), (Some(half - 1), true), "{found}");
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "none is missing, none came twice");
    assert_eq!(found["statuses"], json!([200, 200]));

    // The stream broke off, it did not end: the client says that the connection was lost.
    let [broken] = found["errors"].as_array().unwrap().as_slice() else { panic!("one error: {found}") };
    assert_eq!((broken["message"].is_string(), &broken["goesOn"]), (true, &json!(true)), "{broken}");

    // Without a new token it is refused when it comes back, and by its specification never comes again.
    let forgetful = &found["forgetful"];
    assert_eq!(forgetful["statuses"], json!([200, 401]), "{forgetful}");
    let [broken, refused] = forgetful["errors"].as_array().unwrap().as_slice() else { panic!("two errors: {forgetful}") };
    assert_eq!((&broken["goesOn"], &refused["goesOn"], &refused["code"]), (&json!(true), &json!(false), &json!(401)));
    kit.assert_metric("syncgate_connections_cut_total", &[("cause", "token_end")], 2.0).await;
    kit.stop().await;
}

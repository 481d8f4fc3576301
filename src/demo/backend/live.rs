//! Live changes over WebSocket.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{
        Query, State as From,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::Response,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    State, User,
    documents::{Change, Full},
};
use crate::demo::http::Stopping;

/// Largest frame that is taken, in bytes.
const FRAME: usize = 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct Live {
    /// Changes after this one; none: from now on.
    since: Option<u64>,
}

pub(super) async fn open(
    From(state): From<Arc<State>>,
    Extension(user): Extension<User>,
    Extension(stopping): Extension<Stopping>,
    Query(query): Query<Live>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let since = query.since.unwrap_or_else(|| state.documents.last_seq(&user.0));
    upgrade.max_frame_size(FRAME).max_message_size(FRAME).on_upgrade(move |mut socket| async move {
        let Some(Some(close)) = stopping.0.run_until_cancelled(talk(&state, &user, since, &mut socket)).await else { return };
        // The client may be gone already.
        let _ = socket.send(Message::Close(Some(close))).await;
    })
}

/// Sends changes and takes documents, until the client goes away (`None`) or says what cannot be understood.
async fn talk(state: &State, user: &User, mut since: u64, socket: &mut WebSocket) -> Option<CloseFrame> {
    loop {
        tokio::select! {
            changes = state.documents.wait(&user.0, since) => {
                for change in changes {
                    since = change.seq;
                    socket.send(Message::Text(json!(change).to_string().into())).await.ok()?;
                }
            }
            message = socket.recv() => match message?.ok()? {
                Message::Text(text) => {
                    let Ok(change) = serde_json::from_str::<Change>(&text) else {
                        return Some(CloseFrame { code: close_code::INVALID, reason: "not a document".into() });
                    };
                    if let Err(Full) = state.documents.write(&user.0, &change.id, change.doc) {
                        return Some(CloseFrame { code: close_code::POLICY, reason: "too many documents".into() });
                    }
                }
                Message::Binary(_) => return Some(CloseFrame { code: close_code::UNSUPPORTED, reason: "text only".into() }),
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) => {}
            },
        }
    }
}

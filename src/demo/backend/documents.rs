//! The documents of all users, in memory, and who waits for their changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// Maximum number of documents of one user, deleted ones included.
const DOCUMENTS: usize = 10_000;
/// Maximum number of users.
const USERS: usize = 10_000;

/// A document, as a user's devices exchange it. Without `doc` it is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Counts the changes of the user, from 1. The backend sets it.
    #[serde(default)]
    pub(super) seq: u64,
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doc: Option<Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
}

/// The backend holds as much as it is willing to.
#[derive(Debug)]
pub(super) struct Full;

#[derive(Debug)]
pub(super) struct Documents {
    users: Mutex<HashMap<String, UserDocuments>>,
    /// Sent to after each change, whoever's it is.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct UserDocuments {
    seq: u64,
    by_id: BTreeMap<String, Change>,
}

impl Default for Documents {
    fn default() -> Self {
        Self { users: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Documents {
    /// Writes a document, or deletes it where there is no `doc`. Returns the change's number.
    pub(super) fn write(&self, user: &str, id: &str, doc: Option<Value>) -> Result<u64, Full> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= USERS && !users.contains_key(user) {
            return Err(Full);
        }
        let documents = users.entry(user.to_owned()).or_default();
        if documents.by_id.len() >= DOCUMENTS && !documents.by_id.contains_key(id) {
            return Err(Full);
        }
        documents.seq += 1;
        let change = Change { seq: documents.seq, id: id.to_owned(), deleted: doc.is_none(), doc };
        documents.by_id.insert(id.to_owned(), change);
        let seq = documents.seq;
        drop(users);
        self.changed.send_replace(());
        Ok(seq)
    }

    /// A document that is there.
    pub(super) fn read(&self, user: &str, id: &str) -> Option<Change> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.get(user)?.by_id.get(id).filter(|change| !change.deleted).cloned()
    }

    /// The last change of each document that changed after `since`, in order.
    pub(super) fn since(&self, user: &str, since: u64) -> Vec<Change> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(documents) = users.get(user) else { return Vec::new() };
        let mut changes: Vec<_> = documents.by_id.values().filter(|change| change.seq > since).cloned().collect();
        changes.sort_by_key(|change| change.seq);
        changes
    }

    /// The number of the user's last change.
    pub(super) fn last_seq(&self, user: &str) -> u64 {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.get(user).map_or(0, |documents| documents.seq)
    }

    /// Waits until there is a change after `since`.
    pub(super) async fn wait(&self, user: &str, since: u64) -> Vec<Change> {
        let mut changed = self.changed.subscribe();
        loop {
            let changes = self.since(user, since);
            if !changes.is_empty() {
                return changes;
            }
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }
}

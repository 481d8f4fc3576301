//! The REST call of the issuer's policy: when a user signs in it asks for a token, as the RESTful technical profile of a B2C custom policy
//! does, and gets a claim of the user's token.

use std::{io, time::Duration};

use serde_json::{Value, json};

use crate::{demo::http_client, private_file::Secret};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Whom the policy calls.
#[derive(Debug)]
pub struct SignInCall {
    /// Where it posts the user's claims.
    pub url: String,
    /// The user name of its Basic authentication.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The claim that it takes out of the answer and puts into the user's token.
    pub claim: String,
}

/// The call, with a client to make it.
#[derive(Debug)]
pub(super) struct Calls {
    call: SignInCall,
    http: reqwest::Client,
}

impl Calls {
    pub(super) fn new(call: SignInCall) -> io::Result<Self> {
        Ok(Self { call, http: http_client()? })
    }

    /// The claim for a user who signs in, by name and value. None if there is none: the sign-in goes on without it.
    pub(super) async fn claim_for(&self, user_id: &str, name: &str) -> Option<(&str, String)> {
        match self.ask(user_id, name).await {
            Ok(token) => Some((&self.call.claim, token)),
            Err(reason) => {
                tracing::warn!(url = self.call.url, reason, "a sign-in got no token from the gateway and goes on without it");
                None
            }
        }
    }

    async fn ask(&self, user_id: &str, name: &str) -> Result<String, String> {
        let SignInCall { url, username, password, claim } = &self.call;
        let request = self.http.post(url).basic_auth(username, Some(password.as_str())).timeout(DEADLINE);
        let claims = json!({ "objectId": user_id, "displayName": name });
        let answer = request.json(&claims).send().await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status()));
        }
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        answer[claim].as_str().map(str::to_owned).ok_or_else(|| format!("no {claim} in the answer"))
    }
}

//! An identity provider asks in the middle of a sign-in, and puts the token that it gets into the user's own.
//!
//! One core, three dialects: who calls, whom it vouches for, what is minted is the same; the envelopes differ. What the caller says of a
//! user may have been chosen by the user, and grants no power, as everywhere.

mod b2c_policy;
mod entra;
mod user_flow;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use crate::{
    certificate::ClientCertificate,
    endpoint::{
        Call, Dialect, Head, OnFailure, Refusal, Reply, SignInSettings, UserIds,
        callers::{Caller, Callers},
        has_media_type,
    },
    exchange::{Exchange, ProfileId},
    token::{AssertedUser, Rejection, Timestamp, UserToken, is_guid, names_nobody, strict_object},
};

/// An endpoint for sign-ins.
#[derive(Debug)]
pub(super) struct SignIn {
    settings: SignInSettings,
    callers: Callers,
}

/// What a caller says of a user.
struct Said {
    /// The user id; none where the caller says none.
    user_id: Option<String>,
    name: Option<String>,
    /// What else it says, by name.
    claims: Map<String, Value>,
    /// The caller's name for this sign-in, for the log.
    correlation_id: Option<String>,
}

/// Why there is no token.
enum Failure {
    /// Whoever calls is not authenticated. Why is for the log alone: nobody without credentials learns what is accepted.
    Unauthenticated(Rejection),
    /// The call cannot be understood.
    Refused(Refusal),
    /// The caller is known, and no token can be minted for the user.
    NotMinted(Refusal),
}

impl Said {
    /// What B2C sends: a member for each claim.
    fn flat(claims: Map<String, Value>, user_id_claim: &str) -> Result<Self, Refusal> {
        Ok(Self { user_id: user_id(&claims, user_id_claim)?, name: text(&claims, "displayName"), correlation_id: None, claims })
    }
}

impl SignIn {
    pub(super) fn new(settings: &SignInSettings, callers: Callers) -> Self {
        Self { settings: settings.clone(), callers }
    }

    pub(super) async fn answer(&self, call: Call<'_>, profile: ProfileId, exchange: &Exchange) -> Reply {
        // What takes longer is given up by the caller, and with it the sign-in.
        let due = call.came + self.settings.deadline;
        match self.mint(call, profile, exchange, due).await {
            Ok(token) => self.granted(token.as_str()),
            Err(Failure::Unauthenticated(rejection)) => self.unauthenticated(rejection),
            Err(Failure::Refused(refusal)) => self.refuse(refusal),
            Err(Failure::NotMinted(refusal)) => self.not_minted(refusal),
        }
    }

    /// Refuses a call.
    pub(super) fn refuse(&self, refusal: Refusal) -> Reply {
        let reply = match self.settings.dialect {
            Dialect::B2cPolicy => b2c_policy::refused(refusal, &self.settings.user_message),
            Dialect::B2cUserFlow => user_flow::refused(refusal, &self.settings.user_message),
            Dialect::Entra => entra::refused(refusal),
        };
        let reply = reply.because(refusal.rejection);
        match refusal.rejection {
            Rejection::MethodNotAllowed => reply.with(header::ALLOW, HeaderValue::from_static("POST")),
            Rejection::CallerUnauthenticated if self.callers.have_passwords() => {
                reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sign-in\", charset=\"UTF-8\""))
            }
            Rejection::CallerUnauthenticated => reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => reply,
        }
    }

    async fn mint(&self, call: Call<'_>, profile: ProfileId, exchange: &Exchange, due: Instant) -> Result<UserToken, Failure> {
        let refused = |rejection: Rejection| Failure::Refused(rejection.into());
        if *call.method != Method::POST {
            return Err(refused(Rejection::MethodNotAllowed));
        }
        let caller =
            self.authenticate(call.headers, call.certificate, exchange, call.now, due).await.map_err(Failure::Unauthenticated)?;
        let said = match has_media_type(call.headers, "application/json") {
            true => read(call.body, &self.settings, caller.tenant()),
            false => Err((Rejection::BodyNotJson.into(), None)),
        };
        let (minted, correlation_id) = match said {
            Ok(mut said) => {
                let correlation_id = said.correlation_id.take();
                let minting = async {
                    let user = self.user(&caller, said, call)?;
                    exchange.vouch(user, profile, call.now).await.map_err(Refusal::from)
                };
                let minted = timeout_at(due, minting).await.unwrap_or(Err(Rejection::SigningOverloaded.into()));
                (minted.map_err(Failure::NotMinted), correlation_id)
            }
            Err((refusal, correlation_id)) => (Err(Failure::Refused(refusal)), correlation_id),
        };
        let result = match &minted {
            Ok(_) => "minted",
            Err(Failure::Refused(refusal) | Failure::NotMinted(refusal)) => refusal.rejection.label(),
            Err(Failure::Unauthenticated(rejection)) => rejection.label(),
        };
        let detail = match &minted {
            Err(Failure::Refused(refusal) | Failure::NotMinted(refusal)) => refusal.description(),
            _ => "",
        };
        let correlation_id = correlation_id.unwrap_or_default();
        tracing::info!(caller = caller.name(), correlation_id, result, detail, "a sign-in requested a user's token");
        minted
    }

    /// Refuses what its header already tells is no call of a known caller, before its body is read.
    pub(super) async fn check_header(&self, head: Head<'_>, exchange: &Exchange) -> Result<(), Reply> {
        let due = head.came + self.settings.deadline;
        match self.authenticate(head.headers, head.certificate, exchange, head.now, due).await {
            Ok(_) => Ok(()),
            Err(rejection) => Err(self.unauthenticated(rejection)),
        }
    }

    async fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
        exchange: &Exchange,
        now: Timestamp,
        due: Instant,
    ) -> Result<Caller<'_>, Rejection> {
        // Only keys are waited for. Nobody knows yet who calls, so this is no sign-in that may go on.
        let authenticating = self.callers.authenticate(headers, certificate, exchange, now);
        timeout_at(due, authenticating).await.unwrap_or(Err(Rejection::KeyNotFetchedYet))
    }

    /// Refuses a caller.
    fn unauthenticated(&self, rejection: Rejection) -> Reply {
        let told = if rejection.status() == 401 { Rejection::CallerUnauthenticated } else { rejection };
        Reply { rejection: Some(rejection), ..self.refuse(told.into()) }
    }

    /// The user whom the caller vouches for.
    fn user(&self, caller: &Caller<'_>, said: Said, call: Call<'_>) -> Result<AssertedUser, Refusal> {
        let id = said.user_id.ok_or(Refusal::of(Rejection::UserIdMissing, "the user id is missing"))?;
        let id = match self.settings.user_ids {
            // One spelling for each user.
            UserIds::Guid if is_guid(&id) && id != NOBODY => id.to_ascii_lowercase(),
            UserIds::Profile if !looks_like_mail(&id) && id.trim() == id => id,
            UserIds::Guid => return Err(Refusal::of(Rejection::UserIdInvalid, "the user id is not a GUID")),
            UserIds::Profile => return Err(Refusal::of(Rejection::UserIdInvalid, "the user id is not accepted")),
        };
        let end = call.now.plus(self.settings.lifetime);
        let user = caller.user(&id, said.name.as_deref(), said.claims.into_iter().collect(), end);
        user.map_err(|rejection| Refusal::of(rejection, "the user id is not accepted"))
    }

    fn granted(&self, token: &str) -> Reply {
        let claim = &self.settings.token_claim;
        let body = match self.settings.dialect {
            Dialect::B2cPolicy => b2c_policy::granted(Some((claim, token))),
            Dialect::B2cUserFlow => user_flow::granted(Some((claim, token))),
            Dialect::Entra => entra::granted(Some((claim, token))),
        };
        Reply::json(StatusCode::OK, &body)
    }

    /// What becomes of a sign-in without a token.
    fn not_minted(&self, refusal: Refusal) -> Reply {
        let OnFailure::Omit = self.settings.on_failure else {
            return match self.settings.dialect {
                Dialect::B2cPolicy => b2c_policy::failed(refusal, &self.settings.user_message),
                Dialect::B2cUserFlow => user_flow::failed(&self.settings.user_message),
                Dialect::Entra => entra::refused(refusal),
            }
            .because(refusal.rejection);
        };
        let body = match self.settings.dialect {
            Dialect::B2cPolicy => b2c_policy::granted(None),
            Dialect::B2cUserFlow => user_flow::granted(None),
            Dialect::Entra => entra::granted(None),
        };
        Reply { rejection: Some(refusal.rejection), ..Reply::json(StatusCode::OK, &body) }
    }
}

/// Reads the body of a call. Of one that is refused, its correlation id.
fn read(body: &[u8], settings: &SignInSettings, tenant: Option<&str>) -> Result<Said, (Refusal, Option<String>)> {
    let body = strict_object(body).ok_or((Rejection::BodyMalformed.into(), None))?;
    let correlation_id = match settings.dialect {
        Dialect::B2cPolicy | Dialect::B2cUserFlow => correlation_id(&body, "correlationId"),
        Dialect::Entra => entra::correlation_id(&body),
    };
    let said = match settings.dialect {
        Dialect::B2cPolicy => Said::flat(body, &settings.user_id),
        Dialect::B2cUserFlow => user_flow::read(body, &settings.user_id),
        Dialect::Entra => entra::read(body, settings, tenant),
    };
    match said {
        Ok(said) => Ok(Said { correlation_id, ..said }),
        Err(refusal) => Err((refusal, correlation_id)),
    }
}

/// The user id in the body of a call, for the fuzzing.
#[cfg(feature = "fuzzing")]
pub(super) fn user_id_of(body: &[u8], settings: &SignInSettings) -> Result<Option<String>, Refusal> {
    read(body, settings, None).map(|said| said.user_id).map_err(|(refusal, _)| refusal)
}

/// The GUID of nobody.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Whether it has a sign that somebody may take for that of an e-mail address.
fn looks_like_mail(id: &str) -> bool {
    id.contains(['@', '\u{ff20}', '\u{fe6b}']) || id.to_ascii_lowercase().contains("%40")
}

/// A member that is a text.
fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// An id that providers make, for the log: of whatever else stands there, nothing is logged.
fn correlation_id(object: &Map<String, Value>, name: &str) -> Option<String> {
    text(object, name)
        .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// The user id: a text, or nothing at all.
///
/// Errors: [`Rejection::BodyMalformed`] for anything else.
fn user_id(object: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        // What B2C writes where it has no id is the same for everybody.
        Some(Value::String(id)) if names_nobody(id) => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(_) => Err(Refusal::of(Rejection::BodyMalformed, "the user id is not a text")),
    }
}

/// The status of a refusal in a protocol that has no rule of its own.
fn status(rejection: Rejection) -> StatusCode {
    StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST)
}

//! What a request may do, and what becomes of it: routes, token places, origins, removed headers, the decision. Without a
//! socket.

mod close_codes;
mod cors;
mod decision;
mod error_format;
mod header_settings;
mod limited;
mod named_user;
mod origin;
mod permit;
pub(in crate::proxy) mod route;
mod strip;
pub(in crate::proxy) mod target;
pub(in crate::proxy) mod token_place;

pub use self::{
    close_codes::CloseCodes,
    cors::{CorsSettings, PreflightRule},
    error_format::ErrorShape,
    header_settings::HeaderSettings,
    origin::AllowedOrigins,
    route::{Access, ForwardCertificate, OnInvalid, ResourceSettings, RouteSettings},
    token_place::{BodyCondition, BodyPlace, ProtocolForm, TokenPlace},
};
pub(in crate::proxy) use self::{
    cors::{Cors, Preflight},
    decision::{Asked, Decided, Decision, Policy},
    error_format::Fault,
    permit::Permit,
    route::{Route, RouteTable},
    token_place::{MAX_BODY_BYTES, check_body_headers},
};

#[cfg(feature = "bench")]
pub(in crate::proxy) use self::strip::StripList;
#[cfg(feature = "fuzzing")]
pub(in crate::proxy) use self::token_place::{BodyContent, NewToken, Parts, Rewrite};

//! Every reason to refuse a request, in one table: metric label, status, RFC 6750 error code, message for the client.

/// Why a request is refused.
///
/// The client learns status, error code and description; the exact reason goes to the access log and to a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// The algorithm is not in the issuer's list, or missing.
    AlgorithmNotAllowed,
    /// More than one key matches the token.
    AmbiguousKey,
    /// A path or method that servers may map to routes with different rules or out of the path of its upstream, or a header with a second
    /// path that matches no route.
    AmbiguousPath,
    /// More than one token, or more than one header that may hold one.
    AmbiguousToken,
    /// A token of an application where a user's token is expected.
    AppOnlyToken,
    /// The place of the token holds something other than a single token.
    AuthorizationMalformed,
    /// The signature is not valid.
    BadSignature,
    /// A body that must hold a token is not a JSON object, has a duplicate member, or lacks one.
    BodyMalformed,
    /// A body that must hold a token is compressed, or not JSON in UTF-8.
    BodyNotJson,
    /// A body that must hold a token did not arrive in time.
    BodyTimeout,
    /// A body that must hold a token is larger than 64 KiB, or a call during a sign-in larger than 16 KiB.
    BodyTooLarge,
    /// The credentials with which an endpoint is called are missing or wrong.
    CallerUnauthenticated,
    /// The token is bound to a client certificate (`cnf.x5t#S256`, RFC 8705), and the connection has another one or none.
    CertificateMismatch,
    /// The route requires a client certificate, and the connection has none.
    CertificateRequired,
    /// A claim that the route requires has another value, or is missing.
    ClaimNotAllowed,
    /// The payload is not a JSON object, or a claim has the wrong type.
    ClaimsMalformed,
    /// A `Transfer-Encoding` other than a single `chunked`.
    CodingUnsupported,
    /// A member appears twice in the header or the payload.
    DuplicateMember,
    /// A call to an endpoint lacks a parameter, has one twice, or is of another media type, event or step.
    EndpointRequestMalformed,
    /// `exp` plus leeway has passed.
    Expired,
    /// `exp` is missing.
    ExpiryMissing,
    /// A header parameter that changes the meaning of a token: `crit`, `b64`, `zip`, `enc`, `cty`.
    ForbiddenHeader,
    /// A grant type at the token endpoint that is not token exchange.
    GrantTypeUnsupported,
    /// A token for Microsoft Graph: nobody else can verify it.
    GraphToken,
    /// The user has more groups than fit into a token, so the provider left out a claim that matters here.
    GroupOverage,
    /// The request's header block is too large, or has more than 256 fields.
    HeadersTooLarge,
    /// The `Host` header is missing, repeated, or not a single name or address with an optional numeric port.
    HostMalformed,
    /// An id token was sent where an access token is expected.
    IdToken,
    /// `iat` is in the future.
    IssuedInFuture,
    /// The provider's discovery document names the token's issuer, but the config names another: the config is wrong.
    IssuerMismatch,
    /// No key with this `kid` is known, but the keys have not been fetched since the token was issued: it may exist.
    KeyNotFetchedYet,
    /// The key exists, but not for this algorithm.
    KeyNotForAlgorithm,
    /// The key belongs to another issuer or cloud.
    KeyOfOtherIssuer,
    /// The gateway has no keys of the issuer yet, or no longer.
    KeysUnavailable,
    /// A `Content-Length` that is not a single number.
    LengthMalformed,
    /// `exp` - `iat` is longer than the configured maximum.
    LifetimeTooLong,
    /// The route does not permit this kind of login.
    LoginNotAllowed,
    /// The host is none for this connection or listener: it has other rules for client certificates than the name of the TLS handshake, or there is
    /// no certificate for it.
    Misdirected,
    /// A role that the route requires is missing.
    MissingRole,
    /// `TRACE`, which would send the gateway's token back to the client, or `CONNECT`, which is for forward proxies.
    MethodNotAllowed,
    /// A scope that the route requires is missing.
    MissingScope,
    /// No token where the route expects it.
    MissingToken,
    /// No route matches.
    NoRoute,
    /// The `nonce` is not the one that the route requires.
    NonceMismatch,
    /// `nbf` has not been reached.
    NotYetValid,
    /// A web page whose origin is not allowed sent a preflight, a WebSocket, or a cookie with a request that is not read-only.
    OriginNotAllowed,
    /// The token declares another kind: a logout token, a security event, a refresh token, a proof, a signed request.
    OtherKind,
    /// A claim of the client's token would grant power in the backend, which only the config may do.
    PowerfulClaim,
    /// A preflight from another origin on a route that requires a token and has no `cors`.
    PreflightNotConfigured,
    /// A limit of the client's address or of the user is reached: refused tokens, requests, WebSockets and feeds, minted tokens.
    RateLimited,
    /// The client sent something that is not an HTTP request, or that is ambiguous.
    RequestMalformed,
    /// A scope is requested at the token endpoint that the subject token does not have.
    ScopeNotGranted,
    /// The token is bound to a key that cannot be checked (`cnf`, such as DPoP's `jkt`), and the config refuses such tokens as bearer tokens.
    SenderConstrained,
    /// Signing failed, a fault of the gateway.
    SigningFailed,
    /// The signing queue is full, or no signature was made within ten seconds.
    SigningOverloaded,
    /// A subject token of a type that is never exchanged: a refresh token, SAML, an unknown one.
    SubjectTokenUnsupported,
    /// A request target that is not a path, or that contains white space, a control character or a fragment.
    TargetMalformed,
    /// An `audience` or `resource` that is not among the endpoint's targets, or two that differ.
    TargetUnknown,
    /// Not three segments of strict base64url with a JSON header.
    TokenMalformed,
    /// The token, its header or its `kid` is larger than the limit.
    TokenTooLarge,
    /// `iss` is not that of a configured issuer.
    UnknownIssuer,
    /// No key has this `kid`, though the keys were fetched after the token was issued; or the operator has denied the key.
    UnknownKey,
    /// The claims that give the user id differ.
    UserIdConflict,
    /// The user id is empty, only white space, too long, of the wrong type, or contains control or bidirectional formatting characters.
    UserIdInvalid,
    /// No claim gives the user id.
    UserIdMissing,
    /// The backend of the route does not accept this user id.
    UserIdUnsuitable,
    /// A user's access token where only other kinds are accepted.
    UserTokenNotAllowed,
    /// A version other than HTTP/1.1 or HTTP/1.0.
    VersionNotSupported,
    /// `aud` is none of the configured audiences.
    WrongAudience,
    /// The client application is not an authorised party.
    WrongParty,
    /// The policy is not one of the configured ones.
    WrongPolicy,
    /// The tenant is not in the list.
    WrongTenant,
    /// The request names another user than its token, or none.
    WrongUser,
}

struct Row {
    label: &'static str,
    status: u16,
    error: Option<&'static str>,
    description: &'static str,
}

impl Rejection {
    /// The metric label and the reason in the access log.
    pub const fn label(self) -> &'static str {
        self.row().label
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// The RFC 6750 section 3.1 error code; none if the request had no credentials or the fault is the gateway's.
    pub const fn error(self) -> Option<&'static str> {
        self.row().error
    }

    /// The client's error description: a fixed text, in the characters that RFC 6750 section 3 permits.
    pub const fn description(self) -> &'static str {
        self.row().description
    }

    /// Whether the answer carries a `WWW-Authenticate` challenge.
    pub fn challenges(self) -> bool {
        self == Self::MissingToken || self.error().is_some()
    }

    /// Whether trying again later may help: such answers carry `Retry-After`.
    pub const fn is_temporary(self) -> bool {
        matches!(self.status(), 429 | 503)
    }

    const fn row(self) -> Row {
        match self {
            Self::AlgorithmNotAllowed => row("algorithm_not_allowed", 401, TOKEN, NOT_ACCEPTED),
            Self::AmbiguousKey => row("ambiguous_key", 401, TOKEN, NOT_ACCEPTED),
            Self::AmbiguousPath => row("ambiguous_path", 400, None, "the path is ambiguous"),
            Self::AmbiguousToken => row("ambiguous_token", 400, REQUEST, "more than one token"),
            Self::AppOnlyToken => row("app_only_token", 401, TOKEN, NOT_ACCEPTED),
            Self::AuthorizationMalformed => row("authorization_malformed", 400, REQUEST, "the credentials are malformed"),
            Self::BadSignature => row("bad_signature", 401, TOKEN, NOT_ACCEPTED),
            Self::BodyMalformed => row("body_malformed", 400, REQUEST, "the body is malformed"),
            Self::BodyNotJson => row("body_not_json", 415, None, "an uncompressed JSON body is required"),
            Self::BodyTimeout => row("body_timeout", 408, None, "the body did not arrive in time"),
            Self::BodyTooLarge => row("body_too_large", 413, None, "the body is too large"),
            Self::CallerUnauthenticated => row("caller_unauthenticated", 401, None, "the credentials are not accepted"),
            Self::CertificateMismatch => row("certificate_mismatch", 401, TOKEN, "the token is bound to another certificate"),
            Self::CertificateRequired => row("certificate_required", 403, None, "a client certificate is required"),
            Self::ClaimNotAllowed => row("claim_not_allowed", 403, SCOPE, "the token lacks a required claim"),
            Self::ClaimsMalformed => row("claims_malformed", 401, TOKEN, NOT_ACCEPTED),
            Self::CodingUnsupported => row("coding_unsupported", 501, None, "chunked is the only supported transfer coding"),
            Self::DuplicateMember => row("duplicate_member", 401, TOKEN, "the token is malformed"),
            Self::EndpointRequestMalformed => row("endpoint_request_malformed", 400, None, "the request is malformed"),
            Self::Expired => row("expired", 401, TOKEN, "the token has expired"),
            Self::ExpiryMissing => row("expiry_missing", 401, TOKEN, "the token has no expiry"),
            Self::ForbiddenHeader => row("forbidden_header", 401, TOKEN, "the token header is not accepted"),
            Self::GrantTypeUnsupported => row("grant_type_unsupported", 400, None, "the grant type is not supported"),
            Self::GraphToken => row("graph_token", 401, TOKEN, "the token is for Microsoft Graph; request a scope of this API"),
            Self::GroupOverage => row("group_overage", 403, SCOPE, "the token lacks a claim: the user has too many groups"),
            Self::HeadersTooLarge => row("headers_too_large", 431, None, "the request header is too large"),
            Self::HostMalformed => row("host_malformed", 400, None, "exactly one valid Host header is required"),
            Self::IdToken => row("id_token", 401, TOKEN, NOT_ACCEPTED),
            Self::IssuedInFuture => row("issued_in_future", 401, TOKEN, "the token is not valid yet"),
            Self::IssuerMismatch => row("issuer_mismatch", 503, None, "the gateway is misconfigured for its identity provider"),
            Self::KeyNotFetchedYet => row("key_not_fetched_yet", 503, None, "the key of the token has not been fetched yet"),
            Self::KeyNotForAlgorithm => row("key_not_for_algorithm", 401, TOKEN, NOT_ACCEPTED),
            Self::KeyOfOtherIssuer => row("key_of_other_issuer", 401, TOKEN, NOT_ACCEPTED),
            Self::KeysUnavailable => row("keys_unavailable", 503, None, "the keys of the issuer are not available"),
            Self::LengthMalformed => row("length_malformed", 400, None, "exactly one Content-Length is allowed"),
            Self::LifetimeTooLong => row("lifetime_too_long", 401, TOKEN, NOT_ACCEPTED),
            Self::LoginNotAllowed => row("login_not_allowed", 403, None, "this kind of login is not permitted"),
            Self::Misdirected => row("misdirected", 421, None, "this host is not served on this connection"),
            Self::MissingRole => row("missing_role", 403, SCOPE, "the token lacks a required role"),
            Self::MethodNotAllowed => row("method_not_allowed", 405, None, "the method is not allowed"),
            Self::MissingScope => row("missing_scope", 403, SCOPE, "the token lacks a required scope"),
            Self::MissingToken => row("missing_token", 401, None, "a token is required"),
            Self::NoRoute => row("no_route", 404, None, "not found"),
            Self::NonceMismatch => row("nonce_mismatch", 401, TOKEN, "the nonce does not match"),
            Self::NotYetValid => row("not_yet_valid", 401, TOKEN, "the token is not valid yet"),
            Self::OriginNotAllowed => row("origin_not_allowed", 403, None, "the origin is not permitted"),
            Self::OtherKind => row("other_kind", 401, TOKEN, NOT_ACCEPTED),
            Self::PowerfulClaim => row("powerful_claim", 403, SCOPE, "a claim of the token is reserved for administrators"),
            Self::PreflightNotConfigured => row("preflight_not_configured", 403, None, "cross-origin requests are not allowed"),
            Self::RateLimited => row("rate_limited", 429, None, "too many of these; try again later"),
            Self::RequestMalformed => row("request_malformed", 400, None, "the request is malformed"),
            Self::ScopeNotGranted => row("scope_not_granted", 400, None, "the token lacks a requested scope"),
            Self::SenderConstrained => row("sender_constrained", 401, TOKEN, NOT_ACCEPTED),
            Self::SigningFailed => row("signing_failed", 500, None, "the gateway could not sign a token"),
            Self::SigningOverloaded => row("signing_overloaded", 503, None, "too many new tokens at once"),
            Self::SubjectTokenUnsupported => {
                row("subject_token_unsupported", 400, None, "this type of subject token is not exchanged")
            }
            Self::TargetMalformed => row("target_malformed", 400, None, "the request target is malformed"),
            Self::TargetUnknown => row("target_unknown", 400, None, "the audience or resource is not known"),
            Self::TokenMalformed => row("token_malformed", 401, TOKEN, "the token is malformed"),
            Self::TokenTooLarge => row("token_too_large", 401, TOKEN, "the token is too large"),
            Self::UnknownIssuer => row("unknown_issuer", 401, TOKEN, NOT_ACCEPTED),
            Self::UnknownKey => row("unknown_key", 401, TOKEN, NOT_ACCEPTED),
            Self::UserIdConflict => row("user_id_conflict", 401, TOKEN, NOT_ACCEPTED),
            Self::UserIdInvalid => row("user_id_invalid", 401, TOKEN, NOT_ACCEPTED),
            Self::UserIdMissing => row("user_id_missing", 401, TOKEN, NOT_ACCEPTED),
            Self::UserIdUnsuitable => row("user_id_unsuitable", 403, SCOPE, "the user id cannot be used here"),
            Self::UserTokenNotAllowed => row("user_token_not_allowed", 401, TOKEN, NOT_ACCEPTED),
            Self::VersionNotSupported => row("version_not_supported", 505, None, "HTTP/1.1 is required"),
            Self::WrongAudience => row("wrong_audience", 401, TOKEN, NOT_ACCEPTED),
            Self::WrongParty => row("wrong_party", 401, TOKEN, NOT_ACCEPTED),
            Self::WrongPolicy => row("wrong_policy", 401, TOKEN, NOT_ACCEPTED),
            Self::WrongTenant => row("wrong_tenant", 401, TOKEN, NOT_ACCEPTED),
            Self::WrongUser => row("wrong_user", 403, None, "the request names another user than the token"),
        }
    }

    /// Every rejection, in the order of the declaration.
    pub const ALL: &'static [Self] = &[
        Self::AlgorithmNotAllowed,
        Self::AmbiguousKey,
        Self::AmbiguousPath,
        Self::AmbiguousToken,
        Self::AppOnlyToken,
        Self::AuthorizationMalformed,
        Self::BadSignature,
        Self::BodyMalformed,
        Self::BodyNotJson,
        Self::BodyTimeout,
        Self::BodyTooLarge,
        Self::CallerUnauthenticated,
        Self::CertificateMismatch,
        Self::CertificateRequired,
        Self::ClaimNotAllowed,
        Self::ClaimsMalformed,
        Self::CodingUnsupported,
        Self::DuplicateMember,
        Self::EndpointRequestMalformed,
        Self::Expired,
        Self::ExpiryMissing,
        Self::ForbiddenHeader,
        Self::GrantTypeUnsupported,
        Self::GraphToken,
        Self::GroupOverage,
        Self::HeadersTooLarge,
        Self::HostMalformed,
        Self::IdToken,
        Self::IssuedInFuture,
        Self::IssuerMismatch,
        Self::KeyNotFetchedYet,
        Self::KeyNotForAlgorithm,
        Self::KeyOfOtherIssuer,
        Self::KeysUnavailable,
        Self::LengthMalformed,
        Self::LifetimeTooLong,
        Self::LoginNotAllowed,
        Self::Misdirected,
        Self::MissingRole,
        Self::MethodNotAllowed,
        Self::MissingScope,
        Self::MissingToken,
        Self::NoRoute,
        Self::NonceMismatch,
        Self::NotYetValid,
        Self::OriginNotAllowed,
        Self::OtherKind,
        Self::PowerfulClaim,
        Self::PreflightNotConfigured,
        Self::RateLimited,
        Self::RequestMalformed,
        Self::ScopeNotGranted,
        Self::SenderConstrained,
        Self::SigningFailed,
        Self::SigningOverloaded,
        Self::SubjectTokenUnsupported,
        Self::TargetMalformed,
        Self::TargetUnknown,
        Self::TokenMalformed,
        Self::TokenTooLarge,
        Self::UnknownIssuer,
        Self::UnknownKey,
        Self::UserIdConflict,
        Self::UserIdInvalid,
        Self::UserIdMissing,
        Self::UserIdUnsuitable,
        Self::UserTokenNotAllowed,
        Self::VersionNotSupported,
        Self::WrongAudience,
        Self::WrongParty,
        Self::WrongPolicy,
        Self::WrongTenant,
        Self::WrongUser,
    ];
}

const fn row(label: &'static str, status: u16, error: Option<&'static str>, description: &'static str) -> Row {
    Row { label, status, error, description }
}
const REQUEST: Option<&str> = Some("invalid_request");
const TOKEN: Option<&str> = Some("invalid_token");
const SCOPE: Option<&str> = Some("insufficient_scope");
// Whoever has no key to sign with is not told which audiences, tenants, policies or clients are taken here.
const NOT_ACCEPTED: &str = "the token is not accepted";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rejection_is_listed_once_and_has_its_own_label() {
        let labels: HashSet<_> = Rejection::ALL.iter().map(|rejection| rejection.label()).collect();
        assert_eq!(labels.len(), Rejection::ALL.len());
        assert!(Rejection::ALL.iter().enumerate().all(|(index, rejection)| *rejection as usize == index));
    }

    #[test]
    fn our_own_trouble_is_never_a_401() {
        for rejection in Rejection::ALL {
            match rejection.status() {
                401 => assert!(
                    rejection.error() == Some("invalid_token")
                        || matches!(rejection, Rejection::MissingToken | Rejection::CallerUnauthenticated)
                ),
                // Without an error code: what no other token would permit.
                403 => assert!(rejection.error().is_none_or(|error| error == "insufficient_scope")),
                _ => assert_ne!(rejection.error(), Some("invalid_token"), "{}", rejection.label()),
            }
        }
    }

    #[test]
    fn descriptions_keep_to_the_characters_of_rfc_6750() {
        let permitted = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(Rejection::ALL.iter().all(|rejection| rejection.description().bytes().all(permitted)));
    }
}

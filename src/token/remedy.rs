//! What to do about a [`Rejection`]: text for the operator, never for the client.

use crate::token::{Provider, Rejection};

impl Rejection {
    /// What to change so that a legitimate client is accepted, and where: in the client, the app registration, the config, or the
    /// clock.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::AlgorithmNotAllowed => {
                "Config: add the algorithm to `algorithms` of the issuer if the provider really signs with it. HMAC and `none` are never accepted."
            }
            Self::AmbiguousKey => "Provider: tokens must name their key by `kid`. Two keys of its set match this one.",
            Self::AmbiguousPath => {
                "Client: send the path in its plain spelling, without dot segments, doubled slashes or encoded letters."
            }
            Self::AmbiguousToken => "Client: send the token once. Check for a proxy that adds a second `Authorization`.",
            Self::AppOnlyToken => {
                "Client: log a user in instead of using client credentials. Config: `tokens: [access, app_only]` if applications without a user are to be accepted."
            }
            Self::AuthorizationMalformed => {
                "Client: send exactly one token where the route expects it, such as `Authorization: Bearer <token>`."
            }
            Self::BadSignature => {
                "Client: send the token as it was issued. If it is untouched, `discovery` or `jwks_uri` in the config names the keys of another provider. If the provider has changed its key under the same `kid`, `/keys` says how to switch to the new one now."
            }
            Self::BodyMalformed => {
                "Client: send one JSON object, each member once, with the members that the route's `token.in` names."
            }
            Self::BodyNotJson => "Client: send `Content-Type: application/json` (UTF-8) without `Content-Encoding`.",
            Self::BodyTimeout => "Client: send the body at once. Config: raise `listen.body_timeout` for bad networks.",
            Self::BodyTooLarge => "Client: send a smaller body: at most 64 KiB with a token, 16 KiB during a sign-in.",
            Self::CertificateMismatch => {
                "Client: connect with the certificate that the token was requested with. Config: TLS has to end here, with `client_certificates`; a proxy in front that ends it hides the certificate."
            }
            Self::CertificateRequired => {
                "Client: connect with a certificate. Config: ask for one on the listener, with `client_certificates`."
            }
            Self::CallerUnauthenticated => {
                "Client: send the credentials that the endpoint's `clients` or `callers` name. Config: compare the file of the secret, which may hold an old and a new one in two lines."
            }
            Self::ClaimNotAllowed => "Provider: put the claim into access tokens. Config: correct `claims` of the route.",
            Self::ClaimsMalformed => {
                "Provider: a claim has the wrong type; `syncgate explain` and the log name it. Check what a rule or a custom policy writes into the token."
            }
            Self::CodingUnsupported => {
                "Client: send the body as it is, in chunks or with a `Content-Length`. Check the proxy in front."
            }
            Self::DuplicateMember => "Provider: a member appears twice in the token, so it is ambiguous. Check the custom claims.",
            Self::EndpointRequestMalformed => {
                "Client: send what docs/endpoints.md shows for this endpoint: each parameter once, in the body, in its media type."
            }
            Self::Expired => {
                "Client: get a new token before the old one expires. If it is new, compare the clocks of this machine and of the issuer."
            }
            Self::ExpiryMissing => "Provider: tokens must have `exp`.",
            Self::ForbiddenHeader => {
                "Client: send a signed access token. This one is encrypted, compressed or asks for an extension."
            }
            Self::GrantTypeUnsupported => {
                "Client: send `grant_type=urn:ietf:params:oauth:grant-type:token-exchange`. The gateway logs nobody in."
            }
            Self::GraphToken => {
                "Client: ask for a scope of your own API (`api://<id>/<scope>`) instead of `User.Read` or `.default` of Graph. App registration: expose that scope."
            }
            Self::GroupOverage => {
                "Provider: put fewer groups into the token, or use roles. Config: if all such tokens are refused, `group_overage: accept` accepts them without their groups."
            }
            Self::HeadersTooLarge => "Client: send fewer cookies and headers. Config: raise `listen.header_bytes`.",
            Self::HostMalformed => "Client: send exactly one `Host`. Check the proxy in front.",
            Self::IdToken => {
                "Client: send the access token, not the id token. If it is the access token, nothing in it shows that: have the provider add a `scope` to it, or `typ: at+jwt`. Config: `tokens: [access, id]` if id tokens must be accepted."
            }
            Self::IssuedInFuture => "Clock: this machine is behind the issuer. Synchronise it, or raise `leeway` (at most 5m).",
            Self::IssuerMismatch => {
                "Config: correct `issuer`, byte for byte (a trailing slash counts): the log and `/keys` name both. If it is right, set `jwks_uri` instead of `discovery`."
            }
            Self::KeyNotFetchedYet => {
                "Gateway: the keys have not been fetched since the token was issued. Wait; if this persists, check the sources in `/keys` and `syncgate_jwks_refresh_suppressed_total`."
            }
            Self::KeyNotForAlgorithm => {
                "Provider: the key that the token names is published for another algorithm (`alg`), or is of another type. Config: if the keys are those of another provider, correct `discovery` or `jwks_uri`."
            }
            Self::KeyOfOtherIssuer => {
                "Config: use the keys of the tenant and cloud that issues the tokens: its own discovery document, as the preset does by default."
            }
            Self::KeysUnavailable => {
                "Gateway: the keys of the issuer could not be fetched. The log says why; check the network, `discovery` and `ca_file`."
            }
            Self::LengthMalformed => "Client: send one `Content-Length`, or chunks. Check the proxy in front.",
            Self::LifetimeTooLong => {
                "Provider: shorten the lifetime of access tokens. Config: raise `max_lifetime`; it requires tokens to have `iat`."
            }
            Self::LoginNotAllowed => "Client: log in with the provider that the route exchanges. Config: list others under `pass`.",
            Self::MethodNotAllowed => "Client: do not send TRACE, whose answer would contain the gateway's token, or CONNECT.",
            Self::Misdirected => {
                "Client: open another connection for this host. Config: a listener that redirects needs a certificate for it."
            }
            Self::MissingRole => {
                "Provider: assign the role to the user. Config: correct `role_claim` of the issuer, or `roles` of the route."
            }
            Self::MissingScope => {
                "Client: ask for the scope. Provider: grant it to the client. Config: correct `scopes` of the route."
            }
            Self::MissingToken => "Client: send `Authorization: Bearer <token>`. Check for a proxy that removes it.",
            Self::NoRoute => "Client: correct host and path. Config: add a route for them.",
            Self::NonceMismatch => {
                "Client: send the `nonce` of the login in the header that the route names. Config: correct `nonce` of the route."
            }
            Self::NotYetValid => "Clock: this machine is behind the issuer. Synchronise it, or raise `leeway` (at most 5m).",
            Self::OriginNotAllowed => "Config: add the web page's origin to `allowed_origins` of the route if it is one of yours.",
            Self::OtherKind => "Client: send the access token. No other kind is accepted, whatever `tokens` says.",
            Self::PowerfulClaim => {
                "Config: set claims that grant power in the backend there (`claims` of the profile, or the values of its table), not from the token."
            }
            Self::PreflightNotConfigured => {
                "Config: if the page is yours, add `allowed_origins` with its origin and `cors: {}` to the route. The log names the origin, at most once every ten seconds."
            }
            Self::RateLimited => {
                "Client: wait as `Retry-After` says. Config: the log names the limit and its setting (`limits`), at most once every ten seconds."
            }
            Self::RequestMalformed => {
                "Client: send HTTP/1.1 without TLS. The log says what was received, at most once every ten seconds; a load balancer must not speak TLS, HTTP/2 or the PROXY protocol to the gateway."
            }
            Self::ScopeNotGranted => "Client: leave `scope` out, or request scopes that the subject token has.",
            Self::SenderConstrained => {
                "Client: ask for a bearer token, without DPoP. Config: `sender_constrained: accept` accepts it without checking its key."
            }
            Self::SigningFailed => "Gateway: the signing key failed. The log says why; check it with `syncgate keys public`.",
            Self::SigningOverloaded => {
                "Gateway: too many new tokens at once. Add cores, or raise `signing.queue`; clients retry on their own."
            }
            Self::SubjectTokenUnsupported => {
                "Client: send the access token, with `subject_token_type=urn:ietf:params:oauth:token-type:access_token`."
            }
            Self::TargetMalformed => "Client: send a path, with white space and `#` percent-encoded. This is not a forward proxy.",
            Self::TargetUnknown => "Client: request one of the names under `targets`. Config: add the name there.",
            Self::TokenMalformed => {
                "Client: send the access token as it was issued: three segments separated by dots. An opaque or encrypted token is for another API."
            }
            Self::TokenTooLarge => "Provider: put fewer claims into the token. Config: raise `token.max_bytes`.",
            Self::UnknownIssuer => {
                "Client: log in with the provider that the config names. Config: only if that issuer is yours, add the token's `iss`, byte for byte, to `issuer`."
            }
            Self::UnknownKey => {
                "Config: use the keys of the provider that issues the tokens: `discovery` or `jwks_uri`. Provider: if the token is new, publish its key."
            }
            Self::UserIdConflict => {
                "Provider: the claims of `user_id` name different people. Config: name the one claim that is right."
            }
            Self::UserIdInvalid => "Config: set `user_id` to a claim that holds a short text without control characters.",
            Self::UserIdMissing => "Provider: put the claim into access tokens. Config: correct `user_id` of the issuer.",
            Self::UserTokenNotAllowed => "Config: add `access` to `tokens` of the issuer if users are to be accepted.",
            Self::UserIdUnsuitable => {
                "Config: set `user_id` to a claim that the backend accepts as an id, for example `oid`; docs/backends.md has its rule."
            }
            Self::VersionNotSupported => "Client: send HTTP/1.1. Check the proxy in front.",
            Self::WrongAudience => {
                "Client: ask for a token for your API. Config: only if it is your API, add the token's `aud` to `audiences`; for tokens without `aud`, list their `client_id` in `client_ids`."
            }
            Self::WrongParty => "Config: add the client's application id to `authorized_parties` if it is one of yours.",
            Self::WrongPolicy => "Client: log in with a policy that the config lists. Config: add the policy to `policies`.",
            Self::WrongTenant => {
                "Config: add the tenant's id to `tenants` if its users are to be accepted. 9188040d-6c67-4c5b-b112-36a304b66dad is the tenant of every personal account."
            }
            Self::WrongUser => {
                "Client: configure the backend's library with the user id that `syncgate explain` shows (Zero: `userID`). Config: `user_query` of the route names the parameter."
            }
        }
    }
}

impl Rejection {
    /// The same in the terms of a provider's portal, if it has its own.
    pub const fn remedy_of(self, provider: Provider) -> &'static str {
        match (provider, self) {
            (Provider::B2c, Self::AppOnlyToken) => {
                "Client: log a user in instead of using client credentials. Provider: a custom policy must name itself in `tfp` or `acr`, or its tokens look the same. Config: `tokens: [access, app_only]` if applications without a user are to be accepted."
            }
            (Provider::B2c, Self::ClaimNotAllowed) => {
                "Provider: put the claim into access tokens (application claims of the user flow). Config: correct `claims` of the route."
            }
            (Provider::Entra | Provider::ExternalId, Self::ClaimNotAllowed) => {
                "Provider: put the claim into access tokens (optional claims of the API's registration). Config: correct `claims` of the route."
            }
            (Provider::Entra | Provider::ExternalId, Self::GroupOverage) => {
                "Provider: emit only the groups assigned to the application (token configuration of the API's registration), or use app roles. Config: if all such tokens are refused, `group_overage: accept` accepts them without their groups."
            }
            (Provider::B2c | Provider::Entra | Provider::ExternalId, Self::IdToken) => {
                "Client: send the access token, not the id token; ask for a scope of your API to get one. Config: `tokens: [access, id]` if id tokens must be accepted."
            }
            (Provider::Entra | Provider::ExternalId, Self::MissingRole) => {
                "Provider: assign the role to the user (enterprise application, users and groups). Config: correct `role_claim` of the issuer, or `roles` of the route."
            }
            (Provider::B2c | Provider::Entra | Provider::ExternalId, Self::MissingScope) => {
                "Client: ask for the scope. App registration: expose it and grant consent. Config: correct `scopes` of the route."
            }
            (Provider::Entra | Provider::ExternalId, Self::TokenTooLarge) => {
                "Provider: put fewer claims into the token, such as only the groups assigned to the application. Config: raise `token.max_bytes`."
            }
            (Provider::B2c, Self::UnknownIssuer) => {
                "Client: log in with the tenant and policy that the config names. Config: only if that issuer is yours, add its host to `domains`, or the token's `iss`, byte for byte, to `issuer`."
            }
            (Provider::Entra | Provider::ExternalId, Self::UnknownIssuer) => {
                "Client: log in with the tenant that the config names. Config: only if that tenant is yours, add the token's `iss`, byte for byte, to `issuer`."
            }
            (Provider::B2c, Self::UnknownKey) => {
                "Config: use the discovery document of the tenant and policy that issues the tokens: each custom policy has its own keys."
            }
            (Provider::Entra | Provider::ExternalId, Self::UnknownKey) => {
                "Config: use the discovery document of the tenant that issues the tokens. If the application has its own signing key, add `?appid=<id>` to it."
            }
            (Provider::B2c, Self::UserIdMissing) => {
                "Provider: put the claim into access tokens (application claims, User's Object ID). Config: correct `user_id` of the issuer."
            }
            (Provider::B2c | Provider::ExternalId, Self::WrongAudience) => {
                "Client: ask for a scope of your API. Config: only if it is your API, add the token's `aud` to `audiences`."
            }
            (Provider::Entra, Self::WrongAudience) => {
                "Client: ask for a scope of your API. Config: only if it is your API, add the token's `aud` to `audiences`: version 1 tokens have its App ID URI (`api://<id>`), version 2 tokens the id."
            }
            _ => self.remedy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_remedy_begins_with_the_place_to_change() {
        const PLACES: [&str; 6] = ["Client: ", "Provider: ", "Config: ", "Clock: ", "Gateway: ", "App registration: "];
        const PROVIDERS: [Provider; 4] = [Provider::B2c, Provider::Entra, Provider::ExternalId, Provider::Other];
        for remedy in Rejection::ALL.iter().flat_map(|rejection| PROVIDERS.map(|provider| rejection.remedy_of(provider))) {
            assert!(PLACES.iter().any(|place| remedy.starts_with(place)) && remedy.ends_with('.'), "{remedy}");
        }
    }

    #[test]
    fn who_has_a_portal_is_told_in_its_words() {
        use Provider::{B2c, Entra, ExternalId};
        let told: [(Rejection, &[Provider], &str); 15] = [
            (Rejection::AppOnlyToken, &[B2c], "must name itself in `tfp` or `acr`"),
            (Rejection::ClaimNotAllowed, &[B2c], "application claims of the user flow"),
            (Rejection::ClaimNotAllowed, &[Entra, ExternalId], "optional claims of the API's registration"),
            (Rejection::GroupOverage, &[Entra, ExternalId], "groups assigned to the application"),
            (Rejection::IdToken, &[B2c, Entra, ExternalId], "ask for a scope of your API"),
            (Rejection::MissingRole, &[Entra, ExternalId], "enterprise application, users and groups"),
            (Rejection::MissingScope, &[B2c, Entra, ExternalId], "App registration: expose it and grant consent"),
            (Rejection::TokenTooLarge, &[Entra, ExternalId], "only the groups assigned to the application"),
            (Rejection::UnknownIssuer, &[B2c], "add its host to `domains`"),
            (Rejection::UnknownIssuer, &[Entra, ExternalId], "only if that tenant is yours"),
            (Rejection::UnknownKey, &[B2c], "each custom policy has its own keys"),
            (Rejection::UnknownKey, &[Entra, ExternalId], "add `?appid=<id>` to it"),
            (Rejection::UserIdMissing, &[B2c], "User's Object ID"),
            (Rejection::WrongAudience, &[B2c, Entra, ExternalId], "ask for a scope of your API"),
            (Rejection::WrongAudience, &[Entra], "version 1 tokens have its App ID URI"),
        ];
        for (rejection, providers, words) in told {
            for provider in [B2c, Entra, ExternalId, Provider::Other] {
                let has_words = rejection.remedy_of(provider).contains(words);
                assert_eq!(has_words, providers.contains(&provider), "{} {provider:?}: {words}", rejection.label());
            }
        }
    }

    #[test]
    fn other_providers_are_not_told_of_microsofts_portal() {
        let theirs = Rejection::ALL.iter().filter(|rejection| **rejection != Rejection::GraphToken);
        for remedy in theirs.map(|rejection| rejection.remedy_of(Provider::Other)) {
            for word in ["appid", "B2C", "Entra", "enterprise application", "Object ID", "App registration", "api://"] {
                assert!(!remedy.contains(word), "{remedy}");
            }
        }
    }
}

//! The claims of a token, unverified: what the issuer is chosen by and what the checks read.

use std::fmt;

use crate::token::{
    BearerToken, Rejection, Timestamp,
    json::{self, JsonError, Object, Value},
};

/// A bearer token with its payload opened. Nothing in it has been verified. `Debug` shows none of it: claims are personal data.
pub struct UnverifiedToken<'t> {
    bearer: &'t BearerToken<'t>,
    claims: Object<'t>,
}

impl<'t> UnverifiedToken<'t> {
    /// Opens the payload: a JSON object without duplicate members.
    ///
    /// Errors: [`Rejection::DuplicateMember`], [`Rejection::ClaimsMalformed`].
    pub fn open(bearer: &'t BearerToken<'_>) -> Result<Self, Rejection> {
        let claims = json::parse_object(bearer.payload()).map_err(|error| match error {
            JsonError::Duplicate => Rejection::DuplicateMember,
            JsonError::Malformed => Rejection::ClaimsMalformed,
        })?;
        Ok(Self { bearer, claims })
    }

    /// The token as it was parsed.
    pub fn bearer(&self) -> &'t BearerToken<'t> {
        self.bearer
    }

    /// The `iss` claim: good for choosing the issuer, for nothing else.
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss").and_then(Value::as_str)
    }

    /// The `iat` claim: tells whether key sets that were fetched before could hold the token's key. None if it is no date.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.date("iat").ok().flatten()
    }

    /// Any claim as JSON, for showing it to an operator.
    pub fn claim(&self, name: &str) -> Option<serde_json::Value> {
        self.get(name).map(Value::to_owned_value)
    }

    /// Why a token is refused whose `iss` no configured issuer takes: [`Rejection::UnknownIssuer`], or [`Rejection::GraphToken`],
    /// since tokens for Microsoft Graph often carry another `iss` than those for the own API.
    pub(in crate::token) fn of_unknown_issuer(&self) -> Rejection {
        if self.is_for_graph() { Rejection::GraphToken } else { Rejection::UnknownIssuer }
    }

    /// Whether the token is meant for Microsoft Graph. Such a token has a `nonce` in its header and a signature that does not
    /// cover the header as sent: nobody but Graph can verify it, and a gateway that did would be a confused deputy.
    pub(in crate::token) fn is_for_graph(&self) -> bool {
        let audiences = self.texts("aud").unwrap_or_default();
        self.bearer.has_header_nonce() || audiences.iter().any(|audience| GRAPH_AUDIENCES.contains(audience))
    }

    pub(in crate::token) fn get(&self, name: &str) -> Option<&Value<'t>> {
        self.claims.get(name)
    }

    pub(in crate::token) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A claim that is a string if it is there at all.
    pub(in crate::token) fn text(&self, name: &str) -> Result<Option<&str>, Rejection> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(Rejection::ClaimsMalformed),
        }
    }

    /// A claim that is a string or an array of strings if it is there at all.
    pub(in crate::token) fn texts(&self, name: &str) -> Result<Vec<&str>, Rejection> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(|value| value.as_str().ok_or(Rejection::ClaimsMalformed)).collect(),
            Some(value) => value.as_str().map(|text| vec![text]).ok_or(Rejection::ClaimsMalformed),
        }
    }

    /// A claim that is a NumericDate (RFC 7519 section 2) if it is there at all.
    pub(in crate::token) fn date(&self, name: &str) -> Result<Option<Timestamp>, Rejection> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Timestamp::from_numeric_date(number).map(Some).ok_or(Rejection::ClaimsMalformed),
            Some(_) => Err(Rejection::ClaimsMalformed),
        }
    }

    /// The scopes: `scp` (Microsoft, Okta) and `scope` (RFC 9068), each a text with spaces or an array.
    pub(in crate::token) fn scopes(&self) -> Result<Vec<&str>, Rejection> {
        let (scp, scope) = (self.texts("scp")?, self.texts("scope")?);
        Ok(scp.into_iter().chain(scope).flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty()).collect())
    }

    /// The B2C policy that made the token: `tfp`, or `acr` with the older setting.
    pub(in crate::token) fn policy(&self) -> Result<Option<&str>, Rejection> {
        if self.has("tfp") { self.text("tfp") } else { self.text("acr") }
    }

    /// The client application: `azp`, or `appid` in tokens of Entra's version 1.
    pub(in crate::token) fn authorized_party(&self) -> Result<Option<&str>, Rejection> {
        if self.has("azp") { self.text("azp") } else { self.text("appid") }
    }

    /// The `tid` claim, if it is a tenant id: a GUID in lower case, as Microsoft writes it. One spelling for each tenant.
    pub(in crate::token) fn tenant(&self) -> Option<&str> {
        self.get("tid").and_then(Value::as_str).filter(|tid| is_guid(tid))
    }
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UnverifiedToken").finish_non_exhaustive()
    }
}

/// The application id and the addresses of Microsoft Graph.
const GRAPH_AUDIENCES: [&str; 3] =
    ["00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.microsoft.com/"];

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_is_a_guid_in_lower_case() {
        assert!(is_guid("9188040d-6c67-4c5b-b112-36a304b66dad"));
        for text in ["", "9188040D-6c67-4c5b-b112-36a304b66dad", "9188040d-6c67-4c5b-b112-36a304b66da", "{tenantid}"] {
            assert!(!is_guid(text), "{text}");
        }
        assert!(!is_guid("9188040d16c67-4c5b-b112-36a304b66dad"));
    }
}

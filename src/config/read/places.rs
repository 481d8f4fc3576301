//! `token` of a route: where clients put their token, and where the upstream expects the new one.

use http::HeaderName;

use crate::{
    config::{
        field::Field,
        formats::{Format, HEADER, TEXT},
        section::Section,
    },
    proxy::{BodyCondition, BodyPlace, ProtocolForm, TokenPlace},
};

const PLACE: &str = "one of header, query, protocol, cookie, body";

pub(in crate::config) const PROTOCOLS: [(&str, ProtocolKind); 3] =
    [("list", ProtocolKind::List), ("kubernetes", ProtocolKind::Kubernetes), ("zero", ProtocolKind::Zero)];

/// A form of `Sec-WebSocket-Protocol`, without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum ProtocolKind {
    List,
    Kubernetes,
    Zero,
}

/// What the parts of a header and the names of cookies are made of (RFC 9110 section 5.6.2).
const WORD: Format<String> = Format { accepted: "1 to 64 of A-Z a-z 0-9 ! # $ % & ' * + - . ^ _ ` | ~", shown: true, parse: word };

/// A header that may hold a token.
const TOKEN_HEADER: Format<HeaderName> =
    Format { accepted: "the name of a header that has no other meaning, such as authorization", shown: true, parse: token_header };

/// Headers with another meaning, or that are separate places.
const OTHER_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "proxy-authorization",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Where clients put their token, and where it goes if not there. Each keeps its default where it is not given.
pub(in crate::config) fn places(mut section: Section<'_>, token_in: &mut Vec<TokenPlace>, token_out: &mut Option<TokenPlace>) {
    if let Some(field) = section.field("in") {
        let given: Vec<_> = field.elements().iter().filter_map(|element| place(element)).collect();
        let is_body = |place: &TokenPlace| matches!(place, TokenPlace::Body(_));
        if given.len() > 1 && given.iter().any(is_body) {
            field.problem("a body cannot be combined with another place: it is read completely before the decision");
        }
        if !given.is_empty() {
            *token_in = given;
            *token_out = None;
        }
    }
    if let Some(field) = section.field("out")
        && let Some(place) = place(&field)
    {
        let only_in_place = matches!(place, TokenPlace::Body(_) | TokenPlace::Protocol(ProtocolForm::Zero));
        let moved = token_in.iter().any(|one| *one != place);
        let bound = |one: &TokenPlace| matches!(one, TokenPlace::Body(_) | TokenPlace::Protocol(ProtocolForm::Zero));
        if moved && (only_in_place || token_in.iter().any(bound)) {
            field.problem("a token in a body or in Zero's format stays where it is; remove `out`");
        }
        *token_out = Some(place);
    }
    section.finish();
}

fn place(field: &Field<'_>) -> Option<TokenPlace> {
    let mut section = field.section();
    let header = section.field("header");
    let query = section.field("query");
    let protocol = section.field("protocol");
    let cookie = section.field("cookie");
    let body = section.field("body");
    let count = [&header, &query, &protocol, &cookie, &body].into_iter().flatten().count();
    let place = match (header, query, protocol, cookie, body) {
        _ if count != 1 => {
            field.problem(format!("names {count} places; accepted: {PLACE}"));
            // Its keys are known, whatever is wrong.
            for key in ["scheme", "marker", "member", "exchange", "pass"] {
                section.field(key);
            }
            None
        }
        (Some(header), ..) => header_place(&header, &mut section),
        (_, Some(query), ..) => query.text(&TEXT).map(TokenPlace::Query),
        (_, _, Some(protocol), ..) => {
            let marker = section.field("marker");
            let form = match protocol.choice(&PROTOCOLS)? {
                ProtocolKind::List => {
                    let marker = marker.map_or(Some("bearer".to_owned()), |field| field.text(&WORD));
                    ProtocolForm::List(marker?)
                }
                ProtocolKind::Kubernetes => ProtocolForm::Kubernetes,
                ProtocolKind::Zero => ProtocolForm::Zero,
            };
            Some(TokenPlace::Protocol(form))
        }
        (_, _, _, Some(cookie), _) => cookie.text(&WORD).map(TokenPlace::Cookie),
        (_, _, _, _, Some(body)) => body_place(&body, &mut section),
        _ => None,
    };
    section.finish();
    place
}

/// The default scheme is `Bearer` in `Authorization` and none elsewhere.
fn header_place(header: &Field<'_>, section: &mut Section<'_>) -> Option<TokenPlace> {
    let name = header.text(&TOKEN_HEADER);
    let scheme = section.field("scheme");
    let name = name?;
    let scheme = match scheme {
        None => (name == http::header::AUTHORIZATION).then(|| "Bearer".to_owned()),
        Some(field) if field.scalar("a scheme, or none").is_some_and(|text| text == "none") => None,
        Some(field) => Some(field.text(&WORD)?),
    };
    Some(TokenPlace::Header { name, scheme })
}

fn body_place(body: &Field<'_>, section: &mut Section<'_>) -> Option<TokenPlace> {
    let member = body.text(&TEXT)?;
    let exchange = section.texts("exchange", &TEXT);
    let pass = section.texts("pass", &TEXT);
    let condition = section.field("member");
    if condition.is_none() && !(exchange.is_empty() && pass.is_empty()) {
        section.missing("member", "the other member of the body whose values exchange and pass list");
    }
    let condition = match condition {
        None => None,
        Some(field) => {
            if exchange.is_empty() {
                section.missing("exchange", "the values of the other member for which the token is a client's token");
            }
            Some(BodyCondition { member: field.text(&TEXT)?, exchange, pass })
        }
    };
    Some(TokenPlace::Body(BodyPlace { member, condition }))
}

fn word(text: &str) -> Result<String, &'static str> {
    let fine = text.len() <= 64 && http::Method::from_bytes(text.as_bytes()).is_ok();
    if fine { Ok(text.to_owned()) } else { Err("is empty, too long, or contains a character that is not allowed") }
}

fn token_header(text: &str) -> Result<HeaderName, &'static str> {
    let name = (HEADER.parse)(text)?;
    if OTHER_HEADERS.contains(&name.as_str()) {
        return Err("has another meaning");
    }
    HeaderName::try_from(name).map_err(|_| "is not a header name")
}

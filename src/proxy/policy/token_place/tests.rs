use http::{HeaderValue, header};

use super::*;

/// A request, and what it is changed to.
struct Request {
    target: String,
    headers: HeaderMap,
}

impl Request {
    fn new(target: &str, headers: &[(&'static str, &str)]) -> Self {
        let header = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        Self { target: target.to_owned(), headers: headers.iter().map(header).collect() }
    }

    fn parts(&self) -> Parts<'_> {
        Parts { target: self.target.as_bytes(), headers: &self.headers }
    }

    fn token(&self, places: &[TokenPlace]) -> Result<String, Rejection> {
        find(places, self.parts()).map(|found| String::from_utf8(found.token.into_owned()).unwrap())
    }

    /// The request as it goes upstream with the token `NEW`: target and headers, sorted.
    fn exchanged(&self, places: &[TokenPlace], to: Option<&TokenPlace>) -> Result<(String, Vec<String>), Rejection> {
        let authorization = HeaderValue::from_static("Bearer NEW");
        let found = find(places, self.parts())?;
        let token = NewToken::from_authorization(&authorization);
        Ok(self.changed(Rewrite::exchange(found.place, places, to, self.parts(), token)?))
    }

    fn changed(&self, rewrite: Rewrite) -> (String, Vec<String>) {
        let target = rewrite.target.map_or(self.target.clone(), |target| String::from_utf8(target).unwrap());
        let mut headers = self.headers.clone();
        for (name, value) in rewrite.headers {
            headers.remove(&name);
            value.into_iter().for_each(|value| drop(headers.insert(name.clone(), value)));
        }
        let mut lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort_unstable();
        (target, lines)
    }
}

fn raw(name: &'static str) -> TokenPlace {
    TokenPlace::Header { name: HeaderName::from_static(name), scheme: None }
}

fn scheme(scheme: &str) -> TokenPlace {
    TokenPlace::Header { name: header::AUTHORIZATION, scheme: Some(scheme.to_owned()) }
}

fn query(name: &str) -> TokenPlace {
    TokenPlace::Query(name.to_owned())
}

fn cookie(name: &str) -> TokenPlace {
    TokenPlace::Cookie(name.to_owned())
}

fn list() -> TokenPlace {
    TokenPlace::Protocol(ProtocolForm::List("bearer".into()))
}

#[test]
fn exactly_one_place_may_hold_a_token() {
    let places = [query("token"), TokenPlace::bearer(), cookie("sid"), list()];
    let bearer = ("authorization", "Bearer h.h.h");
    let session = ("cookie", "sid=c.c.c");
    let protocol = ("sec-websocket-protocol", "bearer, p.p.p");
    assert_eq!(Request::new("/?token=q.q.q", &[]).token(&places), Ok("q.q.q".into()));
    assert_eq!(Request::new("/", &[bearer]).token(&places), Ok("h.h.h".into()));
    assert_eq!(Request::new("/", &[session]).token(&places), Ok("c.c.c".into()));
    assert_eq!(Request::new("/", &[protocol]).token(&places), Ok("p.p.p".into()));
    assert_eq!(Request::new("/", &[]).token(&places), Err(Rejection::MissingToken));
    for (target, headers) in [
        ("/?token=q.q.q", &[bearer][..]),
        ("/?token=q.q.q", &[session]),
        ("/", &[bearer, protocol]),
        ("/", &[session, bearer]),
        ("/?token=q.q.q", &[bearer, session, protocol]),
        ("/", &[bearer, bearer]),
    ] {
        assert_eq!(Request::new(target, headers).token(&places), Err(Rejection::AmbiguousToken), "{target} {headers:?}");
    }
    // Not one of them is looked for, so it is a matter of the backend.
    assert_eq!(Request::new("/?other=q.q.q", &[bearer]).token(&places), Ok("h.h.h".into()));
}

#[test]
fn the_new_token_stands_where_the_old_one_did() {
    for (place, target, name, sent, expected) in [
        (TokenPlace::bearer(), "/a?b", "authorization", "bearer   old", "Bearer NEW"),
        (scheme("Token"), "/", "authorization", "token old", "Token NEW"),
        (raw("x-contoso-auth"), "/", "x-contoso-auth", "old", "NEW"),
        (cookie("sid"), "/", "cookie", "a=1;sid=old ;  b", "a=1;sid=NEW ;  b"),
        (list(), "/", "sec-websocket-protocol", "v1,bearer ,old", "v1,bearer ,NEW"),
    ] {
        let request = Request::new(target, &[(name, sent), ("accept", "x")]);
        let expected = (target.to_owned(), {
            let mut lines = vec!["accept: x".to_owned(), format!("{name}: {expected}")];
            lines.sort_unstable();
            lines
        });
        assert_eq!(request.exchanged(&[place], None), Ok(expected));
    }
    let request = Request::new("/p%20a?x=%2F&%74oken=old&&y=a+b", &[]);
    assert_eq!(request.exchanged(&[query("token")], None), Ok(("/p%20a?x=%2F&%74oken=NEW&&y=a+b".into(), Vec::new())));
}

#[test]
fn a_token_may_move_and_leaves_nothing_behind() {
    let places = [query("token"), cookie("sid"), list(), raw("x-old"), TokenPlace::bearer()];
    let to = TokenPlace::bearer();
    for (target, name, value, rest) in [
        ("/?a=1&token=old&b", "accept", "x", "accept: x"),
        ("/?a=1&b", "cookie", "a=1; sid=old", "cookie: a=1"),
        ("/?a=1&b", "sec-websocket-protocol", "v1, bearer, old", "sec-websocket-protocol: v1"),
    ] {
        let moved = Request::new(target, &[(name, value)]).exchanged(&places, Some(&to));
        let mut lines = vec!["authorization: Bearer NEW".to_owned(), rest.to_owned()];
        lines.sort_unstable();
        assert_eq!(moved, Ok(("/?a=1&b".into(), lines)));
    }
    for place in ["x-old", "cookie", "sec-websocket-protocol"] {
        let value = match place {
            "x-old" => "old",
            "cookie" => "sid=old",
            _ => "bearer, old",
        };
        let moved = Request::new("/", &[(place, value)]).exchanged(&places, Some(&to));
        assert_eq!(moved, Ok(("/".into(), vec!["authorization: Bearer NEW".into()])));
    }
    let moved = Request::new("/?token=old", &[]).exchanged(&places, Some(&query("access_token")));
    assert_eq!(moved, Ok(("/?access%5Ftoken=NEW".into(), Vec::new())));
    let moved = Request::new("/", &[("cookie", "sid=old; a=1")]).exchanged(&places, Some(&cookie("other")));
    assert_eq!(moved, Ok(("/".into(), vec!["cookie: a=1; other=NEW".into()])));
    let stays = Request::new("/", &[("cookie", "a=1; sid=old; b")]).exchanged(&places[1..2], Some(&cookie("sid")));
    assert_eq!(stays, Ok(("/".into(), vec!["cookie: a=1; sid=NEW; b".into()])));
    let moved = Request::new("/", &[("x-old", "old")]).exchanged(&places, Some(&TokenPlace::Protocol(ProtocolForm::Kubernetes)));
    let protocol = "sec-websocket-protocol: base64url.bearer.authorization.k8s.io.TkVX";
    assert_eq!(moved, Ok(("/".into(), vec![protocol.into()])));
}

#[test]
fn a_spelling_that_is_not_ours_does_not_slip_by() {
    // The token comes in the header; what a lenient backend would take for another in the query goes.
    let request = Request::new("/?Token=old&a", &[("authorization", "Bearer old")]);
    let places = [query("token"), TokenPlace::bearer()];
    assert_eq!(request.exchanged(&places, None), Ok(("/?a".into(), vec!["authorization: Bearer NEW".into()])));
    // One that another party set for the backend's own name goes too.
    let request = Request::new("/?access_token=forged", &[("authorization", "Bearer old")]);
    let moved = request.exchanged(&[TokenPlace::bearer()], Some(&query("access_token")));
    assert_eq!(moved, Ok(("/?access_token=NEW".into(), Vec::new())));
}

#[test]
fn two_schemes_of_one_header_are_told_apart() {
    let places = [scheme("Token"), scheme("Bearer")];
    for (sent, expected) in [("Token old", "Token NEW"), ("bearer old", "Bearer NEW")] {
        let exchanged = Request::new("/", &[("authorization", sent)]).exchanged(&places, None);
        assert_eq!(exchanged, Ok(("/".into(), vec![format!("authorization: {expected}")])));
    }
}

#[test]
fn a_public_route_drops_all_of_them() {
    let places = [query("token"), cookie("sid"), list(), raw("x-old")];
    let request = Request::new(
        "/?token=a&Token=b&c",
        &[("cookie", "sid=a; sid=b; c=d"), ("sec-websocket-protocol", "v1, bearer, a, bearer, b"), ("x-old", "a"), ("accept", "x")],
    );
    let rewrite = Rewrite::drop_all(&places, request.parts()).unwrap();
    let rest = vec!["accept: x".to_owned(), "cookie: c=d".to_owned(), "sec-websocket-protocol: v1".to_owned()];
    assert_eq!(request.changed(rewrite), ("/?c".into(), rest));
}

#[test]
fn zero_keeps_what_it_offered() {
    use base64::Engine as _;
    let json = "{\"initConnectionMessage\":[],\"authToken\":\"old\"}";
    let encode = |json: &str| base64::engine::general_purpose::STANDARD.encode(json).replace('=', "%3D");
    let places = [TokenPlace::Protocol(ProtocolForm::Zero)];
    let request = Request::new("/", &[("sec-websocket-protocol", &encode(json))]);
    let authorization = HeaderValue::from_static("Bearer NEW");
    let token = NewToken::from_authorization(&authorization);
    let rewrite = Rewrite::exchange(&places[0], &places, None, request.parts(), token).unwrap();
    assert_eq!(rewrite.offered.as_ref().unwrap(), &encode(json));
    let sent = request.changed(rewrite).1;
    assert_eq!(sent, [format!("sec-websocket-protocol: {}", encode(&json.replace("old", "NEW")))]);
}

/// A token that is long enough to be recognised, and another.
const LONG: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.x3JJHMbDL1EzLkh9GBhXDw-x3JJHMbDL1EzLkh9GBhXDw";

/// The request without copies of the token, after the places were taken out.
fn without_copies(request: &Request, places: &[TokenPlace]) -> Result<(String, Vec<String>), Rejection> {
    let mut rewrite = Rewrite::drop_all(places, request.parts())?;
    rewrite.take_copies(request.parts(), LONG.as_bytes())?;
    Ok(request.changed(rewrite))
}

#[test]
fn copies_of_a_token_go_and_all_around_them_stays() {
    for (name, sent, left) in [
        ("x-copy", LONG.to_owned(), None),
        ("x-copy", format!("a {LONG} b"), None),
        ("x-copy", LONG[..LONG.len() - 1].to_owned(), Some(LONG[..LONG.len() - 1].to_owned())),
        ("cookie", format!("a=1; b={LONG}; c=2"), Some("a=1; c=2".to_owned())),
        ("cookie", format!("b={LONG}"), None),
        ("sec-websocket-protocol", format!("v1, {LONG}, v2"), Some("v1, v2".to_owned())),
        ("sec-websocket-protocol", LONG.to_owned(), None),
        ("referer", format!("https://a.test/x?a=1&b={LONG}&c"), Some("https://a.test/x?a=1&c".to_owned())),
        ("referer", format!("https://a.test/{LONG}"), None),
    ] {
        let request = Request::new("/", &[(name, &sent), ("accept", "x")]);
        let lines = [("accept", Some("x".to_owned())), (name, left)];
        let mut lines: Vec<_> = lines.into_iter().filter_map(|(name, left)| Some(format!("{name}: {}", left?))).collect();
        lines.sort_unstable();
        assert_eq!(without_copies(&request, &[]), Ok(("/".into(), lines)), "{name}: {sent}");
    }
    // Of several URLs nobody knows which one counts.
    let url = format!("https://a.test/?b={LONG}");
    assert_eq!(without_copies(&Request::new("/", &[("referer", &url), ("referer", "x")]), &[]), Ok(("/".into(), vec![])));
    let request = Request::new(&format!("/x?a=1&b={LONG}&c=2"), &[]);
    assert_eq!(without_copies(&request, &[]), Ok(("/x?a=1&c=2".into(), vec![])));
    let request = Request::new(&format!("/{LONG}?a=1"), &[]);
    assert_eq!(without_copies(&request, &[]), Err(Rejection::AmbiguousToken));
}

#[test]
fn copies_are_looked_for_in_what_the_places_leave() {
    let places = [cookie("sid"), list(), query("token"), raw("x-old")];
    let request = Request::new(
        &format!("/?token=a&b={LONG}&c=2"),
        &[
            ("cookie", &format!("sid=a; b={LONG}; c=2")),
            ("sec-websocket-protocol", &format!("v1, bearer, a, {LONG}")),
            ("x-old", LONG),
        ],
    );
    let rest = vec!["cookie: c=2".to_owned(), "sec-websocket-protocol: v1".to_owned()];
    assert_eq!(without_copies(&request, &places), Ok(("/?c=2".into(), rest)));
    // What was there beside the token of its place stays as it is.
    let request = Request::new("/", &[("cookie", "sid=a; c=2"), ("sec-websocket-protocol", "v1, bearer, a")]);
    let rest = vec!["cookie: c=2".to_owned(), "sec-websocket-protocol: v1".to_owned()];
    assert_eq!(without_copies(&request, &places), Ok(("/".into(), rest)));
}

#[test]
fn the_page_that_is_named_shows_no_token_of_a_parameter() {
    let places = [query("token"), query("key")];
    let left = |values: &[&str]| {
        let headers: Vec<_> = values.iter().map(|value| ("referer", *value)).collect();
        without_copies(&Request::new("/", &headers), &places).unwrap().1
    };
    assert_eq!(left(&["https://a.test/?a=1&token=old&key=b"]), ["referer: https://a.test/?a=1"]);
    assert_eq!(left(&["https://a.test/?a=1"]), ["referer: https://a.test/?a=1"]);
    assert_eq!(left(&["https://a.test/", "https://a.test/?token=old"]), Vec::<String>::new());
    let elsewhere = Request::new("/", &[("referer", "https://a.test/?token=old")]);
    assert_eq!(without_copies(&elsewhere, &[cookie("token")]).unwrap().1, ["referer: https://a.test/?token=old"]);
}

#[test]
fn what_is_not_there_is_not_changed() {
    let rewrite = Rewrite::drop_all(&[cookie("sid"), list(), query("token")], Request::new("/?a", &[]).parts()).unwrap();
    assert_eq!((rewrite.target, rewrite.headers), (None, vec![]));
}

#[test]
fn a_token_may_come_back_from_everywhere_but_authorization() {
    let authorization = HeaderValue::from_static("Bearer NEW");
    let may_come_back = |place: &TokenPlace, request: &Request| {
        let places = std::slice::from_ref(place);
        let token = NewToken::from_authorization(&authorization);
        Rewrite::exchange(place, places, None, request.parts(), token).unwrap().may_come_back
    };
    assert!(!may_come_back(&TokenPlace::bearer(), &Request::new("/", &[("authorization", "Bearer old")])));
    assert!(may_come_back(&raw("x-old"), &Request::new("/", &[("x-old", "old")])));
    assert!(may_come_back(&query("token"), &Request::new("/?token=old", &[])));
    assert!(may_come_back(&cookie("sid"), &Request::new("/", &[("cookie", "sid=old")])));
    assert!(may_come_back(&list(), &Request::new("/", &[("sec-websocket-protocol", "bearer, old")])));
}

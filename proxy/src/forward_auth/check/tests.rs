//! Calls as Envoy makes them, and the answers that it is to carry out.

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};

use super::*;
use crate::forward_auth::messages::{Address, Request, SocketAddress, TlsSession};

fn peer(address: &str, port: u32) -> Option<Peer> {
    let socket_address = Some(SocketAddress { address: address.to_owned(), port_value: port });
    Some(Peer { address: Some(Address { socket_address }) })
}

fn context() -> AttributeContext {
    let headers = [
        (":path", "/a?b"),
        (":authority", "wiki.test"),
        ("user-agent", "x"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    let http = HttpRequest {
        method: "POST".to_owned(),
        path: "/a?b".to_owned(),
        host: "wiki.test".to_owned(),
        scheme: "http".to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        header_map: None,
    };
    AttributeContext {
        source: peer("192.0.2.7", 4711),
        destination: peer("10.0.0.5", 8443),
        request: Some(Request { http: Some(http) }),
        tls_session: Some(TlsSession { sni: "wiki.test".to_owned() }),
    }
}

fn call(attributes: AttributeContext) -> Vec<u8> {
    let message = CheckRequest { attributes: Some(attributes) }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}

fn http(context: &mut AttributeContext) -> &mut HttpRequest {
    context.request.as_mut().unwrap().http.as_mut().unwrap()
}

#[test]
fn the_attributes_are_the_request_and_its_connection() {
    let described = described(&call(context())).unwrap();
    assert_eq!((described.method, &*described.target), (Method::POST, &b"/a?b"[..]));
    let lines = [("user-agent", "x"), ("x-forwarded-for", "192.0.2.7"), ("host", "wiki.test")];
    for (name, value) in lines {
        assert_eq!(described.headers[name], value);
    }
    assert_eq!(described.headers.len(), lines.len());
    let Connection { peer, is_unknown, tls, port } = described.connection;
    assert_eq!((peer.to_string().as_str(), is_unknown, tls, port), ("192.0.2.7", false, true, Some(8443)));
}

#[test]
fn a_request_came_by_https_if_its_scheme_or_a_named_tls_session_says_so() {
    for (sni, scheme, tls) in [
        (Some("wiki.test"), "http", true),
        (Some(""), "https", true),
        (None, "https", true),
        (Some(""), "http", false),
        (None, "http", false),
    ] {
        let mut context = context();
        context.tls_session = sni.map(|sni| TlsSession { sni: sni.to_owned() });
        scheme.clone_into(&mut http(&mut context).scheme);
        assert_eq!(described(&call(context)).unwrap().connection.tls, tls, "{sni:?} {scheme}");
    }
}

#[test]
fn lines_that_came_twice_stay_two_where_envoy_sends_them_as_they_are() {
    let mut context = context();
    let line = |value: &str| messages::HeaderValue {
        key: "user-agent".to_owned(),
        value: String::new(),
        raw_value: value.as_bytes().to_vec(),
    };
    http(&mut context).header_map = Some(messages::HeaderMap { headers: vec![line("a"), line("b")] });
    let described = described(&call(context)).unwrap();
    assert_eq!(described.headers.get_all("user-agent").iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_is_missing_or_unreadable_is_named() {
    type Change = fn(&mut AttributeContext);
    let changes: [(Change, &str); 8] = [
        (|context| context.source = None, "attributes.source.address"),
        (|context| context.source = Some(Peer { address: None }), "attributes.source.address"),
        (|context| context.source = peer("everywhere", 1), "attributes.source.address"),
        (|context| context.request = None, "attributes.request.http"),
        (|context| http(context).method.clear(), "attributes.request.http.method"),
        (|context| http(context).path = "a".to_owned(), "attributes.request.http.path"),
        (|context| http(context).host = "a\nb".to_owned(), "attributes.request.http.host"),
        (
            |context| _ = http(context).headers.insert("a b".to_owned(), String::new()),
            "attributes.request.http.headers",
        ),
    ];
    for (change, field) in changes {
        let mut context = context();
        change(&mut context);
        assert_eq!(described(&call(context)).unwrap_err().field, field);
    }
}

#[test]
fn a_call_is_one_message_that_is_not_compressed() {
    let good = call(context());
    let mut compressed = good.clone();
    compressed[0] = 1;
    let longer = [&good[..], &[0]].concat();
    for bad in [&b""[..], &good[..4], &good[..good.len() - 1], &longer, &compressed, b"\0\0\0\0\x02\xff\xff"]
    {
        assert_eq!(described(bad).unwrap_err().field, "CheckRequest", "{}", bad.escape_ascii());
    }
    let empty = described(b"\0\0\0\0\0").unwrap_err();
    assert_eq!((empty.field, empty.fault), ("attributes", Fault::Missing));
}

fn answered(frame: &Bytes) -> CheckResponse {
    CheckResponse::decode(message(frame).unwrap()).unwrap()
}

#[test]
fn what_is_let_in_is_set_overwritten_and_taken_away() {
    let allowed = Allowed {
        set: vec![(HeaderName::from_static("x-user"), HeaderValue::from_static("alice"))],
        removed: vec![HeaderName::from_static("x_user")],
        absent: vec![COOKIE, AUTHORIZATION],
        credentials: Vec::new(),
    };
    let to_client = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("a=b"))]);
    let results = Results {
        request_id: "id".to_owned(),
        outcome: "granted",
        policies: vec![("mfa".to_owned(), "success")],
        ..Results::default()
    };
    let response = answered(&allow(&allowed, &to_client, results));
    assert_eq!(response.status, Some(Status { code: 0 }));
    let Some(HttpResponse::Ok(ok)) = response.http_response else { panic!("{response:?}") };
    assert_eq!(ok.headers_to_remove, ["x_user", "cookie", "authorization"]);
    assert_eq!(ok.headers[0].append_action(), AppendAction::OverwriteIfExistsOrAdd);
    assert_eq!(ok.response_headers_to_add[0].append_action(), AppendAction::AppendIfExistsOrAdd);
    let metadata = response.dynamic_metadata.unwrap();
    assert_eq!(metadata.fields["outcome"].kind, Some(Kind::Text("granted".to_owned())));
    let Some(Kind::Struct(policies)) = &metadata.fields["policies"].kind else { panic!("{metadata:?}") };
    assert_eq!(policies.fields["mfa"].kind, Some(Kind::Text("success".to_owned())));
}

#[test]
fn what_is_refused_has_our_status_fields_and_page() {
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("text/html")),
        (CONTENT_LENGTH, HeaderValue::from_static("4")),
        (SET_COOKIE, HeaderValue::from_static("a=b")),
    ]);
    let answer =
        Answer { status: 403, headers, body: Bytes::from_static(b"page"), refusal: None, phrase: None };
    let response = answered(&deny(&answer, Results::default()));
    assert_ne!(response.status, Some(Status { code: 0 }));
    let Some(HttpResponse::Denied(denied)) = response.http_response else { panic!("{response:?}") };
    assert_eq!((denied.status, denied.body.as_str()), (Some(HttpStatus { code: 403 }), "page"));
    let names: Vec<_> = denied.headers.iter().filter_map(|option| option.header.as_ref()).collect();
    assert_eq!(
        names.iter().map(|line| line.key.as_str()).collect::<Vec<_>>(),
        ["content-type", "set-cookie"]
    );
}

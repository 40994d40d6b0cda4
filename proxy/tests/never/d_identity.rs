//! D. Identity headers.

use serde_json::json;

use crate::h2::{Connection, fields};
use crate::keys;
use crate::world::{HOST, World};

#[test]
fn never_n31_a_forged_identity_header_passes_where_the_proxy_has_nothing_to_set() {
    let world = World::plain();
    let token = keys::token_with(|claims| {
        for optional in ["preferred_username", "email", "groups"] {
            claims.as_object_mut().unwrap().remove(optional);
        }
    });
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nX-User: forged\r\nX-User-Name: forged\r\nX-Groups: forged\r\nX-Device: forged\r\nX-Mail: forged\r\n\r\n"
    );
    assert_eq!(world.bare(&head), 200);
    let seen = world.origin.last();
    assert!(!seen.holds("forged"), "{}", seen.head);
    assert_eq!(seen.values("x-user"), ["anna"], "the twin: what is known is set");
    for empty in ["x-user-name", "x-groups", "x-device", "x-mail"] {
        assert!(seen.values(empty).is_empty(), "{empty}: {}", seen.head);
    }
}

#[test]
fn never_n32_a_look_alike_that_the_app_folds_into_the_header_gets_through() {
    let world = World::plain();
    for name in ["X_User", "x_user", "X-User_Name", "X_Forwarded_For"] {
        world.refuses_lines(&format!("{name}: forged\r\n"));
        let lower = name.to_ascii_lowercase();
        assert!(world.h2_get("/", &[(lower.as_bytes(), b"forged")]).is_refusal(), "{name}");
    }
    for name in ["X.User", "x.user", "X.USER", "X-User.Name", "X.Forwarded.For"] {
        assert_eq!(world.get("/", &format!("{name}: forged\r\n")).status, 200, "{name}");
        assert!(!world.origin.last().holds("forged"), "{name}: {}", world.origin.last().head);
    }
    for name in ["X-User ", "X-User\t", " X-User", "X~User", "X|User", "X!User", "X'User"] {
        let answer = world.all(&World::head("GET", "/", &format!("{name}: forged\r\n")));
        let came = answer.starts_with("HTTP/1.1 200") && world.origin.last().holds("forged");
        assert!(!came, "{name:?}: {}", world.origin.last().head);
    }
    assert_eq!(world.get("/", "X-Userx: mine\r\n").status, 200);
    assert!(world.origin.last().holds("mine"), "the twin: another header is left alone");
}

#[test]
fn never_n33_identity_is_smuggled_in_trailers() {
    let world = World::plain();
    let mut bytes = World::head("POST", "/", "Transfer-Encoding: chunked\r\nTE: trailers\r\n");
    bytes.extend_from_slice(b"3\r\nabc\r\n0\r\nX-User: forged\r\nX-Groups: forged\r\n\r\n");
    let answer = world.all(&bytes);
    assert!(!world.origin.raw().contains("forged"), "{}", world.origin.raw());
    assert!(!answer.contains("forged"));
    let bearer = format!("Bearer {}", keys::token());
    let mut head = fields("POST", HOST, "/");
    head.push((b"authorization", bearer.as_bytes()));
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    connection.ask(&head, Some(b"abc"), &[(b"x-user", b"forged"), (b"x-groups", b"forged")]);
    assert!(!world.origin.raw().contains("forged"), "{}", world.origin.raw());
    let mut bytes = World::head("POST", "/", "Transfer-Encoding: chunked\r\n");
    bytes.extend_from_slice(b"3\r\nabc\r\n0\r\n\r\n");
    assert!(world.all(&bytes).starts_with("HTTP/1.1 200"), "the twin without trailers");
    assert!(world.origin.last().holds("abc"));
}

#[test]
fn never_n34_a_connection_header_drops_what_the_proxy_set() {
    let world = World::plain();
    for named in ["X-User", "x-user, close", "X-Forwarded-For", "Host", "Cookie", "Authorization", "\u{e9}"] {
        world.refuses_lines(&format!("Connection: {named}\r\n"));
    }
    assert!(world.h2_get("/", &[(b"connection", b"x-user")]).is_refusal());
    for kept in ["keep-alive", "close", "Keep-Alive, TE"] {
        assert_eq!(world.get("/", &format!("Connection: {kept}\r\n")).status, 200, "the twin {kept}");
        let seen = world.origin.last();
        assert_eq!(seen.values("x-user"), ["anna"]);
        assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
    }
}

#[test]
fn never_n35_only_one_of_several_headers_of_one_name_is_looked_at() {
    let world = World::plain();
    let lines = "X-User: forged\r\nx-user: forged\r\nX-Mine: 1\r\nX-USER: forged\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 9.9.9.9\r\n";
    assert_eq!(world.get("/", lines).status, 200);
    let seen = world.origin.last();
    assert_eq!(seen.values("x-user"), ["anna"]);
    assert!(!seen.holds("forged") && !seen.holds("9.9.9.9"), "{}", seen.head);
    let answer = world.h2_get("/", &[(b"x-user", b"forged"), (b"x-mine", b"1"), (b"x-user", b"forged")]);
    assert_eq!(answer.status(), 200);
    assert_eq!(world.origin.last().values("x-user"), ["anna"]);
    assert_eq!(world.origin.last().values("x-mine"), ["1"], "the twin");
    let before = world.origin.hits();
    for doubled in [
        "Authorization: Bearer x\r\n",
        "Cookie: session=a; session=b\r\n",
        "Cookie: session=a\r\nCookie: session=b\r\n",
        "User-Agent: a\r\nUser-Agent: b\r\n",
    ] {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\n{}{doubled}\r\n",
            if doubled.starts_with("Cookie") {
                String::new()
            } else {
                format!("Authorization: Bearer {}\r\n", keys::token())
            }
        );
        assert_eq!(world.bare(&head), 400, "{doubled:?}");
    }
    assert_eq!(world.origin.hits(), before);
}

#[test]
fn never_n36_a_value_of_odd_bytes_makes_a_check_fail_and_the_request_pass() {
    let world = World::plain();
    let send = |name: &str, value: &[u8], with_token: bool| {
        let mut bytes = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n").into_bytes();
        if with_token {
            bytes.extend_from_slice(format!("Authorization: Bearer {}\r\n", keys::token()).as_bytes());
        }
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n\r\n");
        let answer = world.all(&bytes);
        answer.split(' ').nth(1).map_or(0, |word| word.parse::<u16>().unwrap())
    };
    assert_eq!(send("Authorization", b"Bearer \xff\xfe", false), 400);
    let beside = format!("\r\nCookie: session={}", keys::token());
    for odd in [&b"Basic \xff"[..], b"Bearer\xff", b"\xff"] {
        assert_eq!(send("Authorization", &[odd, beside.as_bytes()].concat(), false), 400, "{odd:?}");
    }
    assert_eq!(send("Cookie", b"session=\xff", false), 400);
    assert_eq!(send("User-Agent", b"Mozilla/5.0 (Android) \xff", true), 400);
    assert_eq!(send("Sec-CH-UA-Platform", b"\"Windows\xff\"", true), 400);
    assert_eq!(send("Connection", b"\xff", true), 400);
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(send("X-Note", b"caf\xe9", true), 200, "the twin: nothing reads this one");
    let plain = [b"Basic eA==", beside.as_bytes()].concat();
    assert_eq!(send("Authorization", &plain, false), 200, "the twin: the cookie is the token");
    let answer = world.h2_get("/", &[(b"user-agent", b"\xff")]);
    assert!(answer.is_refusal(), "{answer:?}");
    assert_eq!(world.origin.hits(), 2);
}

#[test]
fn never_n37_a_value_of_a_user_is_put_into_a_header_unescaped() {
    let world = World::plain();
    let token = keys::token_with(|claims| {
        claims["email"] = json!("a\r\nX-Admin: 1");
        claims["groups"] = json!(["one,admins", "two"]);
        claims["preferred_username"] = json!("Zo\u{eb} \u{202e}x");
    });
    let status = world.with_token(&token);
    if status == 200 {
        let seen = world.origin.last();
        assert!(seen.values("x-admin").is_empty(), "{}", seen.head);
        assert_eq!(seen.values("x-groups"), ["two"], "a comma makes no further group");
        assert!(seen.head.is_ascii(), "{}", seen.head);
    } else {
        assert_eq!(status, 401);
    }
    let plain = keys::token_with(|claims| {
        claims["preferred_username"] = json!("Zo\u{eb}");
        claims["groups"] = json!(["one,admins", "two"]);
    });
    assert_eq!(world.with_token(&plain), 200, "the twin");
    assert_eq!(world.origin.last().values("x-user-name"), ["Zo%C3%AB"]);
    assert_eq!(world.origin.last().values("x-groups"), ["two"]);
}

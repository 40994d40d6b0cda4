//! C, D. What other proxies say of their clients' requests, where they ask whether to let them in.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use crate::keys;
use crate::wire::{Answer, answer, exchange};
use crate::world::{HOST, Setup, World};

fn asked(plain: &'static str) -> World {
    World::start(Setup { plain, ..Setup::default() })
}

const HTTP: &str = "forward-auth = { protocol = \"http\", peers = [\"127.0.0.1\"] }";

/// What a proxy asks about a GET of `target` from an address that the policies do not mind.
fn question(target: &str, more: &str) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: auth.internal\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: {HOST}\r\nX-Forwarded-Uri: {target}\r\nX-Forwarded-For: 198.51.100.7\r\n\
         Authorization: Bearer {}\r\n{more}\r\n",
        keys::token()
    )
    .into_bytes()
}

fn ask(world: &World, target: &str, more: &str) -> Answer {
    exchange(&world.plain, &question(target, more))
}

#[test]
fn never_n23_a_description_is_believed_that_nobody_may_give_or_that_contradicts_itself() {
    let world = asked(HTTP);
    let count = |answer: &str| {
        world.metric(&format!(
            "portcullis_forward_auth_answers_total{{protocol=\"http\",answer=\"{answer}\"}}"
        ))
    };
    assert_eq!(ask(&world, "/page", "").status, 200, "the counterpart");
    assert_eq!(ask(&world, "/admin/x", "").status, 403, "the described path is judged");
    for more in [
        "X-Original-URL: https://wiki.test/admin/x\r\n",
        "X-Original-URI: /admin/x\r\n",
        "X-Original-Method: DELETE\r\n",
        "X-Forwarded-Uri: /page\r\n",
        "X-Forwarded-Host: wiki.test\r\n",
        "X-Forwarded-Proto: https\r\n",
        "X-Forwarded-Method: GET\r\n",
    ] {
        let answer = ask(&world, "/page", more);
        assert_eq!(answer.status, 400, "{more}");
        assert!(answer.body.contains("the request to judge is not described"), "{}", answer.body);
        // A client cannot choose which of the two is believed.
        assert_ne!(ask(&world, "/admin/x", more).status, 200, "{more}");
    }
    // What is asked without a description is none, wherever the question itself goes.
    assert_eq!(world.get("/page", "").status, 400);
    // Two of the seven agree with the second target.
    assert_eq!(count("bad-description"), 7.0 + 5.0 + 1.0);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = "127.0.0.2:0".parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&world.plain.parse::<SocketAddr>().unwrap().into()).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    std::io::Write::write_all(&mut stream, &question("/page", "")).unwrap();
    let stranger = answer(&mut stream, false);
    assert_eq!((stranger.status, count("not-a-peer")), (403, 1.0), "{}", stranger.body);
    assert!(stranger.header("x-user").is_none());
    assert_eq!(world.origin.hits(), 0, "Portcullis forwards nothing here");
    world.wait_for("the log", |world| world.log().contains("not-a-front-proxy"));
    let log = world.log();
    for wanted in [
        "\"path\":\"/admin/x\"",
        "\"ipAddress\":\"198.51.100.7\"",
        "\"proxy\":\"127.0.0.1\"",
        "\"atFault\":\"X-Forwarded-Uri\"",
    ] {
        assert!(log.contains(wanted), "{wanted} is not in {log}");
    }
}

#[test]
fn never_n25_a_hop_that_the_asking_proxy_did_not_add_chooses_the_address() {
    let world = asked(HTTP);
    let ask = |hops: &str| {
        let question = String::from_utf8(question("/page", "")).unwrap();
        exchange(&world.plain, question.replace("198.51.100.7", hops).as_bytes()).status
    };
    assert_eq!(ask("192.0.2.7"), 403, "the embargo");
    assert_eq!(ask("198.51.100.7, 192.0.2.7"), 403);
    assert_eq!(ask("198.51.100.7, 192.0.2.7, "), 403);
    assert_eq!(ask("192.0.2.7, 198.51.100.7"), 200, "the counterpart");
    assert_eq!(ask("192.0.2.7, nobody"), 400);
}

#[test]
fn never_n31_a_proxy_that_copies_identity_headers_is_given_none_to_overwrite_a_forged_one() {
    let world = asked(HTTP);
    let answer = ask(&world, "/page", "X-User: root\r\nX-Device: laptop\r\nCookie: a=b; session=x\r\n");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("x-user"), Some("anna"));
    assert_eq!(answer.header("x-device"), Some(""), "what the token does not say is overwritten, too");
    assert_eq!(answer.header("authorization"), Some(""));
    assert_eq!(answer.header("cookie"), Some("a=b"), "our own cookie stays outside");
}

#[test]
fn never_n32_a_look_alike_or_an_override_passes_a_proxy_that_only_copies_fields() {
    let world = asked(HTTP);
    for line in [
        "X_User: root",
        "X.User: root",
        "X-HTTP-Method-Override: DELETE",
        "X-Rewrite-URL: /admin/x",
        "X-Remote-User: root",
    ] {
        assert_eq!(ask(&world, "/page", &format!("{line}\r\n")).status, 400, "{line}");
    }
    assert_eq!(ask(&world, "/page", "X-Other: a\r\nX-Real-IP: 10.0.0.1\r\n").status, 200, "the counterpart");
    let world = asked("forward-auth = { protocol = \"ext-authz-http\", peers = [\"127.0.0.1\"] }");
    let lines = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 198.51.100.7\r\n";
    let answer = world.get("/page", &format!("{lines}X_User: root\r\nX-HTTP-Method-Override: DELETE\r\n"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let removed = answer.header("x-envoy-auth-headers-to-remove").unwrap();
    for name in ["x_user", "x-http-method-override", "authorization", "x-device"] {
        assert!(removed.split(',').any(|one| one == name), "{name} is not in {removed}");
    }
    assert_eq!(world.get("/admin/x", lines).status, 403, "the target of the question is judged");
    assert_eq!(world.get("/page", "").status, 400, "without the client's address and scheme nothing is");
}

//! D. Identity headers.

use serde_json::json;

use crate::h2::{Connection, fields};
use crate::keys;
use crate::world::{HOST, Setup, World};

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
    assert_eq!(seen.values("x-user"), ["anna"], "the counterpart: what is known is set");
    for empty in ["x-user-name", "x-groups", "x-device", "x-mail"] {
        assert!(seen.values(empty).is_empty(), "{empty}: {}", seen.head);
    }
}

#[test]
fn never_n32_a_look_alike_that_the_app_folds_into_the_header_gets_through() {
    let world = World::plain();
    for name in ["X_User", "x_user", "X-User_Name", "X_Forwarded_For"] {
        assert_eq!(world.get("/", &format!("{name}: forged\r\n")).status, 200, "{name}");
        assert!(!world.origin.last().holds("forged"), "{name}: {}", world.origin.last().head);
        let lower = name.to_ascii_lowercase();
        assert_eq!(world.h2_get("/", &[(lower.as_bytes(), b"forged")]).status(), 200, "{name}");
        assert!(!world.origin.last().holds("forged"), "{name}: {}", world.origin.last().head);
    }
    for name in ["X.User", "x.user", "X.USER", "X-User.Name", "X.Forwarded.For"] {
        assert_eq!(world.get("/", &format!("{name}: forged\r\n")).status, 200, "{name}");
        assert!(!world.origin.last().holds("forged"), "{name}: {}", world.origin.last().head);
    }
    for name in ["X-User ", "X-User\t", " X-User", "X~User", "X|User", "X!User", "X'User"] {
        let answer = world.all(&World::head("GET", "/", &format!("{name}: forged\r\n")));
        let arrived = answer.starts_with("HTTP/1.1 200") && world.origin.last().holds("forged");
        assert!(!arrived, "{name:?}: {}", world.origin.last().head);
    }
    // Office and mod_auth_openidc send such names: they are left out and counted, and the request passes.
    let dropped = || world.metric("portcullis_request_headers_dropped_total");
    let before = dropped();
    let lines = "X-FORMS_BASED_AUTH_ACCEPTED: t\r\nOIDC_CLAIM_sub: x\r\nA.B: c\r\n";
    assert_eq!(world.get("/", lines).status, 200);
    for name in ["x-forms_based_auth_accepted", "oidc_claim_sub", "a.b"] {
        assert!(world.origin.last().values(name).is_empty(), "{}", world.origin.last().head);
    }
    assert_eq!(dropped(), before + 3.0);
    assert_eq!(world.get("/", "X-Userx: mine\r\n").status, 200);
    assert!(world.origin.last().holds("mine"), "the counterpart: another header is left alone");
}

#[test]
fn never_n33_identity_is_smuggled_in_trailers() {
    let world = World::plain();
    // They are dropped, and neither the body nor the connection suffers.
    let served = |world: &World, path: &str| {
        let seen = world.origin.last();
        assert_eq!((seen.target(), seen.values("x-user"), seen.holds("abc")), (path, vec!["anna"], true));
        assert_eq!(seen.values("trailer"), [""; 0]);
        assert!(!world.origin.raw().contains("forged"), "{}", world.origin.raw());
    };
    let lines = "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-User\r\n";
    let mut bytes = World::head("POST", "/one", lines);
    bytes.extend_from_slice(
        b"3\r\nabc\r\n0\r\nX-User: forged\r\nX-Groups: forged\r\nContent-Length: 7\r\n\r\n",
    );
    let answer = world.all(&bytes);
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("forged"), "{answer}");
    served(&world, "/one");
    bytes.extend(World::head("GET", "/next", "Connection: close\r\n"));
    assert_eq!(world.all(&bytes).matches("HTTP/1.1 200").count(), 2);
    assert_eq!(world.origin.last().target(), "/next");
    let bearer = format!("Bearer {}", keys::token());
    let mut head = fields("POST", HOST, "/two");
    head.push((b"authorization", bearer.as_bytes()));
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    let answer = connection.ask(&head, Some(b"abc"), &[(b"x-user", b"forged"), (b"x-groups", b"forged")]);
    assert_eq!(answer.status(), 200, "{answer:?}");
    served(&world, "/two");
    let mut bytes = World::head("POST", "/", "Transfer-Encoding: chunked\r\n");
    bytes.extend_from_slice(b"3\r\nabc\r\n0\r\n\r\n");
    assert!(world.all(&bytes).starts_with("HTTP/1.1 200"), "the counterpart without trailers");
    assert!(world.origin.last().holds("abc"));
}

#[test]
fn never_n34_a_connection_header_drops_what_the_proxy_set() {
    let world = World::plain();
    for named in ["X-User", "x-user, close", "X-Forwarded-For", "Host", "Cookie", "Authorization", "\u{e9}"] {
        world.refuses_lines(&format!("Connection: {named}\r\n"));
    }
    assert!(world.h2_get("/", &[(b"connection", b"x-user")]).is_refusal());
    for option in ["keep-alive", "close", "Keep-Alive, TE"] {
        assert_eq!(
            world.get("/", &format!("Connection: {option}\r\n")).status,
            200,
            "the counterpart {option}"
        );
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
    assert_eq!(world.origin.last().values("x-mine"), ["1"], "the counterpart");
    let before = world.origin.hits();
    for doubled in [
        "Authorization: Bearer x\r\n",
        "Cookie: session=a; session=b\r\n",
        "Cookie: session=a\r\nCookie: session=b\r\n",
        "User-Agent: a\r\nUser-Agent: b\r\n",
    ] {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\n{doubled}\r\n",
            keys::token()
        );
        assert_eq!(world.bare(&head), 400, "{doubled:?}");
        if doubled.starts_with("Cookie") {
            let good = doubled.replace("=a", &format!("={}", keys::token()));
            let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{good}\r\n");
            assert_eq!(world.bare(&head), 401, "{doubled:?}: nobody learns the cookie's name");
        }
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
    for nobody in [&b"Bearer \xff\xfe"[..], b"Basic \xff", b"\xff"] {
        assert_eq!(send("Authorization", nobody, false), 401, "{nobody:?}");
    }
    let beside = format!("\r\nCookie: session={}", keys::token());
    for odd in [&b"Basic \xff"[..], b"Bearer\xff", b"\xff"] {
        assert_eq!(send("Authorization", &[odd, beside.as_bytes()].concat(), false), 400, "{odd:?}");
    }
    assert_eq!(send("Cookie", b"session=\xff", false), 401);
    assert_eq!(send("User-Agent", b"Mozilla/5.0 (Android) \xff", true), 400);
    assert_eq!(send("Sec-CH-UA-Platform", b"\"Windows\xff\"", true), 400);
    assert_eq!(send("Connection", b"\xff", true), 400);
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(send("X-Note", b"caf\xe9", true), 200, "the counterpart: nothing reads this one");
    let plain = [b"Basic eA==", beside.as_bytes()].concat();
    assert_eq!(send("Authorization", &plain, false), 200, "the counterpart: the cookie is the token");
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
        assert_eq!(seen.values("x-groups"), ["one%2Cadmins,two"], "a comma makes no further group");
        assert_eq!(seen.values("x-mail"), ["a%0D%0AX-Admin: 1"]);
        assert!(seen.head.is_ascii(), "{}", seen.head);
    } else {
        assert_eq!(status, 401);
    }
    let plain = keys::token_with(|claims| {
        claims["preferred_username"] = json!("Zo\u{eb}");
        claims["groups"] = json!(["one,admins", "two"]);
    });
    assert_eq!(world.with_token(&plain), 200, "the counterpart");
    assert_eq!(world.origin.last().values("x-user-name"), ["Zo%C3%AB"]);
    assert_eq!(world.origin.last().values("x-groups"), ["one%2Cadmins,two"]);
}

#[test]
fn never_n92_two_identities_reach_the_app_as_the_same_bytes() {
    let world = World::plain();
    let received = |change: &dyn Fn(&mut serde_json::Value), header: &str| {
        let token = keys::token_with(|claims| change(claims));
        assert_eq!(world.with_token(&token), 200);
        world.origin.last().values(header).iter().map(|value| (*value).to_owned()).collect::<Vec<_>>()
    };
    for (said, spelled) in [
        ("a", "a"),
        (" a", "%20a"),
        ("a ", "a%20"),
        ("%61", "%2561"),
        ("%20a", "%2520a"),
        ("a,b", "a%2Cb"),
        ("a%2Cb", "a%252Cb"),
        ("Zo\u{eb}", "Zo%C3%AB"),
        ("Zo%C3%AB", "Zo%25C3%25AB"),
    ] {
        assert_eq!(received(&|claims| claims["sub"] = json!(said), "x-user"), [spelled], "{said:?}");
        assert_eq!(received(&|claims| claims["preferred_username"] = json!(said), "x-user-name"), [spelled]);
        assert_eq!(received(&|claims| claims["deviceid"] = json!(said), "x-device"), [spelled]);
        assert_eq!(received(&|claims| claims["email"] = json!(said), "x-mail"), [spelled]);
        // An item has the same spelling whatever stands beside it, in groups as in claims.
        let list = json!([said, "b", "\u{fc}"]);
        let spelled = format!("{spelled},b,%C3%BC");
        assert_eq!(received(&|claims| claims["groups"] = list.clone(), "x-groups"), [spelled.as_str()]);
        assert_eq!(received(&|claims| claims["email"] = list.clone(), "x-mail"), [spelled.as_str()]);
    }
    assert!(received(&|claims| claims["groups"] = json!([]), "x-groups").is_empty(), "no group, no header");
    assert!(received(&|claims| claims["email"] = json!([]), "x-mail").is_empty());
    assert_eq!(received(&|claims| claims["email"] = json!(""), "x-mail"), [""]);
    for number in
        ["9007199254740992", "9007199254740993", "18446744073709551615", "-9007199254740993", "7", "1.5"]
    {
        let value: serde_json::Value = serde_json::from_str(number).unwrap();
        assert_eq!(received(&|claims| claims["email"] = value.clone(), "x-mail"), [number], "all digits");
    }
    let rounded =
        keys::claims().to_string().replace("\"anna@corp.example\",\"exp\"", "18446744073709551617,\"exp\"");
    assert!(rounded.contains("18446744073709551617"), "{rounded}");
    let before = world.origin.hits();
    assert_eq!(world.with_token(&keys::sign(&keys::EC, keys::HEADER, &rounded)), 401, "it would be rounded");
    assert_eq!(world.origin.hits(), before);
}

#[test]
fn never_n93_a_credential_that_nobody_verified_reaches_the_app() {
    let unsigned =
        format!("Bearer {}.{}.x", keys::b64(r#"{"alg":"none"}"#), keys::b64(keys::claims().to_string()));
    let good = keys::token();
    for (token, place) in [
        ("{ bearer = true, cookie = \"session\" }", format!("Cookie: session={good}\r\n")),
        ("{ bearer = false, cookie = \"session\" }", format!("Cookie: session={good}\r\n")),
        ("{ bearer = false, header = \"X-Token\" }", format!("X-Token: {good}\r\n")),
        ("{ bearer = false, cookie = \"session\", header = \"X-Token\" }", format!("X-Token: {good}\r\n")),
    ] {
        let takes_bearer = token.contains("bearer = true");
        let world = World::start(Setup { app: "forward-authorization = true", token, ..Setup::default() });
        let ask = |lines: &str| world.bare(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{place}{lines}\r\n"));
        for other in ["Basic YW5uYTp4", "Negotiate AAAA", "Digest username=\"root\"", "", "x"] {
            assert_eq!(ask(&format!("Authorization: {other}\r\n")), 400, "{token} {other:?}");
        }
        let bearer = if takes_bearer { 401 } else { 400 };
        assert_eq!(ask(&format!("Authorization: {unsigned}\r\n")), bearer, "{token}");
        let mut fields = fields("GET", HOST, "/");
        let (name, value) = place.trim_end().split_once(": ").unwrap();
        let name = name.to_ascii_lowercase();
        fields.push((name.as_bytes(), value.as_bytes()));
        fields.push((b"authorization", b"Basic YW5uYTp4"));
        assert_eq!(world.h2(&fields, None).status(), 400, "{token} over HTTP/2");
        assert_eq!(world.origin.hits(), 0);
        world.wait_for("the log", |world| world.log().contains("\"second-credential\""));

        assert_eq!(ask("Proxy-Authorization: Basic YW5uYTp4\r\n"), 200, "the counterpart: the token alone");
        let seen = world.origin.last();
        assert!(seen.values("authorization").is_empty() && !seen.holds("YW5uYTp4"), "{}", seen.head);
        assert!(!seen.holds(&good), "nor the token's own place: {}", seen.head);
        if takes_bearer {
            assert_eq!(world.with_token(&good), 200);
            let bearer = format!("Bearer {good}");
            assert_eq!(
                world.origin.last().values("authorization"),
                [bearer],
                "what was verified is forwarded"
            );
        }
    }
    // Where nothing is forwarded, a credential for somebody else is none of ours.
    let world = World::plain();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: session={good}\r\nAuthorization: Basic YW5uYTp4\r\n\r\n"
    );
    assert_eq!(world.bare(&head), 200);
    assert!(world.origin.last().values("authorization").is_empty());
}

/// Names that were seen to pass, and their kin; the whole list is in `portcullis_config::reserved`.
const BELIEVED: &[&str] = &[
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Forwarded-User",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Ssl",
    "X-Forwarded-Scheme",
    "X-Forwarded-Protocol",
    "X-Forwarded-Prefix",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "Remote-User",
    "Remote-Groups",
    "X-Remote-User",
    "X-Remote-Group",
    "X-WebAuth-User",
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-NAME",
    "X-MS-TOKEN-AAD-ID-TOKEN",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-IAP-JWT-Assertion",
    "Cf-Access-Authenticated-User-Email",
    "Cf-Connecting-IP",
    "X-Amzn-Oidc-Identity",
    "X-Authentik-Username",
    "X-Pomerium-Jwt-Assertion",
    "X-Vouch-User",
    "Tailscale-User-Login",
    "X-ARR-ClientCert",
    "X-Url-Scheme",
    "Front-End-Https",
    "X-Host",
    "X-Original-Host",
    "X-HTTP-Host-Override",
    "X-Override-Method",
    "X-HTTP-Method-Override",
    "X-Original-URL",
    "Forwarded-For",
    "Client-IP",
    "X-Client-IP",
    "X-Real-IP",
    "True-Client-IP",
    "Fastly-Client-IP",
    "X-Akamai-Edgescape",
    "X-Envoy-Peer-Metadata",
    "X-Middleware-Subrequest",
    "X-Sendfile-Type",
    "SSL-Client-Verify",
    "Client-Cert",
    "Script-Name",
    "Kubeflow-Userid",
];

#[test]
fn never_n93_a_header_that_apps_believe_reaches_the_app() {
    let world = World::plain();
    let listed = portcullis_config::reserved::RESERVED.iter().flat_map(|entry| match entry.family() {
        Some(prefix) => vec![format!("{prefix}user"), format!("{prefix}client-ip")],
        None => vec![entry.name.to_owned()],
    });
    // `_` is no sign for a header at all; rows N32 has it.
    let names: Vec<String> = BELIEVED
        .iter()
        .map(|name| (*name).to_owned())
        .chain(listed)
        .flat_map(|name| {
            [
                name.to_ascii_uppercase(),
                name.replace('-', "."),
                name.replacen('-', "~", 1),
                name.to_ascii_lowercase(),
            ]
        })
        .collect();
    for some in names.chunks(60) {
        let lines: String = some.iter().map(|name| format!("{name}: forged\r\n")).collect();
        assert_eq!(world.get("/", &format!("{lines}X-Mine: 1\r\n")).status, 200, "{lines}");
        let seen = world.origin.last();
        assert!(!seen.holds("forged"), "{}", seen.head);
        assert_eq!(seen.values("x-mine"), ["1"], "the counterpart: another header passes");
        let lower: Vec<String> = some.iter().map(|name| name.to_ascii_lowercase()).collect();
        let more: Vec<(&[u8], &[u8])> = lower.iter().map(|name| (name.as_bytes(), &b"forged"[..])).collect();
        assert_eq!(world.h2_get("/", &more).status(), 200);
        assert!(!world.origin.last().holds("forged"), "{}", world.origin.last().head);
    }
}

#[test]
fn never_n93_a_header_that_an_app_allows_passes_in_that_spelling_alone() {
    let world =
        World::start(Setup { app: "allow-headers = [\"Cf-Ray\", \"X-User-Id\"]", ..Setup::default() });
    let lines = "Cf-Ray: mine\r\nx-user-ID: mine\r\nCf.Ray: forged\r\nCf-Connecting-IP: forged\r\nX.User-Id: forged\r\nX-User: forged\r\n";
    assert_eq!(world.get("/", lines).status, 200);
    let seen = world.origin.last();
    assert_eq!((seen.values("cf-ray"), seen.values("x-user-id")), (vec!["mine"], vec!["mine"]));
    assert!(!seen.holds("forged"), "{}", seen.head);
    for never in
        ["X-Original-URL", "X-HTTP-Method-Override", "X-Forwarded-For", "X-User", "X_User_Id", "Cookie"]
    {
        let refused = World::launch_with(Setup::default(), |folder| {
            let file = folder.join("portcullis.toml");
            let text = std::fs::read_to_string(&file).unwrap();
            let line = format!("unmatched = \"allow\"\nallow-headers = [\"{never}\"]");
            std::fs::write(&file, text.replace("unmatched = \"allow\"", &line)).unwrap();
        });
        let said = refused.err().unwrap_or_default();
        assert!(said.contains("app/allow-header"), "{never}: {said}");
    }
}

//! L. Found on ourselves: spellings of a path that an app serves as the same page, and paths that apps need.

use std::io::Write;
use std::net::TcpStream;

use crate::wire::answer;
use crate::world::{HOST, POLICIES, Setup, World};
use crate::{h2, keys};

/// A policy that blocks these paths.
fn block(paths: &str) -> String {
    format!(
        "[[policy]]\nid = \"no\"\nusers = {{ include = [\"all\"] }}\napps = {{ include = [\"all\"] }}\ngrant = \"block\"\nconditions = {{ request = {{ paths = {paths} }} }}\n"
    )
}

/// How many requests were refused for this reason, whichever the app.
fn reason(world: &World, reason: &str) -> f64 {
    let (text, label) = (world.admin_get("/metrics", "").body, format!("reason=\"{reason}\""));
    let counts =
        text.lines().filter(|line| line.starts_with("portcullis_refusals_total") && line.contains(&label));
    counts
        .map(|line| line.split("} ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Asserts that both protocols answer this target so, and that nothing reaches the app unless they let it in.
fn answers(world: &World, target: &str, status: u16) {
    let before = world.origin.hits();
    assert_eq!(world.get(target, "").status, status, "HTTP/1 {target}");
    assert_eq!(world.h2_get(target, &[]).status(), status, "HTTP/2 {target}");
    let reached = world.origin.hits() - before;
    assert_eq!(reached, if status == 200 { 2 } else { 0 }, "{target}");
    if status == 200 {
        assert_eq!(world.origin.last().target(), target, "the app receives what was sent");
    }
}

#[test]
fn never_n90_letter_case_or_a_slash_at_the_end_avoids_a_rule() {
    let world = World::start(Setup {
        policies: block(r#"["/admin/**", "/report", "/übung/**", "/%C3%A9tat"]"#),
        ..Setup::default()
    });
    for target in [
        "/admin",
        "/Admin",
        "/ADMIN/",
        "/aDmIn/users",
        "/admin/",
        "/admin/x/",
        "/report",
        "/report/",
        "/Report/",
        "/%c3%bcbung",
        "/%C3%9CBUNG/1",
        "/%C3%BCbung/",
        "/%C3%89TAT/",
        "/%C3%A9tat",
    ] {
        answers(&world, target, 403);
    }
    for target in ["/administrator", "/Report/x", "/reports", "/ubung", "/Public/", "/"] {
        answers(&world, target, 200);
    }
}

#[test]
fn never_n90_a_letter_whose_capital_is_several_avoids_a_rule() {
    let rules = block(r#"["/staff/**", "/office", "/straße/**", "/%C7%B0"]"#);
    let world = World::start(Setup { policies: rules.clone(), ..Setup::default() });
    // `ﬀ`, `ﬆ`, `ﬃ`, `ß`, `ẞ` and `ǰ` are names of the same files on APFS, HFS+ and casefolded ext4.
    let spellings = [
        "/sta%EF%AC%80",
        "/%EF%AC%86aff/x",
        "/o%EF%AC%83ce",
        "/strasse/x",
        "/STRASSE",
        "/stra%E1%BA%9Ee",
        "/J%CC%8C",
    ];
    for target in ["/staff", "/STAFF/x", "/office", "/stra%C3%9Fe", "/%C7%B0"].iter().chain(&spellings) {
        answers(&world, target, 403);
    }
    for target in ["/sta%C3%9F", "/stras", "/officer", "/stra%C3%9F"] {
        answers(&world, target, 200);
    }
    let world =
        World::start(Setup { policies: rules, app: "paths = \"case-sensitive\"", ..Setup::default() });
    for target in spellings {
        answers(&world, target, 200);
    }
}

#[test]
fn never_n90_what_is_a_letter_to_some_servers_alone_spares_from_a_rule() {
    let world = World::start(Setup {
        policies: r#"
[[policy]]
id = "vault"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/vault/**"], exclude-paths = ["/vault/strasse/**", "/vault/files"] } }

[[policy]]
id = "stronger"
users = { include = ["all"] }
authentication-contexts = ["c1"]
grant = "block"
"#
        .to_owned(),
        app: "paths = \"case-insensitive\"\ncontexts = [{ path = \"/hr\", context = \"c1\" }, { path = \"/hr/files\", context = \"c2\" }]",
        ..Setup::default()
    });
    for target in ["/vault/STRASSE/x", "/Vault/FILES", "/hr/FILES"] {
        answers(&world, target, 200);
    }
    for target in [
        "/vault/stra%C3%9Fe/x",
        "/vault/%EF%AC%81les",
        "/vault/f%C4%B1les",
        "/hr/%EF%AC%81les",
        "/hr/f%C4%B1les",
    ] {
        answers(&world, target, 403);
    }
}

#[test]
fn never_n90_another_case_of_a_prefix_leads_to_a_laxer_app() {
    let vault = |lines: &str| {
        World::start(Setup {
            top: format!(
                "[[app]]\nid = \"vault\"\nhosts = [\"{HOST}\"]\npath = \"/vault\"\nupstreams = [\"http://127.0.0.1:9\"]\n{lines}\n"
            ),
            policies: block(r#"["/nothing"]"#),
            ..Setup::default()
        })
    };
    let world = vault("");
    for target in ["/vault", "/VAULT", "/Vault/", "/vAULT/door"] {
        answers(&world, target, 403);
    }
    answers(&world, "/vaults", 200);
    // Paths that lead to the one or the other, as one reads them.
    for target in ["//vault", "/x;/../vault", "/%2Fvault", "/;x/vault"] {
        answers(&world, target, 400);
    }
    assert!(reason(&world, "ambiguous-path") >= 6.0);
    let apart = vault("paths = \"case-sensitive\"");
    answers(&apart, "/vault", 403);
    answers(&apart, "/VAULT", 200);
}

#[test]
fn never_n90_another_spelling_of_a_path_needs_no_step_up() {
    let world = World::start(Setup {
        top: "[[strength]]\nname = \"strong\"\ncombinations = [[\"fido\"]]\n".to_owned(),
        app: "contexts = [{ path = \"/pay\", context = \"c1\" }, { path = \"/pay/help\", context = \"c2\" }]",
        policies: "[[policy]]\nid = \"step-up\"\nusers = { include = [\"all\"] }\nauthentication-contexts = [\"c1\"]\ngrant = { controls = [\"strength:strong\"] }\n".to_owned(),
        ..Setup::default()
    });
    for target in ["/pay", "/Pay", "/PAY/", "/pAy/now", "/pay/HELP"] {
        answers(&world, target, 401);
    }
    for target in ["/pay/help", "/pays", "/"] {
        answers(&world, target, 200);
    }
}

#[test]
fn never_n90_a_name_of_windows_or_a_look_alike_avoids_a_rule() {
    let forms = [
        (
            "trailing-dot",
            "path-trailing-dot",
            &["/admin./x", "/admin.", "/admin%20/x", "/admin%20", "/x/admin.%20"][..],
        ),
        (
            "stream-names",
            "path-stream-names",
            &["/admin::$DATA/x", "/admin:$i30:$INDEX_ALLOCATION/x", "/admin%3A%3A$DATA"],
        ),
        ("short-names", "path-short-names", &["/ADMIN~1/x", "/admin%7E1"]),
        (
            "session-segments",
            "path-session-segments",
            &["/(S(abc))/admin/x", "/ad/(s(x))min", "/(A(x)F(y))/admin"],
        ),
        (
            "invisible-characters",
            "path-invisible-characters",
            &["/admin%E2%80%8B", "/%E2%80%AEadmin", "/ad%C2%ADmin", "/%EF%BB%BFadmin"],
        ),
        (
            "look-alikes",
            "path-look-alikes",
            &["/%EF%BC%8Fadmin", "/admin%C2%A0", "/x/%EF%BC%8E%EF%BC%8E/admin", "/x%EF%BC%BCadmin"],
        ),
        (
            "decomposed",
            "path-decomposed",
            // The last three are one character each, which Normalization Form C replaces: U+F900, U+1F71, U+212B.
            &["/u%CC%88bung", "/a%CC%8Admin", "/%EF%A4%80", "/%E1%BD%B1/x", "/x/%E2%84%ABngstrom"],
        ),
        ("double-encoding", "path-double-encoding", &["/%2561dmin", "/x/%252e%252e/admin", "/%25u0061dmin"]),
    ];
    let world = World::plain();
    for (form, word, targets) in forms {
        for target in targets {
            answers(&world, target, 400);
        }
        assert_eq!(reason(&world, word), 2.0 * targets.len() as f64, "{form}");
        // A client without a token gets the same answer as at any other path.
        let status = world.bare(&format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", targets[0]));
        assert_eq!(status, 401, "{form} without a token");
    }
    // Each is allowed by its own name alone.
    for (allowed, _, _) in forms {
        let app: &'static str = format!("allow-paths = [\"{allowed}\"]").leak();
        let world = World::start(Setup { app, ..Setup::default() });
        for (form, _, targets) in forms {
            let target = targets[0];
            let status = if form == allowed { 200 } else { 400 };
            assert_eq!(world.get(target, "").status, status, "{target} where {allowed} is allowed");
        }
    }
}

#[test]
fn never_n90_a_destination_of_webdav_is_judged_by_nobody() {
    let world = World::start(Setup {
        top: format!(
            "[[app]]\nid = \"vault\"\nhosts = [\"{HOST}\"]\npath = \"/vault\"\nupstreams = [\"http://127.0.0.1:9\"]\nunmatched = \"allow\"\n"
        ),
        ..Setup::default()
    });
    let ask = |method: &str, destination: &str| {
        let before = world.origin.hits();
        let lines = format!("{destination}Connection: close\r\n");
        let answer = world.all(&World::head(method, "/public/a", &lines));
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(world.origin.hits() - before, usize::from(status == 200), "{method} {destination}");
        status
    };
    for method in ["COPY", "MOVE", "PUT"] {
        for (destination, status) in [
            ("Destination: http://wiki.test/public/b\r\n", 200),
            ("Destination: /public/b\r\n", 200),
            ("Destination: https://WIKI.test:443/public/b\r\n", 200),
            ("Destination: http://wiki.test/admin/b\r\n", 403),
            ("Destination: /ADMIN\r\n", 403),
            ("Destination: /vault/b\r\n", 400),
            ("Destination: http://other.test/public/b\r\n", 400),
            ("Destination: //other.test/public/b\r\n", 400),
            ("Destination: /public/../admin\r\n", 400),
            ("Destination: /public/b.\r\n", 400),
            ("Destination: /public%2Fb\r\n", 400),
            ("Destination: b\r\n", 400),
            ("Destination: /public/b\r\nDestination: /public/c\r\n", 400),
            ("Destination: /public/\u{e9}\r\n", 400),
        ] {
            assert_eq!(ask(method, destination), status, "{method} {destination}");
        }
    }
    assert_eq!(ask("MOVE", "Destination: http://wiki.test/public/b\r\n"), 200);
    assert_eq!(
        world.origin.last().values("destination"),
        ["http://wiki.test/public/b"],
        "the counterpart: as received"
    );
    let status = world.h2_get("/public/a", &[(b"destination", b"/admin/b")]).status();
    assert_eq!(status, 403, "over HTTP/2");
}

#[test]
fn never_n90_a_form_that_an_app_needs_hides_a_path_from_its_rules() {
    let world = World::start(Setup {
        app: "allow-paths = [\"encoded-slash\", \"path-parameters\", \"double-slash\"]",
        policies: format!("{POLICIES}{}", block(r#"["/g%2Fsecret/**", "/sub/secret"]"#)),
        ..Setup::default()
    });
    for target in [
        "/admin%2Fx",
        "/%2Fadmin",
        "/%2fADMIN%2fx",
        "//admin",
        "/admin//",
        "///admin/x",
        "/admin;x=1",
        "/admin;/public",
        "/;x/admin",
        "/admin%3Bx",
        "/g%2Fsecret/x",
        "/G%2fSECRET",
        "/sub//secret",
        "/sub%2Fsecret/",
        "/sub;a/secret;b",
        "/sub;a%2Fsecret/..%2F",
    ] {
        let status = if target.contains("..") { 400 } else { 403 };
        answers(&world, target, status);
    }
    for target in ["/a%2Fb", "/a;x=1/b", "//public", "/public%2Fadmins", "/x;/admin", "/g/secret"] {
        answers(&world, target, 200);
    }
    // An exclusion must hold of each reading.
    let spared = World::start(Setup {
        app: "allow-paths = [\"encoded-slash\", \"double-slash\"]",
        policies: block("[\"/**\"], exclude-paths = [\"/open/**\"]"),
        ..Setup::default()
    });
    for (target, status) in [
        ("/open", 200),
        ("/open/", 200),
        ("/open/x%2Fy", 200),
        ("/open%2Fx", 403),
        ("//open", 403),
        ("/OPEN", 403),
        ("/x%2Fopen", 403),
    ] {
        answers(&spared, target, status);
    }
}

/// An app: its name, its line, the paths that are blocked, URLs that pass and URLs that do not.
type BehindIt = (&'static str, &'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// What people put behind a proxy, with the URLs that their clients send.
#[test]
fn the_apps_of_the_table_work_with_one_line_each_and_rules_stay_right() {
    let apps: [BehindIt; 7] = [
        (
            "GitLab",
            "allow-paths = [\"encoded-slash\"]",
            r#"["/api/v4/projects/group%2Fsecret/**"]"#,
            &[
                "/api/v4/projects/group%2Fproject",
                "/api/v4/projects/group%2Fproject/repository/files/lib%2Fa%2Erb",
            ],
            &["/api/v4/projects/group%2Fsecret", "/API/v4/projects/Group%2fSecret/issues"],
        ),
        (
            "RabbitMQ",
            "allow-paths = [\"encoded-slash\"]",
            r#"["/api/queues/%2F/payroll", "/api/users/**"]"#,
            &["/api/queues/%2F/name", "/api/queues/%2f/name", "/api/exchanges/%2F/amq.topic"],
            &["/api/queues/%2F/payroll", "/api/queues/%2f/PAYROLL", "/api%2Fusers/guest"],
        ),
        (
            "npm",
            "allow-paths = [\"encoded-slash\"]",
            r#"["/@secret/**", "/-/user/**"]"#,
            &["/@scope%2fname", "/@scope%2Fname", "/@scope/name/-/name-1.0.0.tgz", "/left-pad"],
            &["/@secret%2fname", "/@SECRET%2Fname", "/@secret/name/-/name-1.0.0.tgz", "/%40secret%2fname"],
        ),
        (
            "Artifactory",
            "allow-paths = [\"path-parameters\"]",
            r#"["/artifactory/secret/**"]"#,
            &["/artifactory/libs/a.jar;prop=val", "/artifactory/libs;a=b/x/a.jar;c=d;e=f"],
            &[
                "/artifactory/secret;a=b/x.jar",
                "/artifactory;a=b/secret/x.jar;c=d",
                "/artifactory/SECRET/x.jar;c=d",
            ],
        ),
        (
            "Jupyter",
            "",
            r#"["/api/contents/secret/**"]"#,
            &[
                "/api/contents/My%20Notebook.ipynb",
                "/lab/tree/a%20b/C%23.ipynb",
                "/api/contents/100%25.csv",
                "/api/contents/%C3%BCbung.ipynb",
            ],
            &["/api/contents/secret/a%20b.ipynb", "/api/contents/Secret/C%23.ipynb"],
        ),
        (
            "a wiki with all titles",
            "allow-paths = [\"trailing-dot\", \"stream-names\", \"look-alikes\"]",
            r#"["/wiki/Apple_Inc./**"]"#,
            &["/wiki/Warner_Bros.", "/wiki/Std::vector", "/wiki/Who%E2%80%A6", "/wiki/C%23"],
            &["/wiki/Apple_Inc.", "/wiki/apple_inc./x"],
        ),
        (
            "a wiki",
            "",
            r#"["/wiki/C%23_secrets/**", "/wiki/50%25/**"]"#,
            &[
                "/wiki/C%23",
                "/wiki/100%25",
                "/wiki/100%25_wool",
                "/wiki/What%3F",
                "/wiki/AC|DC",
                "/wiki/2^10",
                "/w/index.php?title=C%23&x=a\\b",
            ],
            &["/wiki/C%23_secrets", "/wiki/c%23_Secrets/1", "/wiki/50%25/x"],
        ),
    ];
    for (name, app, paths, pass, stop) in apps {
        let world = World::start(Setup { app, policies: block(paths), ..Setup::default() });
        for target in pass {
            answers(&world, target, 200);
        }
        for target in stop {
            let status = world.get(target, "").status;
            assert_eq!(status, 403, "{name}: {target}");
        }
        answers(&world, "/a/%2e%2e/b", 400);
    }
}

#[test]
fn what_stands_in_a_query_is_the_apps() {
    let world = World::plain();
    for query in ["a\\b", "%zz", "a|b^c", "{}`~", "q=%", "a?b??", "x=/../..//;"] {
        let target = format!("/search?{query}");
        assert_eq!(world.get(&target, "").status, 200, "{target}");
        assert_eq!(world.origin.last().target(), target);
    }
    // Bytes that have no place in a URI are encoded, however the head is split; the app has one spelling of each.
    let head = |query: &[u8], lines: &str| {
        let rest =
            format!(" HTTP/1.1\r\nHost: {HOST}\r\n{lines}Authorization: Bearer {}\r\n\r\n", keys::token());
        [b"GET /search?q=", query, rest.as_bytes()].concat()
    };
    for (sent, received) in [
        (&b"caf\xe9"[..], "caf%E9"),
        (b"caf\xc3\xa9", "caf%C3%A9"),
        (b"\"a\"", "%22a%22"),
        (b"<x>?\xff\x80", "%3Cx%3E?%FF%80"),
    ] {
        let answer = world.all(&head(sent, "Connection: close\r\n"));
        assert_eq!(answer.split(' ').nth(1), Some("200"), "{}", sent.escape_ascii());
        assert_eq!(world.origin.last().target(), format!("/search?q={received}"));
    }
    // Byte by byte, and one after the other on a connection; what else stands in a head is not touched.
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_nodelay(true).unwrap();
    for (sent, received) in [(&b"\xe9?\"<"[..], "%E9?%22%3C"), (b"plain", "plain"), (b"\xe8", "%E8")] {
        let head = head(sent, "X-Latin: ?\u{e9}\"<>\r\n");
        let (line, rest) = head.split_at(head.iter().position(|byte| *byte == b'\r').unwrap());
        for byte in line {
            stream.write_all(&[*byte]).unwrap();
        }
        stream.write_all(rest).unwrap();
        assert_eq!(answer(&mut stream, false).status, 200);
        assert_eq!(world.origin.last().target(), format!("/search?q={received}"));
        assert_eq!(world.origin.last().values("x-latin"), ["?\u{e9}\"<>"]);
    }
    // Controls, spaces and DEL are refused, as everywhere in a head; nothing of them is encoded.
    let before = world.origin.hits();
    for bad in [&b"a b"[..], b"a\tb", b"a\x01b", b"a\x7fb", b"a\0b", b"\xe9 \xe9", b"\xe9#x", b"\xe9\x0b"] {
        let answer = world.all(&head(bad, "Connection: close\r\n"));
        assert_eq!(answer.split(' ').nth(1), Some("400"), "{}", bad.escape_ascii());
    }
    // What follows a head is the next head: it is encoded as the first, and judged as the first.
    let answers = world.all(&[head(b"\xe9", ""), head(b"\xe8", "")].concat());
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    assert_eq!(world.origin.hits(), before + 2);
    assert_eq!(world.origin.last().target(), "/search?q=%E8");
    // Over HTTP/2 the grammar of `:path` is the library's: what is no URI ends the stream, or the connection.
    for path in [&b"/search?q=caf\xe9"[..], b"/search?q=\""] {
        let mut fields = h2::fields("GET", HOST, "/");
        fields.retain(|(name, _)| *name != b":path");
        fields.push((b":path", path));
        let answer = world.h2(&fields, None);
        assert!(
            matches!(answer, h2::Answer::Reset | h2::Answer::GoAway(1)),
            "{}: {answer:?}",
            path.escape_ascii()
        );
    }
    assert_eq!(world.origin.hits(), before + 2);
    // The path's rules are not the query's.
    assert_eq!(world.get("/admin?q=caf\\", "").status, 403);
}

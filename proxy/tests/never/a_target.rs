//! A. The policy must judge the request that the upstream will see.

use crate::keys;
use crate::world::{HOST, Setup, World};

#[test]
fn never_n01_a_path_with_dot_segments_is_judged_as_one_and_served_as_another() {
    let world = World::plain();
    for target in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/%2E%2E/admin",
        "/public/.%2e/admin",
        "/./admin",
        "/admin/.",
        "/..",
    ] {
        world.refuses_target(target);
    }
}

#[test]
fn never_n02_doubled_or_escaped_slashes_and_backslashes_reach_the_app() {
    let world = World::plain();
    for target in ["//admin", "/a//b", "/%2Fadmin", "/%5Cadmin", "/a\\b", "/a%5c..%5cadmin", "/a%C0%AFadmin"]
    {
        world.refuses_target(target);
    }
}

#[test]
fn never_n03_the_letter_case_of_an_escape_makes_two_paths_of_one() {
    let world = World::start(Setup {
        policies: r#"
[[policy]]
id = "no-me"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/u/@me"] } }
"#
        .to_owned(),
        ..Setup::default()
    });
    for target in ["/u%2fadmin", "/u%2Fadmin"] {
        world.refuses_target(target);
    }
    for target in ["/u/@me", "/u/%40me"] {
        assert_eq!(world.get(target, "").status, 403, "{target}");
        assert_eq!(world.h2_get(target, &[]).status(), 403, "{target}");
    }
    assert_eq!(world.get("/u/%40you", "").status, 200, "the counterpart");
    assert_eq!(world.origin.last().target(), "/u/%40you", "the app receives what was sent");
}

#[test]
fn never_n04_a_fragment_is_cut_off_for_the_rule_and_passed_on() {
    let world = World::plain();
    world.refuses_target("/admin#x");
    // Escaped it is a part of a name (`C%23`), which is judged and passed on as received (T1).
    for target in ["/a%23b", "/admin%23/public", "/public%23/admin"] {
        assert_eq!(world.get(target, "").status, 200, "{target}");
        assert_eq!(world.origin.last().target(), target);
    }
    world.refuses_target("/admin/a%23b");
    let before = world.origin.hits();
    for target in ["/public#/../admin", "/#", "/a?b#c"] {
        assert_eq!(world.get(target, "").status, 400, "{target}");
    }
    assert_eq!(world.origin.hits(), before);
    // Over HTTP/2 the fragment is gone before anybody could see it: what is judged is what is passed on.
    let world = World::start(Setup { log: "grants-one-in = 1", ..Setup::default() });
    for (asked, seen) in [
        ("/public#/../admin", "/public"),
        ("/seen?b#/admin", "/seen?b"),
        ("/hash#?x=/admin", "/hash"),
        ("/#/admin", "/"),
        ("/public#%2e%2e//admin", "/public"),
    ] {
        assert_eq!(world.h2_get(asked, &[]).status(), 200, "{asked}");
        assert_eq!(world.origin.last().target(), seen, "{asked}");
        let judged = format!("\"path\":\"{}\"", seen.split('?').next().unwrap());
        world.wait_for("it to be logged as it was judged", |world| world.log().contains(&judged));
    }
    let before = world.origin.hits();
    for (asked, status) in [("/admin#x", 403), ("/admin#/../public", 403), ("/admin/x#?y", 403)] {
        assert_eq!(world.h2_get(asked, &[]).status(), status, "{asked}");
    }
    assert_eq!(world.origin.hits(), before);
    assert!(!world.log().contains('#'), "{}", world.log());
}

#[test]
fn never_n05_the_query_takes_part_in_a_path_match() {
    let world = World::plain();
    for target in ["/admin?/public", "/admin/x?/../public", "/admin?"] {
        world.refuses_target(target);
    }
    for target in ["/public?/admin", "/public?x=/admin/"] {
        assert_eq!(world.get(target, "").status, 200, "{target}");
        assert_eq!(world.origin.last().target(), target, "the counterpart: a query is the app's alone");
    }
}

#[test]
fn never_n06_a_parameter_after_a_semicolon_hides_a_protected_path() {
    let world = World::plain();
    for target in ["/admin;x=1", "/admin;/public", "/public;/../admin", "/admin%3Bx", "/a;b/c"] {
        world.refuses_target(target);
    }
}

#[test]
fn never_n07_two_slashes_at_the_start_are_read_as_a_host() {
    let world = World::plain();
    for target in ["//evil.test/admin", "///evil.test/admin", "//wiki.test/admin"] {
        world.refuses_target(target);
    }
}

#[test]
fn never_n08_the_path_that_is_judged_is_not_the_path_that_is_served() {
    let world = World::start(Setup { app: "path = \"/team\"", ..Setup::default() });
    assert_eq!(world.get("/team/page?x=1", "").status, 200);
    assert_eq!(world.origin.last().target(), "/team/page?x=1", "no prefix is taken off, none is put on");
    // Apps that ignore case serve this as the same page, so it belongs to the same app (S1).
    assert_eq!(world.get("/TEAM/page", "").status, 200);
    assert_eq!(world.origin.last().target(), "/TEAM/page");
    let before = world.origin.hits();
    for target in ["/teammate", "/", "/team/../x", "/TEAMS/page"] {
        let status = world.get(target, "").status;
        assert!(matches!(status, 400 | 404), "{target}: {status}");
    }
    assert_eq!(world.origin.hits(), before);
}

#[test]
fn never_n09_the_policy_belongs_to_another_app_than_the_one_that_serves() {
    let world = World::start(Setup {
        app: "path = \"/\"",
        top: format!(
            "[[app]]\nid = \"vault\"\nhosts = [\"{HOST}\"]\npath = \"/vault\"\nupstreams = [\"http://127.0.0.1:9\"]\nunmatched = \"deny\"\n"
        ),
        ..Setup::default()
    });
    // The vault's upstream refuses connections: a 200 or 502 here would mean that the wiki's rules
    // let somebody into the vault.
    for target in ["/vault", "/vault/", "/vault/door"] {
        assert_eq!(world.get(target, "").status, 403, "{target}");
        assert_eq!(world.h2_get(target, &[]).status(), 403, "{target}");
    }
    assert_eq!(world.get("/vaults", "").status, 200, "the counterpart is the wiki's");
}

#[test]
fn never_n10_the_raw_and_the_decoded_form_of_a_path_get_different_decisions() {
    let world = World::plain();
    for target in ["/admin", "/%61dmin", "/admi%6E", "/admin%2fx", "/%2561dmin", "/a%64min/x"] {
        world.refuses_target(target);
    }
}

#[test]
fn never_n11_a_star_in_a_real_path_is_a_pattern() {
    let world = World::plain();
    for target in ["*", "/admin/*", "/admin/**"] {
        world.refuses_target(target);
    }
    assert_eq!(world.get("/*", "").status, 200, "the counterpart: a path like any other");
    assert_eq!(world.get("/**", "").status, 200);
    assert_eq!(world.get("/adm*n", "").status, 200, "it stands for no other path");
}

#[test]
fn never_n12_a_path_of_our_own_inside_a_url_switches_enforcement_off() {
    let world = World::plain();
    for target in
        ["/admin/healthz", "/admin/readyz", "/admin?x=/metrics", "/admin/logout", "/admin/favicon.ico"]
    {
        world.refuses_target(target);
    }
    for target in ["/healthz", "/readyz", "/metrics", "/logout", "/favicon.ico", "/robots.txt"] {
        let status = world.bare(&format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        assert_eq!(status, 401, "{target} without a token");
    }
    assert_eq!(world.get("/healthz", "").status, 200, "the counterpart: the app's own");
}

#[test]
fn never_n13_a_malformed_target_ends_in_anything_but_a_refusal() {
    let world = World::plain();
    for target in ["/%", "/%2", "/%zz", "/%u0041", "/a%00b", "/a%0d%0ab", "/\u{e9}", "/a%ff", "/{x}", "/a`b"]
    {
        world.refuses_target(target);
    }
    // No URI by RFC 3986, and what browsers send all the same: one spelling for the rules (T1).
    assert_eq!(world.get("/a|b", "").status, 200);
    assert_eq!(world.origin.last().target(), "/a|b");
}

#[test]
fn never_n14_an_http2_path_without_a_slash_slips_past() {
    let world = World::plain();
    for target in ["", "admin", "foo:bar", "*", "http://wiki.test/admin", "?x", "wiki.test/admin"] {
        let answer = world.h2_get(target, &[]);
        assert!(answer.is_refusal(), "{target:?}: {answer:?}");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.h2_get("/", &[]).status(), 200, "the counterpart");
    assert_eq!(world.origin.hits(), 1);
}

#[test]
fn never_n15_host_authority_target_and_scheme_disagree() {
    let world =
        World::start(Setup { hosts: "[\"wiki.test\", \"other.test\"]".to_owned(), ..Setup::default() });
    let token = keys::token();
    let bearer = format!("Authorization: Bearer {token}\r\n\r\n");
    for (target, hosts) in [
        ("http://other.test/", "Host: wiki.test\r\n"),
        ("http://wiki.test/", "Host: wiki.test\r\n"),
        ("https://wiki.test/", "Host: wiki.test\r\n"),
        ("/", "Host: wiki.test\r\nHost: other.test\r\n"),
        ("/", "Host: wiki.test, other.test\r\n"),
        ("/", "Host: wiki.test@other.test\r\n"),
        ("/", ""),
    ] {
        let status = world.bare(&format!("GET {target} HTTP/1.1\r\n{hosts}{bearer}"));
        assert_eq!(status, 400, "{target} {hosts:?}");
    }
    let answer = world.h2_get("/", &[(b"host", b"other.test")]);
    assert!(answer.is_refusal(), "{answer:?}");
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.h2_get("/", &[(b"host", b"wiki.test")]).status(), 200, "the counterpart agrees");
    assert_eq!(world.origin.last().values("host"), ["wiki.test"]);
    assert_eq!(world.bare(&format!("GET / HTTP/1.1\r\nHost: wiki.test\r\n{bearer}")), 200, "the counterpart");
    assert_eq!(world.origin.last().values("host"), ["wiki.test"]);
}

#[test]
fn never_n16_a_method_with_a_space_or_control_byte_is_accepted() {
    let world = World::start(Setup { app: "methods = [\"GET\", \"PROPFIND\"]", ..Setup::default() });
    for method in ["GET /admin", "GE\tT", "GET\0", "get", "G@T", "POST", "\u{e9}", "GET\u{b}"] {
        let status = world
            .all(&World::head(method, "/", ""))
            .split(' ')
            .nth(1)
            .map_or(0, |word| word.parse::<u16>().unwrap());
        assert!(matches!(status, 0 | 400 | 405), "{method:?}: {status}");
        let bearer = format!("Bearer {}", keys::token());
        let mut fields = crate::h2::fields(method, HOST, "/");
        fields.push((b"authorization", bearer.as_bytes()));
        let answer = world.h2(&fields, None);
        assert!(answer.is_refusal(), "{method:?}: {answer:?}");
    }
    assert_eq!(world.origin.hits(), 0);
    let counterpart = world.all(&World::head("PROPFIND", "/", "Connection: close\r\n"));
    assert!(counterpart.starts_with("HTTP/1.1 200"), "{counterpart}");
    assert_eq!(world.origin.hits(), 1);
}

#[test]
fn never_n17_a_nul_cuts_off_what_the_matcher_sees() {
    let world = World::plain();
    for target in ["/public\0/admin", "/admin\0", "/admin%00/public"] {
        world.refuses_target(target);
    }
    let before = world.origin.hits();
    for lines in ["X-User: a\0b\r\n", "X\0User: a\r\n", "Host\0: x\r\n"] {
        assert!(world.all(&World::head("GET", "/", lines)).starts_with("HTTP/1.1 400"), "{lines:?}");
    }
    assert!(world.h2_get("/", &[(b"x-test", b"a\0b")]).is_refusal());
    assert_eq!(world.origin.hits(), before);
    assert_eq!(world.get("/", "X-Test: ab\r\n").status, 200, "the counterpart");
}

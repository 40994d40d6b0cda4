//! B. Host names and letter case.

use crate::keys;
use crate::world::{HOST, Setup, World};

fn host_status(world: &World, host: &str, target: &str) -> u16 {
    world.bare(&format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\r\n",
        keys::token()
    ))
}

#[test]
fn never_n18_letter_case_or_a_trailing_dot_avoids_the_rules_of_a_host() {
    let world = World::plain();
    for host in ["wiki.test.", "WIKI.TEST.", "wiki.test..", ".wiki.test", "wiki.test.:80"] {
        assert_eq!(host_status(&world, host, "/"), 400, "{host}");
    }
    for host in ["WIKI.test", "wiki.TEST:8443", "wiki.test"] {
        assert_eq!(host_status(&world, host, "/admin/x"), 403, "{host} has the rules of its app");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(host_status(&world, "WIKI.test", "/"), 200, "the counterpart");
    let bearer = format!("Bearer {}", keys::token());
    for (authority, path, expected) in
        [("WIKI.test", "/admin", 403), ("wiki.test.", "/", 400), ("WIKI.test", "/", 200)]
    {
        let mut fields = crate::h2::fields("GET", authority, path);
        fields.push((b"authorization", bearer.as_bytes()));
        assert_eq!(world.h2(&fields, None).status(), expected, "{authority}{path}");
    }
}

#[test]
fn never_n19_the_number_of_hosts_changes_how_they_compare() {
    let mut hosts: Vec<String> = (0..300).map(|number| format!("\"h{number}.test\"")).collect();
    hosts.push(format!("\"{HOST}\""));
    let world = World::start(Setup { hosts: format!("[{}]", hosts.join(", ")), ..Setup::default() });
    for host in ["wiki.test", "WIKI.TEST", "H299.test", "h0.test"] {
        assert_eq!(host_status(&world, host, "/admin"), 403, "{host}");
        assert_eq!(host_status(&world, host, "/"), 200, "{host}");
    }
    assert_eq!(host_status(&world, "h300.test", "/"), 404);
}

#[test]
fn never_n20_two_spellings_of_one_user_are_two_identities() {
    let world = World::start(Setup {
        policies: "[[policy]]\nid = \"no-anna\"\nusers = { include = [\"user:Anna@Corp.example\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n".to_owned(),
        ..Setup::default()
    });
    for spelling in ["anna@corp.example", "ANNA@CORP.EXAMPLE", "Anna@Corp.example"] {
        let token = keys::token_with(|claims| claims["sub"] = spelling.into());
        assert_eq!(world.with_token(&token), 403, "{spelling}");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(world.with_token(&keys::token_with(|claims| claims["sub"] = "bob@corp.example".into())), 200);
}

#[test]
fn never_n21_an_address_with_two_at_signs_passes_a_domain_rule() {
    let world = World::start(Setup {
        policies: r#"
[[policy]]
id = "only-corp"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { claims = 'user.email -notEndsWith "@corp.example"' }
"#
        .to_owned(),
        ..Setup::default()
    });
    let with = |email: &str| world.with_token(&keys::token_with(|claims| claims["email"] = email.into()));
    assert_eq!(with("anna@corp.example"), 200, "the counterpart");
    let before = world.origin.hits();
    assert_eq!(with("anna@evil.example"), 403);
    for odd in [
        "anna@corp.example@evil.example",
        "a@evil@corp.example",
        "a@evil.example,b@corp.example",
        "a@evil.example b@corp.example",
    ] {
        let status = with(odd);
        assert!(matches!(status, 401 | 403), "{odd}: {status}");
    }
    assert_eq!(world.origin.hits(), before);
}

#[test]
fn never_n22_a_dot_in_a_configured_name_stands_for_any_letter() {
    let world = World::start(Setup {
        policies: r#"
[[policy]]
id = "no-report"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/report.pdf", "/v1.0/**"] } }
"#
        .to_owned(),
        ..Setup::default()
    });
    for host in ["wikiXtest", "wiki-test", "awiki.test", "wiki.test.evil.example", "evilwiki.test"] {
        assert_eq!(host_status(&world, host, "/"), 404, "{host}");
    }
    assert_eq!(world.origin.hits(), 0);
    for blocked in ["/report.pdf", "/v1.0/x", "/v1.0"] {
        assert_eq!(world.get(blocked, "").status, 403, "{blocked}");
    }
    for other in ["/reportXpdf", "/v1X0/x", "/x/report.pdf", "/report.pdfx", "/v1.00/x"] {
        assert_eq!(world.get(other, "").status, 200, "the counterpart {other} is another path");
    }
}

//! How much an answer shows, and to whom.

use portcullis_config::settings::{self, AppDenial, Disclosure, FullTo, PolicyDenial, SupportKey};
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode, ReasonSet, Refused};
use portcullis_policy::remedy::Remedies;
use portcullis_policy::signals::AppIndex;
use proptest::prelude::*;
use serde_json::Value;

use super::{
    BLOCKED, BROWSER, ID, NOW, REMEDIES, SCRIPT, TERMINAL, branding, config, denials, denials_of,
    every_refusal, facts, header, json, render, step_up_policies, text,
};
use crate::decision_record::{ClaimValue, DecisionRecord};
use crate::denial::{Denials, DeviceState, Facts, RequestHints, languages, parse_traceparent};
use crate::refusal::{BadRequest, BadToken, Refusal, Subcode};

#[test]
fn every_hole_escapes_what_is_put_into_it() {
    let attack =
        "</title></pre></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\r\n{app}{{lead}}";
    let hostile = Facts {
        app: Some((attack, attack)),
        user: Some(attack),
        device: DeviceState::Registered { id: attack },
        os_version: Some(attack),
        sign_in_url: Some("/x\"><script>"),
        ..facts()
    };
    let settings = settings::Denial {
        installation: attack.into(),
        contact_mail: Some(format!("a@b{attack}")),
        contact_url: Some("javascript:alert(1)".into()),
        remediation_url: Some(format!("https://x/{attack}")),
        accent: Some("red}</style>".into()),
        logo: Some(format!("data:image/png,{attack}")),
        ..branding()
    };
    let denials = denials_of(settings);
    for refusal in every_refusal() {
        let answer = render(&denials, &refusal, &hostile, &BROWSER, Disclosure::Full);
        let page = text(&answer);
        assert!(
            page.matches("<script").count() <= 1 && !page.contains("<img") && !page.contains("javascript:"),
            "{page}"
        );
        for once in ["</title>", "</style>", "</pre>", "<h1>", "</html>"] {
            assert_eq!(page.matches(once).count(), 1, "{once} in {page}");
        }
        assert!(!page.contains('\r') && !page.contains("href=\"/x"));
        let plain = render(&denials, &refusal, &hostile, &TERMINAL, Disclosure::Full);
        assert!(!text(&plain).contains('\r'));
        json(&render(&denials, &refusal, &hostile, &SCRIPT, Disclosure::Full));
    }
}

#[test]
fn no_name_can_add_a_line_or_turn_the_text_around() {
    let name = "x\nError code: 0\u{202e}\u{2028}\u{1b}[2J\u{200b}";
    let hostile = Facts { app: Some((name, name)), user: Some(name), ..facts() };
    let answer = render(&denials(), &BLOCKED, &hostile, &TERMINAL, Disclosure::Standard);
    assert!(!text(&answer).lines().any(|line| line == "Error code: 0"));
    for answer in [answer, render(&denials(), &BLOCKED, &hostile, &BROWSER, Disclosure::Standard)] {
        assert!(!text(&answer).contains(['\u{202e}', '\u{2028}', '\u{1b}', '\u{200b}']));
    }
}

#[test]
fn who_has_no_valid_token_learns_nothing_of_app_address_device_or_policy() {
    let bare = Facts { sign_in_url: Some("/sign-in"), ..Facts::of_request(ID, NOW) };
    let full = facts();
    let mut unsigned = vec![
        Refusal::NoApp,
        Refusal::NoToken,
        Refusal::KeysUnavailable,
        Refusal::Internal,
        Refusal::BodyTooLarge,
        Refusal::Loop,
    ];
    unsigned.extend(BadRequest::ALL.map(Refusal::BadRequest));
    unsigned.extend(BadToken::ALL.map(Refusal::BadToken));
    unsigned.extend(BadToken::ALL.map(Refusal::BadSession));
    let grpc = RequestHints { content_type: Some("application/grpc"), ..SCRIPT };
    let denials = denials();
    for refusal in unsigned {
        for hints in [BROWSER, SCRIPT, TERMINAL, grpc] {
            let one = render(&denials, &refusal, &bare, &hints, Disclosure::Full);
            for disclosure in [Disclosure::Minimal, Disclosure::Standard, Disclosure::Full] {
                let other = render(&denials, &refusal, &full, &hints, disclosure);
                assert_eq!(
                    (one.status, &one.body, &one.headers),
                    (other.status, &other.body, &other.headers)
                );
            }
        }
    }
}

#[test]
fn all_bad_tokens_look_the_same_but_an_expired_one() {
    let denials = denials();
    let of = |bad| render(&denials, &Refusal::BadToken(bad), &facts(), &SCRIPT, Disclosure::Standard);
    let first = of(BadToken::Malformed);
    let nobody = render(&denials, &Refusal::NoToken, &facts(), &SCRIPT, Disclosure::Standard);
    for bad in BadToken::ALL {
        let session = render(&denials, &Refusal::BadSession(bad), &facts(), &SCRIPT, Disclosure::Standard);
        assert_eq!((&session.body, &session.headers), (&nobody.body, &nobody.headers), "{bad:?}");
    }
    for bad in BadToken::ALL {
        let answer = of(bad);
        let same = (&answer.body, &answer.headers) == (&first.body, &first.headers);
        assert_eq!(
            same,
            !matches!(bad, BadToken::Expired | BadToken::Revoked | BadToken::NotTried),
            "{bad:?}"
        );
        assert_eq!(answer.status, if bad == BadToken::NotTried { 429 } else { 401 });
    }
    assert_eq!(json(&of(BadToken::Expired))["code"], 70043);
    assert_eq!(json(&of(BadToken::Revoked))["code"], 50173);
    assert_eq!(json(&first)["code"], 50013);
    let words = BadRequest::ALL
        .map(|bad| render(&denials, &Refusal::BadRequest(bad), &facts(), &SCRIPT, Disclosure::Standard).body);
    // A foreign origin is refused as RFC 6455 asks, with 403, and so is who may not ask for others; a method with 405, what
    // was sent over another host's connection with 421; all others with 400.
    let same = words.iter().filter(|word| **word == words[0]).count();
    assert_eq!(same, BadRequest::ALL.len() - 4);
}

#[test]
fn minimal_disclosure_shows_code_request_time_and_contact_only() {
    let denials = denials();
    let mut keys = Vec::new();
    for hints in [BROWSER, SCRIPT, TERMINAL] {
        let answer = render(&denials, &BLOCKED, &facts(), &hints, Disclosure::Minimal);
        for kept_back in
            ["Payroll", "payroll", "kari", "203.0.113.7", "NO (", "Windows", "5f3c2a10", "ompliant", "etwork"]
        {
            assert!(!text(&answer).contains(kept_back), "{kept_back}");
        }
        for shown in
            ["53003", "01937e2a-1b2c-7d3e-8f40-5162738495a6", "2026-11-24T02:31:06.123Z", "help@northwind"]
        {
            assert!(text(&answer).contains(shown), "{shown} in {}", text(&answer));
        }
        if let Ok(Value::Object(problem)) = serde_json::from_slice(&answer.body) {
            keys = problem.keys().cloned().collect();
        }
    }
    keys.sort();
    assert_eq!(
        keys,
        [
            "code",
            "detail",
            "error",
            "instance",
            "reference",
            "request_id",
            "retryable",
            "status",
            "support",
            "timestamp",
            "title",
            "type"
        ]
    );
}

#[test]
fn standard_disclosure_shows_the_own_facts_and_all_failing_classes() {
    let reasons = ReasonSet::EMPTY.with(ReasonCode::BlockedByLocation).with(ReasonCode::DeviceNotCompliant);
    let refusal = Refusal::Policy(
        Refused { primary: ReasonCode::BlockedByLocation, reasons, temporary: false },
        Subcode::None,
    );
    let problem = json(&render(&denials(), &refusal, &facts(), &SCRIPT, Disclosure::Standard));
    assert_eq!(problem["type"], "urn:portcullis:denial:53003");
    assert_eq!(problem["status"], 403);
    assert_eq!(problem["instance"], "urn:uuid:01937e2a-1b2c-7d3e-8f40-5162738495a6");
    assert_eq!(problem["resolution"], "change_context");
    assert_eq!(problem["retryable"], false);
    assert_eq!(problem["reasons"][0]["class"], "location");
    assert_eq!(problem["reasons"][1]["class"], "device");
    assert_eq!(problem["reasons"][1]["code"], 53000);
    assert_eq!(problem["remedies"][0]["kind"], "leave_network");
    assert_eq!(problem["app"]["id"], "payroll");
    assert_eq!(problem["client"]["ip"], "203.0.113.7");
    assert_eq!(problem["client"]["country"], "NO");
    assert_eq!(problem["client"]["device_state"], "Not compliant");
    assert_eq!(problem["support"]["mail"], "help@northwind.example");

    let page = render(&denials(), &refusal, &facts(), &BROWSER, Disclosure::Standard);
    let page = text(&page);
    for shown in [
        "<title>You can’t open “Payroll” from here right now – Northwind access</title>",
        "<h1>You can’t open <span class=\"app\">“<bdi>Payroll</bdi>”</span> from here right now</h1>",
        "You are signed in as <b><bdi>kari@northwind.example</bdi></b>.",
        "Your password is not the problem.",
        "You are at <bdi>203.0.113.7</bdi>, <bdi>Norway</bdi> (approximate).",
        "<dt>Device state</dt><dd>Not compliant</dd>",
        "<dt>Device platform</dt><dd>Windows 10.0.22631</dd>",
        "<dt>Decision by</dt><dd>Northwind access</dd>",
        "Fix this device",
        "mailto:help@northwind.example?subject=C9SR-95D6",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert_eq!((page.matches("<h1>").count(), page.matches("<main>").count()), (1, 1));
    assert_eq!(page.matches("<dt>").count(), 13, "{page}");
}

#[test]
fn the_block_to_copy_holds_neither_user_nor_address_nor_device_id() {
    let answer = render(&denials(), &BLOCKED, &facts(), &BROWSER, Disclosure::Full);
    let block = text(&answer).split_once("<pre").unwrap().1.split_once("</pre>").unwrap().0.to_owned();
    assert!(block.contains("Reference: C9SR-95D6\nError code: 53003\nTime: 2026-"), "{block}");
    assert!(!block.contains("kari") && !block.contains("203.0") && !block.contains("5f3c2a10"), "{block}");
}

#[test]
fn a_missing_country_is_not_invented() {
    let facts = Facts { country_unavailable: true, ..facts() };
    let problem = json(&render(&denials(), &BLOCKED, &facts, &SCRIPT, Disclosure::Standard));
    assert_eq!(problem["client"]["country"], Value::Null);
}

#[test]
fn the_strictest_of_the_refusing_policies_decides_how_much_is_shown() {
    use Disclosure::{Full, Minimal, Standard};
    let say =
        |disclosure, message: Option<&str>| PolicyDenial { disclosure, message: message.map(str::to_owned) };
    let denials = denials_of(settings::Denial {
        apps: vec![AppDenial::default(), AppDenial { disclosure: Some(Minimal), language: None }],
        policies: vec![
            say(None, Some("standard words")),
            say(Some(Full), Some("full words")),
            say(Some(Minimal), Some("minimal words")),
        ],
        ..branding()
    });
    let at = |app: u32, results: &[(u32, PolicyResult)]| {
        let applied: Vec<_> = results.iter().map(|(at, result)| (PolicyIndex(*at), *result)).collect();
        let facts = Facts { app_index: Some(AppIndex(app)), applied: &applied, ..facts() };
        denials.disclosure(&BLOCKED, &facts)
    };
    use PolicyResult::{Failure, Interrupted, ReportOnlyFailure, Success};
    assert_eq!(at(0, &[]), Standard);
    assert_eq!(at(1, &[]), Minimal);
    assert_eq!(at(0, &[(1, Failure)]), Full);
    assert_eq!(at(1, &[(1, Failure)]), Full, "the policy speaks for itself");
    assert_eq!(at(0, &[(0, Failure), (1, Failure)]), Standard);
    assert_eq!(at(0, &[(1, Failure), (2, Interrupted)]), Minimal);
    assert_eq!(at(0, &[(1, Failure), (2, Success), (2, ReportOnlyFailure)]), Full, "these did not refuse");

    let applied = [(PolicyIndex(1), Failure)];
    let facts = Facts { app_index: Some(AppIndex(0)), applied: &applied, ..facts() };
    let page = denials.render(&BLOCKED, &facts, &BROWSER);
    assert!(text(&page).contains("<p class=\"said\"><b>From your organisation</b><bdi>full words</bdi></p>"));
    assert_eq!(json(&denials.render(&BLOCKED, &facts, &SCRIPT))["messages"][0], "full words");
    let applied = [(PolicyIndex(0), Failure), (PolicyIndex(1), Failure)];
    let facts = Facts { applied: &applied, ..facts };
    assert!(!text(&denials.render(&BLOCKED, &facts, &BROWSER)).contains("words"));
}

#[test]
fn full_disclosure_can_be_kept_for_managed_devices() {
    let settings =
        settings::Denial { disclosure: Disclosure::Full, full_to: FullTo::ManagedDevices, ..branding() };
    let denials = denials_of(settings);
    let id = "d";
    for (device, shown) in [
        (DeviceState::Compliant { id }, Disclosure::Full),
        (DeviceState::HybridJoined { id }, Disclosure::Full),
        (DeviceState::NotCompliant { id }, Disclosure::Standard),
        (DeviceState::Registered { id }, Disclosure::Standard),
        (DeviceState::NotAvailable, Disclosure::Standard),
    ] {
        assert_eq!(denials.disclosure(&BLOCKED, &Facts { device, ..facts() }), shown, "{device:?}");
    }
}

#[test]
fn a_trace_is_shown_as_a_number_of_ours_or_not_at_all() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(parse_traceparent(&format!("00-{id}-00f067aa0ba902b7-01")), u128::from_str_radix(id, 16).ok());
    for bad in
        ["", "00", "00-x", "00-<script>-1-1", &format!("ff-{id}-1-1"), &format!("00-{}-1-1", "0".repeat(32))]
    {
        assert_eq!(parse_traceparent(bad), None, "{bad}");
    }
    let facts = Facts { trace_id: parse_traceparent(&format!("00-{id}-00f067aa0ba902b7-01")), ..facts() };
    assert_eq!(
        json(&render(&denials(), &BLOCKED, &facts, &SCRIPT, Disclosure::Standard))["correlation_id"],
        id
    );
    let unsigned = json(&render(&denials(), &Refusal::NoToken, &facts, &SCRIPT, Disclosure::Standard));
    assert_eq!(unsigned["correlation_id"], Value::Null);
}

/// What each level may hold of the things that could be shown.
fn shows(page: &str, thing: &str) -> bool {
    page.contains(thing)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn each_level_of_disclosure_holds_what_it_may_and_nothing_else(
        primary in 0_usize..22,
        more in 0_u32..(1 << 22),
        temporary in any::<bool>(),
        subcode in 0_usize..3,
        levels in proptest::collection::vec(0_usize..4, 3),
        failing in proptest::collection::vec(0_u32..3, 0..4),
        language in 0_usize..11,
        form in 0_usize..3,
        remedies in proptest::collection::vec(proptest::collection::vec(0_usize..17, 1..4), 0..4),
    ) {
        let level = |at: usize| [None, Some(Disclosure::Minimal), Some(Disclosure::Standard), Some(Disclosure::Full)][at];
        let policies = step_up_policies();
        let ids: Vec<String> = policies.policies.iter().flat_map(|policy| [policy.id.to_string(), policy.name.clone()]).collect();
        let said = levels.iter().enumerate().map(|(at, found)| PolicyDenial {
            disclosure: level(*found),
            message: Some(format!("MESSAGE{at}")),
        });
        let settings = settings::Denial { policies: said.collect(), support_keys: vec![SupportKey([3; 32])], ..branding() };
        let denials = Denials::new(&config(settings, policies), 1);
        let primary = ReasonCode::ALL[primary];
        let reasons = ReasonCode::ALL.into_iter().filter(|code| more & (1 << *code as u32) != 0);
        let reasons = reasons.fold(ReasonSet::EMPTY.with(primary), ReasonSet::with);
        let refusal = Refusal::Policy(Refused { primary, reasons, temporary }, Subcode::ALL[subcode]);
        let applied: Vec<_> = failing.iter().map(|at| (PolicyIndex(*at), PolicyResult::Failure)).collect();
        let remedies =
            Remedies::example(remedies.iter().map(|parts| parts.iter().map(|at| REMEDIES[*at]).collect()));
        let record = DecisionRecord {
            user: Some("SUBJECTID".into()),
            groups: Some(vec!["GROUPID".into()]),
            claims: vec![("dept".into(), ClaimValue::Text("CLAIMVALUE".into()))],
            user_risk: Some("high".into()),
            path: "/SECRETPATH".into(),
            ..DecisionRecord::default()
        };
        let facts = Facts { applied: &applied, remedies: Some(&remedies), record: Some(&record), ..facts() };
        let hints = RequestHints { accept_language: Some(languages::ALL[language].tag), ..[BROWSER, SCRIPT, TERMINAL][form] };
        let answer = denials.render(&refusal, &facts, &hints);
        let page = text(&answer).to_owned() + &format!("{:?}", answer.headers);
        let shown = failing.iter().map(|at| level(levels[*at as usize]).unwrap_or(Disclosure::Standard)).min().unwrap_or(Disclosure::Standard);

        for never in ["SUBJECTID", "GROUPID", "CLAIMVALUE", "SECRETPATH", "secret name"] {
            prop_assert!(!shows(&page, never), "{} in {}", never, page);
        }
        for id in &ids {
            prop_assert!(!shows(&page, id), "{} in {}", id, page);
        }
        for own in ["kari@northwind", "203.0.113.7", "5f3c2a10", "Payroll", "22631"] {
            prop_assert!(shown > Disclosure::Minimal || !shows(&page, own), "{} in {}", own, page);
        }
        if shown == Disclosure::Minimal {
            for part in ["\"reasons\"", "\"remedies\"", "class=\"label fail\"", "class=\"do\"", "class=\"seen\""] {
                prop_assert!(!shows(&page, part), "{} in {}", part, page);
            }
        } else if form != 2 {
            prop_assert!(shows(&page, "203.0.113.7") && shows(&page, "kari@northwind"), "{}", page);
        }
        for at in 0..3 {
            let may = shown == Disclosure::Full && failing.contains(&at);
            prop_assert!(may || !shows(&page, &format!("MESSAGE{at}")), "{}", page);
        }
        prop_assert!(shows(&page, "01937e2a-1b2c-7d3e-8f40-5162738495a6"));
        prop_assert_eq!(header(&answer, "content-language"), Some(languages::ALL[language].tag));
        let waits = refusal.info().resolution == crate::refusal::Resolution::RetryLater;
        if form == 1 {
            let problem = json(&answer);
            prop_assert_eq!(problem["status"].as_u64(), Some(refusal.info().status.into()));
            prop_assert!(problem["support"]["code"].is_string() && problem["support"]["mail"].is_string());
            if reasons.contains(ReasonCode::BlockedByRisk) && shown > Disclosure::Minimal && !waits {
                let kinds = ["administrator", "help_desk"];
                prop_assert!(kinds.contains(&problem["remedies"][0]["kind"].as_str().unwrap()), "{}", problem);
            }
        }
    }
}

//! What an answer says of what helps, and what it never suggests.

use std::sync::LazyLock;

use portcullis_config::settings::{self, Disclosure, PolicyDenial, Rate};
use portcullis_policy::PolicySet;
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::{
    ClientAppType, Conditions, Control, Grant, LocationSelector, Locations, Operator, Policy, SessionControls,
};
use portcullis_policy::remedy::{Finding, Remedies, Remedy, StrongerMethod};

use super::{
    BLOCKED, BROWSER, ID, NOW, SCRIPT, TERMINAL, branding, config, denials, every_answer, facts, header,
    json, policy, refused, render, text,
};
use crate::denial::{Counted, Denials, DeviceState, Facts, RequestHints};
use crate::limit::Quota;
use crate::refusal::{BadToken, Refusal, Sender, Subcode};

#[test]
fn a_structural_refusal_never_asks_to_wait_and_a_temporary_one_always_says_when() {
    for (refusal, answer) in every_answer(&facts()) {
        let temporary = refusal.info().resolution == crate::refusal::Resolution::RetryLater;
        assert_eq!(header(&answer, "retry-after"), temporary.then_some("120"), "{refusal:?}");
        let says = text(&answer);
        let is_limit = answer.status == 429;
        // For how long an app is worked at is its settings' to say.
        let when = match refusal {
            Refusal::Maintenance => "Try again after",
            _ => "Try again in 2 minutes, after",
        };
        assert_eq!(says.contains(when), temporary && !is_limit, "{refusal:?}: {says}");
        assert_eq!(says.contains("Wait a moment"), is_limit, "{refusal:?}: {says}");
        assert!(!(is_limit && says.contains("on our side")), "{refusal:?}: {says}");
        assert!(!(temporary && says.contains("rule of your organisation")), "{refusal:?}: {says}");
        assert!(temporary || !says.contains(">Try again<"), "{refusal:?}: {says}");
        assert!(!temporary || is_limit || answer.status >= 500, "{refusal:?}");
    }
}

#[test]
fn who_asks_too_often_is_answered_how_long_to_wait_and_a_stranger_nothing_else() {
    let rate = Rate { count: 10, per: std::time::Duration::from_secs(60), burst: 10 };
    let wait = std::time::Duration::from_millis(6_100);
    let quota = Quota { rate, left: 0, wait, until_full: wait, is_exceeded: true };
    let of = |refusal: Refusal, name| {
        let facts = Facts { exceeded: Some((name, quota)), ..facts() };
        let answer = render(&denials(), &refusal, &facts, &SCRIPT, Disclosure::Standard);
        assert_eq!((answer.status, header(&answer, "retry-after")), (429, Some("7")), "{refusal:?}");
        assert_eq!(header(&answer, "www-authenticate"), None);
        let problem = json(&answer);
        assert_eq!((&problem["retryable"], &problem["retry_after"]), (&true.into(), &7.into()));
        assert_eq!(problem["error"], "too_many_requests");
        let field = header(&answer, "ratelimit").map(str::to_owned);
        (problem, field, header(&answer, "ratelimit-policy").map(str::to_owned))
    };
    let (problem, field, policy) = of(Refusal::TooManyRequests(Sender::Principal), "principal");
    assert_eq!((problem["code"].as_u64(), problem["client"]["ip"].is_string()), (Some(880_203), true));
    assert_eq!(field.as_deref(), Some("\"principal\";r=0;t=7"));
    assert_eq!(policy.as_deref(), Some("\"principal\";q=10;w=60"));
    let (problem, field, _) = of(Refusal::TooManyRequests(Sender::Address), "address");
    assert_eq!((problem["code"].as_u64(), problem.get("client")), (Some(880_202), None));
    assert_eq!(field.as_deref(), Some("\"address\";r=0;t=7"));
    let (problem, field, policy) = of(Refusal::BadToken(BadToken::NotTried), "failed-verifications");
    assert_eq!((problem["code"].as_u64(), problem.get("client")), (Some(880_201), None));
    assert_eq!((field, policy), (None, None));
}

#[test]
fn try_again_is_offered_for_a_temporary_get_only() {
    let denials = denials();
    let page = |hints: &RequestHints<'_>| {
        let answer = render(&denials, &Refusal::KeysUnavailable, &facts(), hints, Disclosure::Standard);
        text(&answer).to_owned()
    };
    assert!(page(&BROWSER).contains("<a class=\"btn go\" href=\"\">Try again</a>"));
    assert!(!page(&RequestHints { method: "POST", ..BROWSER }).contains(">Try again</a>"));
}

#[test]
fn a_risk_is_never_named_and_nothing_is_offered_around_it() {
    for (_, answer) in every_answer(&facts()) {
        let says = text(&answer).to_lowercase();
        for word in ["risk", "threat", "suspicious", "compromised", "leaked", "anomal"] {
            assert!(!says.contains(word), "{word} in {says}");
        }
        assert!(answer.headers.iter().all(|(_, value)| !value.to_str().unwrap().contains("risk")));
    }
    let risk = refused(ReasonCode::BlockedByRisk);
    let problem = json(&render(&denials(), &risk, &facts(), &SCRIPT, Disclosure::Full));
    assert_eq!(problem["remedies"].as_array().unwrap().len(), 1);
    assert_eq!(problem["remedies"][0]["kind"], "administrator");
    assert_eq!(problem["reasons"][0]["class"], "policy");
    assert_eq!(problem["error"], "access_blocked");
}

#[test]
fn the_word_permission_never_sends_people_to_the_wrong_fix() {
    for (_, answer) in every_answer(&facts()) {
        let says = text(&answer).to_lowercase();
        assert!(!says.contains("permission") && !says.contains("aadsts"), "{says}");
    }
}

#[test]
fn a_sign_in_link_points_to_this_host_or_to_a_configured_page_only() {
    let page = |url: &str| {
        let facts = Facts { sign_in_url: Some(url), ..Facts::of_request(ID, NOW) };
        let answer = render(&denials(), &Refusal::NoToken, &facts, &BROWSER, Disclosure::Standard);
        text(&answer).contains(">Sign in</a>")
    };
    assert!(page("/sign-in?rd=%2F"));
    for bad in ["//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:x", "", "sign-in"]
    {
        assert!(!page(bad), "{bad}");
    }
}

/// A search that found that nothing helps.
static NOTHING: LazyLock<Remedies> =
    LazyLock::new(|| Remedies { finding: Finding::OnlyAdministrator, ..Remedies::NONE });

#[test]
fn a_risk_has_every_byte_of_a_plain_block() {
    let denials = denials();
    for remedies in [NOTHING.clone(), Remedies::NONE] {
        let facts = Facts { remedies: Some(&remedies), ..facts() };
        for hints in
            [BROWSER, SCRIPT, TERMINAL, RequestHints { content_type: Some("application/grpc"), ..SCRIPT }]
        {
            for shown in [Disclosure::Minimal, Disclosure::Standard, Disclosure::Full] {
                let plain = render(&denials, &refused(ReasonCode::Blocked), &facts, &hints, shown);
                let risk = render(&denials, &refused(ReasonCode::BlockedByRisk), &facts, &hints, shown);
                assert_eq!((plain.status, &plain.headers), (risk.status, &risk.headers));
                assert_eq!(text(&plain), text(&risk));
            }
        }
    }
}

#[test]
fn the_password_is_never_cleared_where_a_rule_is_not_explained_nor_to_a_program() {
    let says = |refusal: &Refusal, hints| {
        let facts = Facts { remedies: Some(&NOTHING), ..facts() };
        text(&render(&denials(), refusal, &facts, hints, Disclosure::Standard)).contains("password")
    };
    assert!(says(&BLOCKED, &BROWSER));
    assert!(!says(&BLOCKED, &SCRIPT) && !says(&BLOCKED, &TERMINAL));
    let risky = ReasonSet::EMPTY.with(ReasonCode::BlockedByLocation).with(ReasonCode::BlockedByRisk);
    let primary = ReasonCode::BlockedByLocation;
    let mixed = Refusal::Policy(Refused { primary, reasons: risky, temporary: false }, Subcode::None);
    for refusal in [mixed, refused(ReasonCode::BlockedByRisk), refused(ReasonCode::Blocked)] {
        assert!(!says(&refusal, &BROWSER), "{refusal:?}");
    }
}

#[test]
fn only_an_administrator_is_said_after_a_search_of_everything_alone() {
    let page = |finding| {
        let remedies = Remedies { finding, ..Remedies::NONE };
        let facts = Facts { remedies: Some(&remedies), repeats: Some(3), ..facts() };
        text(&render(&denials(), &BLOCKED, &facts, &BROWSER, Disclosure::Standard)).to_owned()
    };
    let administrator = "Only an administrator can change this";
    assert!(page(Finding::OnlyAdministrator).contains(administrator));
    let cut_short = page(Finding::NotFound);
    assert!(!cut_short.contains(administrator) && cut_short.contains("We found no change on your side"));
    let not_told = page(Finding::SignInNotTold);
    assert!(not_told.contains(administrator) && not_told.contains("does not tell how you signed in"));
    let beside_a_step = text(&render(
        &denials(),
        &BLOCKED,
        &Facts { repeats: Some(3), ..facts() },
        &BROWSER,
        Disclosure::Full,
    ))
    .to_owned();
    assert!(
        !beside_a_step.contains("rying again") && beside_a_step.contains("Check again"),
        "{beside_a_step}"
    );
}

#[test]
fn what_failed_and_has_no_step_is_listed_beside_the_steps() {
    let primary = ReasonCode::BlockedByLocation;
    let reasons =
        ReasonSet::EMPTY.with(primary).with(ReasonCode::DeviceNotCompliant).with(ReasonCode::BlockedByFlow);
    let refusal = Refusal::Policy(Refused { primary, reasons, temporary: false }, Subcode::None);
    let remedies = Remedies::example([vec![Remedy::LeaveNetwork, Remedy::CompliantDevice]]);
    let facts = Facts { remedies: Some(&remedies), ..facts() };
    let page = render(&denials(), &refusal, &facts, &BROWSER, Disclosure::Standard);
    assert!(
        text(&page)
            .contains("<ul class=\"seen\"><li>This way of signing in is not allowed for this app.</li></ul>"),
        "{}",
        text(&page)
    );
    assert!(text(&page).contains("Both steps are needed."));
}

#[test]
fn one_button_of_a_page_is_filled_and_each_step_has_its_own() {
    for (refusal, answer) in every_answer(&Facts { wait: Some("HANDLE"), report: Some("HANDLE"), ..facts() })
    {
        let page = text(&answer);
        if header(&answer, "content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            let main = page.split_once("<template").map_or(page, |(main, _)| main);
            assert!(main.matches("btn go").count() <= 1, "{refusal:?}: {main}");
        }
    }
    let three = [
        Remedy::StrongerSignIn { method: StrongerMethod::Mfa },
        Remedy::LeaveNetwork,
        Remedy::CompliantDevice,
    ];
    let remedies = Remedies::example([three.to_vec()]);
    let facts = Facts { remedies: Some(&remedies), ..facts() };
    let page = render(&denials(), &BLOCKED, &facts, &BROWSER, Disclosure::Standard);
    assert!(
        text(&page).contains("<a class=\"btn go\" href=\"/sign-in\">Sign in again</a>"),
        "{}",
        text(&page)
    );
    assert!(text(&page).contains("data-url=\"devices.northwind.example\">Fix this device</a>"));
    assert!(text(&page).contains("All 3 steps are needed."));
}

#[test]
fn a_page_waits_where_it_may_and_says_what_for() {
    let page = |wait, hints: &RequestHints<'_>, shown| {
        let facts = Facts { wait, ..facts() };
        text(&render(&denials(), &BLOCKED, &facts, hints, shown)).to_owned()
    };
    let waits = page(Some("HANDLE"), &BROWSER, Disclosure::Standard);
    assert!(waits.contains("data-wait=\"HANDLE\"") && waits.contains("<template id=\"done\""), "{waits}");
    assert!(waits.contains("You can open “Payroll” now"), "{waits}");
    let minimal = page(Some("HANDLE"), &BROWSER, Disclosure::Minimal);
    assert!(minimal.contains("data-wait=\"HANDLE\"") && !minimal.contains("Payroll"), "{minimal}");
    for still in [
        page(None, &BROWSER, Disclosure::Standard),
        page(Some("HANDLE"), &RequestHints { method: "POST", ..BROWSER }, Disclosure::Standard),
    ] {
        assert!(!still.contains("HANDLE") && !still.contains("by itself"), "{still}");
    }
}

#[test]
fn a_structural_refusal_that_comes_again_says_how_often_and_a_temporary_one_does_not() {
    let denials = denials();
    let ask = |refusal: &Refusal, hints: &RequestHints<'_>| {
        let is_page = hints.negotiate().is_page();
        let counted = Counted { app: "payroll", is_page, request_id: 7, now_unix_ms: NOW };
        let repeats = denials.count(refusal, "kari", &[], counted).shown();
        denials.render(refusal, &Facts { repeats, remedies: Some(&NOTHING), ..facts() }, hints)
    };
    assert!(!text(&ask(&BLOCKED, &BROWSER)).contains("Refused"));
    assert!(
        text(&ask(&BLOCKED, &BROWSER))
            .contains("Refused 2 times in the last 10 minutes; trying again will not")
    );
    for _ in 0..20 {
        assert!(
            !text(&ask(&BLOCKED, &SCRIPT)).contains("Refused"),
            "what a program was answered is no repetition"
        );
        assert!(!text(&ask(&BLOCKED, &TERMINAL)).contains("Refused"));
    }
    assert!(text(&ask(&BLOCKED, &BROWSER)).contains("Refused 3 times in the last 10 minutes"));
    for _ in 4..=10 {
        ask(&BLOCKED, &BROWSER);
    }
    assert!(text(&ask(&BLOCKED, &BROWSER)).contains("Refused more than 10 times in the last 10 minutes"));
    let Refusal::Policy(refused, subcode) = BLOCKED else { unreachable!() };
    let temporary = Refusal::Policy(Refused { temporary: true, ..refused }, subcode);
    for _ in 0..3 {
        assert!(!text(&ask(&temporary, &BROWSER)).contains("Refused"));
        assert!(!text(&ask(&Refusal::NoToken, &BROWSER)).contains("Refused"));
    }
}

#[test]
fn programs_are_told_each_step_and_which_belong_together() {
    let later = vec![Remedy::OtherSignInFlow, Remedy::LaterTime { at: 1_795_510_800 }];
    let remedies = Remedies::example([vec![Remedy::NewerOs], later]);
    let facts = Facts { remedies: Some(&remedies), ..facts() };
    let problem = json(&render(&denials(), &BLOCKED, &facts, &SCRIPT, Disclosure::Standard));
    assert_eq!(
        problem["remedies"],
        serde_json::json!([
            { "kind": "update_os", "text": "Update Windows", "seen": "This device reports version 10.0.22631.",
              "verified": true, "way": 1 },
            { "kind": "other_sign_in", "verified": true, "way": 2,
              "text": "Sign in directly on this device, not with a code and not by transfer from another device" },
            { "kind": "later_time", "text": "Come back later: Tuesday, 24 November 2026, 09:00 UTC", "verified": true, "way": 2 },
        ])
    );
    let plain = render(&denials(), &BLOCKED, &facts, &TERMINAL, Disclosure::Standard);
    assert!(
        text(&plain).contains(
            "One of these is enough.\n- Update Windows. This device reports version 10.0.22631.\nor\n\
             1. Sign in directly on this device, not with a code and not by transfer from another device\n\
             2. Come back later: Tuesday, 24 November 2026, 09:00 UTC\n"
        ),
        "{}",
        text(&plain)
    );
}

#[test]
fn a_version_is_shown_with_the_system_of_the_same_source_or_not_at_all() {
    let remedies = Remedies::example([vec![Remedy::NewerOs]]);
    for (device_os, name, version) in
        [(Some("macOS"), "Update <bdi>macOS</bdi><", true), (None, "Update <bdi>Windows</bdi><", false)]
    {
        let facts = Facts { remedies: Some(&remedies), device_os, ..facts() };
        let page = render(&denials(), &BLOCKED, &facts, &BROWSER, Disclosure::Standard);
        assert!(text(&page).contains(name), "{}", text(&page));
        assert_eq!(text(&page).contains("22631"), version, "{}", text(&page));
    }
}

#[test]
fn a_program_and_a_browser_without_device_identity_read_different_texts() {
    let remedies = Remedies::example([vec![Remedy::CompliantDevice]]);
    let of = |client_app, subcode| {
        let primary = ReasonCode::DeviceUnknown;
        let reasons = ReasonSet::EMPTY.with(primary);
        let refusal = Refusal::Policy(Refused { primary, reasons, temporary: false }, subcode);
        let facts = Facts {
            remedies: Some(&remedies),
            device: DeviceState::NotAvailable,
            client_app: Some(client_app),
            ..facts()
        };
        json(&render(&denials(), &refusal, &facts, &SCRIPT, Disclosure::Standard))
    };
    let browser = of(ClientAppType::Browser, Subcode::None);
    assert_eq!((&browser["code"], &browser["reasons"][0]["code"]), (&50097.into(), &50097.into()));
    assert!(browser["remedies"][0]["seen"].as_str().unwrap().contains("This browser did not show"));
    let program = of(ClientAppType::MobileAndDesktop, Subcode::DeviceClaimsMissing);
    assert_eq!((&program["code"], &program["reasons"][0]["code"]), (&50187.into(), &50187.into()));
    assert!(program["remedies"][0]["seen"].as_str().unwrap().contains("No device identity came with"));
}

#[test]
fn the_operators_words_stand_in_the_step_that_their_policy_is_about() {
    let location = Locations { include: vec![LocationSelector::All], exclude: Vec::new() };
    let conditions = Conditions { locations: Some(location), ..Conditions::default() };
    let of = |id, grant, conditions: Conditions| Policy {
        conditions: conditions.into(),
        ..policy(id, grant, SessionControls::default())
    };
    let device = Grant::Require { operator: Operator::And, controls: vec![Control::CompliantDevice] };
    let set = PolicySet {
        policies: vec![
            of("network", Grant::Block, conditions),
            of("device", device, Conditions::default()),
            of("other", Grant::Block, Conditions::default()),
        ],
        ..PolicySet::default()
    };
    let say = |text: &str| PolicyDenial { disclosure: None, message: Some(text.to_owned()) };
    let settings = settings::Denial {
        policies: vec![say("NETWORK WORDS"), say("DEVICE WORDS"), say("OTHER WORDS")],
        ..branding()
    };
    let denials = Denials::new(&config(settings, set), 1);
    let remedies = Remedies::example([vec![Remedy::LeaveNetwork, Remedy::CompliantDevice]]);
    let page = |refusing: [u32; 2]| {
        let applied = refusing.map(|at| (PolicyIndex(at), PolicyResult::Failure));
        let facts = Facts { remedies: Some(&remedies), applied: &applied, ..facts() };
        text(&render(&denials, &BLOCKED, &facts, &BROWSER, Disclosure::Full)).to_owned()
    };
    let both = page([1, 0]);
    let steps: Vec<&str> =
        both.split("<li>").skip(1).map(|rest| rest.split("</li>").next().unwrap()).collect();
    assert!(steps[0].contains("NETWORK WORDS") && !steps[0].contains("DEVICE WORDS"), "{}", steps[0]);
    assert!(steps[1].contains("DEVICE WORDS") && !steps[1].contains("NETWORK WORDS"), "{}", steps[1]);
    let below = page([0, 2]);
    let after = below.split_once("</ol>").unwrap().1;
    assert!(after.contains("OTHER WORDS") && !after.contains("NETWORK WORDS"), "{after}");
}

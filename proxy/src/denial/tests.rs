//! What a denial promises, over every refusal, form and disclosure.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use portcullis_config::Config;
use portcullis_config::settings::{
    self, AppDenial, DecisionLog, Disclosure, ForwardedHeader, FullTo, LogSink, PolicyDenial, Server,
    Subject, SupportKey, TrustedProxies,
};
use portcullis_policy::PolicySet;
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::{
    AuthenticationStrength, ClientAppType, Conditions, Control, CountryCode, Evidence, Grant, Operator,
    Platform, Policy, PolicyId, PolicyState, SessionControls, SignInFrequency, Subjects, Targets, Users,
};
use portcullis_policy::remedy::Remedy;
use portcullis_policy::signals::AppIndex;
use proptest::prelude::*;
use serde_json::Value;

use super::{Answer, Denials, DeviceState, Facts, RequestHints, languages, parse_traceparent};
use crate::decision_record::{ClaimValue, DecisionRecord};
use crate::refusal::{BadRequest, BadToken, Refusal, Subcode};

const NOW: i64 = 1_795_487_466_123;
const ID: u128 = 0x0193_7e2a_1b2c_7d3e_8f40_5162_7384_95a6;
const BLOCKED: Refusal = refused(ReasonCode::BlockedByLocation);
const BROWSER: RequestHints<'static> = hints("text/html", Some("navigate"));
const SCRIPT: RequestHints<'static> = hints("application/json", None);
const TERMINAL: RequestHints<'static> = hints("text/plain", None);

const fn hints(accept: &'static str, mode: Option<&'static str>) -> RequestHints<'static> {
    RequestHints {
        method: "GET",
        is_upgrade: false,
        accept: Some(accept),
        query: None,
        accept_language: None,
        sec_fetch_mode: mode,
        sec_fetch_dest: None,
        x_requested_with: None,
        hx_request: false,
        content_type: None,
        user_agent: None,
        had_bearer: false,
    }
}

const fn refused(primary: ReasonCode) -> Refusal {
    let reasons = ReasonSet::EMPTY.with(primary);
    Refusal::Policy(Refused { primary, reasons, temporary: false }, Subcode::None)
}

fn branding() -> settings::Denial {
    settings::Denial {
        installation: "Northwind access".into(),
        contact_mail: Some("help@northwind.example".into()),
        contact_url: Some("https://help.northwind.example/".into()),
        remediation_url: Some("https://devices.northwind.example/".into()),
        ..settings::Denial::default()
    }
}

fn config(denial: settings::Denial, policies: PolicySet) -> Config {
    Config {
        server: Server {
            listeners: Vec::new(),
            admin: "127.0.0.1:9090".parse().unwrap(),
            threads: None,
            grace: std::time::Duration::ZERO,
            pre_stop_delay: std::time::Duration::ZERO,
            upgrade_socket: "u".into(),
            pid_file: "p".into(),
            client_idle: std::time::Duration::ZERO,
            upstream_pool: 0,
            body_bytes_max: 0,
            limits: settings::Limits {
                failed_verifications: settings::Rate {
                    count: 1,
                    per: std::time::Duration::from_secs(1),
                    burst: 1,
                },
            },
            decision_log: DecisionLog { sink: LogSink::Off, grants_one_in: None, access: None },
            process_log: settings::ProcessLog::Text,
            decision_subject: Subject::Hashed,
        },
        trusted_proxies: TrustedProxies { networks: Vec::new(), header: ForwardedHeader::XForwardedFor },
        issuers: Vec::new(),
        apps: Vec::new(),
        geo: None,
        denial,
        policies,
        files: Vec::new(),
    }
}

fn denials_of(denial: settings::Denial) -> Denials {
    Denials::new(&config(denial, PolicySet::default()), 1)
}

fn denials() -> Denials {
    denials_of(branding())
}

/// Asks each time a room that has counted no refusal yet.
fn render(
    denials: &Denials,
    refusal: &Refusal,
    facts: &Facts<'_>,
    hints: &RequestHints<'_>,
    shown: Disclosure,
) -> Answer {
    denials.repeats.forget();
    denials.render_at(refusal, facts, hints, shown)
}

static WAYS: LazyLock<Vec<Vec<Remedy>>> =
    LazyLock::new(|| vec![vec![Remedy::OtherNetwork], vec![Remedy::CompliantDevice]]);

/// One remedy of each kind.
const REMEDIES: [Remedy; 10] = [
    Remedy::OtherNetwork,
    Remedy::CompliantDevice,
    Remedy::HybridJoinedDevice,
    Remedy::RegisteredDevice,
    Remedy::DesktopOrMobileApp,
    Remedy::Browser,
    Remedy::StrongerSignIn,
    Remedy::SignInAgain,
    Remedy::NewerOs,
    Remedy::LaterTime { at: 0 },
];

fn facts() -> Facts<'static> {
    Facts {
        app: Some(("payroll", "Payroll")),
        user: Some("kari@northwind.example"),
        client: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        country: CountryCode::new("NO"),
        platform: Some(Platform::Windows),
        client_app: Some(ClientAppType::Browser),
        device: DeviceState::NotCompliant { id: "5f3c2a10-77aa-4c1e-9d6b-0a1b2c3d4e5f" },
        os_version: Some("10.0.22631"),
        remedies: &WAYS,
        sign_in_url: Some("/sign-in"),
        ..Facts::of_request(ID, NOW)
    }
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn every_refusal() -> Vec<Refusal> {
    let by_policies = |refusal: &Refusal| matches!(refusal, Refusal::Policy(..));
    let mut list: Vec<_> = Refusal::all().iter().copied().filter(|one| !by_policies(one)).collect();
    list.push(Refusal::Upstream { status: 504 });
    for primary in ReasonCode::ALL {
        for temporary in [false, true] {
            let reasons = ReasonCode::ALL.into_iter().fold(ReasonSet::EMPTY, ReasonSet::with);
            for reasons in [ReasonSet::EMPTY.with(primary), reasons] {
                for subcode in Subcode::ALL {
                    list.push(Refusal::Policy(Refused { primary, reasons, temporary }, subcode));
                }
            }
        }
    }
    list
}

fn every_answer(facts: &Facts<'_>) -> Vec<(Refusal, Answer)> {
    let denials = denials();
    let mut list = Vec::new();
    for refusal in every_refusal() {
        for hints in [BROWSER, SCRIPT, TERMINAL] {
            for disclosure in [Disclosure::Minimal, Disclosure::Standard, Disclosure::Full] {
                list.push((refusal, render(&denials, &refusal, facts, &hints, disclosure)));
            }
        }
    }
    list
}

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
            page.matches("<script").count() == 1 && !page.contains("<img") && !page.contains("javascript:"),
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
        assert_eq!(same, !matches!(bad, BadToken::Expired | BadToken::Revoked), "{bad:?}");
        assert_eq!(answer.status, 401);
    }
    assert_eq!(json(&of(BadToken::Expired))["code"], 70043);
    assert_eq!(json(&of(BadToken::Revoked))["code"], 50173);
    assert_eq!(json(&first)["code"], 50013);
    let words = BadRequest::ALL
        .map(|bad| render(&denials, &Refusal::BadRequest(bad), &facts(), &SCRIPT, Disclosure::Standard).body);
    // A foreign origin is refused as RFC 6455 asks, with 403, a method with 405, what came over another host's
    // connection with 421; all others with 400.
    let same = words.iter().filter(|word| **word == words[0]).count();
    assert_eq!(same, BadRequest::ALL.len() - 3);
}

#[test]
fn the_page_stays_below_12_kb_whatever_is_put_into_it() {
    for long in ["\"".repeat(5000), "𝔘".repeat(5000)] {
        let link = format!("/sign-in?rd={}", "a".repeat(400));
        let alternatives = vec![REMEDIES.to_vec(); 50];
        let claims = vec![("claim".into(), ClaimValue::Text(long.chars().take(400).collect())); 64];
        let record = DecisionRecord { user: Some(long.clone()), claims, ..DecisionRecord::default() };
        let facts = Facts {
            record: Some(&record),
            trace_id: Some(u128::MAX),
            app: Some((&long, &long)),
            user: Some(&long),
            device: DeviceState::NotCompliant { id: &long },
            os_version: Some(&long),
            remedies: &alternatives,
            sign_in_url: Some(&link),
            ..facts()
        };
        for logo in [None, Some(format!("data:image/png;base64,{}", "A".repeat(60_000)))] {
            let denials = denials_of(settings::Denial {
                logo,
                installation: long.clone(),
                support_keys: vec![SupportKey([1; 32])],
                ..branding()
            });
            for refusal in every_refusal() {
                let answer = render(&denials, &refusal, &facts, &BROWSER, Disclosure::Full);
                assert!(answer.body.len() < 12 * 1024, "{} bytes: {}", answer.body.len(), text(&answer));
            }
        }
    }
    let usual = render(&denials(), &BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    assert!(usual.body.len() < 8 * 1024, "{} bytes", usual.body.len());
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
    assert_eq!(problem["remedies"][0]["kind"], "other_network");
    assert_eq!(problem["app"]["id"], "payroll");
    assert_eq!(problem["client"]["ip"], "203.0.113.7");
    assert_eq!(problem["client"]["country"], "NO");
    assert_eq!(problem["client"]["device_state"], "Not compliant");
    assert_eq!(problem["support"]["mail"], "help@northwind.example");

    let page = render(&denials(), &refusal, &facts(), &BROWSER, Disclosure::Standard);
    let page = text(&page);
    for shown in [
        "You can’t open Payroll from here right now",
        "You are signed in as kari@northwind.example.",
        "We see you at 203.0.113.7, NO (approximate).",
        "<dt>Device state</dt><dd>Not compliant</dd>",
        "<dt>Decision by</dt><dd>Northwind access</dd>",
        "Fix this device",
        "mailto:help@northwind.example?subject=Access%20refused%2C%20code%2053003",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert_eq!((page.matches("<h1>").count(), page.matches("<main>").count()), (1, 1));
    assert_eq!(page.matches("<dt>").count(), 13);
}

#[test]
fn the_block_to_copy_holds_neither_user_nor_address_nor_device_id() {
    let answer = render(&denials(), &BLOCKED, &facts(), &BROWSER, Disclosure::Full);
    let block = text(&answer).split_once("<pre").unwrap().1.split_once("</pre>").unwrap().0.to_owned();
    assert!(block.contains("Error code: 53003\nRequest ID: 01937e2a"), "{block}");
    assert!(!block.contains("kari") && !block.contains("203.0") && !block.contains("5f3c2a10"), "{block}");
}

#[test]
fn a_structural_refusal_never_asks_to_wait_and_a_temporary_one_always_says_when() {
    for (refusal, answer) in every_answer(&facts()) {
        let temporary = refusal.info().resolution == crate::refusal::Resolution::RetryLater;
        assert_eq!(header(&answer, "retry-after"), temporary.then_some("120"), "{refusal:?}");
        let says = text(&answer);
        assert_eq!(says.contains("try again in 2 minutes"), temporary, "{refusal:?}: {says}");
        assert!(!(temporary && says.contains("a rule of your organisation")), "{refusal:?}: {says}");
        assert!(temporary || !says.contains(">Try again<"), "{refusal:?}: {says}");
        assert!(!temporary || answer.status >= 500, "{refusal:?}");
    }
}

#[test]
fn try_again_is_offered_for_a_temporary_get_only() {
    let denials = denials();
    let page = |hints: &RequestHints<'_>| {
        let answer = render(&denials, &Refusal::KeysUnavailable, &facts(), hints, Disclosure::Standard);
        text(&answer).to_owned()
    };
    assert!(page(&BROWSER).contains("<a class=\"main\" href=\"\">Try again</a>"));
    assert!(!page(&RequestHints { method: "POST", ..BROWSER }).contains("Try again"));
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
fn every_denial_carries_the_protecting_headers() {
    for (refusal, answer) in every_answer(&facts()) {
        assert_eq!(answer.status, refusal.info().status);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-robots-tag", "noindex"),
            ("vary", "Accept, Accept-Language, Sec-Fetch-Mode"),
            ("content-language", "en"),
            ("x-request-id", "01937e2a-1b2c-7d3e-8f40-5162738495a6"),
        ] {
            assert_eq!(header(&answer, name), Some(value));
        }
        assert_eq!(header(&answer, "content-length"), Some(answer.body.len().to_string().as_str()));
        let csp = header(&answer, "content-security-policy").unwrap();
        assert!(csp.starts_with("default-src 'none'; style-src 'sha256-"), "{csp}");
        assert!(csp.ends_with("base-uri 'none'; frame-ancestors 'self'") && !csp.contains("unsafe"), "{csp}");
        assert!(header(&answer, "proxy-status").unwrap().starts_with("portcullis; error="));
    }
    let answer = render(&denials(), &BLOCKED, &facts(), &SCRIPT, Disclosure::Standard);
    assert_eq!(
        header(&answer, "proxy-status"),
        Some("portcullis; error=http_request_denied; details=\"53003\"")
    );
}

#[test]
fn the_content_policy_admits_exactly_the_style_of_the_page() {
    use base64::Engine as _;
    let answer = render(&denials(), &BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    let style = text(&answer).split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(digest);
    assert!(header(&answer, "content-security-policy").unwrap().contains(&format!("'sha256-{hash}'")));
    assert!(!text(&answer).contains("style=") && !text(&answer).contains("<link"));
}

#[test]
fn grpc_gets_trailers_only() {
    let hints = RequestHints { content_type: Some("application/grpc"), method: "POST", ..SCRIPT };
    for (refusal, status) in [
        (BLOCKED, "7"),
        (Refusal::NoToken, "16"),
        (refused(ReasonCode::MfaRequired), "16"),
        (Refusal::KeysUnavailable, "14"),
        (Refusal::Internal, "13"),
    ] {
        let answer = render(&denials(), &refusal, &facts(), &hints, Disclosure::Standard);
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(header(&answer, "grpc-status"), Some(status));
        assert_eq!(header(&answer, "content-type"), Some("application/grpc"));
    }
    let answer = render(&denials(), &BLOCKED, &facts(), &hints, Disclosure::Standard);
    let message = header(&answer, "grpc-message").unwrap();
    assert_eq!(message, "53003; request 01937e2a-1b2c-7d3e-8f40-5162738495a6");
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

#[test]
fn a_missing_country_is_not_invented() {
    let facts = Facts { country_unavailable: true, ..facts() };
    let problem = json(&render(&denials(), &BLOCKED, &facts, &SCRIPT, Disclosure::Standard));
    assert_eq!(problem["client"]["country"], Value::Null);
}

#[test]
fn a_time_beyond_the_calendar_still_renders() {
    for now_unix_ms in [i64::MIN, i64::MAX, -1, 0] {
        let facts = Facts { now_unix_ms, ..facts() };
        assert_eq!(render(&denials(), &BLOCKED, &facts, &BROWSER, Disclosure::Full).status, 403);
    }
}

fn policy(id: &str, grant: Grant, session: SessionControls) -> Policy {
    Policy {
        id: PolicyId::new(id).unwrap(),
        name: format!("secret name of {id}"),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users::default()).into(),
        targets: Targets::Contexts(Vec::new()).into(),
        conditions: Conditions::default().into(),
        grant,
        session,
    }
}

fn challenge(denials: &Denials, refusal: Refusal, facts: &Facts<'_>) -> Option<String> {
    let answer = render(denials, &refusal, facts, &SCRIPT, Disclosure::Standard);
    header(&answer, "www-authenticate").map(str::to_owned)
}

/// Three policies: a strength, another strength with a sign-in frequency, and MFA.
fn step_up_policies() -> PolicySet {
    let strength = |name: &str, acrs: &[&str]| AuthenticationStrength {
        name: name.into(),
        combinations: Vec::new(),
        acrs: acrs.iter().map(|acr| (*acr).to_owned()).collect(),
        contexts: Vec::new(),
    };
    let require = |control: Control| Grant::Require { operator: Operator::And, controls: vec![control] };
    let every = |secs| SessionControls {
        sign_in_frequency: Some(SignInFrequency::Every(std::time::Duration::from_secs(secs))),
        persistent_browser: None,
    };
    PolicySet {
        strengths: vec![strength("strong", &["phr", "bad\"value", "phrh"]), strength("stronger", &["phrh"])],
        evidence: Evidence { mfa_acrs: vec!["mfa".into(), "phr".into()], ..Evidence::default() },
        policies: vec![
            policy("secret-one", require(Control::Strength("strong".into())), SessionControls::default()),
            policy("secret-two", require(Control::Strength("stronger".into())), every(3_600)),
            policy("secret-three", require(Control::Mfa), every(600)),
        ],
        ..PolicySet::default()
    }
}

#[test]
fn challenges_are_those_of_rfc_6750_and_rfc_9470() {
    let denials = Denials::new(&config(branding(), step_up_policies()), 1);
    let of = |refusal, asking: &[u32]| {
        let applied: Vec<_> = asking.iter().map(|at| (PolicyIndex(*at), PolicyResult::Interrupted)).collect();
        challenge(&denials, refusal, &Facts { applied: &applied, ..facts() }).unwrap()
    };
    assert_eq!(of(Refusal::NoToken, &[]), "Bearer");
    assert_eq!(of(Refusal::BadToken(BadToken::Audience), &[]), "Bearer error=\"invalid_token\"");
    assert_eq!(
        of(Refusal::BadToken(BadToken::Expired), &[]),
        "Bearer error=\"invalid_token\", error_description=\"The access token expired\""
    );
    let step = "Bearer error=\"insufficient_user_authentication\"";
    let strength = refused(ReasonCode::StrengthRequired);
    assert_eq!(of(strength, &[0]), format!("{step}, acr_values=\"phr phrh\""));
    assert_eq!(of(strength, &[0, 1]), format!("{step}, acr_values=\"phrh\""), "one that satisfies both");
    assert_eq!(of(refused(ReasonCode::MfaRequired), &[2]), format!("{step}, acr_values=\"mfa phr\""));
    assert_eq!(of(refused(ReasonCode::SignInTooOld), &[1, 2]), format!("{step}, max_age=\"600\""));
    assert_eq!(of(refused(ReasonCode::SignInTooOld), &[]), format!("{step}, max_age=\"0\""));
    for refusal in every_refusal() {
        let asked = challenge(&denials, refusal, &facts());
        assert_eq!(asked.is_some(), refusal.info().status == 401, "{refusal:?}");
    }
}

/// The claims that a challenge of Microsoft's asks for.
fn asked_claims(challenge: &str) -> Value {
    use base64::Engine as _;
    let text = challenge.split_once("claims=\"").unwrap().1.trim_end_matches('"');
    let json = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    serde_json::from_slice::<Value>(&json).unwrap()["access_token"].clone()
}

#[test]
fn a_client_that_follows_claims_challenges_gets_one_and_no_other_client_does() {
    let denials = denials();
    let mut record = DecisionRecord { context: Some("c1".into()), ..DecisionRecord::default() };
    let tenant = "11111111-2222-3333-4444-555555555555";
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let of = |record: &DecisionRecord, issuer: &str, follows: bool| {
        let facts = Facts {
            record: Some(record),
            issuer: Some(issuer),
            follows_claims_challenges: follows,
            ..facts()
        };
        challenge(&denials, refused(ReasonCode::MfaRequired), &facts).unwrap()
    };
    // base64 of {"access_token":{"acrs":{"essential":true,"value":"c1"}}}
    assert_eq!(
        of(&record, &issuer, true),
        format!(
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize\", \
             error=\"insufficient_claims\", \
             claims=\"eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJlc3NlbnRpYWwiOnRydWUsInZhbHVlIjoiYzEifX19\""
        )
    );
    record.context = None;
    let by_time = of(&record, "https://id.example/", true);
    assert!(by_time.starts_with("Bearer realm=\"\", error=\"insufficient_claims\", claims=\""), "{by_time}");
    assert!(of(&record, &issuer, false).contains("insufficient_user_authentication"));
    let facts = Facts { record: Some(&record), follows_claims_challenges: true, ..facts() };
    assert_eq!(challenge(&denials, BLOCKED, &facts), None, "a block is never a challenge");
    assert_eq!(challenge(&denials, refused(ReasonCode::NotProvable), &facts), None, "nor what cannot come");
}

#[test]
fn a_challenge_asks_for_a_context_that_proves_what_is_missing_and_never_for_one_that_is_held() {
    let context = |name: &str| portcullis_policy::model::AuthenticationContext::new(name).unwrap();
    let require = |control: Control| Grant::Require { operator: Operator::And, controls: vec![control] };
    let of_route = Policy {
        targets: Targets::Contexts(vec![context("c5"), context("c6")]).into(),
        ..policy("of-route", require(Control::CompliantDevice), SessionControls::default())
    };
    let set = PolicySet {
        strengths: vec![AuthenticationStrength {
            name: "strong".into(),
            combinations: Vec::new(),
            acrs: Vec::new(),
            contexts: vec![context("c2"), context("c3")],
        }],
        evidence: Evidence { mfa_contexts: vec![context("c1"), context("c3")], ..Evidence::default() },
        policies: vec![
            policy("mfa", require(Control::Mfa), SessionControls::default()),
            policy("strong", require(Control::Strength("strong".into())), SessionControls::default()),
            of_route,
        ],
        ..PolicySet::default()
    };
    let denials = Denials::new(&config(branding(), set), 1);
    let of = |reasons: &[ReasonCode], asking: &[u32], asked: Option<&str>, held: &[&str], follows: bool| {
        let reasons_set = reasons.iter().fold(ReasonSet::EMPTY, |all, reason| all.with(*reason));
        let refused = Refused { primary: reasons[0], reasons: reasons_set, temporary: false };
        let applied: Vec<_> = asking.iter().map(|at| (PolicyIndex(*at), PolicyResult::Interrupted)).collect();
        let record = DecisionRecord {
            context: asked.map(str::to_owned),
            contexts: held.iter().map(|name| (*name).to_owned()).collect(),
            ..DecisionRecord::default()
        };
        let facts =
            Facts { record: Some(&record), applied: &applied, follows_claims_challenges: follows, ..facts() };
        challenge(&denials, Refusal::Policy(refused, Subcode::None), &facts).unwrap()
    };
    let claims = |reasons: &[ReasonCode], asking: &[u32], asked: Option<&str>, held: &[&str]| {
        asked_claims(&of(reasons, asking, asked, held, true))
    };
    let acrs = |name: &str| serde_json::json!({ "acrs": { "essential": true, "value": name } });
    let (mfa, strength, old) =
        (ReasonCode::MfaRequired, ReasonCode::StrengthRequired, ReasonCode::SignInTooOld);
    assert_eq!(claims(&[mfa], &[0], None, &[]), acrs("c1"), "no route asks for it");
    assert_eq!(claims(&[mfa, strength], &[0, 1], None, &[]), acrs("c3"), "one that proves both");
    assert_eq!(claims(&[strength], &[2], Some("c6"), &["c5"]), acrs("c6"), "the one of the route");
    assert_eq!(claims(&[mfa], &[0], Some("c5"), &["c5"]), acrs("c1"), "not the one that is held");
    let both = claims(&[mfa, old], &[0], None, &[]);
    assert_eq!(both["acrs"], acrs("c1")["acrs"]);
    assert!(both["nbf"]["essential"].as_bool().unwrap(), "{both}");
    let fresh = claims(&[old], &[2], Some("c5"), &["c5"]);
    assert!(fresh.get("acrs").is_none() && fresh.get("nbf").is_some(), "{fresh}");
    let plain = of(&[mfa, strength], &[0, 1], None, &[], false);
    assert_eq!(plain, "Bearer error=\"insufficient_user_authentication\", acr_values=\"c3\"");
}

#[test]
fn a_challenge_asks_for_nothing_that_the_token_holds_beside_what_is_missing() {
    use portcullis_policy::model::AuthenticationContext;

    let context = |name: &str| AuthenticationContext::new(name).unwrap();
    let strength = |name: &str, acr: &str, contexts: &[&str]| AuthenticationStrength {
        name: name.into(),
        combinations: Vec::new(),
        acrs: vec![acr.to_owned()],
        contexts: contexts.iter().map(|name| context(name)).collect(),
    };
    let controls =
        |names: &[&str]| names.iter().map(|name| Control::Strength((*name).into())).collect::<Vec<_>>();
    let require = |names: &[&str]| Grant::Require { operator: Operator::And, controls: controls(names) };
    let set = PolicySet {
        strengths: vec![
            strength("key", "gold", &["c2"]),
            strength("card", "silver", &["c3"]),
            strength("plain", "iron", &[]),
        ],
        policies: vec![
            policy("both", require(&["key", "card"]), SessionControls::default()),
            policy("key", require(&["key"]), SessionControls::default()),
            policy("card", require(&["card"]), SessionControls::default()),
            policy("plain", require(&["plain"]), SessionControls::default()),
        ],
        ..PolicySet::default()
    };
    let denials = Denials::new(&config(branding(), set), 1);
    let asked = |applied: &[(u32, PolicyResult)], acr: Option<&str>, held: &[&str], follows: bool| {
        let reasons = ReasonSet::EMPTY.with(ReasonCode::StrengthRequired);
        let refused = Refused { primary: ReasonCode::StrengthRequired, reasons, temporary: false };
        let applied: Vec<_> = applied.iter().map(|(at, result)| (PolicyIndex(*at), *result)).collect();
        let contexts = held.iter().map(|name| (*name).to_owned()).collect();
        let record = DecisionRecord { acr: acr.map(str::to_owned), contexts, ..DecisionRecord::default() };
        let facts =
            Facts { record: Some(&record), applied: &applied, follows_claims_challenges: follows, ..facts() };
        challenge(&denials, Refusal::Policy(refused, Subcode::None), &facts).unwrap()
    };
    let values = |text: &str| {
        text.split("acr_values=\"").nth(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
    };
    let unmet = PolicyResult::Interrupted;
    let plain =
        |applied: &[(u32, PolicyResult)], acr, held: &[&str]| values(&asked(applied, acr, held, false));
    let claims =
        |held: &[&str]| asked_claims(&asked(&[(0, unmet)], None, held, true))["acrs"]["value"].clone();
    // One of two strengths is proven already, by a context or by the class.
    assert_eq!(claims(&["c2"]), "c3");
    assert_eq!(claims(&["c3"]), "c2");
    assert_eq!(plain(&[(0, unmet)], None, &["c2"]).unwrap(), "silver");
    // The next class would replace the one that proves the other strength; a context comes beside it.
    assert_eq!(plain(&[(0, unmet)], Some("gold"), &[]).unwrap(), "c3");
    assert_eq!(plain(&[(1, PolicyResult::Success), (2, unmet)], Some("gold"), &[]).unwrap(), "c3");
    assert_eq!(plain(&[(0, unmet)], None, &[]).unwrap(), "c2", "no class proves both");
    // Where nothing but a class proves it, the class is asked for.
    assert_eq!(plain(&[(1, PolicyResult::Success), (3, unmet)], Some("gold"), &[]).unwrap(), "iron");
}

#[test]
fn every_language_renders_every_refusal_below_12_kb_and_says_which_it_is() {
    let denials = denials_of(settings::Denial { support_keys: vec![SupportKey([1; 32])], ..branding() });
    let record = DecisionRecord { user: Some("kari".into()), ..DecisionRecord::default() };
    let facts = Facts { record: Some(&record), ..facts() };
    for language in languages::ALL.iter() {
        let hints = RequestHints { accept_language: Some(language.tag), ..BROWSER };
        for refusal in every_refusal() {
            let answer = render(&denials, &refusal, &facts, &hints, Disclosure::Full);
            let page = text(&answer);
            assert!(answer.body.len() < 12 * 1024, "{}: {} bytes", language.tag, answer.body.len());
            assert!(page.contains(&format!("<html lang=\"{}\" dir=\"{}\">", language.tag, language.dir)));
            assert_eq!(header(&answer, "content-language"), Some(language.tag));
            assert!(!page.contains("{{") && !page.contains("{ $"), "{page}");
            assert_eq!(page.matches("hreflang").count(), 0);
            assert_eq!(page.matches("href=\"?lang=").count(), languages::ALL.len() - 1);
        }
    }
}

#[test]
fn labels_for_the_help_desk_are_english_in_every_language() {
    let block = |tag: &str| {
        let hints = RequestHints { accept_language: Some(tag), ..BROWSER };
        let answer = render(&denials(), &BLOCKED, &facts(), &hints, Disclosure::Standard);
        let page = text(&answer).to_owned();
        let details = page.split_once("<dl").unwrap().1.split_once("</dl>").unwrap().0.to_owned();
        let report = page.split_once("<pre").unwrap().1.split_once("</pre>").unwrap().0;
        (details, report.split_once('>').unwrap().1.to_owned())
    };
    for language in languages::ALL.iter() {
        assert_eq!(block(language.tag), block("en"), "{}", language.tag);
    }
}

#[test]
fn the_page_leads_to_itself_in_other_languages_only_when_it_was_read() {
    let answer = render(&denials(), &BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    assert!(text(&answer).contains("<a href=\"?lang=ja\" lang=\"ja\">日本語</a>"));
    let sent = RequestHints { method: "POST", ..BROWSER };
    assert!(!text(&render(&denials(), &BLOCKED, &facts(), &sent, Disclosure::Standard)).contains("?lang="));
    let followed = RequestHints { query: Some("lang=ja"), accept_language: Some("de"), ..BROWSER };
    let answer = render(&denials(), &BLOCKED, &facts(), &followed, Disclosure::Standard);
    assert_eq!(header(&answer, "content-language"), Some("ja"));
    assert!(
        text(&answer)
            .contains("サインインは成功しましたが、このリソースにアクセスするための条件を満たしていません。")
    );
}

#[test]
fn the_language_of_an_app_is_spoken_to_who_was_verified_alone() {
    let denials = denials_of(settings::Denial {
        language: "de",
        apps: vec![AppDenial { disclosure: None, language: Some("ja") }],
        ..branding()
    });
    let facts = Facts { app_index: Some(AppIndex(0)), ..facts() };
    let of = |refusal: Refusal| {
        let answer = render(&denials, &refusal, &facts, &SCRIPT, Disclosure::Standard);
        header(&answer, "content-language").unwrap().to_owned()
    };
    assert_eq!(of(BLOCKED), "ja");
    assert_eq!(of(Refusal::NoToken), "de");
    assert_eq!(of(Refusal::BadToken(BadToken::Signature)), "de");
}

#[test]
fn a_structural_refusal_that_comes_again_says_how_often_and_a_temporary_one_does_not() {
    let denials = denials();
    let ask = |refusal: &Refusal, hints: &RequestHints<'_>| {
        let repeats =
            matches!(refusal, Refusal::Policy(..)).then(|| denials.count(refusal, "kari", "payroll", NOW));
        denials.render(refusal, &Facts { repeats, ..facts() }, hints)
    };
    assert!(!text(&ask(&BLOCKED, &BROWSER)).contains("Refused"));
    assert!(
        text(&ask(&BLOCKED, &BROWSER)).contains("Refused 2 times within 10 minutes; trying again will not")
    );
    assert!(json(&ask(&BLOCKED, &SCRIPT))["detail"].as_str().unwrap().contains("Refused 3 times"));
    for _ in 4..=10 {
        ask(&BLOCKED, &TERMINAL);
    }
    let eleventh = ask(&BLOCKED, &TERMINAL);
    assert!(text(&eleventh).contains("Refused more than 10 times within 10 minutes"));
    assert_eq!(eleventh.repeats, 11);
    let Refusal::Policy(refused, subcode) = BLOCKED else { unreachable!() };
    let temporary = Refusal::Policy(Refused { temporary: true, ..refused }, subcode);
    for _ in 0..3 {
        assert!(!text(&ask(&temporary, &BROWSER)).contains("Refused"));
        assert!(!text(&ask(&Refusal::NoToken, &BROWSER)).contains("Refused"));
    }
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
    assert!(
        text(&page).contains(
            "<h2 id=\"message\">From your organisation</h2>\n<ul>\n<li dir=\"auto\">full words</li>"
        )
    );
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
        (DeviceState::Unregistered, Disclosure::Standard),
        (DeviceState::NotAvailable, Disclosure::Standard),
    ] {
        assert_eq!(denials.disclosure(&BLOCKED, &Facts { device, ..facts() }), shown, "{device:?}");
    }
}

#[test]
fn a_support_code_is_there_when_there_is_a_key_and_opens_to_the_whole_decision() {
    let record = DecisionRecord {
        app: "payroll".into(),
        user: Some("kari".into()),
        now: 5,
        ..DecisionRecord::default()
    };
    let applied = [(PolicyIndex(0), PolicyResult::Interrupted), (PolicyIndex(1), PolicyResult::Success)];
    let facts = Facts { record: Some(&record), applied: &applied, ..facts() };
    let settings = settings::Denial { support_keys: vec![SupportKey([1; 32])], ..branding() };
    let denials = Denials::new(&config(settings, step_up_policies()), 7);
    let refusal = refused(ReasonCode::StrengthRequired);
    let problem = json(&denials.render(&refusal, &facts, &SCRIPT));
    let opened = denials.open(problem["support"]["code"].as_str().unwrap()).unwrap();
    assert_eq!((opened.request_id, opened.now_unix_ms, opened.generation), (ID, NOW, 7));
    assert_eq!(opened.refusing, [("secret-one".to_owned(), "interrupted".to_owned())]);
    assert_eq!((opened.code, &opened.record), (50074, &record));
    assert_eq!(opened.policies_digest, denials.policies_digest());
    assert!(json(&denials.render(&Refusal::NoToken, &facts, &SCRIPT))["support"]["code"].is_null());
    let keyless = Denials::new(&config(branding(), step_up_policies()), 7);
    assert!(json(&keyless.render(&refusal, &facts, &SCRIPT))["support"]["code"].is_null());
    assert_ne!(denials.policies_digest(), denials_of(branding()).policies_digest());
}

#[test]
fn a_case_too_large_for_a_code_is_reduced_rather_than_left_out() {
    let mut record = DecisionRecord { user: Some("kari".into()), ..DecisionRecord::default() };
    record.claims = vec![("claim".into(), ClaimValue::Text("x".repeat(500))); 64];
    let settings = settings::Denial { support_keys: vec![SupportKey([1; 32])], ..branding() };
    let denials = denials_of(settings);
    let problem = json(&denials.render(&BLOCKED, &Facts { record: Some(&record), ..facts() }, &SCRIPT));
    let opened = denials.open(problem["support"]["code"].as_str().unwrap()).unwrap();
    assert!(opened.record.truncated && opened.record.user.as_deref() == Some("kari"));
}

#[test]
fn an_operators_template_is_filled_and_its_style_sheets_are_admitted() {
    let template = "<!doctype html><html lang=\"{{lang}}\" dir=\"{{dir}}\"><title>{{title}}</title>\
        <style>h1{color:red}</style><style media=screen>{{style}}</style><h1>{{headline}}</h1>{{lead}}\
        {{verdict}}{{message}}{{remedies}}{{actions}}{{reasons}}{{details}}{{report}}";
    let denials = denials_of(settings::Denial { template: Some(template.into()), ..branding() });
    let answer = render(&denials, &BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    assert!(text(&answer).contains("<h1>You can’t open Payroll from here right now</h1>You are signed in"));
    let policy = header(&answer, "content-security-policy").unwrap();
    for sheet in text(&answer).split("<style").skip(1) {
        let sheet = sheet.split_once('>').unwrap().1.split_once("</style>").unwrap().0;
        assert!(policy.contains(&super::page::hash(sheet)), "{policy}");
    }
    assert!(!policy.contains("script-src"), "no script, no source of scripts");
}

#[test]
fn the_content_policy_admits_exactly_the_script_of_the_page() {
    let answer = render(&denials(), &BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    let script = text(&answer).split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let policy = header(&answer, "content-security-policy").unwrap();
    assert!(policy.contains(&format!("script-src {};", super::page::hash(script))), "{policy}");
    assert_eq!(text(&answer).matches("<script").count(), 1);
}

#[test]
fn a_version_and_a_time_are_told_and_no_threshold() {
    let remedies = [vec![Remedy::NewerOs], vec![Remedy::LaterTime { at: 1_795_510_800 }, Remedy::Browser]];
    let facts = Facts { remedies: &remedies, ..facts() };
    let problem = json(&render(&denials(), &BLOCKED, &facts, &SCRIPT, Disclosure::Standard));
    assert_eq!(problem["remedies"][0]["kind"], "update_os");
    assert_eq!(problem["remedies"][0]["text"], "Update Windows. This device reports 10.0.22631.");
    assert_eq!(problem["remedies"][1]["kind"], "later_time+browser");
    assert_eq!(
        problem["remedies"][1]["text"],
        "All of this together: You may open this app again from 2026-11-24 09:00 UTC. \
         Open it in a browser instead of this app."
    );
}

#[test]
fn a_program_and_a_browser_without_device_identity_are_told_apart() {
    let remedies = [vec![Remedy::CompliantDevice]];
    let of = |client_app, subcode| {
        let primary = ReasonCode::DeviceUnknown;
        let reasons = ReasonSet::EMPTY.with(primary);
        let refusal = Refusal::Policy(Refused { primary, reasons, temporary: false }, subcode);
        let facts = Facts {
            remedies: &remedies,
            device: DeviceState::NotAvailable,
            client_app: Some(client_app),
            ..facts()
        };
        json(&render(&denials(), &refusal, &facts, &SCRIPT, Disclosure::Standard))
    };
    let browser = of(ClientAppType::Browser, Subcode::None);
    assert_eq!((&browser["code"], &browser["reasons"][0]["code"]), (&50097.into(), &50097.into()));
    assert!(browser["remedies"][0]["text"].as_str().unwrap().contains("This browser did not show"));
    let program = of(ClientAppType::MobileAndDesktop, Subcode::DeviceClaimsMissing);
    assert_eq!((&program["code"], &program["reasons"][0]["code"]), (&50187.into(), &50187.into()));
    assert!(program["remedies"][0]["text"].as_str().unwrap().contains("No device identity came with"));
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

/// What each level may hold of the things that could be told.
fn told(page: &str, thing: &str) -> bool {
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
        ways in proptest::collection::vec(proptest::collection::vec(0_usize..10, 1..3), 0..4),
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
        let ways: Vec<Vec<Remedy>> =
            ways.iter().map(|way| way.iter().map(|at| REMEDIES[*at]).collect()).collect();
        let record = DecisionRecord {
            user: Some("SUBJECTID".into()),
            groups: Some(vec!["GROUPID".into()]),
            claims: vec![("dept".into(), ClaimValue::Text("CLAIMVALUE".into()))],
            user_risk: Some("high".into()),
            path: "/SECRETPATH".into(),
            ..DecisionRecord::default()
        };
        let facts = Facts { applied: &applied, remedies: &ways, record: Some(&record), ..facts() };
        let hints = RequestHints { accept_language: Some(languages::ALL[language].tag), ..[BROWSER, SCRIPT, TERMINAL][form] };
        let answer = denials.render(&refusal, &facts, &hints);
        let page = text(&answer).to_owned() + &format!("{:?}", answer.headers);
        let shown = failing.iter().map(|at| level(levels[*at as usize]).unwrap_or(Disclosure::Standard)).min().unwrap_or(Disclosure::Standard);

        for never in ["SUBJECTID", "GROUPID", "CLAIMVALUE", "SECRETPATH", "secret name"] {
            prop_assert!(!told(&page, never), "{} in {}", never, page);
        }
        for id in &ids {
            prop_assert!(!told(&page, id), "{} in {}", id, page);
        }
        for own in ["kari@northwind", "203.0.113.7", "5f3c2a10", "Payroll", "22631"] {
            prop_assert!(shown > Disclosure::Minimal || !told(&page, own), "{} in {}", own, page);
        }
        if shown == Disclosure::Minimal {
            for kept in ["\"reasons\"", "\"remedies\"", "id=\"reasons\"", "id=\"remedies\""] {
                prop_assert!(!told(&page, kept), "{} in {}", kept, page);
            }
        } else if form != 2 {
            prop_assert!(told(&page, "203.0.113.7") && told(&page, "kari@northwind"), "{}", page);
        }
        for at in 0..3 {
            let may = shown == Disclosure::Full && failing.contains(&at);
            prop_assert!(may || !told(&page, &format!("MESSAGE{at}")), "{}", page);
        }
        prop_assert!(told(&page, "01937e2a-1b2c-7d3e-8f40-5162738495a6"));
        prop_assert_eq!(header(&answer, "content-language"), Some(languages::ALL[language].tag));
        let waits = refusal.info().resolution == crate::refusal::Resolution::RetryLater;
        if form == 1 {
            let problem = json(&answer);
            prop_assert_eq!(problem["status"].as_u64(), Some(refusal.info().status.into()));
            prop_assert!(problem["support"]["code"].is_string() && problem["support"]["mail"].is_string());
            if reasons.contains(ReasonCode::BlockedByRisk) && shown > Disclosure::Minimal && !waits {
                prop_assert_eq!(problem["remedies"][0]["kind"].as_str(), Some("administrator"));
            }
        }
    }
}

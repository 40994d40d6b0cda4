//! The page, its head, and the answer for gRPC.

use portcullis_config::settings::{self, Disclosure, SupportKey};
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::remedy::Remedies;

use super::{
    BLOCKED, BROWSER, REMEDIES, SCRIPT, branding, denials, denials_of, every_answer, every_refusal, facts,
    header, refused, render, text,
};
use crate::decision_record::{ClaimValue, DecisionRecord};
use crate::denial::{DeviceState, Facts, RequestHints, languages};
use crate::refusal::Refusal;

#[test]
fn the_page_stays_small_whatever_is_put_into_it() {
    for long in ["\"".repeat(5000), "𝔘".repeat(5000)] {
        let link = format!("/sign-in?rd={}", "a".repeat(400));
        let alternatives = Remedies::example(vec![REMEDIES[..2].to_vec(); 50]);
        let claims = vec![("claim".into(), ClaimValue::Text(long.chars().take(400).collect())); 64];
        let record = DecisionRecord { user: Some(long.clone()), claims, ..DecisionRecord::default() };
        let facts = Facts {
            record: Some(&record),
            trace_id: Some(u128::MAX),
            app: Some((&long, &long)),
            user: Some(&long),
            device: DeviceState::NotCompliant { id: &long },
            os_version: Some(&long),
            remedies: Some(&alternatives),
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
                assert!(answer.body.len() < 20 * 1024, "{} bytes: {}", answer.body.len(), text(&answer));
            }
        }
    }
}

#[test]
fn a_page_with_everything_on_it_is_below_14_kb_and_below_16_where_a_letter_is_three_bytes() {
    let denials = denials_of(settings::Denial { support_keys: vec![SupportKey([1; 32])], ..branding() });
    let (record, handle) = (DecisionRecord::default(), "A".repeat(160));
    let facts = Facts { record: Some(&record), wait: Some(&handle), report: Some(&handle), ..facts() };
    for language in languages::ALL.iter() {
        let hints = RequestHints { accept_language: Some(language.tag), ..BROWSER };
        let page = render(&denials, &BLOCKED, &facts, &hints, Disclosure::Standard);
        let most = if matches!(language.tag, "ar" | "hi" | "ja" | "uk") { 16 * 1024 } else { 14 * 1024 };
        assert!(page.body.len() < most, "{}: {} bytes", language.tag, page.body.len());
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
            ("vary", "Accept, Accept-Language, HX-Request, Origin, Sec-Fetch-Mode, User-Agent"),
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
        (Refusal::Upstream { status: 502 }, "14"),
        (Refusal::Upstream { status: 504 }, "4"),
    ] {
        let answer = render(&denials(), &refusal, &facts(), &hints, Disclosure::Standard);
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(header(&answer, "grpc-status"), Some(status));
        assert_eq!(header(&answer, "content-type"), Some("application/grpc"));
    }
    let answer = render(&denials(), &BLOCKED, &facts(), &hints, Disclosure::Standard);
    let message = header(&answer, "grpc-message").unwrap();
    assert!(
        message.starts_with("You can%E2%80%99t open %E2%80%9CPayroll%E2%80%9D from here right now."),
        "{message}"
    );
    assert!(message.ends_with(" [53003; reference C9SR-95D6]") && message.is_ascii(), "{message}");
}

#[test]
fn a_time_beyond_the_calendar_still_renders() {
    for now_unix_ms in [i64::MIN, i64::MAX, -1, 0] {
        let facts = Facts { now_unix_ms, ..facts() };
        assert_eq!(render(&denials(), &BLOCKED, &facts, &BROWSER, Disclosure::Full).status, 403);
    }
}

#[test]
fn an_operators_template_is_filled_and_its_style_sheets_are_admitted() {
    let template = "<!doctype html><html lang=\"{{lang}}\" dir=\"{{dir}}\"><title>{{title}}</title>\
        <style>h1{color:red}</style><style media=screen>{{style}}</style><h1>{{headline}}</h1>{{lead}}\
        {{verdict}}{{message}}{{remedies}}{{actions}}{{reasons}}{{details}}{{report}}";
    let denials = denials_of(settings::Denial { template: Some(template.into()), ..branding() });
    let answer = render(&denials, &BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    assert!(text(&answer).contains("<h1>You can’t open <span class=\"app\">“<bdi>Payroll</bdi>”</span> from here right now</h1>You are signed in"));
    let policy = header(&answer, "content-security-policy").unwrap();
    for sheet in text(&answer).split("<style").skip(1) {
        let sheet = sheet.split_once('>').unwrap().1.split_once("</style>").unwrap().0;
        assert!(policy.contains(&crate::denial::page::hash(sheet)), "{policy}");
    }
    assert!(!policy.contains("script-src"), "no script, no source of scripts");
}

#[test]
fn the_content_policy_admits_exactly_the_script_of_the_page() {
    let answer = render(&denials(), &BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    let script = text(&answer).split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let policy = header(&answer, "content-security-policy").unwrap();
    assert!(policy.contains(&format!("script-src {};", crate::denial::page::hash(script))), "{policy}");
    assert_eq!(text(&answer).matches("<script").count(), 1);
}

//! Where a denial leads whose app signs people in by us.

use portcullis_config::settings::Disclosure;
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::remedy::{Remedies, Remedy, StrongerMethod};

use super::{BLOCKED, BROWSER, denials, facts, header, refused, render, text};
use crate::denial::{Facts, OwnSignIn};
use crate::refusal::Refusal;

fn page(refusal: &Refusal, own: OwnSignIn<'_>, step_up_not_delivered: bool) -> String {
    let stronger = Remedies::example([vec![Remedy::StrongerSignIn { method: StrongerMethod::Mfa }]]);
    let remedies = if *refusal == BLOCKED { facts().remedies } else { Some(&stronger) };
    let facts =
        Facts { sign_in_url: None, own_sign_in: Some(own), step_up_not_delivered, remedies, ..facts() };
    text(&render(&denials(), refusal, &facts, &BROWSER, Disclosure::Standard)).to_owned()
}

const HERE: OwnSignIn<'static> = OwnSignIn { return_to: Some(b"/a?b=c&d"), has_session: true };
const AGAIN: &str =
    "<a class=\"btn go\" href=\"/.portcullis/sign-in?return=/a%3Fb%3Dc%26d\">Sign in again</a>";
const OTHER: &str = "<a href=\"/.portcullis/sign-in?return=/a%3Fb%3Dc%26d&amp;prompt=select_account\">Use another account</a>";
const OUT: &str = "<form class=\"who\" action=\"/.portcullis/sign-out\">";

#[test]
fn who_is_refused_may_take_another_account_or_sign_out_and_who_lacks_a_step_sign_in_again() {
    let blocked = page(&BLOCKED, HERE, false);
    assert!(
        blocked.contains(OTHER) && blocked.contains(OUT) && !blocked.contains("Sign in again</a>"),
        "{blocked}"
    );
    let asked = page(&refused(ReasonCode::MfaRequired), HERE, false);
    assert!(asked.contains(AGAIN) && asked.contains(OTHER) && asked.contains(OUT), "{asked}");
    let by_token = page(&BLOCKED, OwnSignIn { has_session: false, ..HERE }, false);
    assert!(!by_token.contains("sign-out"), "{by_token}");
}

#[test]
fn a_page_with_a_form_lets_the_form_name_its_origin() {
    let answer = |own_sign_in| {
        let facts = Facts { own_sign_in, ..facts() };
        render(&denials(), &BLOCKED, &facts, &BROWSER, Disclosure::Standard)
    };
    assert_eq!(header(&answer(Some(HERE)), "referrer-policy"), Some("same-origin"));
    let nothing_to_end = OwnSignIn { has_session: false, ..HERE };
    assert_eq!(header(&answer(Some(nothing_to_end)), "referrer-policy"), Some("no-referrer"));
}

#[test]
fn who_is_not_signed_in_gets_a_button_and_nothing_else() {
    let html = page(&Refusal::NoToken, OwnSignIn { has_session: false, ..HERE }, false);
    assert!(
        html.contains("<a class=\"btn go\" href=\"/.portcullis/sign-in?return=/a%3Fb%3Dc%26d\">Sign in</a>"),
        "{html}"
    );
    for absent in ["select_account", "sign-out", "<section", "<script", "50058", "C9SR", "Payroll"] {
        assert!(!html.contains(absent), "{absent}: {html}");
    }
}

#[test]
fn a_step_up_that_was_not_delivered_is_said_and_not_offered_again_as_what_helps() {
    let html = page(&refused(ReasonCode::MfaRequired), HERE, true);
    assert!(html.contains("your sign-in service did not do what this app asks for"), "{html}");
    assert!(!html.contains("Sign in again<") && !html.contains("stronger method"), "{html}");
    assert!(html.contains("50076") && html.contains(OTHER), "{html}");
}

#[test]
fn no_target_becomes_markup_or_leads_elsewhere_and_a_long_one_is_left_out() {
    for hostile in [
        "//evil.example/",
        "/\"><script>alert(1)</script>",
        "/a&prompt=none#x",
        "/%0d%0a",
        "*",
        "http://evil.example/",
    ] {
        let own = OwnSignIn { return_to: Some(hostile.as_bytes()), has_session: true };
        let html = page(&BLOCKED, own, false);
        assert!(html.contains("href=\"/.portcullis/sign-in?return="), "{html}");
        let href =
            html.split_once("href=\"/.portcullis/sign-in?return=").unwrap().1.split_once('"').unwrap().0;
        let target = href.strip_suffix("&amp;prompt=select_account").unwrap();
        let is_encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"%/-._~".contains(&byte);
        assert!(target.bytes().all(is_encoded), "{hostile}: {href}");
    }
    let long = format!("/{}", "a".repeat(300));
    for target in [long.as_bytes(), &[b'/', 0xff]] {
        let html = page(&BLOCKED, OwnSignIn { return_to: Some(target), has_session: true }, false);
        assert!(html.contains("href=\"/.portcullis/sign-in?prompt=select_account\""), "{html}");
    }
}

//! The languages of an answer.

use portcullis_config::settings::{self, AppDenial, Disclosure, SupportKey};
use portcullis_policy::signals::AppIndex;

use super::{
    BLOCKED, BROWSER, SCRIPT, branding, denials, denials_of, every_refusal, facts, header, render, text,
};
use crate::decision_record::DecisionRecord;
use crate::denial::{Facts, RequestHints, languages};
use crate::refusal::{BadToken, Refusal};

#[test]
fn every_language_renders_every_refusal_below_16_kb_and_says_which_it_is() {
    let denials = denials_of(settings::Denial { support_keys: vec![SupportKey([1; 32])], ..branding() });
    let record = DecisionRecord { user: Some("kari".into()), ..DecisionRecord::default() };
    let facts = Facts { record: Some(&record), ..facts() };
    for language in languages::ALL.iter() {
        let hints = RequestHints { accept_language: Some(language.tag), ..BROWSER };
        for refusal in every_refusal() {
            let answer = render(&denials, &refusal, &facts, &hints, Disclosure::Full);
            let page = text(&answer);
            assert!(answer.body.len() < 16 * 1024, "{}: {} bytes", language.tag, answer.body.len());
            assert!(page.contains(&format!("<html lang=\"{}\" dir=\"{}\">", language.tag, language.dir)));
            assert_eq!(header(&answer, "content-language"), Some(language.tag));
            assert!(!page.contains("{{") && !page.contains("{ $"), "{page}");
            assert_eq!(page.matches("hreflang").count(), 0);
            assert_eq!(page.matches("href=\"?lang\"").count(), 1);
        }
    }
}

#[test]
fn the_text_for_a_ticket_is_english_in_every_language() {
    let block = |tag: &str| {
        let hints = RequestHints { accept_language: Some(tag), ..BROWSER };
        let answer = render(&denials(), &BLOCKED, &facts(), &hints, Disclosure::Standard);
        let page = text(&answer).to_owned();
        let report = page.split_once("<pre").unwrap().1.split_once("</pre>").unwrap().0;
        report.split_once('>').unwrap().1.to_owned()
    };
    for language in languages::ALL.iter() {
        assert_eq!(block(language.tag), block("en"), "{}", language.tag);
    }
}

#[test]
fn the_page_leads_to_a_list_of_languages_that_keeps_the_query_only_when_it_was_read() {
    let of = |hints: &RequestHints<'_>| render(&denials(), &BLOCKED, &facts(), hints, Disclosure::Standard);
    let asked = RequestHints { query: Some("a=b&c"), ..BROWSER };
    assert!(text(&of(&asked)).contains("<a class=\"lang\" href=\"?a=b&amp;c&amp;lang\">"));
    let sent = RequestHints { method: "POST", ..BROWSER };
    assert!(!text(&of(&sent)).contains("?lang"));
    let long = "a".repeat(200);
    let long = RequestHints { query: Some(&long), ..BROWSER };
    assert!(text(&of(&long)).contains("href=\"?lang\""), "the page stays small");

    let list = of(&RequestHints { query: Some("a=b&lang"), ..BROWSER });
    assert_eq!((list.status, header(&list, "content-language")), (403, Some("en")));
    let page = text(&list);
    assert!(page.contains("<a href=\"?a=b&amp;lang=ja\" lang=\"ja\">日本語</a>"), "{page}");
    assert_eq!(page.matches("lang=").count() - 1, 2 * (languages::ALL.len() - 1), "{page}");
    assert!(!page.contains("Payroll") && !page.contains("<section"), "{page}");
    let stranger = RequestHints { query: Some("lang"), ..BROWSER };
    let stranger = render(&denials(), &Refusal::NoToken, &facts(), &stranger, Disclosure::Standard);
    assert_eq!((stranger.status, text(&stranger).contains("?lang=ja")), (401, true));

    let followed = RequestHints { query: Some("lang=ja"), accept_language: Some("de"), ..BROWSER };
    let answer = of(&followed);
    assert_eq!(header(&answer, "content-language"), Some("ja"));
    let japanese = &languages::ALL[languages::position("ja").unwrap()].texts;
    assert!(text(&answer).contains(japanese.lead_criteria.as_str()));
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

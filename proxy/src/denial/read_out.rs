//! What a page says, in English: for whoever reads it out to the person who sees it in another language.

use portcullis_policy::remedy::Remedy;

use super::escape::Plain;
use super::headline::Headline;
use super::languages;
use super::step::{Step, Suggestion};
use super::steps::instruct;
use super::texts::Texts;
use crate::refusal::{ClientCertificateProblem, ErrorInfo, Refusal};

fn texts() -> Option<&'static Texts> {
    // English comes first.
    languages::ALL.first().map(|language| &language.texts)
}

/// What the page says is the matter.
#[must_use]
pub fn lead(refusal: &Refusal) -> &'static str {
    texts().map_or("", |texts| Headline::of(refusal, texts).lead.as_str())
}

/// What explains a reason of the policies.
#[must_use]
pub fn reason(info: &ErrorInfo) -> &'static str {
    texts().map_or("", |texts| texts.reason(info))
}

/// What the page says to do, as a part of a sentence.
#[must_use]
pub fn step(remedy: Remedy) -> String {
    said(Step::Verified(remedy))
}

/// The same of a certificate.
#[must_use]
pub fn certificate(problem: ClientCertificateProblem) -> String {
    said(Step::Suggested(Suggestion::Certificate(problem)))
}

fn said(step: Step) -> String {
    let mut out = String::new();
    if let Some(texts) = texts() {
        instruct(step, None, texts, &mut Plain(&mut out));
    }
    // Each begins with a verb.
    let mut characters = out.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => out,
    }
}

/// What a country is called; its code where that is not known.
#[must_use]
pub fn country(code: &str) -> &str {
    texts().and_then(|texts| texts.locale.country(code)).unwrap_or(code)
}

//! The page: a template that is compiled once for each language, and filled into one buffer for
//! each denial.
//!
//! The template is ours, or the operator's and checked at load; foreign text reaches it in
//! [`Hole`]s only, and every hole escapes.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::branding::Branding;
use super::escape::{Escaper, Html, cap, escape_html};
use super::languages::{self, Language};
use super::script;
use super::texts::{Message, Texts, label};
use super::view::View;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Room for what is filled in; a longer page grows its buffer.
const HOLES_BYTES: usize = 4096;

/// The page of one installation in one language.
#[derive(Debug)]
pub(super) struct Page {
    parts: Vec<Part>,
    texts: &'static Texts,
    static_bytes: usize,
    languages: String,
}

#[derive(Debug)]
enum Part {
    Static(String),
    Hole(Hole),
}

/// What changes from denial to denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    Headline,
    Lead,
    Verdict,
    Message,
    Remedies,
    Actions,
    Reasons,
    Details,
    Report,
    Languages,
}

/// Whether a page opens its app by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Yes,
    No,
}

/// What is the same on every page of an installation.
#[derive(Debug)]
pub(super) struct Frame<'d> {
    branding: &'d Branding,
    template: &'d str,
    style: String,
}

impl<'d> Frame<'d> {
    pub(super) fn new(branding: &'d Branding, template: Option<&'d str>) -> Self {
        Self { branding, template: template.unwrap_or(TEMPLATE), style: style(branding) }
    }

    /// The policy of content (CSP level 3) that admits the template's style sheets and our script
    /// by their hashes, and nothing else; a page that waits may ask its own host, too.
    pub(super) fn content_policy(&self, waits: Waits) -> String {
        let text = self.template.replace("{{style}}", &self.style);
        let mut styles = String::new();
        let mut rest = text.as_str();
        while let Some(at) = find_ignoring_case(rest, "<style") {
            let from = rest.get(at..).unwrap_or_default();
            let Some((_, inside)) = from.split_once('>') else { break };
            let end = find_ignoring_case(inside, "</style").unwrap_or(inside.len());
            let (sheet, tail) = inside.split_at_checked(end).unwrap_or((inside, ""));
            // INVARIANT: writing to a `String` cannot fail.
            let _ = write!(styles, " {}", hash(sheet));
            rest = tail;
        }
        let styles = if styles.is_empty() { " 'none'" } else { &styles };
        let script = match (text.contains("{{script}}"), waits) {
            (true, Waits::Yes) => format!(" script-src {}; connect-src 'self';", hash(script())),
            (true, Waits::No) => format!(" script-src {};", hash(script())),
            (false, _) => String::new(),
        };
        format!(
            "default-src 'none'; style-src{styles};{script} img-src data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'self'"
        )
    }
}

/// The style sheet that all pages of an installation share.
pub(crate) fn style(branding: &Branding) -> String {
    STYLE.replace("{{accent}}", &branding.accent).replace('\n', "")
}

/// The script of the page.
pub(crate) fn script() -> &'static str {
    &script::SENT
}

/// A source of CSP level 3 that admits exactly this text.
pub(crate) fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes().windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

impl Page {
    pub(super) fn new(frame: &Frame<'_>, language: &'static Language) -> Self {
        let mut page = Self {
            parts: Vec::new(),
            texts: &language.texts,
            static_bytes: 0,
            languages: links(language, ""),
        };
        let mut rest = frame.template;
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_static(before);
            let (name, tail) = after.split_once("}}").unwrap_or((after, ""));
            page.push_named(name, frame, language);
            rest = tail;
        }
        page.push_static(rest);
        page
    }

    fn push_named(&mut self, name: &str, frame: &Frame<'_>, language: &Language) {
        let texts = self.texts;
        match name {
            "lang" => self.push_static(language.tag),
            "dir" => self.push_static(language.dir),
            "style" => self.push_static(&frame.style),
            "script" => self.push_static(&format!("<script>{}</script>\n", script())),
            "brand" => self.push_static(&brand(frame.branding)),
            "heading_details" => self.push_static(&escape_html(texts.heading_details.as_str())),
            "heading_report" => self.push_static(&escape_html(texts.heading_report.as_str())),
            "report_hint" => self.push_static(&escape_html(texts.report_hint.as_str())),
            "copy" => self.push_static(&escape_html(texts.copy.as_str())),
            "copied" => self.push_static(&escape_html(texts.copied.as_str())),
            "title" | "headline" => self.parts.push(Part::Hole(Hole::Headline)),
            "lead" => self.parts.push(Part::Hole(Hole::Lead)),
            "verdict" => self.parts.push(Part::Hole(Hole::Verdict)),
            "message" => self.parts.push(Part::Hole(Hole::Message)),
            "remedies" => self.parts.push(Part::Hole(Hole::Remedies)),
            "actions" => self.parts.push(Part::Hole(Hole::Actions)),
            "reasons" => self.parts.push(Part::Hole(Hole::Reasons)),
            "details" => self.parts.push(Part::Hole(Hole::Details)),
            "report" => self.parts.push(Part::Hole(Hole::Report)),
            "languages" => self.parts.push(Part::Hole(Hole::Languages)),
            // Our template has no other name, which a test holds, and `config` takes no other.
            _ => {}
        }
    }

    fn push_static(&mut self, text: &str) {
        self.static_bytes += text.len();
        if let Some(Part::Static(last)) = self.parts.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            self.parts.push(Part::Static(text.to_owned()));
        }
    }

    /// The page that says `view`.
    ///
    /// `links`: whether the page may lead to itself in other languages, which only a page that was
    /// read, not sent, can.
    pub(super) fn render(&self, view: &View<'_>, links: bool) -> Vec<u8> {
        let mut out = String::with_capacity(self.static_bytes + HOLES_BYTES);
        for part in &self.parts {
            match part {
                Part::Static(text) => out.push_str(text),
                Part::Hole(Hole::Languages) if !links => {}
                Part::Hole(hole) => self.fill(&mut out, *hole, view),
            }
        }
        out.into_bytes()
    }

    fn fill(&self, out: &mut String, hole: Hole, view: &View<'_>) {
        let texts = self.texts;
        match hole {
            Hole::Headline => view.headline(&mut Html(out)),
            Hole::Lead => view.lead(&mut Html(out)),
            Hole::Report => view.report(&mut Html(out)),
            Hole::Verdict => {
                if let Some(verdict) = view.verdict() {
                    out.push_str("<p class=\"note\">");
                    out.push_str(verdict);
                    if let Some(repeated) = view.repeated() {
                        out.push_str(texts.space);
                        out.push_str("<strong>");
                        out.push_str(repeated);
                        out.push_str("</strong>");
                    }
                    out.push_str("</p>\n");
                }
            }
            Hole::Message => {
                section(out, "message", &texts.heading_operator, view.messages(), |out, message| {
                    out.line(message, cap::MESSAGE);
                });
            }
            Hole::Languages => out.push_str(&self.languages),
            Hole::Remedies => {
                let remedies = view.remedies().into_iter();
                section(out, "remedies", &texts.heading_remedies, remedies, |out, remedy| {
                    view.remedy(remedy, out)
                });
            }
            Hole::Reasons => {
                let reasons = view.reasons().into_iter();
                section(out, "reasons", &texts.heading_reasons, reasons, |out, reason| {
                    out.literal(texts.reason(&reason))
                });
            }
            Hole::Actions => self.actions(out, view),
            Hole::Details => view.details(|name, text| {
                out.push_str("<dt>");
                out.push_str(name);
                out.push_str("</dt>");
                if name == label::TIMESTAMP {
                    element(out, "<dd><time datetime=\"", text, "\">");
                    element(out, "", text, "</time></dd>\n");
                } else {
                    element(out, "<dd>", text, "</dd>\n");
                }
            }),
        }
    }

    /// What the script opens the app by; see `page.js`.
    fn waits(&self, out: &mut String, view: &View<'_>) {
        let Some(handle) = view.wait else { return };
        element(out, "<p class=\"live\" role=\"status\" id=\"live\" hidden data-wait=\"", handle, "\" ");
        out.push_str("data-still=\"{time}\"><span class=\"dot\"></span><span></span></p>\n<template id=\"done\"><h1>…</h1><a id=\"open\" href=\"\">…</a> <a id=\"stay\" href=\"#stay\">…</a></template>\n");
    }

    fn actions(&self, out: &mut String, view: &View<'_>) {
        self.waits(out, view);
        let actions = view.actions();
        if actions.is_empty() {
            return;
        }
        element(out, "<nav class=\"actions\" aria-label=\"", self.texts.actions_label.as_str(), "\">\n");
        for action in actions {
            let open = if action.is_primary { "<a class=\"main\" href=\"" } else { "<a href=\"" };
            element(out, open, &action.href, "\">");
            element(out, "", &action.text, "</a>\n");
        }
        out.push_str("</nav>\n");
    }
}

pub(crate) fn element(out: &mut String, open: &'static str, text: &str, close: &'static str) {
    out.push_str(open);
    Html(out).text(text);
    out.push_str(close);
}

fn section<T>(
    out: &mut String,
    id: &'static str,
    heading: &Message,
    lines: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Html<'_>, T),
) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    for text in ["<section aria-labelledby=\"", id, "\">\n<h2 id=\"", id, "\">"] {
        out.push_str(text);
    }
    out.push_str(heading.as_str());
    out.push_str("</h2>\n<ul>\n");
    for line in lines {
        out.push_str("<li dir=\"auto\">");
        write(&mut Html(out), line);
        out.push_str("</li>\n");
    }
    out.push_str("</ul>\n</section>\n");
}

/// Links to the same page in every other language, each in that language. `keep`: what of the query stays, escaped,
/// with its last `&`.
pub(crate) fn links(here: &Language, keep: &str) -> String {
    let mut out = String::new();
    element(&mut out, "<nav class=\"languages\" aria-label=\"", here.texts.languages_label.as_str(), "\">\n");
    for other in languages::ALL.iter().filter(|other| other.tag != here.tag) {
        // INVARIANT: writing to a `String` cannot fail.
        let _ = writeln!(out, "<a href=\"?{keep}lang={0}\" lang=\"{0}\">{1}</a>", other.tag, other.name);
    }
    out.push_str("</nav>\n");
    out
}

pub(crate) fn brand(branding: &Branding) -> String {
    let mut out = String::new();
    if let Some(logo) = &branding.logo {
        element(&mut out, "<img src=\"", logo, "\" alt=\"\">");
    }
    element(&mut out, "<span>", &branding.installation, "</span>");
    out
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::TEMPLATE_HOLES;

    use super::{STYLE, TEMPLATE};

    #[test]
    fn the_template_names_only_what_is_filled() {
        const OWN: [&str; 5] = ["heading_details", "heading_report", "report_hint", "copy", "copied"];
        let names: Vec<_> =
            TEMPLATE.split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0).collect();
        for name in &names {
            assert!(OWN.contains(name) || TEMPLATE_HOLES.iter().any(|(hole, _)| hole == name), "{name}");
        }
        for (hole, _) in TEMPLATE_HOLES {
            assert!(names.contains(hole), "{hole}");
        }
        assert_eq!(STYLE.matches("{{").count(), 1);
        assert!(!STYLE.contains("</"), "it cannot end its element");
    }
}

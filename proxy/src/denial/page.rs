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
use super::escape::{Html, Markup};
use super::languages::Language;
use super::markup::{brand, language_link, languages, rows};
use super::parts::Template;
use super::script;
use super::view::View;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Room for what is filled in; a longer page grows its buffer.
const HOLES_BYTES: usize = 8192;

/// The page of one installation in one language.
#[derive(Debug)]
pub(super) struct Page {
    parts: Vec<Part>,
    language: &'static Language,
    static_bytes: usize,
}

#[derive(Debug)]
enum Part {
    Static(String),
    Hole(Hole),
}

/// What changes from denial to denial. `Meta` to `Account` are of our own template, whose card and panel are of one piece;
/// from `Message` on, what an operator's template puts together as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    Title,
    Headline,
    Lead,
    Verdict,
    Languages,
    Script,
    Meta,
    Summary,
    Card,
    Desk,
    Account,
    Message,
    Remedies,
    Actions,
    Reasons,
    Details,
    Report,
}

impl Hole {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "title" => Self::Title,
            "headline" => Self::Headline,
            "lead" => Self::Lead,
            "verdict" => Self::Verdict,
            "languages" => Self::Languages,
            "script" => Self::Script,
            "meta" => Self::Meta,
            "summary" => Self::Summary,
            "card" => Self::Card,
            "desk" => Self::Desk,
            "account" => Self::Account,
            "message" => Self::Message,
            "remedies" => Self::Remedies,
            "actions" => Self::Actions,
            "reasons" => Self::Reasons,
            "details" => Self::Details,
            "report" => Self::Report,
            _ => return None,
        })
    }
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

/// The names of colours in the style sheet, which every page carries, and what stands for them there.
const COLOURS: [(&str, &str); 9] = [
    ("--bg", "--b"),
    ("--card", "--c"),
    ("--ink", "--i"),
    ("--mute", "--m"),
    ("--line", "--l"),
    ("--edge", "--e"),
    ("--acc", "--a"),
    ("--soft", "--s"),
    ("--ok", "--k"),
];

/// The style sheet that all pages of an installation share.
pub(crate) fn style(branding: &Branding) -> String {
    short(&STYLE.replace("{{accent}}", branding.accent.as_deref().unwrap_or("var(--acc)")))
}

/// A style sheet as it is sent.
pub(crate) fn short(sheet: &str) -> String {
    COLOURS.iter().fold(sheet.replace('\n', ""), |sheet, (name, sent)| sheet.replace(name, sent))
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
        let mut page = Self { parts: Vec::new(), language, static_bytes: 0 };
        let mut rest = frame.template;
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_static(before);
            let (name, tail) = after.split_once("}}").unwrap_or((after, ""));
            page.push_named(name, frame);
            rest = tail;
        }
        page.push_static(rest);
        page
    }

    fn push_named(&mut self, name: &str, frame: &Frame<'_>) {
        match name {
            "lang" => self.push_static(self.language.tag),
            "dir" => self.push_static(self.language.dir),
            "style" => self.push_static(&frame.style),
            "brand" => self.push_static(&brand(frame.branding)),
            // Our template has no other name, which a test holds, and `config` takes no other.
            _ => self.parts.extend(Hole::named(name).map(Part::Hole)),
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
    /// `kept`: what of the query links to other languages keep, escaped; `None` where there are none, for the page was
    /// sent, not read.
    pub(super) fn render(&self, view: &View<'_>, kept: Option<&str>) -> Vec<u8> {
        let mut out = String::with_capacity(self.static_bytes + HOLES_BYTES);
        for part in &self.parts {
            match part {
                Part::Static(text) => out.push_str(text),
                Part::Hole(hole) => self.fill(&mut out, *hole, view, kept),
            }
        }
        out.into_bytes()
    }

    /// The page that leads to the same in every other language. `kept`: as for [`render`](Self::render).
    pub(super) fn render_languages(&self, kept: &str) -> Vec<u8> {
        let mut out = String::with_capacity(self.static_bytes + HOLES_BYTES);
        for part in &self.parts {
            match part {
                Part::Static(text) => out.push_str(text),
                Part::Hole(Hole::Title | Hole::Headline) => {
                    out.push_str(self.language.texts.label_language.as_str());
                }
                Part::Hole(Hole::Lead) => {
                    out.push_str("<span class=\"help\">");
                    languages(&mut out, self.language, kept);
                    out.push_str("</span>");
                }
                Part::Hole(_) => {}
            }
        }
        out.into_bytes()
    }

    fn fill(&self, out: &mut String, hole: Hole, view: &View<'_>, kept: Option<&str>) {
        match hole {
            Hole::Title => view.write_title(out),
            Hole::Headline => view.headline(&mut Markup(out)),
            Hole::Lead => view.write_lead(out),
            Hole::Verdict => view.write_kind(out),
            Hole::Languages => {
                if let Some(kept) = kept {
                    language_link(out, self.language, kept);
                }
            }
            Hole::Script => {
                if view.waits_by().is_some() {
                    view.write_done(out);
                }
                if view.has_desk() {
                    write_script(out, script());
                }
            }
            Hole::Meta => {
                if kept.is_some() && view.context.by_script {
                    // Turbo shows a page in place of its own, with its own style and script (Turbo handbook, "Drive").
                    out.push_str("<meta name=\"turbo-visit-control\" content=\"reload\">\n");
                }
            }
            Hole::Summary => view.write_summary(out),
            Hole::Card => view.write_card(out),
            Hole::Desk => view.write_desk(out),
            Hole::Account => view.write_account(out),
            Hole::Message => view.write_words(out, Template::Operators),
            Hole::Remedies => view.write_remedies(out, Template::Operators),
            Hole::Actions => {
                view.write_foot(out, Template::Operators);
                view.write_account(out);
            }
            Hole::Reasons => view.write_reasons(out),
            Hole::Details => {
                rows(out, &view.first_rows());
                rows(out, &view.more_rows());
            }
            Hole::Report => view.report(&mut Html(out)),
        }
    }
}

/// A script in its element.
pub(crate) fn write_script(out: &mut String, script: &str) {
    for text in ["<script>", script, "</script>\n"] {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::TEMPLATE_HOLES;

    use super::{Hole, STYLE, TEMPLATE};

    #[test]
    fn a_template_names_only_what_is_filled() {
        const FIXED: [&str; 4] = ["lang", "dir", "style", "brand"];
        let is_filled = |name: &str| FIXED.contains(&name) || Hole::named(name).is_some();
        for name in TEMPLATE.split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0) {
            assert!(is_filled(name), "{name}");
        }
        for (name, _) in TEMPLATE_HOLES {
            assert!(is_filled(name), "{name}");
        }
        assert_eq!(STYLE.matches("{{").count(), 1);
        assert!(!STYLE.contains("</"), "it cannot end its element");
    }
}

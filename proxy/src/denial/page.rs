//! The page: a template that is compiled once, and filled into one buffer for each denial.
//!
//! The template is ours and static; foreign text reaches it in [`Hole`]s only, and every hole
//! escapes.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::desk::Desk;
use super::escape::{escape_html, push_html};
use super::texts::Texts;
use super::view::View;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Room for what is filled in; a longer page grows its buffer.
const HOLES_BYTES: usize = 4096;

/// The compiled page of one language.
#[derive(Debug)]
pub(super) struct Page {
    parts: Vec<Part>,
    texts: &'static Texts,
    static_bytes: usize,
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
    Remedies,
    Actions,
    Reasons,
    Details,
    Report,
}

/// The style sheet of an installation, and the source expression (CSP level 3) that admits it alone.
pub(super) fn style(desk: &Desk) -> (String, String) {
    let style = STYLE.replace("{{accent}}", &desk.accent).replace('\n', "");
    let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    (style, format!("'sha256-{hash}'"))
}

impl Page {
    pub(super) fn new(desk: &Desk, style: &str, texts: &'static Texts) -> Self {
        let mut page = Self { parts: Vec::new(), texts, static_bytes: 0 };
        let mut rest = TEMPLATE;
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_static(before);
            let (name, tail) = after.split_once("}}").unwrap_or((after, ""));
            page.push_named(name, desk, style);
            rest = tail;
        }
        page.push_static(rest);
        page
    }

    fn push_named(&mut self, name: &str, desk: &Desk, style: &str) {
        let texts = self.texts;
        match name {
            "lang" => self.push_static(texts.lang),
            "dir" => self.push_static(texts.dir),
            "style" => self.push_static(style),
            "brand" => self.push_static(&brand(desk)),
            "heading_details" => self.push_static(&escape_html(texts.heading_details)),
            "heading_report" => self.push_static(&escape_html(texts.heading_report)),
            "report_hint" => self.push_static(&escape_html(texts.report_hint)),
            "title" | "headline" => self.parts.push(Part::Hole(Hole::Headline)),
            "lead" => self.parts.push(Part::Hole(Hole::Lead)),
            "verdict" => self.parts.push(Part::Hole(Hole::Verdict)),
            "remedies" => self.parts.push(Part::Hole(Hole::Remedies)),
            "actions" => self.parts.push(Part::Hole(Hole::Actions)),
            "reasons" => self.parts.push(Part::Hole(Hole::Reasons)),
            "details" => self.parts.push(Part::Hole(Hole::Details)),
            "report" => self.parts.push(Part::Hole(Hole::Report)),
            // The template is ours; a test holds that it has no name but these.
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
    pub(super) fn render(&self, view: &View<'_>) -> Vec<u8> {
        let mut out = String::with_capacity(self.static_bytes + HOLES_BYTES);
        for part in &self.parts {
            match part {
                Part::Static(text) => out.push_str(text),
                Part::Hole(hole) => self.fill(&mut out, *hole, view),
            }
        }
        out.into_bytes()
    }

    fn fill(&self, out: &mut String, hole: Hole, view: &View<'_>) {
        let texts = self.texts;
        match hole {
            Hole::Headline => push_html(out, &view.headline),
            Hole::Lead => push_html(out, &view.lead),
            Hole::Report => push_html(out, &view.report),
            Hole::Verdict => {
                if let Some(verdict) = &view.verdict {
                    element(out, "<p class=\"note\">", verdict, "</p>\n");
                }
            }
            Hole::Remedies => {
                let lines = view.remedies.iter().map(|remedy| remedy.text.as_str());
                section(out, "remedies", texts.heading_remedies, lines);
            }
            Hole::Reasons => {
                section(out, "reasons", texts.heading_reasons, view.reasons.iter().map(|reason| reason.text));
            }
            Hole::Actions => self.actions(out, view),
            Hole::Details => {
                for (label, text) in &view.details {
                    element(out, "<dt>", label, "</dt>");
                    if *text == view.timestamp {
                        element(out, "<dd><time datetime=\"", text, "\">");
                        element(out, "", text, "</time></dd>\n");
                    } else {
                        element(out, "<dd>", text, "</dd>\n");
                    }
                }
            }
        }
    }

    fn actions(&self, out: &mut String, view: &View<'_>) {
        if view.actions.is_empty() {
            return;
        }
        element(out, "<nav class=\"actions\" aria-label=\"", self.texts.actions_label, "\">\n");
        for action in &view.actions {
            let open = if action.is_primary { "<a class=\"main\" href=\"" } else { "<a href=\"" };
            element(out, open, &action.href, "\">");
            element(out, "", &action.text, "</a>\n");
        }
        out.push_str("</nav>\n");
    }
}

fn element(out: &mut String, open: &'static str, text: &str, close: &'static str) {
    out.push_str(open);
    push_html(out, text);
    out.push_str(close);
}

fn section<'t>(out: &mut String, id: &'static str, heading: &str, lines: impl Iterator<Item = &'t str>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    element(out, "<section aria-labelledby=\"", id, "\">\n");
    element(out, "<h2 id=\"", id, "\">");
    element(out, "", heading, "</h2>\n<ul>\n");
    for line in lines {
        element(out, "<li>", line, "</li>\n");
    }
    out.push_str("</ul>\n</section>\n");
}

fn brand(desk: &Desk) -> String {
    let mut out = String::new();
    if let Some(logo) = &desk.logo {
        element(&mut out, "<img src=\"", logo, "\" alt=\"\">");
    }
    element(&mut out, "<span>", &desk.installation, "</span>");
    out
}

#[cfg(test)]
mod tests {
    use super::{STYLE, TEMPLATE};

    #[test]
    fn the_template_names_only_what_is_filled() {
        const NAMES: [&str; 15] = [
            "lang",
            "dir",
            "style",
            "brand",
            "heading_details",
            "heading_report",
            "report_hint",
            "title",
            "headline",
            "lead",
            "verdict",
            "remedies",
            "actions",
            "reasons",
            "details",
        ];
        let names = TEMPLATE.split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0);
        for name in names {
            assert!(NAMES.contains(&name) || name == "report", "{name}");
        }
        assert_eq!(STYLE.matches("{{").count(), 1);
        assert!(!STYLE.contains("</"), "a style sheet cannot end its element");
    }
}

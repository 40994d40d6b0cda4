//! What the pages are built of: the pieces that a denial and the pages around signing in have in common.

use std::fmt::Write as _;

use portcullis_config::settings::OWN_PATHS;

use super::branding::Branding;
use super::details::Row;
use super::escape::{Escaper as _, Html, Markup};
use super::headline::{Icon, Kind};
use super::languages::{self, Language};
use super::links::written;
use super::texts::{Message, Texts};

/// The mark of an installation that has no logo.
const MARK: &str = "<path d=\"M4 21V10a8 8 0 0 1 16 0v11M9.3 21V8.5M14.7 21V8.5M4 12.5h16M4 17h16\"/>";
const GLOBE: &str = "<circle cx=\"12\" cy=\"12\" r=\"9\"/><path d=\"M3 12h18M12 3q8 9 0 18q-8-9 0-18\"/>";

/// Foreign text between two texts of ours.
pub(crate) fn element(out: &mut String, open: &'static str, text: &str, close: &'static str) {
    out.push_str(open);
    Html(out).text(text);
    out.push_str(close);
}

/// A text of ours between two others.
pub(crate) fn words(out: &mut String, open: &str, message: &Message, close: &str) {
    out.push_str(open);
    out.push_str(message.as_str());
    out.push_str(close);
}

fn svg(out: &mut String, paths: &str) {
    for text in ["<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\">", paths, "</svg>"] {
        out.push_str(text);
    }
}

/// Mark or logo, and name, of an installation.
pub(crate) fn brand(branding: &Branding) -> String {
    let mut out = String::new();
    match &branding.logo {
        Some(logo) => element(&mut out, "<img src=\"", logo, "\" alt=\"\">"),
        None => svg(&mut out, MARK),
    }
    element(&mut out, "<span>", &branding.installation, "</span>");
    out
}

/// Links to the same page in every other language, each in that language. `keep`: what of the query stays, escaped,
/// with its last `&`.
pub(crate) fn languages(out: &mut String, here: &Language, keep: &str) {
    for other in languages::ALL.iter().filter(|other| other.tag != here.tag) {
        // INVARIANT: writing to a `String` cannot fail.
        let _ = writeln!(out, "<a href=\"?{keep}lang={0}\" lang=\"{0}\">{1}</a>", other.tag, other.name);
    }
}

/// The same, folded.
pub(crate) fn language_list(out: &mut String, here: &Language, keep: &str) {
    out.push_str("<details class=\"lang\"><summary>");
    language_name(out, here);
    words(out, "</summary>\n<nav aria-label=\"", &here.texts.label_language, "\">");
    languages(out, here, keep);
    out.push_str("</nav></details>\n");
}

/// A link to a page of its own with the same: a denial is small.
pub(crate) fn language_link(out: &mut String, here: &Language, keep: &str) {
    for text in ["<a class=\"lang\" href=\"?", keep, "lang\">"] {
        out.push_str(text);
    }
    language_name(out, here);
    out.push_str("</a>\n");
}

fn language_name(out: &mut String, here: &Language) {
    svg(out, GLOBE);
    words(out, "<span class=\"vh\">", &here.texts.label_language, here.texts.colon);
    out.push_str("</span>");
    out.push_str(here.name);
}

/// Whose turn or fault it is.
pub(crate) fn kind(out: &mut String, kind: Kind) {
    out.push_str(if kind.icon == Icon::Done { "<p class=\"kind good\">" } else { "<p class=\"kind\">" });
    svg(out, kind.icon.paths());
    words(out, "", kind.words, "</p>\n");
}

/// A reference as it is read out.
pub(crate) fn reference(out: &mut String, reference: &str, texts: &Texts) {
    words(out, "<p class=\"label\">", &texts.label_reference, "</p>\n");
    element(
        out,
        "<p class=\"ref\"><bdi dir=\"ltr\" lang=\"en\" translate=\"no\" aria-hidden=\"true\">",
        reference,
        "</bdi><span class=\"vh\">",
    );
    for character in reference.chars() {
        out.push(if character == '-' { ',' } else { character });
        out.push(' ');
    }
    out.push_str("</span></p>\n");
}

/// Code and reference in one line, for a picture of the first screen.
pub(crate) fn summary(out: &mut String, code: &str, reference: &str, texts: &Texts) {
    out.push_str("<p class=\"small\">");
    if !code.is_empty() {
        words(out, "", &texts.label_code, " ");
        element(out, "", code, " · ");
    }
    words(out, "", &texts.label_reference, " <a href=\"#desk\">");
    element(out, "<bdi dir=\"ltr\">", reference, "</bdi></a></p>\n");
}

/// Rows of details, in a list or for one.
pub(crate) fn rows(out: &mut String, rows: &[Row<'_>]) {
    for row in rows {
        words(out, "<dt>", row.label, "</dt><dd>");
        match row.datetime {
            Some(datetime) => {
                element(out, "<time datetime=\"", datetime, "\">");
                element(out, "", &row.value, "</time></dd>\n");
            }
            None => element(out, "", &row.value, "</dd>\n"),
        }
    }
}

/// The addresses of the help desk, written out: they can be read off paper. `false` where there is none.
pub(crate) fn addresses(out: &mut String, branding: &Branding, subject: &str) -> bool {
    if let Some(mail) = &branding.contact_mail {
        element(out, "<a href=\"", &mail.href(subject), "\">");
        element(out, "", &mail.address, "</a> ");
    }
    if let Some(url) = &branding.contact_url {
        element(out, "<a href=\"", url, "\">");
        element(out, "", written(url), "</a>");
    }
    branding.contact_mail.is_some() || branding.contact_url.is_some()
}

/// A form that reports this very refusal to the help desk.
pub(crate) fn report_form(out: &mut String, handle: &str, class: &'static str, texts: &Texts) {
    for text in ["<form method=\"post\" action=\"", OWN_PATHS, "/report?"] {
        out.push_str(text);
    }
    element(out, "", handle, "\">");
    element(out, "<button type=\"submit\" class=\"", class, "\">");
    words(out, "", &texts.action_report, "</button></form>");
}

/// The panel for the help desk.
#[derive(Debug)]
pub(crate) struct Desk<'d> {
    pub(crate) branding: &'d Branding,
    pub(crate) texts: &'static Texts,
    pub(crate) reference: &'d str,
    /// Whether the reference is shown elsewhere.
    pub(crate) is_known: bool,
    /// What the refusal is reported by.
    pub(crate) report: Option<&'d str>,
    pub(crate) first: Vec<Row<'d>>,
    pub(crate) more: Vec<Row<'d>>,
}

impl Desk<'_> {
    /// Writes the panel; `report` writes the text for a ticket.
    pub(crate) fn write(&self, out: &mut String, report: impl FnOnce(&mut Html<'_>)) {
        let texts = self.texts;
        let heading = if self.is_known { &texts.heading_details } else { &texts.heading_desk };
        words(out, "<section class=\"desk\" aria-labelledby=\"desk\">\n<h2 id=\"desk\">", heading, "</h2>\n");
        if !self.is_known {
            reference(out, self.reference, texts);
        }
        out.push_str("<dl>");
        rows(out, &self.first);
        out.push_str("</dl>\n");
        if !self.is_known {
            self.help(out);
        }
        out.push_str("<div class=\"foot\">");
        if let Some(handle) = self.report {
            report_form(out, handle, "btn slim", texts);
        }
        out.push_str("<button class=\"btn slim\" type=\"button\" id=\"copy\" data-done=\"");
        words(out, "", &texts.copied_paste, "\" hidden>");
        words(
            out,
            "",
            &texts.copy_details,
            "</button><p class=\"small good\" id=\"said\" role=\"status\"></p></div>\n",
        );
        let summary = if self.is_known { &texts.details_more } else { &texts.details_all };
        words(out, "<details class=\"more\"><summary>", summary, "</summary>\n<dl class=\"all\">");
        rows(out, &self.more);
        words(out, "</dl>\n<p class=\"label\" id=\"lt\">", &texts.label_ticket, "</p>\n");
        out.push_str("<pre id=\"text\" dir=\"ltr\" lang=\"en\">");
        report(&mut Html(out));
        out.push_str("</pre>\n</details>\n</section>\n");
    }

    fn help(&self, out: &mut String) {
        let at = out.len();
        words(out, "<p class=\"small help\">", &self.texts.desk_say_or_send, "<br>");
        if !addresses(out, self.branding, self.reference) {
            out.truncate(at);
            words(out, "<p class=\"small help\">", &self.texts.desk_say, "");
        }
        out.push_str("</p>\n");
    }
}

/// A text of a language as markup.
pub(crate) fn message(
    out: &mut String,
    open: &str,
    message: &Message,
    values: &[(super::escape::Hole, &str)],
    close: &str,
) {
    out.push_str(open);
    message.write(&mut Markup(out), values);
    out.push_str(close);
}

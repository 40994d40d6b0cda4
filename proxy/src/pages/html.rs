//! The page for people: one document without anything from outside, in the look of a denial.

use crate::denial::branding::Branding;
use crate::denial::escape::{Escaper as _, Html, cap};
use crate::denial::languages::Language;
use crate::denial::markup::{Desk, brand, element, kind, language_list, message, rows, summary, words};
use crate::denial::page::{hash, script, short, style, write_script};
use crate::denial::texts::Texts;

use super::content::{Action, Body, Content, Form, Fragment, Tab};
use super::page::{Choice, FragmentStep};
use super::report::Report;

const STYLE: &str = include_str!("pages.css");
const PERSON: &str = "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"8\" r=\"4\"/><path d=\"M4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6\"/></svg>";
const FRAGMENT_SCRIPT: &str = include_str!("fragment.js");
/// Links do not inherit a fragment, as redirects do.
const CHOOSER_SCRIPT: &str = include_str!("chooser.js");

/// What is the same on every page of an installation.
#[derive(Debug)]
pub(super) struct Frame {
    style: String,
    style_hash: String,
    brand: String,
}

impl Frame {
    pub(super) fn new(branding: &Branding) -> Self {
        let style = style(branding) + &short(STYLE);
        Self { style_hash: hash(&style), style, brand: brand(branding) }
    }

    /// The policy of content (CSP level 3): our style sheet and the page's script by their hashes, and nothing else. A
    /// form may lead to this very host; and to the origin to which its answer redirects, for browsers look at that too.
    pub(super) fn content_policy(&self, content: &Content<'_>) -> String {
        let script = match content.body {
            Body::Fragment(_) => format!(" script-src {};", hash(FRAGMENT_SCRIPT.trim_end())),
            Body::Choices(_, true) => format!(" script-src {};", hash(CHOOSER_SCRIPT.trim_end())),
            _ if content.fault.is_some() => format!(" script-src {};", hash(script())),
            _ => String::new(),
        };
        let form = match form(&content.body) {
            None => String::from("'none'"),
            Some(form) => match form.leads_to.and_then(origin) {
                Some(origin) => format!("'self' {origin}"),
                None => String::from("'self'"),
            },
        };
        format!(
            "default-src 'none'; style-src {};{script} img-src data:; form-action {form}; base-uri 'none'; \
             frame-ancestors 'none'",
            self.style_hash
        )
    }

    /// `keep`: what of the query links to other languages keep; `None` where there are to be none.
    pub(super) fn render(
        &self,
        content: &Content<'_>,
        report: &Report<'_>,
        language: &'static Language,
        keep: Option<&str>,
    ) -> String {
        let mut out = String::with_capacity(self.style.len() + 6 * 1024);
        self.open(&mut out, content, report, language);
        if let Some(keep) = keep {
            language_list(&mut out, language, keep);
        }
        out.push_str("</header>\n<main>\n");
        main(&mut out, content, report, &language.texts);
        out.push_str("</main>\n");
        match content.body {
            Body::Fragment(_) => write_script(&mut out, FRAGMENT_SCRIPT.trim_end()),
            Body::Choices(_, true) => write_script(&mut out, CHOOSER_SCRIPT.trim_end()),
            _ if content.fault.is_some() => write_script(&mut out, script()),
            _ => {}
        }
        out.push_str("</body>\n</html>\n");
        out
    }

    fn open(&self, out: &mut String, content: &Content<'_>, report: &Report<'_>, language: &Language) {
        for text in [
            "<!doctype html>\n<html lang=\"",
            language.tag,
            "\" dir=\"",
            language.dir,
            "\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
        ] {
            out.push_str(text);
        }
        content.headline.write(&mut Html(out), &content.holes());
        element(out, " – ", &report.branding.installation, "</title>\n<style>");
        out.push_str(&self.style);
        out.push_str("</style>\n");
        match &content.body {
            Body::Fragment(fragment) => open_fragment(out, fragment),
            _ => out.push_str("</head>\n<body>\n"),
        }
        for text in ["<header>\n<p class=\"brand\">", &self.brand, "</p>\n"] {
            out.push_str(text);
        }
    }
}

fn main(out: &mut String, content: &Content<'_>, report: &Report<'_>, texts: &'static Texts) {
    let holes = content.holes();
    if let Some(verdict) = content.verdict {
        kind(out, verdict);
    }
    message(out, "<h1>", content.headline, &holes, "</h1>\n<p class=\"lead\">");
    if content.user.is_some() {
        message(out, "", &texts.signed_in_as, &holes, texts.space);
    }
    message(out, "", content.lead, &holes, "</p>\n");
    if content.fault.is_none() {
        body(out, content, report, texts);
        return;
    }
    summary(out, &report.code, &report.reference, texts);
    if content.said.is_some() || !content.actions.is_empty() {
        words(
            out,
            "<section class=\"card\" aria-labelledby=\"do\">\n<h2 id=\"do\">",
            &texts.heading_remedies,
            "</h2>\n",
        );
        said(out, content, texts);
        actions(out, content);
        out.push_str("</section>\n");
    }
    let desk = Desk {
        branding: report.branding,
        texts,
        reference: &report.reference,
        is_known: false,
        report: None,
        first: report.first_rows(texts),
        more: report.more_rows(texts),
    };
    desk.write(out, |out| report.ticket(out));
}

fn form<'c>(body: &'c Body<'_>) -> Option<&'c Form<'c>> {
    match body {
        Body::SignOut(form) | Body::Me(_, form) => Some(form),
        Body::Nothing | Body::Choices(..) | Body::Fragment(_) => None,
    }
}

/// Scheme and authority of an address, where both are what a source of CSP may be.
fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let is_authority = !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let end = scheme.len() + 3 + authority.len();
    if is_authority && matches!(scheme, "https" | "http") { url.get(..end) } else { None }
}

/// Without script, the browser goes by itself all the same, and loses the fragment.
fn open_fragment(out: &mut String, fragment: &Fragment<'_>) {
    element(
        out,
        "<noscript><meta http-equiv=\"refresh\" content=\"0;url=",
        fragment.next,
        "\"></noscript>\n",
    );
    let step = match fragment.step {
        FragmentStep::Save => "save",
        FragmentStep::Restore => "restore",
    };
    element(out, "</head>\n<body data-step=\"", step, "\"");
    element(out, " data-attempt=\"", fragment.attempt, "\"");
    element(out, " data-next=\"", fragment.next, "\">\n");
}

fn said(out: &mut String, content: &Content<'_>, texts: &'static Texts) {
    let Some(said) = content.said else { return };
    out.push_str("<p class=\"said\"><b>");
    texts.provider_says.write(&mut Html(out), &content.holes());
    out.push_str("</b><bdi>");
    if let Some(description) = said.description.as_deref().filter(|text| !text.trim().is_empty()) {
        Html(out).line(description, cap::SAID);
        out.push_str("</bdi> (<bdi>");
        Html(out).line(&said.error, cap::PROVIDER);
        out.push_str("</bdi>)</p>\n");
    } else {
        Html(out).line(&said.error, cap::PROVIDER);
        out.push_str("</bdi></p>\n");
    }
}

fn body(out: &mut String, content: &Content<'_>, report: &Report<'_>, texts: &'static Texts) {
    match &content.body {
        Body::Nothing | Body::Fragment(_) => actions(out, content),
        Body::Choices(choices, _) => self::choices(out, choices),
        Body::SignOut(form) => sign_out(out, form, texts, content),
        Body::Me(_, form) => {
            words(
                out,
                "<section class=\"card\" aria-labelledby=\"session\">\n<h2 id=\"session\">",
                &texts.heading_details,
                "</h2>\n<dl>",
            );
            rows(out, &report.session_rows(texts));
            out.push_str("</dl>\n");
            sign_out(out, form, texts, content);
            out.push_str("</section>\n");
        }
    }
}

fn choices(out: &mut String, choices: &[Choice]) {
    out.push_str("<ul class=\"pick\">\n");
    for choice in choices.iter().filter(|choice| Action::is_link(&choice.href)) {
        element(out, "<li><a class=\"btn\" href=\"", &choice.href, "\">");
        out.push_str(PERSON);
        out.push_str("<bdi>");
        Html(out).line(&choice.name, cap::PROVIDER);
        out.push_str("</bdi></a></li>\n");
    }
    out.push_str("</ul>\n");
}

fn sign_out(out: &mut String, form: &Form<'_>, texts: &'static Texts, content: &Content<'_>) {
    if Action::is_link(form.action) {
        element(out, "<form class=\"foot\" method=\"post\" action=\"", form.action, "\">");
        words(out, "<button class=\"btn go\" type=\"submit\">", &texts.action_sign_out, "</button>");
        links_of(out, content, "btn", "btn");
        out.push_str("</form>\n");
    }
}

fn actions(out: &mut String, content: &Content<'_>) {
    if !content.actions.is_empty() {
        out.push_str("<div class=\"foot\">");
        links_of(out, content, "btn go", "btn");
        out.push_str("</div>\n");
    }
}

fn links_of(out: &mut String, content: &Content<'_>, first: &'static str, other: &'static str) {
    for (at, Action { text, href, tab }) in content.actions.iter().enumerate() {
        element(out, "<a class=\"", if at == 0 { first } else { other }, "\"");
        element(out, " href=\"", href, "\"");
        if *tab == Tab::New {
            out.push_str(" target=\"_blank\" rel=\"noopener\"");
        }
        words(out, ">", text, "</a>\n");
    }
}

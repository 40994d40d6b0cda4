//! The page for people: one document without anything from outside, in the look of a denial.

use crate::denial::branding::Branding;
use crate::denial::escape::{Escaper as _, Html, cap};
use crate::denial::languages::Language;
use crate::denial::page::{brand, element, hash, links, script, style};
use crate::denial::texts::Texts;

use super::content::{Action, Body, Content, Form, Fragment, Tab};
use super::page::{Choice, FragmentStep};
use super::report::Report;

const STYLE: &str = include_str!("pages.css");
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
        let style = style(branding) + &STYLE.replace('\n', "");
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
        let texts = &language.texts;
        let holes = content.holes();
        let mut out = String::with_capacity(self.style.len() + 6 * 1024);
        for text in [
            "<!doctype html>\n<html lang=\"",
            language.tag,
            "\" dir=\"",
            language.dir,
            "\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>",
        ] {
            out.push_str(text);
        }
        content.headline.write(&mut Html(&mut out), &holes);
        out.push_str("</title>\n<style>");
        out.push_str(&self.style);
        out.push_str("</style>\n");
        match &content.body {
            Body::Fragment(fragment) => open_fragment(&mut out, fragment),
            _ => out.push_str("</head>\n<body>\n"),
        }
        out.push_str("<main>\n<p class=\"by\">");
        out.push_str(&self.brand);
        out.push_str("</p>\n");
        if let Some(verdict) = content.verdict {
            out.push_str("<p class=\"kind\">");
            verdict.write(&mut Html(&mut out), &holes);
            out.push_str("</p>\n");
        }
        out.push_str("<h1>");
        content.headline.write(&mut Html(&mut out), &holes);
        out.push_str("</h1>\n<p class=\"lead\">");
        if content.user.is_some() {
            texts.signed_in_as.write(&mut Html(&mut out), &holes);
            out.push_str(texts.space);
        }
        content.lead.write(&mut Html(&mut out), &holes);
        out.push_str("</p>\n");
        said(&mut out, content, texts);
        body(&mut out, &content.body, report, texts);
        actions(&mut out, content, report, texts);
        if content.fault.is_some() {
            help_desk(&mut out, report, texts);
        }
        if let Some(keep) = keep {
            out.push_str(&links(language, keep));
        }
        out.push_str("</main>\n");
        match content.body {
            Body::Fragment(_) => script_element(&mut out, FRAGMENT_SCRIPT.trim_end()),
            Body::Choices(_, true) => script_element(&mut out, CHOOSER_SCRIPT.trim_end()),
            _ if content.fault.is_some() => script_element(&mut out, script()),
            _ => {}
        }
        out.push_str("</body>\n</html>\n");
        out
    }
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
    out.push_str("<p class=\"note\"><strong>");
    texts.provider_says.write(&mut Html(out), &content.holes());
    out.push_str("</strong><br><bdi>");
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

fn body(out: &mut String, body: &Body<'_>, report: &Report<'_>, texts: &'static Texts) {
    match body {
        Body::Nothing | Body::Fragment(_) => {}
        Body::Choices(choices, _) => self::choices(out, choices),
        Body::SignOut(form) => sign_out(out, form, texts),
        Body::Me(..) => {
            out.push_str("<dl lang=\"en\" dir=\"ltr\">\n");
            report.lines(|name, value| {
                element(out, "<dt>", name, "</dt>");
                element(out, "<dd>", value, "</dd>\n");
            });
            out.push_str("</dl>\n");
            if let Some(form) = form(body) {
                sign_out(out, form, texts);
            }
        }
    }
}

fn choices(out: &mut String, choices: &[Choice]) {
    out.push_str("<ul class=\"pick\">\n");
    for choice in choices.iter().filter(|choice| Action::is_link(&choice.href)) {
        element(out, "<li><a href=\"", &choice.href, "\"><bdi>");
        Html(out).line(&choice.name, cap::PROVIDER);
        out.push_str("</bdi></a></li>\n");
    }
    out.push_str("</ul>\n");
}

fn sign_out(out: &mut String, form: &Form<'_>, texts: &'static Texts) {
    if Action::is_link(form.action) {
        element(out, "<form method=\"post\" action=\"", form.action, "\">");
        element(out, "<button type=\"submit\">", texts.action_sign_out.as_str(), "</button></form>\n");
    }
}

fn actions(out: &mut String, content: &Content<'_>, report: &Report<'_>, texts: &'static Texts) {
    let help = if content.fault.is_some() { report.help(texts) } else { Vec::new() };
    if content.actions.is_empty() && help.is_empty() {
        return;
    }
    element(out, "<nav class=\"actions\" aria-label=\"", texts.actions_label.as_str(), "\">\n");
    let has_button = form(&content.body).is_some();
    for (at, Action { text, href, tab }) in content.actions.iter().enumerate() {
        element(out, "<a href=\"", href, "\"");
        if at == 0 && !has_button {
            out.push_str(" class=\"main\"");
        }
        if *tab == Tab::New {
            out.push_str(" target=\"_blank\" rel=\"noopener\"");
        }
        element(out, ">", text.as_str(), "</a>\n");
    }
    for (text, href) in help {
        element(out, "<a href=\"", &href, "\">");
        element(out, "", &text, "</a>\n");
    }
    out.push_str("</nav>\n");
}

fn help_desk(out: &mut String, report: &Report<'_>, texts: &'static Texts) {
    element(
        out,
        "<section aria-labelledby=\"report\">\n<h2 id=\"report\">",
        texts.heading_report.as_str(),
        "</h2>\n",
    );
    element(out, "<p class=\"hint\">", texts.report_hint.as_str(), "</p>\n");
    element(out, "<pre lang=\"en\" dir=\"ltr\" data-copy=\"", texts.copy.as_str(), "\"");
    element(out, " data-copied=\"", texts.copied.as_str(), "\">");
    let mut is_first = true;
    report.lines(|name, value| {
        let open = if std::mem::take(&mut is_first) { "" } else { "\n" };
        element(out, open, name, ": ");
        element(out, "", value, "");
    });
    out.push_str("</pre>\n<p role=\"status\"></p>\n</section>\n");
}

fn script_element(out: &mut String, script: &str) {
    for text in ["<script>", script, "</script>\n"] {
        out.push_str(text);
    }
}

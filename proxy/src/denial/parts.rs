//! The parts of a denial's page: card, panel, account line and what waits.

use portcullis_config::settings::OWN_PATHS;

use super::escape::{Escaper, Hole, Html, Markup, Plain, cap};
use super::headline::{Icon, Kind};
use super::links::{Action, written};
use super::markup::{self, Desk, element, words};
use super::step::{Card, Step};
use super::view::{View, Words};

impl View<'_> {
    /// The page's title: headline and installation.
    pub(super) fn write_title(&self, out: &mut String) {
        self.headline(&mut Html(out));
        element(out, " – ", &self.context.branding.installation, "");
    }

    pub(super) fn write_kind(&self, out: &mut String) {
        if let Some(kind) = self.kind() {
            markup::kind(out, kind);
        }
    }

    pub(super) fn write_lead(&self, out: &mut String) {
        self.lead(&mut Markup(out), true);
        if let Some(repeated) = self.repeated() {
            for text in [self.context.texts.space, "<b>", repeated, "</b>"] {
                out.push_str(text);
            }
        }
    }

    /// Whether the page has a panel for the help desk: it has none where all there is to do is to sign in.
    pub(super) fn has_desk(&self) -> bool {
        self.card != Card::None || !self.leads_to_sign_in()
    }

    pub(super) fn write_summary(&self, out: &mut String) {
        if self.has_desk() && !self.card_shows_reference() {
            markup::summary(out, &self.code, &self.reference, self.context.texts);
        }
    }

    /// The card with all that it holds.
    pub(super) fn write_card(&self, out: &mut String) {
        if self.card == Card::None {
            return self.write_foot(out, Template::Ours);
        }
        let is_solo = self.lists_ways() && self.ways.len() == 1 && self.ways.iter().all(|way| way.len() == 1);
        out.push_str(if is_solo {
            "<section class=\"card solo\" aria-labelledby=\"do\">\n"
        } else {
            "<section class=\"card\" aria-labelledby=\"do\">\n"
        });
        self.write_remedies(out, Template::Ours);
        self.write_words(out, Template::Ours);
        self.write_foot(out, Template::Ours);
        self.write_reasons(out);
        out.push_str("</section>\n");
    }

    /// Heading, note and steps.
    pub(super) fn write_remedies(&self, out: &mut String, template: Template) {
        let at = out.len();
        out.push_str("<h2 id=\"do\">");
        if !self.card_heading(&mut Markup(out)) {
            return out.truncate(at);
        }
        out.push_str("</h2>\n");
        let at = out.len();
        out.push_str("<p class=\"note\">");
        let empty = out.len();
        self.card_note(&mut Markup(out));
        if out.len() == empty {
            out.truncate(at);
        } else {
            out.push_str("</p>\n");
        }
        if self.card_shows_reference() {
            markup::reference(out, &self.reference, self.context.texts);
        }
        if self.lists_ways() {
            self.write_ways(out, template);
        }
    }

    fn write_ways(&self, out: &mut String, template: Template) {
        for (at, way) in self.ways.iter().enumerate() {
            if at > 0 {
                words(out, "<p class=\"or\">", &self.context.texts.note_or, "</p>\n");
            }
            if let [step] = way.as_slice() {
                out.push_str("<div class=\"one\"><strong class=\"do\">");
                self.write_step(out, *step, "</strong>", (at, 0), template);
                out.push_str("</div>\n");
                continue;
            }
            out.push_str("<ol class=\"steps\">\n");
            for (number, step) in way.iter().enumerate() {
                out.push_str("<li><span class=\"do\">");
                self.write_step(out, *step, "</span>", (at, number), template);
                out.push_str("</li>\n");
            }
            out.push_str("</ol>\n");
        }
    }

    /// `place`: which way, and which step of it. The button of the first is the one of the card.
    fn write_step(
        &self,
        out: &mut String,
        step: Step,
        close: &str,
        place: (usize, usize),
        template: Template,
    ) {
        self.instruction(step, &mut Markup(out));
        out.push_str(close);
        let at = out.len();
        out.push_str("\n<p class=\"seen\">");
        let empty = out.len();
        self.seen(step, &mut Markup(out));
        if out.len() == empty {
            out.truncate(at);
        } else {
            out.push_str("</p>");
        }
        for words in self.words().iter().filter(|words| self.place(words, template) == Some(place)) {
            out.push('\n');
            self.write_said(out, words.text);
        }
        if let (false, Some(action)) = (place == (0, 0), self.step_action(step)) {
            out.push('\n');
            write_action(out, "<a class=\"btn slim\" href=\"", &action);
        }
    }

    /// The operator's words that no step has.
    pub(super) fn write_words(&self, out: &mut String, template: Template) {
        for words in self.words().iter().filter(|words| self.place(words, template).is_none()) {
            self.write_said(out, words.text);
            out.push('\n');
        }
    }

    /// The way and the step of it that has these words; an operator's template has a place of its own for them.
    fn place(&self, words: &Words<'_>, template: Template) -> Option<(usize, usize)> {
        let is_in_step = template == Template::Ours && self.lists_ways();
        words.concerns.filter(|_| is_in_step)?.place(&self.ways)
    }

    fn write_said(&self, out: &mut String, text: &str) {
        // In whichever language the operator writes, beside a heading of ours: a `bdi` finds its own direction.
        words(out, "<p class=\"said\"><b>", &self.context.texts.heading_operator, "</b><bdi>");
        Html(out).line(text, cap::MESSAGE);
        out.push_str("</bdi></p>");
    }

    /// The one filled button, and what the page does by itself.
    pub(super) fn write_foot(&self, out: &mut String, template: Template) {
        let at = out.len();
        out.push_str("<div class=\"foot\">");
        let empty = out.len();
        if let Some(action) = self.primary() {
            write_action(out, "<a class=\"btn go\" href=\"", &action);
        }
        if self.card_shows_reference() {
            if let Some(handle) = self.report {
                markup::report_form(out, handle, "btn go", self.context.texts);
            }
            let at = out.len();
            out.push_str("<p class=\"small help\">");
            if markup::addresses(out, self.context.branding, &self.reference) {
                out.push_str("</p>");
            } else {
                out.truncate(at);
            }
        }
        self.write_live(out, template);
        if out.len() == empty {
            out.truncate(at);
        } else {
            out.push_str("</div>\n");
        }
    }

    fn write_live(&self, out: &mut String, template: Template) {
        let texts = self.context.texts;
        let is_later = matches!(self.card, Card::Later(_));
        let Some(handle) = self.waits_by() else {
            if is_later {
                words(out, "<p class=\"live\">", &texts.note_later_no_script, "</p>");
            }
            return;
        };
        out.push_str("<p class=\"live\" id=\"live\" role=\"status\" ");
        // The form that reports has the same handle: no page carries it twice.
        let is_in_form = self.report.is_some() && template == Template::Ours;
        if !is_in_form {
            element(out, "data-wait=\"", handle, "\" ");
        }
        out.push_str("data-still=\"");
        texts.live_checked.write(&mut Html(out), &[(Hole::Time, "{time}")]);
        out.push_str(texts.space);
        words(out, "", &texts.live_watching, "\" hidden><span class=\"dot\"></span><span>");
        self.live(&mut Markup(out));
        out.push_str("</span></p>");
        if is_later {
            words(out, "<noscript><p class=\"live\">", &texts.note_later_no_script, "</p></noscript>");
        }
    }

    /// What the page waits by; `None` where it does not.
    pub(super) fn waits_by(&self) -> Option<&str> {
        let can_wait = self.context.can_repeat && self.live(&mut Plain(&mut String::new()));
        self.wait.filter(|_| can_wait)
    }

    /// What did not meet the criteria, as far as no step says it.
    pub(super) fn write_reasons(&self, out: &mut String) {
        let reasons = self.reasons();
        let mut left = reasons.iter().filter(|reason| !self.is_said(reason)).peekable();
        if left.peek().is_none() {
            return;
        }
        let texts = self.context.texts;
        words(out, "<p class=\"label fail\">", &texts.heading_reasons, "</p>\n<ul class=\"seen\">");
        for reason in left {
            for text in ["<li>", texts.reason(reason), "</li>"] {
                out.push_str(text);
            }
        }
        out.push_str("</ul>\n");
    }

    pub(super) fn write_desk(&self, out: &mut String) {
        if !self.has_desk() {
            return;
        }
        let desk = Desk {
            branding: self.context.branding,
            texts: self.context.texts,
            reference: &self.reference,
            is_known: self.card_shows_reference(),
            report: self.report.filter(|_| !self.card_shows_reference()),
            first: self.first_rows(),
            more: self.more_rows(),
        };
        desk.write(out, |out| self.report(out));
    }

    /// Who is signed in, and how to be somebody else.
    pub(super) fn write_account(&self, out: &mut String) {
        let (texts, Some(user)) = (self.context.texts, self.own.and_then(|own| own.user)) else { return };
        let (other, signs_out) = (self.other_account(), self.signs_out());
        if other.is_none() && !signs_out {
            return;
        }
        let (open, close) = if signs_out {
            // The page that it opens asks, and posts: where a sign-out leads is in the policy of that page.
            ("<form class=\"who\" action=\"", "</form>\n")
        } else {
            ("<p class=\"who\"><span>", "</p>\n")
        };
        out.push_str(open);
        if signs_out {
            out.push_str(OWN_PATHS);
            out.push_str("/sign-out\"><span>");
        }
        texts.not_you.write(&mut Account(out), &[(Hole::User, user)]);
        out.push_str("</span>");
        if let Some(href) = other {
            element(out, " <a href=\"", &href, "\">");
            words(out, "", &texts.action_use_another_account, "</a>");
        }
        if signs_out {
            words(out, " <button type=\"submit\">", &texts.action_sign_out, "</button>");
        }
        out.push_str(close);
    }

    /// What the script shows once the request would be let in.
    pub(super) fn write_done(&self, out: &mut String) {
        let (texts, branding) = (self.context.texts, self.context.branding);
        let name = self.own.and_then(|own| own.app).map(|(_, name)| name);
        let values = name.map(|name| (Hole::App, name));
        let headline = if name.is_some() { &texts.headline_open } else { &texts.headline_open_nameless };
        out.push_str("<template id=\"done\" data-title=\"");
        headline.write(&mut Html(out), values.as_slice());
        element(out, " – ", &branding.installation, "\">");
        markup::kind(out, Kind { words: &texts.kind_open, icon: Icon::Done });
        markup::message(out, "<h1>", headline, values.as_slice(), "</h1>\n");
        words(
            out,
            "<section class=\"card\" aria-labelledby=\"ready\">\n<h2 id=\"ready\">",
            &texts.heading_done,
            "</h2>\n",
        );
        words(out, "<p class=\"note\" role=\"status\">", &texts.note_going, "</p>\n");
        let open = if name.is_some() { &texts.action_open } else { &texts.action_open_nameless };
        out.push_str("<div class=\"foot\"><a class=\"btn go\" id=\"open\" href=\"\">");
        open.write(&mut Html(out), values.as_slice());
        words(
            out,
            "</a> <a class=\"btn\" id=\"stay\" href=\"#stay\">",
            &texts.action_stay,
            "</a></div>\n</section></template>\n",
        );
    }
}

/// Whose template is filled: ours has every part, an operator's the parts that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Ours,
    Operators,
}

/// The account line names the user without emphasis.
#[derive(Debug)]
struct Account<'o>(&'o mut String);

impl Escaper for Account<'_> {
    fn literal(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: &str) {
        element(self.0, "<bdi>", text, "</bdi>");
    }
}

fn write_action(out: &mut String, open: &'static str, action: &Action<'_>) {
    element(out, open, &action.href, "\"");
    if action.is_shown {
        element(out, " data-url=\"", written(&action.href), "\"");
    }
    element(out, ">", action.text, "</a>");
}

//! Every text that a denial can show, by name, with the holes that it has.
//!
//! A language is one Fluent file (`languages/`). Files are resolved once, when a language is
//! loaded: what is left is a list of [`Piece`]s, so that a denial parses nothing. Numbers are
//! resolved then too, since a language may have up to six forms of them.

use std::collections::BTreeSet;

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};

use super::cldr::Locale;
use super::escape::{Escaper, Hole};
use super::repeats::{REPEATS_SHOWN_MAX, WINDOW};
use crate::refusal::{ErrorInfo, RETRY_AFTER, Refusal};

/// A text with holes, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
    /// From here on the words stay together.
    Open,
    /// Up to here.
    Close,
}

impl Message {
    /// Writes the text with its holes filled. What is filled in is foreign, is never searched for
    /// holes, and a hole without a value vanishes.
    pub(crate) fn write(&self, out: &mut impl Escaper, values: &[(Hole, &str)]) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.literal(text),
                Piece::Hole(hole) => {
                    if let Some((_, value)) = values.iter().find(|(known, _)| known == hole) {
                        out.hole(*hole, value);
                    }
                }
                Piece::Open => out.together(true),
                Piece::Close => out.together(false),
            }
        }
    }

    /// The text of a message without holes.
    pub(crate) fn as_str(&self) -> &str {
        match self.pieces.as_slice() {
            [Piece::Text(text), ..] => text,
            _ => "",
        }
    }
}

/// Steps that are needed together at most.
pub(crate) const STEPS_MAX: u8 = 3;

/// Stand around the name of a hole while a message is resolved; of the private use area, which no
/// language file uses.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// Stand in a language file around words that a headline keeps in one line.
const TOGETHER: [char; 2] = ['⟨', '⟩'];

fn pieces(resolved: &str, holes: &[Hole]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = resolved;
    while let Some((before, after)) = rest.split_once(OPEN) {
        push_words(&mut pieces, before);
        let (name, tail) = after.split_once(CLOSE).unwrap_or((after, ""));
        pieces.extend(holes.iter().find(|known| known.name() == name).map(|known| Piece::Hole(*known)));
        rest = tail;
    }
    push_words(&mut pieces, rest);
    pieces
}

fn push_words(pieces: &mut Vec<Piece>, words: &str) {
    let mut rest = words;
    while let Some((before, after)) = rest.split_once(TOGETHER) {
        let is_open = rest.get(before.len()..).is_some_and(|mark| mark.starts_with('⟨'));
        push_text(pieces, before);
        pieces.push(if is_open { Piece::Open } else { Piece::Close });
        rest = after;
    }
    push_text(pieces, rest);
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// A language file while [`Texts`] are made of it.
pub(crate) struct Resolver {
    bundle: FluentBundle<FluentResource>,
    /// What is wrong with the file; a test holds that there is nothing.
    pub(crate) problems: Vec<String>,
}

impl Resolver {
    /// `isolates`: whether what fills a hole is isolated from the direction of the text around.
    pub(crate) fn new(tag: &str, source: &str, isolates: bool) -> Self {
        let mut problems = Vec::new();
        let languages = tag.parse::<unic_langid::LanguageIdentifier>().into_iter().collect();
        let mut bundle = FluentBundle::new(languages);
        bundle.set_use_isolating(isolates);
        let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, errors)| {
            problems.extend(errors.iter().map(ToString::to_string));
            resource
        });
        if let Err(errors) = bundle.add_resource(resource) {
            problems.extend(errors.iter().map(ToString::to_string));
        }
        Self { bundle, problems }
    }

    fn resolve(&mut self, id: &str, holes: &[Hole], numbers: &[(&'static str, u64)]) -> Message {
        let mut args = FluentArgs::new();
        for hole in holes.iter().map(|hole| hole.name()) {
            args.set(hole, FluentValue::from(format!("{OPEN}{hole}{CLOSE}")));
        }
        for (number, value) in numbers {
            args.set(*number, FluentValue::from(*value));
        }
        let pattern = self.bundle.get_message(id).and_then(|message| message.value());
        let Some(pattern) = pattern else {
            self.problems.push(format!("`{id}` is missing"));
            return Message::default();
        };
        let mut errors = Vec::new();
        let resolved = self.bundle.format_pattern(pattern, Some(&args), &mut errors);
        self.problems.extend(errors.iter().map(|error| format!("`{id}`: {error}")));
        Message { pieces: pieces(&resolved, holes) }
    }
}

macro_rules! texts {
    ($($name:ident($($hole:ident),*);)*) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(crate) struct Texts {
            /// What stands between two sentences.
            pub(crate) space: &'static str,
            /// What stands between a label and what it labels.
            pub(crate) colon: &'static str,
            /// How countries and dates are written.
            pub(crate) locale: &'static Locale,
            $(pub(crate) $name: Message,)*
            /// For two refusals and more, up to [`REPEATS_SHOWN_MAX`].
            pub(crate) lead_refused_again: Vec<Message>,
            /// For two steps and more, up to [`STEPS_MAX`].
            pub(crate) note_steps: Vec<Message>,
            /// The same.
            pub(crate) live_steps: Vec<Message>,
            /// What explains each reason, by the name that the table of errors has for it.
            reasons: Vec<(&'static str, Message)>,
        }

        impl Texts {
            /// Resolves every text.
            pub(crate) fn resolve(resolver: &mut Resolver, (space, colon): (&'static str, &'static str), locale: &'static Locale) -> Self {
                let window = ("window", WINDOW.as_secs() / 60);
                let minutes = ("minutes", RETRY_AFTER.as_secs().div_ceil(60));
                let most = ("count", u64::from(REPEATS_SHOWN_MAX));
                let mut repeated = |count: u32| {
                    let count = ("count", u64::from(count));
                    resolver.resolve("lead-refused-again", &[], &[count, window])
                };
                let lead_refused_again = (2..=REPEATS_SHOWN_MAX).map(&mut repeated).collect();
                let mut of_steps = |id: &str, holes: &[Hole]| -> Vec<Message> {
                    (2..=STEPS_MAX).map(|steps| resolver.resolve(id, holes, &[("steps", u64::from(steps))])).collect()
                };
                Self {
                    space,
                    colon,
                    locale,
                    lead_refused_again,
                    note_steps: of_steps("note-steps", &[]),
                    live_steps: of_steps("live-steps", &[Hole::App]),
                    reasons: reasons().map(|name| (name, resolver.resolve(name, &[], &[]))).collect(),
                    $($name: resolver.resolve(&stringify!($name).replace('_', "-"), &[$(Hole::$hole),*], &[minutes, window, most]),)*
                }
            }

            /// Every piece of every text.
            #[cfg(test)]
            pub(crate) fn all(&self) -> Vec<&str> {
                let reasons = self.reasons.iter().map(|(_, message)| message);
                let counted = self.lead_refused_again.iter().chain(&self.note_steps).chain(&self.live_steps);
                let messages = [$(&self.$name),*].into_iter().chain(counted).chain(reasons);
                let pieces = messages.flat_map(|message| &message.pieces);
                pieces.filter_map(|piece| match piece {
                    Piece::Text(text) => Some(text.as_str()),
                    Piece::Hole(_) | Piece::Open | Piece::Close => None,
                }).collect()
            }
        }

        /// Ids of all texts, with their holes.
        #[cfg(test)]
        pub(crate) fn ids() -> Vec<(String, Vec<&'static str>)> {
            let mut ids = vec![
                $((stringify!($name).replace('_', "-"), vec![$(Hole::$hole.name()),*]),)*
                ("lead-refused-again".to_owned(), Vec::new()),
                ("note-steps".to_owned(), Vec::new()),
                ("live-steps".to_owned(), vec![Hole::App.name()]),
            ];
            ids.extend(reasons().map(|name| (name.to_owned(), Vec::new())));
            ids
        }
    };
}

texts! {
    headline_here(App);
    headline_here_nameless();
    headline_now(App);
    headline_now_nameless();
    headline_account(App);
    headline_account_nameless();
    headline_again(App);
    headline_again_nameless();
    headline_closed(App);
    headline_down(App);
    headline_down_nameless();
    headline_open(App);
    headline_open_nameless();
    headline_sign_in();
    headline_sign_in_again();
    headline_bad_request();
    headline_no_app();
    headline_too_large();
    headline_too_slow();
    headline_limited();
    headline_fault();

    kind_rule();
    kind_step();
    kind_us();
    kind_limit();
    kind_open();
    signed_in_as(User);

    lead_criteria();
    lead_password();
    lead_not_assigned();
    lead_stronger();
    lead_too_old();
    lead_step_open();
    lead_down();
    lead_app_down();
    lead_maintenance();
    lead_maintenance_public();
    lead_no_fault_of_yours();
    lead_groups_missing();
    lead_certificate_none();
    lead_certificate_other();
    lead_certificate_withdrawn();
    lead_certificate_out_of_time();
    lead_sign_in();
    lead_sign_in_again();
    lead_come_back();
    lead_bad_request();
    lead_misdirected();
    lead_no_app();
    lead_too_large();
    lead_too_slow();
    lead_limited_tokens();
    lead_limited_address();
    lead_limited_principal();
    lead_refused_often();

    heading_remedies();
    heading_none_found();
    heading_administrator();
    heading_help_desk();
    heading_waiting();
    heading_maintenance();
    heading_limited();
    heading_later(Time);
    heading_done();
    heading_reasons();
    heading_operator();
    heading_desk();
    heading_details();
    note_alternatives();
    note_or();
    note_none_found();
    note_administrator();
    note_groups();
    note_not_provable();
    note_not_delivered();
    note_help_desk();
    note_waiting(Time);
    note_maintenance(Time);
    note_limited();
    note_later();
    note_later_no_script();
    note_one_more_proof();
    note_going();

    step_leave_network();
    step_approved_network();
    step_other_country();
    step_compliant_device();
    step_hybrid_device();
    step_registered_device();
    step_other_device();
    step_update(Platform);
    step_update_nameless();
    step_approved_app();
    step_protected_app();
    step_stronger();
    step_sign_in_again();
    step_password();
    step_terms();
    step_external();
    step_other_flow();
    step_later(Time);
    step_certificate_choose();
    step_certificate_other();
    step_certificate_new();
    step_certificate_renew();

    seen_at(Address);
    seen_at_country(Address, Country);
    seen_country_by_vpn();
    seen_device_lacking(Device);
    seen_device_registered(Device);
    seen_device_not_shown();
    seen_device_not_shown_by_client();
    seen_version(Version);
    seen_signed_in_at(Time);

    live_connected(App);
    live_done(App);
    live_one_done(App);
    live_changed(App);
    live_changed_nameless();
    live_elsewhere(App);
    live_down(App);
    live_down_nameless();
    live_later(App);
    live_checked(Time);
    live_watching();

    action_check_again();
    action_sign_in();
    action_sign_in_again();
    action_report();
    action_use_another_account();
    action_try_again();
    action_fix_device();
    action_help_desk();
    action_open(App);
    action_open_nameless();
    action_stay();
    not_you(User);

    label_reference();
    label_code();
    label_time();
    label_app();
    label_request_id();
    label_correlation_id();
    label_app_id();
    label_user();
    label_address();
    label_location();
    label_device_id();
    label_platform();
    label_device_state();
    label_client();
    label_decision_by();
    label_reason();
    label_user_id();
    label_provider();
    label_methods();
    label_auth_time();
    label_idle_until();
    label_until();
    label_ticket();
    label_language();
    value_approximate(Country);
    value_not_available();
    value_not_shown();
    value_registered();
    value_compliant();
    value_not_compliant();
    value_hybrid_joined();
    value_browser();
    value_native_client();
    value_other_client();
    desk_say_or_send();
    desk_say();
    copy_details();
    copied_paste();
    details_all();
    details_more();

    contact();

    headline_choose();
    lead_choose();
    headline_sign_in_failed();
    lead_cancelled(Provider);
    lead_provider_error(Provider);
    lead_provider_answer(Provider);
    lead_configuration(Provider);
    lead_unreachable(Provider);
    lead_store();
    kind_nobody();
    kind_provider();
    kind_configuration();
    kind_network();
    provider_says(Provider);
    headline_cookies();
    lead_cookies();
    headline_loop();
    lead_loop(Provider);
    headline_form();
    lead_form();
    headline_sign_out();
    lead_sign_out();
    headline_signed_out();
    lead_signed_out();
    lead_signed_out_here(Provider);
    headline_reported();
    lead_reported(Reference);
    kind_signed_out();
    kind_signed_out_everywhere();
    headline_me();
    lead_me();
    headline_stale();
    lead_stale();
    headline_continue();
    lead_continue();
    lead_not_delivered();
    action_continue();
    action_new_tab();
    action_choose();
    action_sign_out();
}

/// The texts that the table of errors names, each once.
fn reasons() -> impl Iterator<Item = &'static str> {
    let texts: BTreeSet<&str> = Refusal::all().iter().map(|refusal| refusal.info().text).collect();
    texts.into_iter().filter(|name| !name.is_empty())
}

impl Texts {
    /// What explains a reason.
    pub(crate) fn reason(&self, info: &ErrorInfo) -> &str {
        let found = self.reasons.iter().find(|(name, _)| *name == info.text);
        found.map_or("", |(_, message)| message.as_str())
    }
}

/// Labels of the text for a ticket: the same in every language, so that a help desk can read what it is sent, and as
/// Entra's panel has them.
pub(crate) mod label {
    pub(crate) const REFERENCE: &str = "Reference";
    pub(crate) const CODE: &str = "Error code";
    pub(crate) const REASON: &str = "Reason";
    pub(crate) const TIME: &str = "Time";
    pub(crate) const APP_ID: &str = "App ID";
    pub(crate) const REQUEST_ID: &str = "Request ID";
    pub(crate) const CORRELATION_ID: &str = "Correlation ID";
    pub(crate) const DEVICE_STATE: &str = "Device state";
    pub(crate) const DECISION_BY: &str = "Decision by";
    pub(crate) const SUPPORT_CODE: &str = "Support code";
}

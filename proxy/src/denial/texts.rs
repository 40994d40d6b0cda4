//! Every text that a denial can show, by name, with the holes that it has.
//!
//! A language is one Fluent file (`languages/`). Files are resolved once, when a language is
//! loaded: what is left is a list of [`Piece`]s, so that a denial parses nothing. Numbers are
//! resolved then too, since a language may have up to six forms of them.

use std::collections::BTreeSet;

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};

use super::cldr::Locale;
use super::escape::{Escaper, cap};
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
}

/// What a text can be filled with. All of it is foreign, so each has the length that it is cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    App,
    User,
    Address,
    Country,
    Platform,
    Version,
    Time,
    Provider,
}

impl Hole {
    /// The name in a language file.
    const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::User => "user",
            Self::Address => "address",
            Self::Country => "country",
            Self::Platform => "platform",
            Self::Version => "version",
            Self::Time => "time",
            Self::Provider => "provider",
        }
    }

    const fn cap(self) -> usize {
        match self {
            Self::App => cap::APP_NAME_HEADLINE,
            Self::User => cap::USER,
            Self::Address => cap::ADDRESS,
            Self::Version => cap::OS_VERSION,
            Self::Provider => cap::PROVIDER,
            Self::Country | Self::Time => cap::PHRASE,
            Self::Platform => cap::WORD,
        }
    }
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
                        out.line(value, hole.cap());
                    }
                }
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

/// Stand around the name of a hole while a message is resolved; of the private use area, which no
/// language file uses.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

fn pieces(resolved: &str, holes: &[Hole]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = resolved;
    while let Some((before, after)) = rest.split_once(OPEN) {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let (name, tail) = after.split_once(CLOSE).unwrap_or((after, ""));
        pieces.extend(holes.iter().find(|known| known.name() == name).map(|known| Piece::Hole(*known)));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
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
            /// How countries and dates are written.
            pub(crate) locale: &'static Locale,
            $(pub(crate) $name: Message,)*
            /// For two refusals and more, up to [`REPEATS_SHOWN_MAX`].
            pub(crate) verdict_repeated: Vec<Message>,
            /// What explains each reason, by the name that the table of errors has for it.
            reasons: Vec<(&'static str, Message)>,
        }

        impl Texts {
            /// Resolves every text.
            pub(crate) fn resolve(resolver: &mut Resolver, space: &'static str, locale: &'static Locale) -> Self {
                let window = ("window", WINDOW.as_secs() / 60);
                let minutes = ("minutes", RETRY_AFTER.as_secs().div_ceil(60));
                let most = ("count", u64::from(REPEATS_SHOWN_MAX));
                let mut repeated = |count: u32| {
                    let count = ("count", u64::from(count));
                    resolver.resolve("verdict-repeated", &[], &[count, window])
                };
                Self {
                    space,
                    locale,
                    verdict_repeated: (2..=REPEATS_SHOWN_MAX).map(&mut repeated).collect(),
                    reasons: reasons().map(|name| (name, resolver.resolve(name, &[], &[]))).collect(),
                    $($name: resolver.resolve(&stringify!($name).replace('_', "-"), &[$(Hole::$hole),*], &[minutes, window, most]),)*
                }
            }

            /// Every piece of every text.
            #[cfg(test)]
            pub(crate) fn all(&self) -> Vec<&str> {
                let reasons = self.reasons.iter().map(|(_, message)| message);
                let messages = [$(&self.$name),*].into_iter().chain(&self.verdict_repeated).chain(reasons);
                let pieces = messages.flat_map(|message| &message.pieces);
                pieces.filter_map(|piece| match piece {
                    Piece::Text(text) => Some(text.as_str()),
                    Piece::Hole(_) => None,
                }).collect()
            }
        }

        /// Ids of all texts, with their holes.
        #[cfg(test)]
        pub(crate) fn ids() -> Vec<(String, Vec<&'static str>)> {
            let mut ids = vec![
                $((stringify!($name).replace('_', "-"), vec![$(Hole::$hole.name()),*]),)*
                ("verdict-repeated".to_owned(), Vec::new()),
            ];
            ids.extend(reasons().map(|name| (name.to_owned(), Vec::new())));
            ids
        }
    };
}

texts! {
    headline_context(App);
    headline_context_nameless();
    headline_account(App);
    headline_account_nameless();
    headline_reauthenticate(App);
    headline_reauthenticate_nameless();
    headline_unavailable(App);
    headline_unavailable_nameless();
    headline_sign_in();
    headline_sign_in_again();
    headline_bad_request();
    headline_no_app();
    headline_too_large();
    headline_too_slow();
    headline_limited();
    headline_fault();

    signed_in_as(User);
    lead_context();
    lead_account();
    lead_reauthenticate();
    lead_unavailable();
    lead_fault();
    lead_upstream();
    lead_groups();
    lead_certificate_missing();
    lead_certificate_untrusted();
    lead_certificate_revoked();
    lead_certificate_expired();
    lead_sign_in();
    lead_sign_in_again();
    lead_bad_request();
    lead_misdirected();
    lead_no_app();
    lead_too_large();
    lead_too_slow();
    lead_limited_tokens();
    lead_limited_address();
    lead_limited_principal();

    verdict_structural();
    verdict_groups();
    verdict_reauthenticate();
    verdict_temporary();
    verdict_limited();
    verdict_repeated_often();

    heading_remedies();
    heading_reasons();
    heading_operator();
    heading_details();
    heading_report();
    report_hint();
    actions_label();
    languages_label();
    copy();
    copied();

    remedy_together();
    remedy_other_network();
    seen_at(Address);
    seen_at_country(Address, Country);
    remedy_compliant_device();
    remedy_hybrid_device();
    remedy_registered_device();
    device_not_shown();
    device_not_shown_by_client();
    device_not_compliant();
    device_unregistered();
    remedy_update_os();
    remedy_update_named_os(Platform, Version);
    remedy_later(Time);
    remedy_desktop_or_mobile();
    remedy_stronger();
    remedy_sign_in_again();
    remedy_password();
    remedy_interaction();
    remedy_other_flow();
    remedy_administrator();

    action_sign_in();
    action_sign_in_again();
    action_other_account();
    action_try_again();
    action_fix_device();
    action_mail(Address);
    action_help();

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
    verdict_nobody();
    verdict_provider();
    verdict_configuration();
    verdict_network();
    verdict_us();
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
    verdict_signed_out();
    verdict_signed_out_everywhere();
    headline_me();
    lead_me();
    headline_stale();
    lead_stale();
    headline_continue();
    lead_continue();
    lead_not_delivered();
    verdict_not_delivered();
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

/// What is the same in every language, so that a help desk can read what it is sent: labels of the
/// details as Entra's panel has them, and the subject of the mail.
pub(crate) mod label {
    pub(crate) const CODE: &str = "Error code";
    pub(crate) const REQUEST_ID: &str = "Request ID";
    pub(crate) const CORRELATION_ID: &str = "Correlation ID";
    pub(crate) const TIMESTAMP: &str = "Timestamp";
    pub(crate) const APP_NAME: &str = "App name";
    pub(crate) const APP_ID: &str = "App ID";
    pub(crate) const USER: &str = "Signed in as";
    pub(crate) const ADDRESS: &str = "IP address";
    pub(crate) const LOCATION: &str = "Location";
    pub(crate) const DEVICE_ID: &str = "Device identifier";
    pub(crate) const PLATFORM: &str = "Device platform";
    pub(crate) const DEVICE_STATE: &str = "Device state";
    pub(crate) const CLIENT: &str = "Client";
    pub(crate) const DECISION_BY: &str = "Decision by";
    pub(crate) const SUPPORT_CODE: &str = "Support code";
    pub(crate) const REASON: &str = "Reason";
    pub(crate) const USER_ID: &str = "User ID";
    pub(crate) const PROVIDER: &str = "Sign-in service";
    pub(crate) const METHODS: &str = "Signed in with";
    pub(crate) const AUTH_TIME: &str = "Signed in at";
    pub(crate) const IDLE_UNTIL: &str = "Ends if not used by";
    pub(crate) const UNTIL: &str = "Ends at the latest";
    pub(crate) const NOT_AVAILABLE: &str = "Not available";
}

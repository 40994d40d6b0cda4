//! The one raised surface of the page: what the user can do, its one filled button, and what the page does by itself.

use std::borrow::Cow;

use portcullis_policy::remedy::Finding;

use super::escape::{Escaper, Hole};
use super::links::Action;
use super::step::{Card, Step, Suggestion, Way};
use super::texts::Message;
use super::view::{View, is_limit};
use crate::refusal::{Refusal, Resolution};

impl<'v> View<'v> {
    pub(super) fn find_card(&self, refusal: &Refusal) -> Card {
        if self.is_temporary {
            return match refusal {
                Refusal::Maintenance => Card::Maintenance,
                refusal if is_limit(refusal) => Card::Limited,
                _ => Card::Waiting,
            };
        }
        if let [way] = self.ways.as_slice()
            && let [step] = way.as_slice()
        {
            if step.is_sign_in() {
                return Card::SignIn(*step);
            }
            if let Some(at) = step.later() {
                return Card::Later(at);
            }
        }
        if !self.ways.is_empty() {
            return Card::Ways;
        }
        match (self.refused, self.own) {
            (None, _) => Card::None,
            // A new sign-in is what the challenge of the answer asks for.
            (Some(_), None) if self.info.resolution == Resolution::Reauthenticate && !self.not_delivered => {
                Card::SignIn(Step::Suggested(Suggestion::SignInAgain))
            }
            (Some(_), None) => Card::HelpDesk,
            (Some(_), Some(_)) if self.not_delivered => Card::HelpDesk,
            (Some(_), Some(own)) => match own.remedies.map(|found| found.finding) {
                None | Some(Finding::NotFound) if !self.groups_missing => Card::NoneFound,
                // What was found and is not shown is around a risk.
                _ => Card::Administrator,
            },
        }
    }

    /// Whether the card itself shows the reference: it is all that the user has then.
    pub(super) const fn card_shows_reference(&self) -> bool {
        matches!(self.card, Card::Administrator | Card::NoneFound | Card::HelpDesk)
    }

    /// The card's heading; `false` where there is no card.
    pub(super) fn card_heading(&self, out: &mut impl Escaper) -> bool {
        let texts = self.context.texts;
        let message = match self.card {
            Card::None => return false,
            Card::Ways => &texts.heading_remedies,
            Card::SignIn(step) => {
                self.instruction(step, out);
                return true;
            }
            Card::Later(at) => {
                texts.heading_later.write(out, &[(Hole::Time, &texts.locale.moment_with_weekday(at))]);
                return true;
            }
            Card::Administrator => &texts.heading_administrator,
            Card::NoneFound => &texts.heading_none_found,
            Card::HelpDesk => &texts.heading_help_desk,
            Card::Waiting => &texts.heading_waiting,
            Card::Maintenance => &texts.heading_maintenance,
            Card::Limited => &texts.heading_limited,
        };
        out.literal(message.as_str());
        true
    }

    /// What stands below the heading.
    pub(super) fn card_note(&self, out: &mut impl Escaper) {
        let texts = self.context.texts;
        let message = match self.card {
            Card::None => return,
            Card::Ways => match self.ways.as_slice() {
                [way] => match self.steps_message(way, &texts.note_steps) {
                    Some(message) => message,
                    None => return,
                },
                _ => &texts.note_alternatives,
            },
            Card::SignIn(step) => {
                if self.has_seen(step) {
                    self.seen(step, out);
                    out.literal(texts.space);
                }
                if step.is_stronger() {
                    out.literal(texts.note_one_more_proof.as_str());
                    out.literal(texts.space);
                }
                &texts.lead_come_back
            }
            Card::Later(_) => &texts.note_later,
            Card::Administrator if self.groups_missing => &texts.note_groups,
            Card::Administrator if self.is_not_provable() => &texts.note_not_provable,
            Card::Administrator => &texts.note_administrator,
            Card::NoneFound => &texts.note_none_found,
            Card::HelpDesk if self.not_delivered => &texts.note_not_delivered,
            Card::HelpDesk => &texts.note_help_desk,
            Card::Waiting | Card::Maintenance => {
                let after =
                    self.now_unix_secs.saturating_add_unsigned(self.retry_after_secs.unwrap_or_default());
                let note = match self.card {
                    Card::Maintenance => &texts.note_maintenance,
                    _ => &texts.note_waiting,
                };
                return note.write(out, &[(Hole::Time, &texts.locale.time(after))]);
            }
            Card::Limited => &texts.note_limited,
        };
        out.literal(message.as_str());
    }

    /// What the page does by itself; `false` where it does nothing.
    pub(super) fn live(&self, out: &mut impl Escaper) -> bool {
        let texts = self.context.texts;
        let name = self.own.and_then(|own| own.app).map(|(_, name)| name);
        let (message, nameless) = match self.card {
            Card::None | Card::Limited => return false,
            Card::Ways => (self.live_of_ways(), &texts.live_changed_nameless),
            Card::SignIn(_) => (&texts.live_elsewhere, &texts.live_changed_nameless),
            Card::Later(_) => (&texts.live_later, &texts.live_changed_nameless),
            Card::Administrator | Card::NoneFound | Card::HelpDesk => {
                (&texts.live_changed, &texts.live_changed_nameless)
            }
            Card::Waiting | Card::Maintenance => (&texts.live_down, &texts.live_down_nameless),
        };
        match name {
            Some(name) => message.write(out, &[(Hole::App, name)]),
            None => out.literal(nameless.as_str()),
        }
        true
    }

    fn live_of_ways(&self) -> &'static Message {
        let texts = self.context.texts;
        match self.ways.as_slice() {
            [way] => match self.steps_message(way, &texts.live_steps) {
                Some(message) => message,
                None if way.iter().all(|step| step.is_network()) => &texts.live_connected,
                None => &texts.live_done,
            },
            _ => &texts.live_one_done,
        }
    }

    /// The message for as many steps as this way has, from two on.
    fn steps_message<'m>(&self, way: &Way, messages: &'m [Message]) -> Option<&'m Message> {
        messages.get(way.len().checked_sub(2)?)
    }

    /// The one filled button: the first step's action.
    pub(super) fn primary(&self) -> Option<Action<'_>> {
        let texts = self.context.texts;
        let again = |text: &'static Message| {
            self.context.can_repeat.then_some(Action {
                text: text.as_str(),
                href: Cow::Borrowed(""),
                is_shown: false,
            })
        };
        match self.card {
            Card::None => self.sign_in_action(),
            Card::SignIn(_) => self.sign_in_action(),
            Card::Ways => match self.ways.first().and_then(|way| way.first()) {
                Some(step) => self.step_action(*step).or_else(|| again(&texts.action_check_again)),
                None => None,
            },
            Card::Later(_) => None,
            Card::Administrator | Card::NoneFound | Card::HelpDesk if self.report.is_some() => None,
            Card::Administrator | Card::NoneFound | Card::HelpDesk => self.help_desk_action(),
            Card::Waiting | Card::Maintenance | Card::Limited => again(&texts.action_try_again),
        }
    }
}

//! The facts of then, by the policies of today.

use jiff::tz::TimeZone;
use portcullis_policy::Outcome;
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::explain::{Explained, explain};
use portcullis_policy::reference::Tri;
use portcullis_policy::remedy::{self, Finding, Installation, Remedies};
use portcullis_policy::signals::Fact;

use super::desk::Desk;
use super::remedies;
use super::sentence::Help;
use crate::decision_record::DecisionRecord;
use crate::refusal::Refusal;

/// The same facts, by the policies of today.
#[derive(Default)]
pub(super) struct Today {
    pub(super) said: Vec<String>,
    pub(super) policies: Vec<Explained>,
    pub(super) steps: Vec<Vec<String>>,
    pub(super) help: Help,
    /// What they come to.
    pub(super) refusal: Option<Refusal>,
}

impl Today {
    /// Nothing can be asked.
    pub(super) fn not_asked(why: &str) -> Self {
        let said =
            format!("The configuration of today cannot be read, so nothing is compared with it: {why}.");
        Self { said: Vec::from([said]), ..Self::default() }
    }
}

/// Asks the policies of today about the facts of then.
pub(super) fn ask(record: &DecisionRecord, desk: &Desk<'_>, zone: Option<&TimeZone>) -> Today {
    let set = desk.policies.set();
    let mut today = Today::default();
    let Some(owned) = record.signals(set) else {
        today.said.push("The app is no longer configured, so nothing can be asked again.".to_owned());
        return today;
    };
    let context = owned.client_context();
    let signals = owned.signals(&context);
    let scope = desk.policies.bind(&owned.principal);
    let explanation = explain(set, &signals);
    if explanation.assigned == Tri::No {
        today.said.push("The app is assigned to certain people, and this one is not among them.".to_owned());
    }
    today.policies = explanation.policies;
    let refused = match desk.policies.decide(&scope, &signals).outcome {
        Outcome::Grant(_) => {
            today.said.push("The same request, with the facts of then, would be let in today.".to_owned());
            today.help = Help::LetIn;
            return today;
        }
        Outcome::Challenge(refused) | Outcome::Deny(refused) | Outcome::Block(refused) => refused,
    };
    let refusal = Refusal::by_policies(refused, &owned.principal, &set.evidence, record.carrier());
    today.refusal = Some(refusal);
    let reasons: Vec<_> = refused.reasons.iter().map(|reason| reason.as_str()).collect();
    let (code, reasons) = (refusal.info().code, reasons.join(", "));
    today.said.push(format!("The same request would be refused today too: {code}, {reasons}."));
    let standing = &signals.principal.standing;
    let is_incomplete = [&standing.groups, &standing.roles].contains(&&Fact::Unavailable);
    if refused.temporary {
        today.said.push(
            if is_incomplete {
                "It depends on groups or roles that the token does not list completely, or not as a list: waiting does not \
                 help. See \"Groups that a token leaves out\" in proxy/README.md."
            } else {
                "It depends on a fact whose source did not answer: with the fact it may be let in."
            }
            .to_owned(),
        );
    }
    let found = search(desk, &scope, &signals);
    today.steps = remedies::in_words(&found, set, zone);
    today.said.extend(remedies::nothing(&found, set).filter(|_| found.finding != Finding::Waiting));
    today.help = match found.finding {
        Finding::LetIn => Help::LetIn,
        // What would help is not for whoever a risk is about; see `denial`, which shows it neither.
        _ if refused.reasons.with(refused.primary).contains(ReasonCode::BlockedByRisk) => Help::NotKnown,
        Finding::Found => Help::Ways(found.alternatives.iter().map(|one| one.changes.to_vec()).collect()),
        Finding::SignInNotTold | Finding::OnlyAdministrator => Help::None,
        Finding::Waiting | Finding::NotFound => Help::NotKnown,
    };
    today
}

fn search(
    desk: &Desk<'_>,
    scope: &portcullis_policy::Scope,
    signals: &portcullis_policy::Signals<'_>,
) -> Remedies {
    // Nobody waits for it in a request, so it may take its time.
    let steps_max = desk.installation.steps_max.saturating_mul(50);
    let installation = Installation { steps_max, ..desk.installation };
    remedy::find(desk.policies, scope, signals, &[], &installation)
}

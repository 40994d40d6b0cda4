//! What is said, before it takes a form: page, problem details and text are made from the same [`View`], so
//! that none of them says more than the others.

use arrayvec::ArrayVec;
use portcullis_config::settings::Disclosure;
use portcullis_policy::decision::{ReasonCode, Refused};
use portcullis_policy::remedy::Finding;

use super::branding::Branding;
use super::concerns::Concerns;
use super::escape::{Escaper, Hole};
use super::facts::{Facts, OwnSignIn};
use super::headline::{Headline, Kind};
use super::repeats::REPEATS_SHOWN_MAX;
use super::step::{Card, WAYS_MAX, Way};
use super::texts::Texts;
use crate::clock;
use crate::limit;
use crate::reference::Reference;
use crate::refusal::{BadToken, Class, ErrorInfo, RETRY_AFTER, Refusal, Resolution, Sender, Subcode};

/// What a denial is written with, beside the facts.
#[derive(Debug)]
pub(super) struct RenderContext<'v> {
    pub(super) branding: &'v Branding,
    pub(super) texts: &'static Texts,
    pub(super) disclosure: Disclosure,
    /// The operator's words of the policies that refused.
    pub(super) words: Vec<Words<'v>>,
    /// How many such refusals there were a short while ago, this one included.
    pub(super) repeats: u32,
    pub(super) support_code: Option<String>,
    /// Whether a person can simply ask again: a read, which is safe to repeat.
    pub(super) can_repeat: bool,
    /// Whether a script of a page may have asked, which shows the answer in its page.
    pub(super) by_script: bool,
}

/// What the operator says to whoever a policy refuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'v> {
    pub(super) text: &'v str,
    /// What the policy is about.
    pub(super) concerns: Option<&'v Concerns>,
}

/// Everything that one denial may say. What takes words is written when a form asks for it, so that
/// no form pays for the words of another.
#[derive(Debug)]
pub(super) struct View<'v> {
    pub(super) info: ErrorInfo,
    /// The code in digits; empty where there is none.
    pub(super) code: String,
    pub(super) request_id: String,
    /// What of the request's id can be said over the telephone.
    pub(super) reference: String,
    pub(super) correlation_id: Option<String>,
    pub(super) timestamp: String,
    pub(super) now_unix_secs: i64,
    /// The user's own facts; `None` where they are not to be shown.
    pub(super) own: Option<&'v Facts<'v>>,
    /// The client's address, among the own facts.
    pub(super) address: Option<String>,
    /// Whether what would end the refusal may be named: not at minimal disclosure of a decision.
    pub(super) names_resolution: bool,
    pub(super) is_temporary: bool,
    /// How long to wait, where waiting helps.
    pub(super) retry_after_secs: Option<u64>,
    pub(super) refused: Option<Refused>,
    /// Whether the decision turned on groups that the token does not list.
    pub(super) groups_missing: bool,
    pub(super) sign_in_url: Option<&'v str>,
    pub(super) own_sign_in: Option<OwnSignIn<'v>>,
    /// Whether a new sign-in for this very demand did not bring what it asked for.
    pub(super) not_delivered: bool,
    /// What the page waits by, where it can.
    pub(super) wait: Option<&'v str>,
    /// What the help desk is told of this refusal by, where it can be.
    pub(super) report: Option<&'v str>,
    pub(super) ways: ArrayVec<Way, WAYS_MAX>,
    pub(super) card: Card,
    headline: Headline,
    pub(super) context: RenderContext<'v>,
}

impl<'v> View<'v> {
    /// ORACLE: who has no valid token sees nothing of app, address, device or policy; only a
    /// decision, or an upstream's failure after a grant, has a reader whose token was verified.
    pub(super) fn of(refusal: &'v Refusal, facts: &'v Facts<'v>, context: RenderContext<'v>) -> Self {
        let info = refusal.info();
        let shows_own = context.disclosure != Disclosure::Minimal && is_verified(refusal);
        let own = shows_own.then_some(facts);
        // The table speaks: a refusal whose answer is 503 is temporary on the page as well.
        let is_temporary = info.is_temporary();
        let retry_after_secs = facts
            .exceeded
            .as_ref()
            .map_or(facts.retry_after.unwrap_or(RETRY_AFTER).as_secs(), |(_, quota)| {
                limit::retry_after_secs(quota)
            });
        let refused = if let Refusal::Policy(refused, _) = refusal { Some(*refused) } else { None };
        let certificate = match refusal {
            Refusal::ClientCertificate(problem) => Some(*problem),
            _ => None,
        };
        let mut view = Self {
            info,
            code: if info.code == 0 { String::new() } else { info.code.to_string() },
            request_id: uuid::Uuid::from_u128(facts.request_id).to_string(),
            reference: Reference::of(facts.request_id).to_string(),
            correlation_id: own.and_then(|own| own.trace_id).map(|id| format!("{id:032x}")),
            timestamp: clock::timestamp(facts.now_unix_ms),
            now_unix_secs: facts.now_unix_ms.div_euclid(1_000),
            own,
            address: own.and_then(|own| own.client).map(|client| client.to_string()),
            names_resolution: refused.is_none() || own.is_some(),
            is_temporary,
            retry_after_secs: is_temporary.then_some(retry_after_secs),
            refused,
            groups_missing: matches!(refusal, Refusal::Policy(_, Subcode::GroupsMissing)),
            sign_in_url: facts.sign_in_url,
            own_sign_in: facts.own_sign_in,
            not_delivered: facts.step_up_not_delivered && info.resolution == Resolution::Reauthenticate,
            wait: facts.wait,
            report: facts.report.filter(|_| refused.is_some()),
            ways: ArrayVec::new(),
            card: Card::None,
            headline: Headline::of(refusal, context.texts),
            context,
        };
        if matches!(refusal, Refusal::Maintenance) && facts.app.is_none() {
            // On a path that is open to everybody nobody was judged, and nobody is told to be let in.
            view.headline.lead = &view.context.texts.lead_maintenance_public;
        }
        view.ways = view.find_ways(certificate);
        view.card = view.find_card(refusal);
        let is_place = view.is_place();
        view.headline.adapt(&view.card, (shows_own, is_place), view.not_delivered, view.context.texts);
        view
    }

    /// What a denial begins with.
    pub(super) fn headline(&self, out: &mut impl Escaper) {
        let app = self.own.and_then(|own| own.app);
        match (self.headline.named, app) {
            (Some(named), Some((_, name))) => named.write(out, &[(Hole::App, name)]),
            _ => out.literal(self.headline.nameless.as_str()),
        }
    }

    /// Whether the reader is told that it is the place: among the reasons, or by what helps.
    fn is_place(&self) -> bool {
        let is_shown = !self.is_temporary && !self.groups_missing;
        let is_location = |reason| ErrorInfo::of_reason(reason).class == Class::Location;
        let by_reason = |refused: Refused| refused.reasons.with(refused.primary).iter().any(is_location);
        (is_shown && self.refused.is_some_and(by_reason))
            || self.ways.iter().flatten().any(|step| step.is_network())
    }

    /// Whose turn or fault it is.
    pub(super) const fn kind(&self) -> Option<Kind> {
        self.headline.kind
    }

    /// Who is signed in, and what is the matter. `to_person`: whether it is read by one, whose password is not the
    /// problem then.
    pub(super) fn lead(&self, out: &mut impl Escaper, to_person: bool) {
        let texts = self.context.texts;
        if let Some(user) = self.own.and_then(|own| own.user) {
            texts.signed_in_as.write(out, &[(Hole::User, user)]);
            out.literal(texts.space);
        }
        out.literal(self.headline.lead.as_str());
        if to_person && self.is_password_fine() {
            out.literal(texts.space);
            out.literal(texts.lead_password.as_str());
        }
        if self.info.status == 401 && self.refused.is_none() && self.leads_to_sign_in() {
            out.literal(texts.space);
            out.literal(texts.lead_come_back.as_str());
        }
    }

    /// Whether it may be said that the password is not the problem. Where a rule is not explained it may be: a leaked
    /// password is a risk.
    fn is_password_fine(&self) -> bool {
        let (Some(refused), Some(_)) = (self.refused, self.own) else { return false };
        let unexplained = |reason| ErrorInfo::of_reason(reason).class == Class::Policy;
        !self.is_temporary
            && !self.groups_missing
            && self.info.resolution != Resolution::Reauthenticate
            && !refused.reasons.with(refused.primary).iter().any(unexplained)
    }

    /// What is said of a refusal that is repeated, where nothing that is suggested is to try again.
    pub(super) fn repeated(&self) -> Option<&'static str> {
        let texts = self.context.texts;
        if !matches!(self.card, Card::Administrator | Card::NoneFound) || self.not_delivered {
            return None;
        }
        let message = match self.context.repeats {
            0 | 1 => return None,
            count if count > REPEATS_SHOWN_MAX => &texts.lead_refused_often,
            count => texts.lead_refused_again.get(usize::try_from(count - 2).ok()?)?,
        };
        Some(message.as_str())
    }

    /// The operator's words, at full disclosure.
    pub(super) fn words(&self) -> &[Words<'v>] {
        let shows = self.refused.is_some() && self.own.is_some();
        let is_full = self.context.disclosure == Disclosure::Full;
        if shows && is_full { self.context.words.as_slice() } else { &[] }
    }

    /// All failing classes at once; what passed is never listed. A temporary refusal lists only that
    /// a fact was missing: whatever else failed may have failed for want of it.
    pub(super) fn reasons(&self) -> Vec<ErrorInfo> {
        let (Some(refused), Some(_)) = (self.refused, self.own) else { return Vec::new() };
        if self.groups_missing || self.is_temporary {
            // Whatever else failed may have failed for want of them, and of the fact that is missing.
            return vec![self.info];
        }
        let mut list: Vec<ErrorInfo> = Vec::new();
        for reason in refused.reasons.with(refused.primary).iter() {
            if reason == ReasonCode::FactUnavailable {
                continue;
            }
            let info = if reason == refused.primary { self.info } else { ErrorInfo::of_reason(reason) };
            let is_same = |known: &ErrorInfo| {
                known.text == info.text || (known.code, known.class) == (info.code, info.class)
            };
            if !list.iter().any(is_same) {
                list.push(info);
            }
        }
        list
    }

    /// Whether the issuer does not tell what a policy asks for.
    pub(super) fn is_not_provable(&self) -> bool {
        let has_reason =
            |refused: Refused| refused.reasons.with(refused.primary).contains(ReasonCode::NotProvable);
        let found = self.own.and_then(|own| own.remedies).map(|found| found.finding);
        found == Some(Finding::SignInNotTold) || self.refused.is_some_and(has_reason)
    }

    /// The country of the client's address, as the language calls it.
    pub(super) fn country(&self) -> Option<&str> {
        let code = self.own?.shown_country()?;
        Some(self.context.texts.locale.country(code).unwrap_or(code))
    }

    /// Whether the page has a form.
    pub(super) fn has_form(&self) -> bool {
        self.report.is_some() || self.signs_out()
    }

    /// Whether there is a session of ours that the reader can end.
    pub(super) fn signs_out(&self) -> bool {
        self.own.is_some() && self.own_sign_in.is_some_and(|own| own.has_session)
    }

    pub(super) fn support_code(&self) -> Option<&str> {
        self.context.support_code.as_deref()
    }
}

/// Whether a rate was exceeded.
pub(super) const fn is_limit(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::TooManyRequests(_) | Refusal::BadToken(BadToken::NotTried))
}

/// Whether the reader's token was verified. Exhaustive: a new refusal must say on which side it is.
pub(crate) const fn is_verified(refusal: &Refusal) -> bool {
    match refusal {
        // Asked for only once somebody is known.
        Refusal::Policy(..)
        | Refusal::ClientCertificate(_)
        | Refusal::Upstream { .. }
        | Refusal::Maintenance
        | Refusal::TooManyRequests(Sender::Principal) => true,
        Refusal::BadRequest(_)
        | Refusal::NoApp
        | Refusal::NoToken
        | Refusal::BadToken(_)
        | Refusal::BadSession(_)
        | Refusal::KeysUnavailable
        | Refusal::SessionsUnavailable
        | Refusal::Internal
        | Refusal::TooManyRequests(Sender::Address)
        | Refusal::BodyTooLarge
        | Refusal::BodyTooSlow
        | Refusal::SignIn(_)
        | Refusal::Loop => false,
    }
}

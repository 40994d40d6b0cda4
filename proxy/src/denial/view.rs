//! What is said, before it takes a form: page, problem details and text are made from the same [`View`], so
//! that none of them says more than the others.

use portcullis_config::settings::Disclosure;
use portcullis_policy::decision::{ReasonCode, Refused};

use super::branding::Branding;
use super::escape::Escaper;
use super::facts::{Facts, OwnSignIn};
use super::repeats::REPEATS_SHOWN_MAX;
use super::texts::{Hole, Message, Texts};
use crate::clock;
use crate::limit;
use crate::refusal::{
    BadRequest, BadToken, ClientCertificateProblem, ErrorInfo, RETRY_AFTER, Refusal, Resolution, Sender,
    Subcode,
};

/// What a denial is written with, beside the facts.
#[derive(Debug)]
pub(super) struct RenderContext<'v> {
    pub(super) branding: &'v Branding,
    pub(super) texts: &'static Texts,
    pub(super) disclosure: Disclosure,
    /// The operator's words of the policies that refused.
    pub(super) messages: Vec<&'v str>,
    /// How many such refusals there were a short while ago, this one included.
    pub(super) repeats: u32,
    pub(super) support_code: Option<String>,
    /// Whether a person can simply ask again: a read, which is safe to repeat.
    pub(super) can_repeat: bool,
}

/// Everything that one denial may say. What takes words is written when a form asks for it, so that
/// no form pays for the words of another.
#[derive(Debug)]
pub(super) struct View<'v> {
    pub(super) info: ErrorInfo,
    /// The code in digits; empty where there is none.
    pub(super) code: String,
    pub(super) request_id: String,
    pub(super) correlation_id: Option<String>,
    pub(super) timestamp: String,
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
    /// What the page waits for, sealed.
    pub(super) wait: Option<&'v str>,
    headline: Headline,
    pub(super) context: RenderContext<'v>,
}

/// What a denial begins with.
#[derive(Debug)]
struct Headline {
    /// With the app's name, and without.
    headline: (Option<&'static Message>, &'static Message),
    lead: &'static Message,
    /// Whether trying again helps.
    verdict: Option<&'static Message>,
}

impl Headline {
    fn of(refusal: &Refusal, resolution: Resolution, not_delivered: bool, texts: &'static Texts) -> Self {
        let unavailable = (Some(&texts.headline_unavailable), &texts.headline_unavailable_nameless);
        let is_temporary = resolution == Resolution::RetryLater;
        let limited = (None, &texts.headline_limited);
        let (headline, lead, structural) = match refusal {
            Refusal::Policy(_, Subcode::GroupsMissing) => (
                (Some(&texts.headline_account), &texts.headline_account_nameless),
                &texts.lead_groups,
                Some(&texts.verdict_groups),
            ),
            Refusal::Policy(..) if is_temporary => (unavailable, &texts.lead_unavailable, None),
            Refusal::Policy(refused, _) => match (refused.primary, resolution) {
                (_, Resolution::Reauthenticate) if not_delivered => (
                    (Some(&texts.headline_context), &texts.headline_context_nameless),
                    &texts.lead_not_delivered,
                    Some(&texts.verdict_not_delivered),
                ),
                (_, Resolution::Reauthenticate) => (
                    (Some(&texts.headline_reauthenticate), &texts.headline_reauthenticate_nameless),
                    &texts.lead_reauthenticate,
                    Some(&texts.verdict_reauthenticate),
                ),
                (ReasonCode::NotAssigned, _) => (
                    (Some(&texts.headline_account), &texts.headline_account_nameless),
                    &texts.lead_account,
                    Some(&texts.verdict_structural),
                ),
                _ => (
                    (Some(&texts.headline_context), &texts.headline_context_nameless),
                    &texts.lead_context,
                    Some(&texts.verdict_structural),
                ),
            },
            Refusal::Upstream { .. } => (unavailable, &texts.lead_upstream, None),
            Refusal::KeysUnavailable
            | Refusal::SessionsUnavailable
            | Refusal::ClientCertificate(ClientCertificateProblem::Unverifiable) => {
                (unavailable, &texts.lead_unavailable, None)
            }
            Refusal::ClientCertificate(problem) => (
                (Some(&texts.headline_context), &texts.headline_context_nameless),
                match problem {
                    ClientCertificateProblem::Missing => &texts.lead_certificate_missing,
                    ClientCertificateProblem::Untrusted => &texts.lead_certificate_untrusted,
                    ClientCertificateProblem::Revoked => &texts.lead_certificate_revoked,
                    ClientCertificateProblem::Expired => &texts.lead_certificate_expired,
                    ClientCertificateProblem::Unverifiable => &texts.lead_unavailable,
                },
                None,
            ),
            Refusal::NoToken | Refusal::BadSession(_) => {
                ((None, &texts.headline_sign_in), &texts.lead_sign_in, None)
            }
            Refusal::BadToken(BadToken::NotTried) => {
                (limited, &texts.lead_limited_tokens, Some(&texts.verdict_limited))
            }
            Refusal::TooManyRequests(Sender::Address) => {
                (limited, &texts.lead_limited_address, Some(&texts.verdict_limited))
            }
            Refusal::TooManyRequests(Sender::Principal) => {
                (limited, &texts.lead_limited_principal, Some(&texts.verdict_limited))
            }
            Refusal::BadToken(_) => ((None, &texts.headline_sign_in_again), &texts.lead_sign_in_again, None),
            Refusal::BadRequest(BadRequest::Misdirected) => {
                ((None, &texts.headline_bad_request), &texts.lead_misdirected, None)
            }
            Refusal::BadRequest(_) => ((None, &texts.headline_bad_request), &texts.lead_bad_request, None),
            Refusal::NoApp => ((None, &texts.headline_no_app), &texts.lead_no_app, None),
            Refusal::BodyTooLarge => ((None, &texts.headline_too_large), &texts.lead_too_large, None),
            Refusal::BodyTooSlow => ((None, &texts.headline_too_slow), &texts.lead_too_slow, None),
            Refusal::Internal | Refusal::Loop | Refusal::SignIn(_) => {
                ((None, &texts.headline_fault), &texts.lead_fault, None)
            }
        };
        let verdict = structural.or(is_temporary.then_some(&texts.verdict_temporary));
        Self { headline, lead, verdict }
    }
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
            .map_or(RETRY_AFTER.as_secs(), |(_, quota)| limit::retry_after_secs(quota));
        let refused = if let Refusal::Policy(refused, _) = refusal { Some(*refused) } else { None };
        Self {
            info,
            code: if info.code == 0 { String::new() } else { info.code.to_string() },
            request_id: uuid::Uuid::from_u128(facts.request_id).to_string(),
            correlation_id: own.and_then(|own| own.trace_id).map(|id| format!("{id:032x}")),
            timestamp: clock::timestamp(facts.now_unix_ms),
            own,
            address: own.and_then(|own| own.client).map(|client| client.to_string()),
            names_resolution: refused.is_none() || own.is_some(),
            is_temporary,
            retry_after_secs: is_temporary.then_some(retry_after_secs),
            refused,
            groups_missing: matches!(refusal, Refusal::Policy(_, Subcode::GroupsMissing)),
            sign_in_url: facts.sign_in_url,
            own_sign_in: facts.own_sign_in,
            not_delivered: facts.step_up_not_delivered,
            wait: facts.wait,
            headline: Headline::of(refusal, info.resolution, facts.step_up_not_delivered, context.texts),
            context,
        }
    }

    pub(super) fn headline(&self, out: &mut impl Escaper) {
        let app = self.own.and_then(|own| own.app);
        match (self.headline.headline, app) {
            ((Some(named), _), Some((_, name))) => {
                named.write(out, &[(Hole::App, name)]);
            }
            ((_, nameless), _) => out.literal(nameless.as_str()),
        }
    }

    pub(super) fn lead(&self, out: &mut impl Escaper) {
        let texts = self.context.texts;
        if let Some(user) = self.own.and_then(|own| own.user) {
            texts.signed_in_as.write(out, &[(Hole::User, user)]);
            out.literal(texts.space);
        }
        out.literal(self.headline.lead.as_str());
    }

    /// Whether trying again helps.
    pub(super) fn verdict(&self) -> Option<&'static str> {
        self.headline.verdict.map(Message::as_str)
    }

    /// What is said of a refusal that is repeated.
    pub(super) fn repeated(&self) -> Option<&'static str> {
        let texts = self.context.texts;
        if self.refused.is_none() || self.own.is_none() || self.is_temporary {
            return None;
        }
        let message = match self.context.repeats {
            0 | 1 => return None,
            count if count > REPEATS_SHOWN_MAX => &texts.verdict_repeated_often,
            count => texts.verdict_repeated.get(usize::try_from(count - 2).ok()?)?,
        };
        Some(message.as_str())
    }

    /// The operator's words, at full disclosure.
    pub(super) fn messages(&self) -> impl Iterator<Item = &'v str> {
        let shows = self.refused.is_some() && self.own.is_some();
        let is_full = self.context.disclosure == Disclosure::Full;
        let shown = if shows && is_full { self.context.messages.as_slice() } else { &[] };
        shown.iter().copied()
    }

    /// All failing classes at once; what passed is never listed. A temporary refusal lists only that
    /// a fact was missing: whatever else failed may have failed for want of it.
    pub(super) fn reasons(&self) -> Vec<ErrorInfo> {
        let (Some(refused), Some(_)) = (self.refused, self.own) else { return Vec::new() };
        if self.groups_missing {
            // Whatever else failed may have failed for want of them.
            return vec![self.info];
        }
        let mut list: Vec<ErrorInfo> = Vec::new();
        for reason in refused.reasons.with(refused.primary).iter() {
            if (reason == ReasonCode::FactUnavailable) != self.is_temporary {
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

    pub(super) fn support_code(&self) -> Option<&str> {
        self.context.support_code.as_deref()
    }
}

/// Whether the reader's token was verified. Exhaustive: a new refusal must say on which side it is.
pub(super) const fn is_verified(refusal: &Refusal) -> bool {
    match refusal {
        // Asked for only once somebody is known.
        Refusal::Policy(..)
        | Refusal::ClientCertificate(_)
        | Refusal::Upstream { .. }
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

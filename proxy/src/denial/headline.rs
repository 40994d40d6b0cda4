//! What a denial begins with: whose turn or fault it is, what happened, and what is the matter.

use portcullis_policy::decision::ReasonCode;

use super::step::Card;
use super::texts::{Message, Texts};
use crate::refusal::{BadRequest, BadToken, ClientCertificateProblem, Refusal, Resolution, Sender, Subcode};

/// Whose turn or fault it is, said in a line with a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) words: &'static Message,
    pub(crate) icon: Icon,
}

/// The picture of a [`Kind`]; none carries a meaning that the words do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Icon {
    Shield,
    Clock,
    Key,
    Fault,
    Door,
    Done,
}

impl Icon {
    /// The drawing, for a view box of 24 by 24.
    pub(crate) const fn paths(self) -> &'static str {
        match self {
            Self::Shield => "<path d=\"M12 3l7.5 3v5.5c0 4.5-3 8-7.5 9.5-4.5-1.5-7.5-5-7.5-9.5V6zM9 12h6\"/>",
            Self::Clock => "<circle cx=\"12\" cy=\"12\" r=\"9\"/><path d=\"M12 7v5l3.5 2\"/>",
            Self::Key => "<circle cx=\"8\" cy=\"15\" r=\"4\"/><path d=\"M11 12l8.5-8.5M16 7l3 3\"/>",
            Self::Fault => "<path d=\"M12 4l9.5 16h-19zM12 10v4.5M12 17.3v.2\"/>",
            Self::Door => "<path d=\"M14 4H5v16h9M10 12h11M17.5 8.5L21 12l-3.5 3.5\"/>",
            Self::Done => "<circle cx=\"12\" cy=\"12\" r=\"9\"/><path d=\"M8 12.3l2.7 2.7L16 9.5\"/>",
        }
    }
}

/// What a denial begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headline {
    /// With the app's name, and without.
    pub(super) named: Option<&'static Message>,
    pub(super) nameless: &'static Message,
    pub(super) lead: &'static Message,
    pub(super) kind: Option<Kind>,
    /// Whether it is said otherwise where the place is what was refused.
    names_place: bool,
}

impl Headline {
    pub(super) fn of(refusal: &Refusal, texts: &'static Texts) -> Self {
        let is_temporary = refusal.info().resolution == Resolution::RetryLater;
        let rule = Some(Kind { words: &texts.kind_rule, icon: Icon::Shield });
        let fault = Some(Kind { words: &texts.kind_us, icon: Icon::Fault });
        let refused = |lead| Self {
            named: Some(&texts.headline_now),
            nameless: &texts.headline_now_nameless,
            lead,
            kind: rule,
            names_place: true,
        };
        let down = |lead| Self {
            named: Some(&texts.headline_down),
            nameless: &texts.headline_down_nameless,
            lead,
            kind: fault,
            names_place: false,
        };
        let plain = |nameless, lead| Self { named: None, nameless, lead, kind: None, names_place: false };
        let limited = |lead| Self {
            kind: Some(Kind { words: &texts.kind_limit, icon: Icon::Clock }),
            ..plain(&texts.headline_limited, lead)
        };
        match refusal {
            Refusal::Policy(_, Subcode::GroupsMissing) => Self {
                named: Some(&texts.headline_account),
                nameless: &texts.headline_account_nameless,
                kind: Some(Kind { words: &texts.kind_configuration, icon: Icon::Shield }),
                names_place: false,
                ..refused(&texts.lead_groups_missing)
            },
            Refusal::Policy(..) if is_temporary => down(&texts.lead_down),
            Refusal::Policy(decision, _) => match decision.primary {
                ReasonCode::NotAssigned => Self {
                    named: Some(&texts.headline_account),
                    nameless: &texts.headline_account_nameless,
                    names_place: false,
                    ..refused(&texts.lead_not_assigned)
                },
                ReasonCode::MfaRequired | ReasonCode::StrengthRequired => refused(&texts.lead_stronger),
                ReasonCode::SignInTooOld => refused(&texts.lead_too_old),
                ReasonCode::PasswordChangeRequired
                | ReasonCode::TermsRequired
                | ReasonCode::ExternalControlRequired => refused(&texts.lead_step_open),
                _ => refused(&texts.lead_criteria),
            },
            Refusal::Upstream { .. } => down(&texts.lead_app_down),
            Refusal::Maintenance => Self { kind: None, ..down(&texts.lead_maintenance) },
            Refusal::KeysUnavailable | Refusal::SessionsUnavailable => down(&texts.lead_down),
            Refusal::ClientCertificate(problem) => match problem {
                ClientCertificateProblem::Missing => refused(&texts.lead_certificate_none),
                ClientCertificateProblem::Untrusted => refused(&texts.lead_certificate_other),
                ClientCertificateProblem::Revoked => refused(&texts.lead_certificate_withdrawn),
                ClientCertificateProblem::Expired => refused(&texts.lead_certificate_out_of_time),
                ClientCertificateProblem::Unverifiable => down(&texts.lead_down),
            },
            Refusal::NoToken | Refusal::BadSession(_) => plain(&texts.headline_sign_in, &texts.lead_sign_in),
            Refusal::BadToken(BadToken::NotTried) => limited(&texts.lead_limited_tokens),
            Refusal::TooManyRequests(Sender::Address) => limited(&texts.lead_limited_address),
            Refusal::TooManyRequests(Sender::Principal) => limited(&texts.lead_limited_principal),
            Refusal::BadToken(_) => plain(&texts.headline_sign_in_again, &texts.lead_sign_in_again),
            Refusal::BadRequest(BadRequest::Misdirected) => {
                plain(&texts.headline_bad_request, &texts.lead_misdirected)
            }
            Refusal::BadRequest(_) => plain(&texts.headline_bad_request, &texts.lead_bad_request),
            Refusal::NoApp => plain(&texts.headline_no_app, &texts.lead_no_app),
            Refusal::BodyTooLarge => plain(&texts.headline_too_large, &texts.lead_too_large),
            Refusal::BodyTooSlow => plain(&texts.headline_too_slow, &texts.lead_too_slow),
            Refusal::Internal | Refusal::Loop | Refusal::SignIn(_) => {
                Self { kind: fault, ..plain(&texts.headline_fault, &texts.lead_no_fault_of_yours) }
            }
        }
    }

    /// Says it by what the user can do. `is_told`: whether the reader may know what was asked for; `is_place`: whether the
    /// place is known to be among what was refused.
    pub(super) fn adapt(
        &mut self,
        card: &Card,
        (is_told, is_place): (bool, bool),
        not_delivered: bool,
        texts: &'static Texts,
    ) {
        if is_told && is_place && self.names_place {
            self.named = Some(&texts.headline_here);
            self.nameless = &texts.headline_here_nameless;
        }
        if not_delivered {
            self.lead = &texts.lead_not_delivered;
            self.kind = Some(Kind { words: &texts.kind_provider, icon: Icon::Fault });
        }
        match card {
            Card::SignIn(_) => {
                if !is_told {
                    self.lead = &texts.lead_step_open;
                }
                self.named = Some(&texts.headline_again);
                self.nameless = &texts.headline_again_nameless;
                self.kind = Some(Kind { words: &texts.kind_step, icon: Icon::Key });
            }
            Card::Later(_) => {
                self.named = Some(&texts.headline_closed);
                self.kind = self.kind.map(|kind| Kind { icon: Icon::Clock, ..kind });
            }
            Card::None
            | Card::Ways
            | Card::Administrator
            | Card::NoneFound
            | Card::HelpDesk
            | Card::Waiting
            | Card::Maintenance
            | Card::Limited => {}
        }
    }
}

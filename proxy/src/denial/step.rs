//! What can be told a user to do: the words that page, problem details and text have in common for it.

use arrayvec::ArrayVec;
use portcullis_policy::remedy::Remedy;

use super::texts::STEPS_MAX;
use crate::refusal::{Class, ClientCertificateProblem};

/// Ways shown at most.
pub(super) const WAYS_MAX: usize = 3;

/// Steps that are needed together.
pub(super) type Way = ArrayVec<Step, { STEPS_MAX as usize }>;

/// One thing that the user can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The policies were asked again with it, and let in.
    Verified(Remedy),
    /// What helps by its nature.
    Suggested(Suggestion),
}

/// What helps although no policy could be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suggestion {
    /// What the challenge of the answer asks for, where no more may be said.
    SignInAgain,
    Certificate(ClientCertificateProblem),
}

impl Step {
    /// The word for programs.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            // Programs read this word; the engine's own is another.
            Self::Verified(Remedy::NewerOs) => "update_os",
            Self::Verified(remedy) => remedy.as_str(),
            Self::Suggested(Suggestion::SignInAgain) => "sign_in_again",
            Self::Suggested(Suggestion::Certificate(_)) => "client_certificate",
        }
    }

    pub(super) const fn is_verified(self) -> bool {
        matches!(self, Self::Verified(_))
    }

    /// What fails where this is what helps; `None` where that is a matter of time alone.
    pub(super) const fn class(self) -> Option<Class> {
        Some(match self {
            Self::Verified(remedy) => match remedy {
                Remedy::SignInAgain => Class::Session,
                Remedy::StrongerSignIn { .. }
                | Remedy::AcceptTerms
                | Remedy::ExternalControl
                | Remedy::ChangePassword => Class::Authentication,
                Remedy::OtherSignInFlow => Class::Flow,
                Remedy::LeaveNetwork | Remedy::OtherCountry | Remedy::ApprovedNetwork => Class::Location,
                Remedy::ApprovedClientApp | Remedy::ProtectedClientApp => Class::ClientApp,
                Remedy::NewerOs => Class::Platform,
                Remedy::RegisteredDevice
                | Remedy::CompliantDevice
                | Remedy::HybridJoinedDevice
                | Remedy::OtherDevice => Class::Device,
                Remedy::LaterTime { .. } => return None,
            },
            Self::Suggested(Suggestion::SignInAgain) => Class::Session,
            Self::Suggested(Suggestion::Certificate(_)) => Class::Authentication,
        })
    }

    /// Whether it is taken at the sign-in service.
    pub(super) const fn is_sign_in(self) -> bool {
        !matches!(self, Self::Suggested(Suggestion::Certificate(_)))
            && matches!(self.class(), Some(Class::Authentication | Class::Session))
    }

    pub(super) const fn is_stronger(self) -> bool {
        matches!(self, Self::Verified(Remedy::StrongerSignIn { .. }))
    }

    pub(super) const fn is_network(self) -> bool {
        matches!(self.class(), Some(Class::Location))
    }

    pub(super) const fn is_device(self) -> bool {
        matches!(self.class(), Some(Class::Device))
    }

    /// When it can be taken, where that is a matter of time alone.
    pub(super) const fn later(self) -> Option<i64> {
        match self {
            Self::Verified(Remedy::LaterTime { at }) => Some(at),
            Self::Verified(_) | Self::Suggested(_) => None,
        }
    }

    /// Whether it says what is to be said of a reason of this class.
    pub(super) fn covers(self, class: Class) -> bool {
        let is_sign_in = matches!(class, Class::Authentication | Class::Session);
        self.class() == Some(class) || (self.is_sign_in() && is_sign_in)
    }
}

/// What helps, as programs are told: one entry a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remedied {
    pub(super) kind: &'static str,
    /// `None`: the card's heading says it.
    pub(super) step: Option<Step>,
    pub(super) is_verified: bool,
    /// Steps of one way are needed together; another way is another choice.
    pub(super) way: u8,
}

/// What the card says: the one raised surface of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Card {
    /// Nothing that needs one: a request that is wrong, or a button to sign in.
    None,
    /// Ways that would let in.
    Ways,
    /// One step, which is taken at the sign-in service.
    SignIn(Step),
    /// One step, which is to wait for this moment, Unix seconds.
    Later(i64),
    /// Nothing that the user could change would let in: all of it was tried.
    Administrator,
    /// The search ended before all was tried.
    NoneFound,
    /// No more is to be shown.
    HelpDesk,
    /// It passes by itself.
    Waiting,
    /// The app is being worked at, for as long as its settings say.
    Maintenance,
    /// It passes by itself, in a moment.
    Limited,
}

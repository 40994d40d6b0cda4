//! What a policy is about: the step that its operator's words belong to.

use portcullis_policy::model::{Control, Grant, Policy};

use super::step::{Step, Way};
use crate::refusal::Class;

/// What a policy is about, what it asks for before what it applies to.
#[derive(Clone, Debug, Default)]
pub(super) struct Concerns(Vec<Concern>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concern {
    Class(Class),
    Time,
}

impl Concerns {
    pub(super) fn of(policy: &Policy) -> Self {
        let controls = match &policy.grant {
            Grant::Require { controls, .. } => controls.as_slice(),
            Grant::Block | Grant::SessionOnly => &[],
        };
        let mut found: Vec<Concern> =
            controls.iter().map(|control| Concern::Class(of_control(control))).collect();
        let conditions = &policy.conditions;
        for (is_there, concern) in [
            (policy.session.sign_in_frequency.is_some(), Concern::Class(Class::Session)),
            (conditions.locations.is_some(), Concern::Class(Class::Location)),
            (conditions.device.is_some(), Concern::Class(Class::Device)),
            // A rule over the device may be about the version of its system.
            (conditions.platforms.is_some() || conditions.device.is_some(), Concern::Class(Class::Platform)),
            (conditions.client_apps.is_some(), Concern::Class(Class::ClientApp)),
            (conditions.flows.is_some(), Concern::Class(Class::Flow)),
            (conditions.time.is_some(), Concern::Time),
        ] {
            if is_there {
                found.push(concern);
            }
        }
        Self(found)
    }

    /// The way and the step of it that the policy is about; `None` where that is none of them.
    pub(super) fn place(&self, ways: &[Way]) -> Option<(usize, usize)> {
        self.0.iter().find_map(|concern| {
            ways.iter().enumerate().find_map(|(at, way)| {
                let step = way.iter().position(|step| concern.is_of(*step))?;
                Some((at, step))
            })
        })
    }
}

impl Concern {
    fn is_of(self, step: Step) -> bool {
        match self {
            Self::Class(class) => step.covers(class),
            Self::Time => step.later().is_some(),
        }
    }
}

const fn of_control(control: &Control) -> Class {
    match control {
        Control::CompliantDevice | Control::HybridJoinedDevice => Class::Device,
        Control::ApprovedClientApp | Control::AppProtection => Class::ClientApp,
        Control::Mfa
        | Control::PasswordChange
        | Control::Strength(_)
        | Control::TermsOfUse(_)
        | Control::Custom(_) => Class::Authentication,
    }
}

//! What can be changed of one request: for each dimension the values that it could have, and the changes that lead there.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::found::{Remedy, StrongerMethod};
use crate::signals::{OwnedSignals, SignIn, Signals};
use crate::value::{
    ClientAppType, CountryCode, Device, DeviceAttribute, Fact, OwnedDevice, Platform, Value as AttributeValue,
};

/// A kind of change, in the order of [`Remedy`]; as a bit of a set.
pub(super) mod bits {
    pub(in super::super) const AGAIN: u32 = 1;
    pub(in super::super) const STRONGER: u32 = 1 << 1;
    pub(in super::super) const TERMS: u32 = 1 << 2;
    pub(in super::super) const EXTERNAL: u32 = 1 << 3;
    pub(in super::super) const PASSWORD: u32 = 1 << 4;
    pub(in super::super) const FLOW: u32 = 1 << 5;
    pub(in super::super) const LEAVE: u32 = 1 << 6;
    pub(in super::super) const COUNTRY: u32 = 1 << 7;
    pub(in super::super) const APPROVED_NETWORK: u32 = 1 << 8;
    pub(in super::super) const APPROVED_APP: u32 = 1 << 9;
    pub(in super::super) const PROTECTED_APP: u32 = 1 << 10;
    pub(in super::super) const NEWER_OS: u32 = 1 << 11;
    pub(in super::super) const REGISTERED: u32 = 1 << 12;
    pub(in super::super) const COMPLIANT: u32 = 1 << 13;
    pub(in super::super) const JOINED: u32 = 1 << 14;
    pub(in super::super) const OTHER_DEVICE: u32 = 1 << 15;
    pub(in super::super) const LATER: u32 = 1 << 16;
    /// How many kinds can be offered.
    pub(in super::super) const OFFERED: u32 = 17;
    /// What rests on a user agent: never offered.
    pub(in super::super) const CLIENT_APP: u32 = 1 << 17;
    pub(in super::super) const PLATFORM: u32 = 1 << 18;

    /// The kinds that are no easier than this one and do no less, itself among them: where it helps, they are not told.
    /// A device in a better state does what one in a lesser does: registered is told before compliant and joined, and
    /// another device last. Compliant and hybrid joined are ways of their own: who has the one seldom has the other.
    pub(in super::super) const fn no_easier_than(change: u32) -> u32 {
        change
            | match change {
                AGAIN => STRONGER,
                LEAVE => COUNTRY | APPROVED_NETWORK,
                REGISTERED => COMPLIANT | JOINED | OTHER_DEVICE,
                COMPLIANT => OTHER_DEVICE,
                NEWER_OS | JOINED => OTHER_DEVICE,
                _ => 0,
            }
    }
}

/// What something could be instead.
#[derive(Clone, Debug)]
pub(super) enum Value<'c> {
    /// As it is.
    Present,
    Moment(i64),
    /// A sign-in of the moment.
    SignIn(Box<SignIn>, Option<StrongerMethod>),
    Terms(Vec<String>),
    External(Vec<String>),
    Password,
    Flow,
    Client(&'c str),
    Place(Fact<IpAddr>, Fact<CountryCode>),
    /// The device's state, and what depends on it; other attributes are of the present device.
    Device(Box<OwnedDevice>),
    Attribute(DeviceAttribute, Option<&'c AttributeValue>),
    ClientApp(ClientAppType),
    Platform(Fact<Platform>),
}

/// The values of one dimension, each with the changes that lead there; the present one first.
#[derive(Clone, Debug)]
pub(super) struct Axis<'c> {
    /// All changes that it is about.
    pub(super) span: u32,
    /// Whether of several values that do, the first is to be told.
    pub(super) in_order: bool,
    /// The attribute of the device that it is, if it is one.
    pub(super) attribute: Option<DeviceAttribute>,
    pub(super) values: Vec<(u32, Value<'c>)>,
}

/// The request, with these values instead.
pub(super) fn changed<'v>(
    signals: &Signals<'_>,
    values: impl IntoIterator<Item = &'v Value<'v>>,
) -> OwnedSignals {
    let present = signals.context.device;
    let mut asked = OwnedSignals {
        principal: signals.principal.clone(),
        target: signals.target,
        method: String::from(signals.action.method),
        path: String::from(signals.action.path),
        context: signals.context.unborrowed(),
        device: present.map(|device| owned(&device)),
        now: signals.now,
    };
    let mut is_fresh = false;
    let mut attributes = Vec::new();
    for value in values {
        match value {
            Value::Present => {}
            Value::Moment(at) => asked.now = *at,
            Value::SignIn(new, _) => {
                is_fresh = true;
                let old = &mut asked.principal.standing_mut().sign_in;
                (old.methods, old.acr, old.contexts) =
                    (new.methods.clone(), new.acr.clone(), new.contexts.clone());
            }
            Value::Terms(terms) => asked.principal.standing_mut().sign_in.terms.clone_from(terms),
            Value::External(controls) => {
                asked.principal.standing_mut().sign_in.custom_controls.clone_from(controls);
            }
            Value::Password => {
                is_fresh = true;
                let sign_in = &mut asked.principal.standing_mut().sign_in;
                let seen = sign_in.risk_seen.unwrap_or(signals.now.saturating_sub(1));
                sign_in.risk_seen = Some(seen);
                sign_in.password_changed = Some(signals.now.max(seen.saturating_add(1)));
            }
            Value::Flow => asked.principal.standing_mut().sign_in.flow = None,
            Value::Client(id) => {
                asked.principal.standing_mut().sign_in.client_id = Some(String::from(*id));
            }
            Value::Place(address, country) => {
                (asked.context.address, asked.context.country) = (*address, *country);
            }
            Value::Device(device) => asked.device = Fact::Known((**device).clone()),
            Value::Attribute(attribute, value) => attributes.push((*attribute, value.cloned())),
            Value::ClientApp(kind) => asked.context.client_app = Fact::Known(*kind),
            Value::Platform(platform) => asked.context.platform = *platform,
        }
    }
    if let Fact::Known(device) = &mut asked.device {
        attributes.into_iter().for_each(|(attribute, value)| device.set(attribute, value));
    }
    if is_fresh {
        // A later sign-in is as late as the visit that it is for.
        asked.principal.auth_time = Some(asked.now);
    }
    asked
}

/// What a change is to the user, with the value that it leads to.
pub(super) fn remedy(change: u32, value: &Value<'_>) -> Option<Remedy> {
    Some(match (change, value) {
        (bits::AGAIN, _) => Remedy::SignInAgain,
        (bits::STRONGER, Value::SignIn(_, Some(method))) => Remedy::StrongerSignIn { method: *method },
        (bits::TERMS, _) => Remedy::AcceptTerms,
        (bits::EXTERNAL, _) => Remedy::ExternalControl,
        (bits::PASSWORD, _) => Remedy::ChangePassword,
        (bits::FLOW, _) => Remedy::OtherSignInFlow,
        (bits::LEAVE, _) => Remedy::LeaveNetwork,
        (bits::COUNTRY, _) => Remedy::OtherCountry,
        (bits::APPROVED_NETWORK, _) => Remedy::ApprovedNetwork,
        (bits::APPROVED_APP, _) => Remedy::ApprovedClientApp,
        (bits::PROTECTED_APP, _) => Remedy::ProtectedClientApp,
        (bits::NEWER_OS, _) => Remedy::NewerOs,
        (bits::REGISTERED, _) => Remedy::RegisteredDevice,
        (bits::COMPLIANT, _) => Remedy::CompliantDevice,
        (bits::JOINED, _) => Remedy::HybridJoinedDevice,
        (bits::OTHER_DEVICE, _) => Remedy::OtherDevice,
        (bits::LATER, Value::Moment(at)) => Remedy::LaterTime { at: *at },
        _ => return None,
    })
}

/// The same device, owned.
pub(super) fn owned(device: &Device<'_>) -> OwnedDevice {
    let text = |value: Option<&str>| value.map(String::from);
    OwnedDevice {
        device_id: text(device.device_id),
        display_name: text(device.display_name),
        ownership: text(device.ownership),
        enrollment_profile: text(device.enrollment_profile),
        compliant: device.compliant,
        manufacturer: text(device.manufacturer),
        mdm_app_id: text(device.mdm_app_id),
        model: text(device.model),
        operating_system: text(device.operating_system),
        operating_system_version: text(device.operating_system_version),
        physical_ids: device.physical_ids.to_vec(),
        profile_type: text(device.profile_type),
        system_labels: device.system_labels.to_vec(),
        trust_type: text(device.trust_type),
        extension_attributes: device.extension_attributes.to_vec(),
    }
}

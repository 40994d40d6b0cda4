//! A request that shows a finding.

use alloc::string::String;
use alloc::vec::Vec;

use super::people;
use crate::compile::CompiledPolicies;
use crate::model::{ClientAppType, PolicySet, RiskLevel};
use crate::reference::{Conclusion, evaluate};
use crate::rule::sample::SampledAttribute;
use crate::signals::{AppIndex, ClientContext, Fact, OwnedDevice, OwnedSignals, Principal, Target, Value};

/// Puts a value into a request.
pub(super) fn put(witness: &mut OwnedSignals, attribute: &SampledAttribute, value: Option<&Value>) {
    match (attribute, value) {
        (SampledAttribute::Device(attribute), value) => {
            let mut device = core::mem::take(&mut witness.device).known().unwrap_or_default();
            device.set(*attribute, value.cloned());
            // A device of which nothing is known is as good as none.
            if device != OwnedDevice::default() {
                witness.device = Fact::Known(device);
            }
        }
        (SampledAttribute::Claim(name), value) => {
            let claims = &mut witness.principal.standing_mut().claims;
            claims.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            claims.extend(value.map(|value| (name.as_str().into(), value.clone())));
            claims.sort_by(|left, right| left.0.cmp(&right.0));
        }
        (SampledAttribute::Method, Some(Value::Text(text))) => witness.method = text.to_ascii_uppercase(),
        (SampledAttribute::Path, Some(Value::Text(text))) => witness.path.clone_from(text),
        (SampledAttribute::Method | SampledAttribute::Path, _) => {}
    }
}

/// What the reference says to it.
pub(super) fn evaluated(witness: &OwnedSignals, set: &PolicySet) -> Conclusion {
    witness.with(|signals| evaluate(set, signals).conclusion)
}

/// What the engine says to it.
pub(super) fn decided(witness: &OwnedSignals, policies: &CompiledPolicies) -> Conclusion {
    let scope = policies.bind(&witness.principal);
    Conclusion::from(&witness.with(|signals| policies.decide(&scope, signals)).outcome)
}

/// A request of which nothing is known.
pub(super) fn plain(app: AppIndex, now: i64) -> OwnedSignals {
    let none = Fact::Known(RiskLevel::None);
    OwnedSignals {
        principal: people::somebody(),
        target: Target { app, context: None },
        method: String::from("GET"),
        path: String::from("/"),
        context: ClientContext {
            client_app: Fact::Known(ClientAppType::Browser),
            sign_in_risk: none,
            user_risk: none,
            insider_risk: none,
            service_principal_risk: none,
            ..ClientContext::UNKNOWN
        },
        device: Fact::Unknown,
        now,
    }
}

/// The same request with each of these values in one place.
pub(super) fn each<T>(
    from: &OwnedSignals,
    values: impl IntoIterator<Item = T>,
    set: impl Fn(&mut OwnedSignals, T),
) -> Vec<OwnedSignals> {
    let with = |value| {
        let mut witness = from.clone();
        set(&mut witness, value);
        witness
    };
    values.into_iter().map(with).collect()
}

/// Makes it the request of somebody else, with the same sign-in.
pub(super) fn set_principal(witness: &mut OwnedSignals, mut principal: Principal) {
    principal.standing_mut().sign_in.flow = witness.principal.standing.sign_in.flow;
    witness.principal = principal;
}

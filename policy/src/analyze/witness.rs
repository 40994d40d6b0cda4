//! A request that shows a finding.

use crate::compile::CompiledPolicies;
use crate::model::PolicySet;
use crate::reference::{Conclusion, evaluate};
use crate::rule::sample::Place;
use crate::signals::{Fact, OwnedDevice, OwnedSignals, Value};

/// The same request with this value in this place.
pub(super) fn put(witness: &mut OwnedSignals, place: &Place, value: Option<&Value>) {
    match (place, value) {
        (Place::Device(attribute), value) => {
            let mut device = core::mem::take(&mut witness.device).known().unwrap_or_default();
            device.set(*attribute, value.cloned());
            // A device of which nothing is known is as good as none.
            if device != OwnedDevice::default() {
                witness.device = Fact::Known(device);
            }
        }
        (Place::Claim(name), value) => {
            let claims = &mut witness.principal.standing_mut().claims;
            claims.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            claims.extend(value.map(|value| (name.as_str().into(), value.clone())));
            claims.sort_by(|left, right| left.0.cmp(&right.0));
        }
        (Place::Method, Some(Value::Text(text))) => witness.method = text.to_ascii_uppercase(),
        (Place::Path, Some(Value::Text(text))) => witness.path.clone_from(text),
        (Place::Method | Place::Path, _) => {}
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

//! Everything that the user of one request could change, by dimension. What the policies tell apart is tried, each class of
//! values by one of them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::candidates::Candidates;
use super::changes::{Axis, Value, bits, owned};
use super::found::{AHEAD_SECS, StrongerMethod};
use crate::compile::{CompiledPolicies, ControlTest, Proof, Proven};
use crate::decide::AHEAD_MAX_SECS;
use crate::model::{AuthenticationStrength, PolicySet, TimeCondition};
use crate::obstacles::{Asked, AttributeClasses, Entry};
use crate::signals::{Identity, SignIn, Signals};
use crate::text;
use crate::value::{
    AuthenticationContext, ClientAppType, DeviceAttribute, Fact, OwnedDevice, Platform,
    Value as AttributeValue,
};

/// A device of more combinations of state and extension attributes than this is not tried in all of them.
const DEVICES_MAX: usize = 1_024;

/// The dimensions of one request, and what is asked of them.
pub(super) struct Axes<'c> {
    pub(super) axes: Vec<Axis<'c>>,
    /// Whether every value is among them that somebody could change to.
    pub(super) is_complete: bool,
    /// Every moment after now at which something changes by itself.
    pub(super) moments: Vec<i64>,
}

/// Attributes that the state of a device decides about, or that decide whether others are seen.
pub(super) const fn is_of_state(attribute: DeviceAttribute) -> bool {
    matches!(
        attribute,
        DeviceAttribute::DeviceId
            | DeviceAttribute::IsCompliant
            | DeviceAttribute::TrustType
            | DeviceAttribute::MdmAppId
            | DeviceAttribute::Extension(_)
    )
}

/// All dimensions, for a request that is asked in these readings.
pub(super) fn axes<'c>(
    policies: &'c CompiledPolicies,
    candidates: &'c Candidates,
    readings: &[Signals<'_>],
    entries: &[Entry<'c>],
) -> Axes<'c> {
    let Some(signals) = readings.first() else {
        return Axes { axes: Vec::new(), is_complete: true, moments: Vec::new() };
    };
    let moments = moments(signals, entries);
    let later = moments.iter().map(|at| (bits::LATER, Value::Moment(*at))).collect();
    let mut found = Axes {
        axes: Vec::from([axis(bits::LATER, true, later), place(policies, candidates, signals)]),
        is_complete: true,
        moments,
    };
    let of_people = found.axes.len();
    let asked = Demanded::of(policies, readings, entries);
    found.axes.extend(asked.axes(policies.set(), signals));
    found.devices(candidates, signals, entries);
    // A program signs in as it was made to, on what it was installed on.
    if signals.principal.standing.identity == Identity::Workload {
        found.axes.iter_mut().skip(of_people).for_each(|axis| axis.values.truncate(1));
    }
    found.agents(signals);
    found
}

/// The present value, and others.
fn axis(span: u32, in_order: bool, mut others: Vec<(u32, Value<'_>)>) -> Axis<'_> {
    others.insert(0, (0, Value::Present));
    Axis { span, in_order, attribute: None, values: others }
}

/// Every moment at which a time condition changes its answer, or at which our clock no longer finds the sign-in to come.
fn moments(signals: &Signals<'_>, entries: &[Entry<'_>]) -> Vec<i64> {
    let (now, until) = (signals.now, signals.now.saturating_add(AHEAD_SECS));
    let mut known: Vec<&TimeCondition> = Vec::new();
    let mut found = Vec::new();
    for condition in entries.iter().filter_map(|entry| entry.time) {
        if !known.contains(&condition) {
            known.push(condition);
            found.extend(condition.boundaries(now, until));
        }
    }
    if entries.iter().any(|entry| matches!(entry.asked, Asked::Fresh(_))) {
        let signed_in = signals.principal.auth_time;
        found.extend(signed_in.map(|at| at.saturating_sub(AHEAD_MAX_SECS)));
    }
    found.retain(|at| *at > now && *at <= until);
    found.sort_unstable();
    found.dedup();
    found
}

/// Leaving all networks that policies speak of, one of these, and other countries.
fn place<'c>(policies: &CompiledPolicies, candidates: &Candidates, signals: &Signals<'_>) -> Axis<'c> {
    let span = bits::LEAVE | bits::COUNTRY | bits::APPROVED_NETWORK;
    let (address, country) = (signals.context.address, signals.context.country);
    let (Some(places), false, false) =
        (policies.facts.places(), address == Fact::Unavailable, country == Fact::Unavailable)
    else {
        return axis(span, false, Vec::new());
    };
    let here = (places.address_class(address), places.country_class(country));
    let mut values = Vec::new();
    if let Some(outside) = candidates.outside.map(Fact::Known) {
        // Where countries are known, an address on the internet has one.
        if !candidates.has_countries || country.known().is_some() {
            values.push((bits::LEAVE, Value::Place(outside, country)));
        }
        let unnamed = candidates.unnamed.map(|country| Value::Place(outside, Fact::Known(country)));
        values.extend(unnamed.map(|place| (bits::LEAVE, place)));
        let others = candidates.named.iter().map(|country| Fact::Known(*country));
        let others = others.filter(|other| places.country_class(*other) != here.1);
        values.extend(others.map(|country| (bits::COUNTRY, Value::Place(outside, country))));
    }
    for (address, country) in &candidates.inside {
        values.push((bits::APPROVED_NETWORK, Value::Place(Fact::Known(*address), *country)));
    }
    values.retain(|(_, value)| match value {
        Value::Place(address, country) => {
            (places.address_class(*address), places.country_class(*country)) != here
        }
        _ => true,
    });
    axis(span, false, values)
}

/// What is asked of sign-ins, and missing.
struct Demanded {
    mfa: bool,
    strengths: Vec<u32>,
    contexts: Vec<AuthenticationContext>,
    terms: Vec<String>,
    external: Vec<String>,
    password: bool,
    client: bool,
    fresh: bool,
}

impl Demanded {
    fn of(policies: &CompiledPolicies, readings: &[Signals<'_>], entries: &[Entry<'_>]) -> Self {
        let mut found = Self {
            mfa: false,
            strengths: Vec::new(),
            contexts: Vec::new(),
            terms: Vec::new(),
            external: Vec::new(),
            password: false,
            client: false,
            fresh: false,
        };
        let set = policies.set();
        let mut seen: Vec<u32> = Vec::new();
        for entry in entries {
            let Asked::Controls { any, or_context } = entry.asked else {
                found.fresh |= matches!(entry.asked, Asked::Fresh(_));
                continue;
            };
            if or_context
                && let Some(asked) = readings.get(entry.reading).and_then(|signals| signals.target.context)
                && !found.contexts.contains(&asked)
            {
                found.contexts.push(asked);
            }
            for control in any {
                let ControlTest::Proof(place) = control.test else { continue };
                if seen.contains(&place) {
                    continue;
                }
                seen.push(place);
                let (Some(proof), Some(signals)) = (policies.demands.proof(place), readings.first()) else {
                    continue;
                };
                found.client |= matches!(proof, Proof::ApprovedClient | Proof::ProtectedClient);
                if proof.state(&signals.principal.standing.sign_in, set) == Proven::NotYet {
                    found.add(proof, set);
                }
            }
        }
        found
    }

    fn add(&mut self, proof: &Proof, set: &PolicySet) {
        match proof {
            Proof::Mfa => self.mfa = true,
            Proof::Strength(name) => {
                let at = set.strengths.iter().position(|strength| strength.name == *name);
                self.strengths.extend(at.and_then(|at| u32::try_from(at).ok()));
            }
            Proof::PasswordChange => self.password = true,
            Proof::Terms(name) => self.terms.push(name.clone()),
            Proof::Custom(name) => self.external.push(name.clone()),
            Proof::ApprovedClient | Proof::ProtectedClient => {}
        }
    }

    fn axes<'c>(mut self, set: &'c PolicySet, signals: &Signals<'_>) -> Vec<Axis<'c>> {
        let sign_in = &signals.principal.standing.sign_in;
        self.strengths.sort_unstable();
        let if_any =
            |texts: Vec<String>, change: u32, old: &[String], value: fn(Vec<String>) -> Value<'c>| {
                let all = (!texts.is_empty()).then(|| [old, &texts].concat());
                axis(change, true, all.map(|all| (change, value(all))).into_iter().collect())
            };
        let one = |wanted: bool, change: u32, value: Value<'c>| {
            axis(change, true, wanted.then_some((change, value)).into_iter().collect())
        };
        let (terms, external) = (core::mem::take(&mut self.terms), core::mem::take(&mut self.external));
        Vec::from([
            axis(bits::AGAIN | bits::STRONGER, true, self.sign_ins(set, sign_in)),
            if_any(terms, bits::TERMS, &sign_in.terms, Value::Terms),
            if_any(external, bits::EXTERNAL, &sign_in.custom_controls, Value::External),
            one(self.password, bits::PASSWORD, Value::Password),
            one(sign_in.flow.is_some(), bits::FLOW, Value::Flow),
            axis(bits::APPROVED_APP | bits::PROTECTED_APP, true, self.clients(set)),
        ])
    }

    /// Another sign-in, and those that prove more, the least first.
    fn sign_ins<'c>(&self, set: &PolicySet, present: &SignIn) -> Vec<(u32, Value<'c>)> {
        let mut found = Vec::new();
        if self.fresh {
            found.push((bits::AGAIN, Value::SignIn(Box::new(present.clone()), None)));
        }
        let mut push = |sign_in: SignIn, method| {
            found.push((bits::STRONGER, Value::SignIn(Box::new(sign_in), Some(method))));
        };
        let contexts = if present.issuer.contexts_satisfy { &*self.contexts } else { &[] };
        let contexts = contexts.iter().filter(|context| !present.contexts.contains(context));
        let contexts: Vec<AuthenticationContext> = contexts.copied().collect();
        let strengths: Vec<(u32, &AuthenticationStrength)> =
            self.strengths.iter().filter_map(|at| Some((*at, set.strengths.get(*at as usize)?))).collect();
        if self.mfa {
            push(with_mfa(set, present), StrongerMethod::Mfa);
        }
        for (at, strength) in &strengths {
            push(with_strength(strength, present), StrongerMethod::Strength(*at));
        }
        for context in &contexts {
            let mut sign_in = present.clone();
            sign_in.contexts.push(*context);
            push(sign_in, StrongerMethod::Context(*context));
        }
        let several = usize::from(self.mfa) + strengths.len() + contexts.len();
        if several > 1 || (several == 1 && present.issuer.asserts_acr && present.acr.is_some()) {
            for sign_in in with_everything(set, self.mfa, &strengths, &contexts, present) {
                push(sign_in, StrongerMethod::Several);
            }
        }
        found
    }

    /// Clients on each list, and one on both.
    fn clients<'c>(&self, set: &'c PolicySet) -> Vec<(u32, Value<'c>)> {
        let mut found = Vec::new();
        if !self.client {
            return found;
        }
        let (approved, protected) = (&set.evidence.approved_clients, &set.evidence.protected_clients);
        let is_in = |list: &[String], id: &String| list.iter().any(|one| text::eq(one, id));
        let only_approved = approved.iter().find(|id| !is_in(protected, id));
        let only_protected = protected.iter().find(|id| !is_in(approved, id));
        let both = approved.iter().find(|id| is_in(protected, id));
        let client = |change: u32, id: &'c String| (change, Value::Client(id));
        found.extend(only_approved.map(|id| client(bits::APPROVED_APP, id)));
        found.extend(only_protected.map(|id| client(bits::PROTECTED_APP, id)));
        // Where every approved client is protected as well, to be approved says both.
        let change = match (only_approved, only_protected) {
            (None, _) => bits::APPROVED_APP,
            (Some(_), None) => bits::PROTECTED_APP,
            (Some(_), Some(_)) => bits::APPROVED_APP | bits::PROTECTED_APP,
        };
        found.extend(both.map(|id| client(change, id)));
        found
    }
}

/// A sign-in that proves multifactor authentication besides, by the first evidence that its issuer can tell of.
fn with_mfa(set: &PolicySet, present: &SignIn) -> SignIn {
    let (mut sign_in, evidence) = (present.clone(), &set.evidence);
    let method = evidence.mfa_methods.first().filter(|_| present.issuer.asserts_methods);
    let acr = evidence.mfa_acrs.first().filter(|_| present.issuer.asserts_acr);
    match (method, acr) {
        (Some(method), _) => sign_in.methods.push(method.clone()),
        (None, Some(acr)) => sign_in.acr = Some(acr.clone()),
        (None, None) => sign_in.contexts.extend(evidence.mfa_contexts.first()),
    }
    sign_in
}

/// The same of a strength.
fn with_strength(strength: &AuthenticationStrength, present: &SignIn) -> SignIn {
    let mut sign_in = present.clone();
    let combination = strength.combinations.iter().find(|methods| !methods.is_empty());
    let combination = combination.filter(|_| present.issuer.asserts_methods);
    let acr = strength.acrs.first().filter(|_| present.issuer.asserts_acr);
    match (combination, acr) {
        (Some(methods), _) => sign_in.methods.extend(methods.iter().cloned()),
        (None, Some(acr)) => sign_in.acr = Some(acr.clone()),
        (None, None) => sign_in.contexts.extend(strength.contexts.first()),
    }
    sign_in
}

/// Sign-ins that prove all that is asked for by every method and context; a token has one `acr`, so there is one for each.
fn with_everything(
    set: &PolicySet,
    mfa: bool,
    strengths: &[(u32, &AuthenticationStrength)],
    contexts: &[AuthenticationContext],
    present: &SignIn,
) -> Vec<SignIn> {
    let (mut sign_in, evidence) = (present.clone(), &set.evidence);
    let mut acrs: Vec<&String> = Vec::new();
    if mfa {
        if present.issuer.asserts_methods {
            sign_in.methods.extend(evidence.mfa_methods.iter().cloned());
        }
        sign_in.contexts.extend(&evidence.mfa_contexts);
        acrs.extend(&evidence.mfa_acrs);
    }
    for (_, strength) in strengths {
        if present.issuer.asserts_methods {
            sign_in.methods.extend(strength.combinations.iter().flatten().cloned());
        }
        sign_in.contexts.extend(&strength.contexts);
        acrs.extend(&strength.acrs);
    }
    sign_in.contexts.extend(contexts);
    acrs.dedup();
    let by_acr = acrs.into_iter().filter(|_| present.issuer.asserts_acr);
    let by_acr = by_acr.map(|acr| SignIn { acr: Some(acr.clone()), ..sign_in.clone() });
    let mut found: Vec<SignIn> = by_acr.collect();
    found.insert(0, sign_in);
    found
}

impl<'c> Axes<'c> {
    /// This device in a better state or with a newer system, and other devices.
    fn devices(&mut self, candidates: &'c Candidates, signals: &Signals<'_>, entries: &[Entry<'_>]) {
        let present = match &signals.context.device {
            Fact::Unavailable => return,
            Fact::Unknown => None,
            Fact::Known(device) => Some(owned(device)),
        };
        let classes = &candidates.classes;
        let mut asked: Vec<&'c AttributeClasses> = Vec::new();
        let literals = entries.iter().flat_map(|entry| entry.literals);
        for attribute in literals.filter_map(|literal| classes.attribute(*literal)) {
            let known = classes.attributes.iter().find(|known| known.attribute == attribute);
            if let Some(known) = known.filter(|_| asked.iter().all(|one| one.attribute != attribute)) {
                asked.push(known);
            }
        }
        self.is_complete &= asked.iter().all(|attribute| attribute.is_complete)
            && entries.iter().all(|entry| entry.undecided.is_none());
        let states = self.states(present.as_ref(), &asked);
        let span = bits::REGISTERED | bits::COMPLIANT | bits::JOINED | bits::OTHER_DEVICE;
        self.axes.push(axis(span, false, states));
        for attribute in asked.iter().filter(|attribute| !is_of_state(attribute.attribute)) {
            let is_version = attribute.attribute == DeviceAttribute::OperatingSystemVersion;
            let mut values = Vec::new();
            let own =
                present.as_ref().and_then(|device| version(device.operating_system_version.as_deref()?));
            if let Some(own) = own.filter(|_| is_version) {
                let mut newer: Vec<(Vec<u64>, &Option<AttributeValue>)> = Vec::new();
                for value in &attribute.values {
                    if let Some(AttributeValue::Text(text)) = value
                        && let Some(numbers) = version(text).filter(|numbers| *numbers > own)
                    {
                        newer.push((numbers, value));
                    }
                }
                newer.sort_by(|left, right| left.0.cmp(&right.0));
                let newer = newer.into_iter().map(|(_, value)| value.as_ref());
                values.extend(newer.map(|value| {
                    (bits::NEWER_OS, Value::Attribute(DeviceAttribute::OperatingSystemVersion, value))
                }));
            }
            let others = attribute.values.iter().map(Option::as_ref);
            values.extend(
                others.map(|value| (bits::OTHER_DEVICE, Value::Attribute(attribute.attribute, value))),
            );
            let span = bits::OTHER_DEVICE | if is_version { bits::NEWER_OS } else { 0 };
            let attribute = Some(attribute.attribute);
            self.axes.push(Axis { attribute, ..axis(span, is_version, values) });
        }
    }

    /// States of this device, and, where rules ask for attributes, of others.
    fn states(
        &mut self,
        present: Option<&OwnedDevice>,
        asked: &[&AttributeClasses],
    ) -> Vec<(u32, Value<'c>)> {
        let registered = OwnedDevice { device_id: Some(String::from(ANOTHER)), ..OwnedDevice::default() };
        let base = present.cloned().unwrap_or(registered);
        let mut found = Vec::new();
        if present.is_none() {
            found.push((bits::REGISTERED, base.clone()));
        }
        found.extend(better(0, &base).into_iter().skip(1));
        if !asked.is_empty() {
            // All combinations of what another device may have.
            let other = OwnedDevice { device_id: Some(String::from(ANOTHER)), ..base.clone() };
            let mut others = Vec::from([other]);
            let own_id = present.and_then(|device| device.device_id.clone());
            let is_extension =
                |one: &AttributeClasses| matches!(one.attribute, DeviceAttribute::Extension(_));
            if asked.iter().any(|one| is_extension(one)) {
                // Where they are seen because somebody manages the device.
                let managed = OwnedDevice { mdm_app_id: Some(String::from(ANOTHER)), ..base };
                others.push(OwnedDevice { device_id: Some(String::from(ANOTHER)), ..managed });
            }
            for attribute in asked.iter().filter(|one| is_of_state(one.attribute)) {
                let values = attribute.values.iter().filter(|value| match (attribute.attribute, value) {
                    // Another device has an id of its own.
                    (DeviceAttribute::DeviceId, Some(AttributeValue::Text(id))) => {
                        own_id.as_ref().is_none_or(|own| !text::eq(own, id))
                    }
                    (DeviceAttribute::DeviceId, _) => false,
                    // What is compliant or joined is a change of its own.
                    (DeviceAttribute::IsCompliant, _) => false,
                    (DeviceAttribute::TrustType, Some(AttributeValue::Text(kind))) => {
                        !kind.eq_ignore_ascii_case(JOINED)
                    }
                    _ => true,
                });
                let values: Vec<&Option<AttributeValue>> = values.collect();
                let mut more = others.clone();
                for (device, value) in
                    others.iter().flat_map(|device| values.iter().map(move |one| (device, one)))
                {
                    let mut device = device.clone();
                    device.set(attribute.attribute, (*value).clone());
                    more.push(device);
                }
                if more.len() > DEVICES_MAX {
                    self.is_complete = false;
                    more.truncate(DEVICES_MAX);
                }
                others = more;
            }
            found.extend(others.iter().flat_map(|device| better(bits::OTHER_DEVICE, device)));
        }
        found.into_iter().map(|(change, device)| (change, Value::Device(Box::new(device)))).collect()
    }

    /// What a user agent claims: nothing of it is offered, and all of it is tried before it is said that nothing helps.
    fn agents(&mut self, signals: &Signals<'_>) {
        let kinds = ClientAppType::ALL.map(|kind| (bits::CLIENT_APP, Value::ClientApp(kind)));
        let platforms = Platform::ALL.map(Fact::Known).into_iter().chain([Fact::Unknown]);
        let platforms = platforms.map(|platform| (bits::PLATFORM, Value::Platform(platform)));
        let (mut kinds, mut platforms) = (Vec::from(kinds), platforms.collect::<Vec<_>>());
        // What is unavailable stays so.
        if signals.context.client_app == Fact::Unavailable {
            kinds.clear();
        }
        if signals.context.platform == Fact::Unavailable {
            platforms.clear();
        }
        self.axes.push(axis(bits::CLIENT_APP, false, kinds));
        self.axes.push(axis(bits::PLATFORM, false, platforms));
    }
}

/// The id of a device, or of a service, that no rule names.
const ANOTHER: &str = "\u{e000}another";
/// Hybrid joined, as a trust type.
const JOINED: &str = "ServerAD";

/// A device as it is, and in each better state.
fn better(change: u32, device: &OwnedDevice) -> Vec<(u32, OwnedDevice)> {
    let mut found = Vec::from([(change, device.clone())]);
    if device.compliant != Some(true) {
        found.push((change | bits::COMPLIANT, OwnedDevice { compliant: Some(true), ..device.clone() }));
    }
    if !device.as_device().is_hybrid_joined() {
        let joined = |(change, device): &(u32, OwnedDevice)| {
            let trust_type = Some(String::from(JOINED));
            (change | bits::JOINED, OwnedDevice { trust_type, ..device.clone() })
        };
        let joined: Vec<(u32, OwnedDevice)> = found.iter().map(joined).collect();
        found.extend(joined);
    }
    found
}

/// The numbers of a version, without zeros at its end; `None` when a part is no number.
fn version(text: &str) -> Option<Vec<u64>> {
    let mut numbers: Vec<u64> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    while numbers.pop_if(|last| *last == 0).is_some() {}
    Some(numbers)
}

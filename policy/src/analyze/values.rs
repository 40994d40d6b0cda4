//! The values at which something in policies can change its answer. Between two of them nothing changes.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashSet;

use crate::compile::CompiledPolicies;
use crate::model::{Control, CountryCode, Grant, PathPattern, Place, Policy, PolicySet};
use crate::signals::{Fact, OwnedDevice, OwnedSignals};

/// Address and country.
pub(super) type Whereabouts = (Fact<IpAddr>, Fact<CountryCode>);

/// A place for each set of locations in which somebody can be: of the beginning of each network and the
/// first address after it one of each class, with a country of each class.
pub(super) fn places(policies: &CompiledPolicies) -> Vec<Whereabouts> {
    let Some(index) = policies.facts.places() else { return Vec::from([(Fact::Unknown, Fact::Unknown)]) };
    let mut addresses = Vec::from([Fact::Unknown]);
    let mut countries = Vec::from([Fact::Unknown]);
    countries.extend(CountryCode::new("ZZ").map(Fact::Known));
    for location in &policies.set().locations {
        match &location.place {
            Place::Networks { networks, .. } => {
                for network in networks {
                    addresses.push(Fact::Known(network.network()));
                    addresses.extend(after(network.broadcast()).map(Fact::Known));
                }
            }
            Place::Countries { countries: named, .. } => {
                countries.extend(named.iter().copied().map(Fact::Known));
            }
        }
    }
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(index.address_class(*address).known()));
    seen.clear();
    countries.retain(|country| seen.insert(index.country_class(*country).known()));
    let with = |address: Fact<IpAddr>| countries.iter().map(move |country| (address, *country));
    addresses.into_iter().flat_map(with).collect()
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            address.to_bits().checked_add(1).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
        }
        IpAddr::V6(address) => {
            address.to_bits().checked_add(1).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        }
    }
}

/// Every method and path at which one of the policies can change its answer.
pub(super) fn requests(policies: &[&Policy]) -> Vec<(String, String)> {
    let mut methods = BTreeSet::from([String::from("GET"), String::from("PROPFIND")]);
    let mut paths = BTreeSet::from([String::from("/"), String::from("/elsewhere")]);
    for request in policies.iter().filter_map(|policy| policy.conditions.request.as_ref()) {
        methods.extend(request.methods.iter().cloned());
        for pattern in request.paths.iter().chain(&request.exclude_paths) {
            match pattern {
                PathPattern::Exact(path) => {
                    paths.insert(path.clone());
                }
                PathPattern::Subtree(path) => {
                    let own = if path.is_empty() { String::from("/") } else { path.clone() };
                    paths.extend([format!("{path}/below"), own]);
                }
            }
        }
    }
    // Includes compare without case and exclusions with it, unless the app says otherwise: a page that its own
    // exclusion spares is met in another spelling.
    let mut requests = policies.iter().filter_map(|policy| policy.conditions.request.as_ref());
    if requests.any(|request| !request.exclude_paths.is_empty()) {
        let spelled = |path: &String| [path.to_uppercase(), path.to_lowercase()];
        let others: Vec<String> = paths.iter().flat_map(spelled).collect();
        paths.extend(others);
    }
    let with = |method: &String| {
        let method = method.clone();
        paths.iter().map(move |path| (method.clone(), path.clone())).collect::<Vec<_>>()
    };
    methods.iter().flat_map(with).collect()
}

const WEEK_SECS: i64 = 7 * 86_400;

/// Every moment from now on at which one of the policies may change its answer.
pub(super) fn moments(policies: &[&Policy], now: i64) -> Vec<i64> {
    let mut moments = Vec::from([now]);
    for time in policies.iter().filter_map(|policy| policy.conditions.time.as_ref()) {
        moments.extend(time.from.into_iter().chain(time.until));
        moments.extend(time.zone.transitions.iter().map(|transition| transition.at));
        moments.extend(time.boundaries(now, now.saturating_add(WEEK_SECS)));
        moments.extend(
            time.from
                .into_iter()
                .flat_map(|from| time.boundaries(from.max(now), from.max(now).saturating_add(WEEK_SECS))),
        );
    }
    moments.retain(|at| *at >= now);
    moments
}

/// What only one value of a token can prove: of these one is chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    acr: Option<String>,
    client_id: Option<String>,
}

/// Every choice that could matter to a policy's controls.
pub(super) fn choices(set: &PolicySet, policy: &Policy) -> Vec<Choice> {
    let Grant::Require { controls, .. } = &policy.grant else { return Vec::from([Choice::default()]) };
    let (mut acrs, mut clients) = (BTreeSet::new(), BTreeSet::new());
    for control in controls {
        match control {
            Control::Mfa => acrs.extend(set.evidence.mfa_acrs.iter().cloned()),
            Control::Strength(name) => {
                let named = set.strengths.iter().filter(|strength| strength.name == *name);
                acrs.extend(named.flat_map(|strength| &strength.acrs).cloned());
            }
            Control::ApprovedClientApp => clients.extend(set.evidence.approved_clients.iter().cloned()),
            Control::AppProtection => clients.extend(set.evidence.protected_clients.iter().cloned()),
            Control::CompliantDevice
            | Control::HybridJoinedDevice
            | Control::PasswordChange
            | Control::TermsOfUse(_)
            | Control::Custom(_) => {}
        }
    }
    let or_none = |values: BTreeSet<String>| -> Vec<Option<String>> {
        if values.is_empty() { Vec::from([None]) } else { values.into_iter().map(Some).collect() }
    };
    let (acrs, clients) = (or_none(acrs), or_none(clients));
    let with = |acr: &Option<String>| {
        let acr = acr.clone();
        clients.iter().map(move |client_id| Choice { acr: acr.clone(), client_id: client_id.clone() })
    };
    acrs.iter().flat_map(with).collect()
}

/// The same request with every proof that a policy's controls ask for.
pub(super) fn satisfied(
    set: &PolicySet,
    policy: &Policy,
    witness: &OwnedSignals,
    choice: &Choice,
) -> OwnedSignals {
    let mut best = witness.clone();
    best.principal.auth_time = Some(witness.now);
    let sign_in = &mut best.principal.standing_mut().sign_in;
    sign_in.methods = set.evidence.mfa_methods.clone();
    sign_in.acr.clone_from(&choice.acr);
    sign_in.client_id.clone_from(&choice.client_id);
    sign_in.contexts = set.evidence.mfa_contexts.clone();
    sign_in.password_changed = Some(witness.now);
    sign_in.risk_seen = Some(witness.now.saturating_sub(60));
    let Grant::Require { controls, .. } = &policy.grant else { return best };
    let mut device = best.device.known().unwrap_or_default();
    for control in controls {
        match control {
            Control::Mfa | Control::PasswordChange => {}
            Control::CompliantDevice => device.compliant = Some(true),
            Control::HybridJoinedDevice => device.trust_type = Some(String::from("ServerAD")),
            Control::ApprovedClientApp | Control::AppProtection => {}
            Control::Strength(name) => {
                for strength in set.strengths.iter().filter(|strength| strength.name == *name) {
                    sign_in.methods.extend(strength.combinations.iter().flatten().cloned());
                    sign_in.contexts.extend(&strength.contexts);
                }
            }
            Control::TermsOfUse(name) => sign_in.terms.push(name.clone()),
            Control::Custom(name) => sign_in.custom_controls.push(name.clone()),
        }
    }
    best.device = if device == OwnedDevice::default() { Fact::Unknown } else { Fact::Known(device) };
    best
}

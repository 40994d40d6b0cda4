//! What the user could change, each verified by deciding again. Nothing is suggested that would not
//! be let in; a platform read from a user agent is never offered, for it can be forged.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::compile::CompiledPolicies;
use crate::decision::Outcome;
use crate::model::{ClientAppType, CountryCode, Place};
use crate::scope::Scope;
use crate::signals::{ClientContext, Device, Fact, Principal, Signals};

/// A change within the user's reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Remedy {
    /// Come from another network, or turn a VPN off.
    OtherNetwork,
    /// Use a device that is compliant.
    CompliantDevice,
    /// Use a device that is hybrid joined.
    HybridJoinedDevice,
    /// Use a device that is registered.
    RegisteredDevice,
    /// Use the desktop or mobile app.
    DesktopOrMobileApp,
    /// Use a browser.
    Browser,
    /// Sign in with a stronger method.
    StrongerSignIn,
    /// Sign in again.
    SignInAgain,
}

impl Remedy {
    /// Every change, the easiest first.
    pub const ALL: [Self; 8] = [
        Self::SignInAgain,
        Self::StrongerSignIn,
        Self::OtherNetwork,
        Self::DesktopOrMobileApp,
        Self::Browser,
        Self::RegisteredDevice,
        Self::CompliantDevice,
        Self::HybridJoinedDevice,
    ];

    /// The word in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherNetwork => "other_network",
            Self::CompliantDevice => "compliant_device",
            Self::HybridJoinedDevice => "hybrid_joined_device",
            Self::RegisteredDevice => "registered_device",
            Self::DesktopOrMobileApp => "desktop_or_mobile_app",
            Self::Browser => "browser",
            Self::StrongerSignIn => "stronger_sign_in",
            Self::SignInAgain => "sign_in_again",
        }
    }
}

/// Ways that were verified, each a change or two changes together, the easiest first. Empty: only an
/// administrator can change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedies {
    /// Each way.
    pub ways: Vec<Vec<Remedy>>,
}

/// Finds what would let this request in: single changes, and pairs of them when none is enough.
///
/// # Cost
/// Decides some dozens of times and allocates; for refused requests only.
#[must_use]
pub fn find(policies: &CompiledPolicies, scope: &Scope, signals: &Signals<'_>) -> Remedies {
    let let_in = |changes: &[Remedy]| is_let_in(policies, scope, signals, changes);
    let mut ways: Vec<Vec<Remedy>> = Remedy::ALL
        .into_iter()
        .filter(|change| let_in(&[*change]))
        .map(|change| Vec::from([change]))
        .collect();
    if ways.is_empty() {
        for (position, first) in Remedy::ALL.into_iter().enumerate() {
            for second in Remedy::ALL.into_iter().skip(position + 1) {
                if let_in(&[first, second]) {
                    ways.push(Vec::from([first, second]));
                }
            }
        }
    }
    // A stronger device helps wherever a weaker one does; one suggestion is enough.
    let registered = ways.iter().any(|way| way == &[Remedy::RegisteredDevice]);
    let compliant = ways.iter().any(|way| way == &[Remedy::CompliantDevice]);
    ways.retain(|way| match way.as_slice() {
        [Remedy::CompliantDevice] => !registered,
        [Remedy::HybridJoinedDevice] => !registered && !compliant,
        _ => true,
    });
    Remedies { ways }
}

fn is_let_in(policies: &CompiledPolicies, scope: &Scope, signals: &Signals<'_>, changes: &[Remedy]) -> bool {
    let mut context = *signals.context;
    let mut principal = None;
    let mut places = Vec::from([(context.address, context.country)]);
    for change in changes {
        match change {
            Remedy::OtherNetwork => places = elsewhere(policies, &context),
            Remedy::CompliantDevice => context.device = Fact::Known(better(&context, Some(true), None)),
            Remedy::HybridJoinedDevice => {
                context.device = Fact::Known(better(&context, None, Some("ServerAD")))
            }
            Remedy::RegisteredDevice => {
                if matches!(context.device, Fact::Known(_)) {
                    return false;
                }
                context.device = Fact::Known(better(&context, None, None));
            }
            Remedy::DesktopOrMobileApp => context.client_app = Fact::Known(ClientAppType::MobileAndDesktop),
            Remedy::Browser => context.client_app = Fact::Known(ClientAppType::Browser),
            Remedy::StrongerSignIn => principal = Some(stronger(policies, signals)),
            Remedy::SignInAgain => {
                let again = principal.get_or_insert_with(|| signals.principal.clone());
                again.sign_in.auth_time = Some(signals.now);
            }
        }
    }
    let rebound = principal.as_ref().map(|principal| policies.bind(principal));
    let principal: &Principal = principal.as_ref().unwrap_or(signals.principal);
    let scope = rebound.as_ref().unwrap_or(scope);
    places.into_iter().any(|(address, country)| {
        let context = ClientContext { address, country, ..context };
        let asked = Signals { principal, context: &context, ..*signals };
        matches!(policies.decide(scope, &asked).outcome, Outcome::Grant(_))
    })
}

/// The device at hand with a better state; its own attributes stay, so that filters still see it.
fn better<'r>(
    context: &ClientContext<'r>,
    compliant: Option<bool>,
    trust_type: Option<&'r str>,
) -> Device<'r> {
    let device = context.device.known().unwrap_or_default();
    Device {
        device_id: device.device_id.or(Some("another device")),
        compliant: compliant.or(device.compliant),
        trust_type: trust_type.or(device.trust_type),
        ..device
    }
}

/// The same person after signing in with every method that the policies know.
fn stronger(policies: &CompiledPolicies, signals: &Signals<'_>) -> Principal {
    let mut principal = signals.principal.clone();
    let set = policies.set();
    principal.sign_in.auth_time = Some(signals.now);
    principal.sign_in.methods.extend(set.evidence.mfa_methods.iter().cloned());
    principal
        .sign_in
        .methods
        .extend(set.strengths.iter().flat_map(|strength| &strength.combinations).flatten().cloned());
    principal
}

/// Places that the named locations speak of: one address for each network, one for each country.
fn elsewhere(
    policies: &CompiledPolicies,
    context: &ClientContext<'_>,
) -> Vec<(Fact<IpAddr>, Fact<CountryCode>)> {
    /// Enough to tell whether a network helps; a denial is not the place for a search.
    const PLACES_MAX: usize = 32;
    let here = (context.address, context.country);
    let mut places = Vec::new();
    for location in &policies.set().locations {
        match &location.place {
            Place::Networks { networks, .. } => places.extend(networks.iter().take(2).map(|network| {
                // An office may be in any country; it is tried in the one of now and in none.
                (Fact::Known(network.addr()), context.country)
            })),
            Place::Countries { countries, .. } => {
                places.extend(countries.iter().take(2).map(|country| (Fact::Unknown, Fact::Known(*country))));
            }
        }
    }
    places.retain(|place| *place != here);
    places.truncate(PLACES_MAX);
    places
}

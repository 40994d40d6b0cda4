//! What users could change to, as far as it is the same for all of them: made once for each load of the policies.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::net::IpAddr;

use ipnet::IpNet;

use crate::compile::{CompiledPolicies, DeviceState, Masked, Ones};
use crate::decide::Reading;
use crate::model::Place;
use crate::obstacles::Classes;
use crate::rule::Rule;
use crate::scope::Scope;
use crate::signals::{AppIndex, Fact, Signals};
use crate::value::{CountryCode, ValueRef};

/// What is known of the installation, beside its policies.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'i> {
    /// What users could change to.
    pub candidates: &'i Candidates,
    /// Whether the issuer of the token has ever told how or when somebody signed in (`amr`, `acr`, `acrs`, `auth_time`), or
    /// could have without anybody knowing. If not, no other sign-in is offered.
    pub tells_sign_in: bool,
    /// How many steps the search may take.
    pub steps_max: u32,
}

/// What users could change to, made once for each load of the policies.
#[derive(Debug)]
pub struct Candidates {
    /// What rules tell apart.
    pub(super) classes: Classes,
    /// An address in no network that policies speak of; `None` when there is none.
    pub(super) outside: Option<IpAddr>,
    /// Addresses in such networks with their countries: one for each set of networks and class of countries.
    pub(super) inside: Vec<(IpAddr, Fact<CountryCode>)>,
    /// A country of each class that policies tell apart, but for those that they do not name.
    pub(super) named: Vec<CountryCode>,
    /// A country that no location names.
    pub(super) unnamed: Option<CountryCode>,
    /// Whether addresses have countries.
    pub(super) has_countries: bool,
    /// What the policies about each app look at.
    apps: Vec<Looks>,
}

/// What the policies about an app look at that differs from request to request.
#[derive(Clone, Copy, Debug, Default)]
struct Looks {
    /// Method and path.
    at_request: bool,
    /// How old the sign-in is.
    at_age: bool,
}

impl Candidates {
    /// Everything that the policies tell apart. `country_of` is the source of countries; `None` where there is none, and no
    /// address has a country. An address whose country it cannot tell is not offered.
    ///
    /// # Cost
    /// A look-up of a country for both ends of each network, and of each piece into which networks cut the addresses.
    #[must_use]
    pub fn new(
        policies: &CompiledPolicies,
        country_of: Option<&dyn Fn(IpAddr) -> Fact<CountryCode>>,
    ) -> Self {
        let set = policies.set();
        let mut found = Self {
            classes: Classes::new(set),
            outside: None,
            inside: Vec::new(),
            named: Vec::new(),
            unnamed: None,
            has_countries: country_of.is_some(),
            apps: looks(policies),
        };
        let Some(places) = policies.facts.places() else { return found };
        let mut networks = Vec::new();
        let mut countries = Vec::new();
        for location in &set.locations {
            match &location.place {
                Place::Networks { networks: own, .. } => networks.extend(own.iter().flat_map(ends)),
                Place::Countries { countries: own, .. } => countries.extend(own),
            }
        }
        found.outside = places.edges().find(|address| places.is_outside(*address));
        let mut known = hashbrown::HashSet::new();
        for address in networks.into_iter().chain(places.edges()) {
            let address = address.to_canonical();
            let country = country_of.map_or(Fact::Unknown, |country_of| country_of(address));
            let class = (places.address_class(Fact::Known(address)), places.country_class(country));
            if !places.is_outside(address) && country != Fact::Unavailable && known.insert(class) {
                found.inside.push((address, country));
            }
        }
        if country_of.is_some() {
            let mut known = hashbrown::HashSet::new();
            countries.retain(|country| !places.is_unnamed(*country));
            countries.retain(|country| known.insert(places.country_class(Fact::Known(*country))));
            found.named = countries;
            found.unnamed = CountryCode::assigned().find(|country| places.is_unnamed(*country));
        }
        found
    }
}

impl Candidates {
    /// Hashes everything that a search for this request rests on but the time, and nothing else: requests that the policies
    /// make the same of have one answer, until [`Remedies::valid_until`](super::Remedies::valid_until).
    pub fn hash_situation(
        &self,
        policies: &CompiledPolicies,
        scope: &Scope,
        signals: &Signals<'_>,
        readings: &[Reading<'_>],
        state: &mut impl Hasher,
    ) {
        let Signals { principal, target, action, context, .. } = signals;
        let app = target.app.0;
        let looks = self.apps.get(app as usize).copied().unwrap_or_default();
        scope.hash(state);
        (app, target.context).hash(state);
        for reading in readings {
            reading.context.hash(state);
            looks.at_request.then_some(reading.path).hash(state);
        }
        looks.at_request.then_some((action.method, action.path)).hash(state);
        looks.at_age.then_some(principal.auth_time).hash(state);
        let standing = &principal.standing;
        (&standing.identity, &standing.sign_in, &standing.claims).hash(state);
        let places = policies.facts.places();
        places.map(|places| places.address_class(context.address)).hash(state);
        places.map(|places| places.country_class(context.country)).hash(state);
        (context.platform, context.client_app, context.sign_in_risk, context.user_risk).hash(state);
        (context.insider_risk, context.service_principal_risk).hash(state);
        (context.address.known().is_some(), context.country.known().is_some()).hash(state);
        // Of a device what grants ask for, and the attributes that rules do.
        DeviceState::of(&context.device).position().hash(state);
        if let Fact::Known(device) = &context.device {
            device.operating_system_version.is_some().hash(state);
            for class in &self.classes.attributes {
                hash_value(device.attribute(class.attribute), state);
            }
            (device.mdm_app_id.is_some(), device.compliant, device.trust_type).hash(state);
        }
    }
}

fn hash_value(value: ValueRef<'_>, state: &mut impl Hasher) {
    match value {
        ValueRef::Null => 0_u8.hash(state),
        ValueRef::Text(text) => (1_u8, text).hash(state),
        ValueRef::Bool(truth) => (2_u8, truth).hash(state),
        ValueRef::Number(number) => (3_u8, number.to_bits()).hash(state),
        ValueRef::List(texts) => (4_u8, texts).hash(state),
    }
}

/// For each app, what its enforced policies look at.
fn looks(policies: &CompiledPolicies) -> Vec<Looks> {
    let set = policies.set();
    let apps = (0_u32..).zip(&set.apps).map(|(app, _)| {
        let words = policies.plan(AppIndex(app)).into_iter().flat_map(|plan| policies.words_of(plan));
        let bits = words.flat_map(|Masked { word, bits }| {
            let enforced = bits & policies.demands.enforced(*word as usize);
            Ones(enforced).map(move |bit| *word as usize * 64 + bit as usize)
        });
        let mut looks = Looks::default();
        for demand in bits.filter_map(|bit| policies.demands.of(bit)) {
            let Some(policy) = set.policies.get(demand.policy.0 as usize) else { continue };
            let conditions = &policy.conditions;
            let filter = conditions.device.as_ref().map(|filter| &filter.rule);
            let mut rules = filter.into_iter().chain(&conditions.claims);
            looks.at_request |= conditions.request.is_some() || rules.any(Rule::asks_of_requests);
            looks.at_age |= policy.session.sign_in_frequency.is_some();
        }
        looks
    });
    apps.collect()
}

/// The first and the last address of a network.
fn ends(network: &IpNet) -> [IpAddr; 2] {
    [network.network(), network.broadcast()]
}

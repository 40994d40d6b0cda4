//! What users could change to, as far as it is the same for all of them: made once for each load of the policies.

use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

use crate::compile::CompiledPolicies;
use crate::model::Place;
use crate::obstacles::Classes;
use crate::signals::Fact;
use crate::value::CountryCode;

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

/// The first and the last address of a network.
fn ends(network: &IpNet) -> [IpAddr; 2] {
    [network.network(), network.broadcast()]
}

//! What users could change to, as far as it is the same for all of them.

use core::net::IpAddr;

use crate::compile::CompiledPolicies;
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
pub struct Candidates {}

impl Candidates {
    /// Everything that the policies tell apart. `country_of` is the source of countries; `None` where there is none, and no
    /// address has a country.
    ///
    /// # Cost
    /// Two look-ups of a country for each piece into which networks cut the addresses.
    #[must_use]
    pub fn new(
        _policies: &CompiledPolicies,
        _country_of: Option<&dyn Fn(IpAddr) -> Fact<CountryCode>>,
    ) -> Self {
        Self {}
    }
}

//! What is protected, and the places and proofs that policies speak of.

use alloc::string::String;
use alloc::vec::Vec;

use ipnet::IpNet;

use super::conditions::FilterMode;
use super::subjects::UserSelector;
use crate::path::PathCase;
use crate::rule::{Environment, Rule};
use crate::signals::{IssuerEvidence, SignIn};
use crate::text;
use crate::tri::Tri;
use crate::value::{AuthenticationContext, CountryCode, Value};

/// A protected application.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id in files, metrics and logs.
    pub id: String,
    /// Names of the app groups that it belongs to.
    pub groups: Vec<String>,
    /// Attributes for app filters (`app.*`); names compare without case.
    pub attributes: Vec<(String, Value)>,
    /// Who may open it at all; `None` means everybody whose token is valid.
    /// Somebody not matched is refused before any policy is asked (50105).
    pub assigned: Option<Vec<UserSelector>>,
    /// What happens when no enabled policy applies.
    pub unmatched: Unmatched,
    /// How it takes the letter case of paths.
    pub paths: PathCase,
}

/// What an app does with a request that no enabled policy speaks about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// Refuse it.
    #[default]
    Deny,
    /// Let it through, as Entra does.
    Allow,
}

/// What a policy protects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Targets {
    /// Applications.
    Apps(Apps),
    /// Routes that ask for one of these authentication contexts.
    Contexts(Vec<AuthenticationContext>),
}

/// Applications included and excluded. An exclusion wins over any inclusion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Apps {
    /// Any app that one of these matches,
    pub include: Vec<AppSelector>,
    /// unless one of these matches.
    pub exclude: Vec<AppSelector>,
    /// A filter over the app's attributes. In mode include it adds the apps that match to
    /// `include`; in mode exclude it adds them to `exclude`, as Entra's application filter does.
    pub filter: Option<(FilterMode, Rule)>,
}

impl Apps {
    /// Whether an app is among them.
    #[must_use]
    pub fn covers(&self, app: &App) -> bool {
        let is_named = |selector: &AppSelector| match selector {
            AppSelector::All => true,
            AppSelector::None => false,
            AppSelector::App(id) => *id == app.id,
            AppSelector::Group(group) => app.groups.contains(group),
        };
        let is_filtered = |wanted| {
            let mut filter = self.filter.iter().filter(|(mode, _)| *mode == wanted);
            filter.any(|(_, rule)| rule.holds(&Environment::of_app(&app.attributes)) != Tri::No)
        };
        (self.include.iter().any(is_named) || is_filtered(FilterMode::Include))
            && !(self.exclude.iter().any(is_named) || is_filtered(FilterMode::Exclude))
    }
}

/// A selector of apps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AppSelector {
    /// Every app.
    All,
    /// No app.
    None,
    /// The app with this id.
    App(String),
    /// Every app in this group.
    Group(String),
}

/// A place, by address.
#[derive(Clone, Debug)]
pub struct NamedLocation {
    /// How policies refer to it.
    pub name: String,
    /// What it is made of.
    pub place: Place,
}

/// What makes a request be in a named location.
#[derive(Clone, Debug)]
pub enum Place {
    /// The client's address is in one of these networks. An IPv4-mapped IPv6 address is the
    /// IPv4 address.
    Networks {
        /// IPv4 and IPv6 networks.
        networks: Vec<IpNet>,
        /// Whether `all-trusted` includes this location.
        trusted: bool,
    },
    /// The client's address belongs to one of these countries.
    Countries {
        /// The countries.
        countries: Vec<CountryCode>,
        /// Whether an address of no known country counts too.
        include_unknown: bool,
    },
}

/// Which evidence in a token counts as proof that a control is met. Without evidence a control is
/// unmet.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// `amr` values that prove multifactor authentication (RFC 8176 has `mfa`).
    pub mfa_methods: Vec<String>,
    /// `acr` values that prove multifactor authentication.
    pub mfa_acrs: Vec<String>,
    /// Authentication contexts (`acrs`) that prove multifactor authentication: the issuer's own policies ask for
    /// it wherever one of them is granted.
    pub mfa_contexts: Vec<AuthenticationContext>,
    /// Client ids of approved client apps.
    pub approved_clients: Vec<String>,
    /// Client ids of apps under an app protection policy.
    pub protected_clients: Vec<String>,
}

impl Evidence {
    /// The `amr` values that prove multifactor authentication where a configuration names none: RFC 8176's, and
    /// Entra ID's for Windows Hello.
    pub const MFA_METHODS: [&'static str; 2] = ["mfa", "ngcmfa"];
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            mfa_methods: Self::MFA_METHODS.map(String::from).to_vec(),
            mfa_acrs: Vec::new(),
            mfa_contexts: Vec::new(),
            approved_clients: Vec::new(),
            protected_clients: Vec::new(),
        }
    }
}

impl Evidence {
    /// Whether a sign-in holds evidence of multifactor authentication.
    #[must_use]
    pub fn proves_mfa(&self, sign_in: &SignIn) -> bool {
        let method = |wanted: &String| sign_in.methods.iter().any(|one| text::eq(one, wanted));
        self.mfa_methods.iter().any(method)
            || sign_in.acr.as_ref().is_some_and(|acr| self.mfa_acrs.contains(acr))
            || self.mfa_contexts.iter().any(|context| sign_in.contexts.contains(context))
    }

    /// Whether tokens of an issuer could ever hold such evidence.
    #[must_use]
    pub fn is_mfa_provable_by(&self, issuer: IssuerEvidence) -> bool {
        (issuer.asserts_methods && !self.mfa_methods.is_empty())
            || (issuer.asserts_acr && !self.mfa_acrs.is_empty())
            || !self.mfa_contexts.is_empty()
    }
}

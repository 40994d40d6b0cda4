//! What is known about a request when the question is asked.
//!
//! [`Signals`] borrows; nothing is copied to be asked. A fact is known, unknown, or *unavailable*:
//! owed by a source that does not answer. The last is never the same as unknown.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

pub use crate::value::{Device, DeviceAttribute, Fact, OwnedDevice, Value, ValueRef};

use crate::value::{AuthenticationContext, ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel};

/// Everything a decision looks at, borrowed for the time of asking.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'r> {
    /// Who asks.
    pub principal: &'r Principal,
    /// For what.
    pub target: Target,
    /// Doing what.
    pub action: Action<'r>,
    /// In which circumstances.
    pub context: &'r ClientContext<'r>,
    /// The request's id; the permit carries it.
    pub request_id: RequestId,
    /// The time of asking, in Unix seconds, read once per request.
    pub now: i64,
}

/// The same, owned: a request that is written down, made up or asked again. No reply to it opens anything: it
/// carries no request's id.
#[derive(Clone, Debug)]
pub struct OwnedSignals {
    /// Who asks.
    pub principal: Principal,
    /// For what.
    pub target: Target,
    /// Method, upper case.
    pub method: String,
    /// The path that the app will see.
    pub path: String,
    /// In which circumstances, but for the device.
    pub context: ClientContext<'static>,
    /// With which device; [`Fact::Unknown`] is an unregistered one.
    pub device: Fact<OwnedDevice>,
    /// The time of asking, in Unix seconds.
    pub now: i64,
}

impl OwnedSignals {
    /// The circumstances, the device among them.
    #[must_use]
    pub fn client_context(&self) -> ClientContext<'_> {
        ClientContext { device: self.device.as_ref().map(OwnedDevice::as_device), ..self.context }
    }

    /// The request as policies take it; `context` is its [`client_context`](Self::client_context).
    #[must_use]
    pub fn signals<'r>(&'r self, context: &'r ClientContext<'r>) -> Signals<'r> {
        Signals {
            principal: &self.principal,
            target: self.target,
            action: Action { method: &self.method, path: &self.path },
            context,
            request_id: RequestId(0),
            now: self.now,
        }
    }

    /// Lends the request to somebody who asks.
    pub(crate) fn with<T>(&self, ask: impl FnOnce(&Signals<'_>) -> T) -> T {
        ask(&self.signals(&self.client_context()))
    }
}

/// A request's id, as 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u128);

/// Somebody whose token was verified: a person or a program. Stored with the token, and bound once
/// to the policies (`CompiledPolicies::bind`). What is somebody's own is small; the rest can be shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The id that policies name; a program's is its service principal id. Compares without regard to ASCII
    /// case.
    pub id: Box<str>,
    /// `auth_time`, Unix seconds (OpenID Connect Core 1.0, section 2).
    pub auth_time: Option<i64>,
    /// What it may have in common with others.
    pub standing: Arc<Standing>,
}

impl Principal {
    /// The standing, to change it for this one alone.
    pub fn standing_mut(&mut self) -> &mut Standing {
        Arc::make_mut(&mut self.standing)
    }
}

/// What many principals have in common: those who signed in the same way and are members of the same groups.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Standing {
    /// Person or program.
    pub identity: Identity,
    /// Group ids. [`Fact::Unavailable`] when the token says that there are more than it holds.
    pub groups: Fact<Vec<String>>,
    /// Directory role ids.
    pub roles: Fact<Vec<String>>,
    /// How the sign-in was done.
    pub sign_in: SignIn,
    /// The token's claims that rules may ask for (`user.*`), sorted by name.
    pub claims: Vec<(Box<str>, Value)>,
}

/// Person or program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A person.
    User {
        /// How the person is external, if at all.
        guest: Option<GuestKind>,
        /// The tenant that the person comes from.
        home_tenant: Option<String>,
    },
    /// A program acting for itself.
    Workload,
}

impl Identity {
    /// A person who is nobody's guest, from a tenant that is not known.
    pub const PERSON: Self = Self::User { guest: None, home_tenant: None };
}

impl Default for Identity {
    fn default() -> Self {
        Self::PERSON
    }
}

/// The evidence that a sign-in left in the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SignIn {
    /// `amr` values (RFC 8176).
    pub methods: Vec<String>,
    /// `acr` value.
    pub acr: Option<String>,
    /// Authentication contexts that were satisfied (`acrs`).
    pub contexts: Vec<AuthenticationContext>,
    /// What the word of the token's issuer is good for.
    pub issuer: IssuerEvidence,
    /// `azp`, `appid` or `client_id`: the client that the token was issued to.
    pub client_id: Option<String>,
    /// The authentication flow, where the token has it.
    pub flow: Option<Flow>,
    /// When the password was last changed, Unix seconds.
    pub password_changed: Option<i64>,
    /// When the user's risk was seen, Unix seconds.
    pub risk_seen: Option<i64>,
    /// Terms of use that were accepted.
    pub terms: Vec<String>,
    /// External controls that were satisfied.
    pub custom_controls: Vec<String>,
}

/// What the tokens of one issuer can prove at all: what another sign-in could bring, and what it never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuerEvidence {
    /// Whether an authentication context that the issuer says was satisfied meets the policies that target it.
    pub contexts_satisfy: bool,
    /// Whether its tokens have the methods of a sign-in (`amr`).
    pub asserts_methods: bool,
    /// Whether its tokens have an `acr`.
    pub asserts_acr: bool,
    /// Whether its tokens have when the password was changed, and when the risk was seen.
    pub asserts_password_change: bool,
    /// Whether its tokens have accepted terms of use.
    pub asserts_terms: bool,
    /// Whether its tokens have satisfied external controls.
    pub asserts_custom_controls: bool,
}

impl IssuerEvidence {
    /// An issuer of which nothing is known against it, and whose contexts prove nothing by themselves.
    pub const ANY: Self = Self {
        contexts_satisfy: false,
        asserts_methods: true,
        asserts_acr: true,
        asserts_password_change: true,
        asserts_terms: true,
        asserts_custom_controls: true,
    };

    /// The same, with what a token of the issuer shows by telling it.
    #[must_use]
    pub const fn shown_by(self, methods: &[String], acr: Option<&String>) -> Self {
        Self {
            asserts_methods: self.asserts_methods || !methods.is_empty(),
            asserts_acr: self.asserts_acr || acr.is_some(),
            ..self
        }
    }

    /// As a number, for what is written down; zero is [`ANY`](Self::ANY).
    #[must_use]
    pub fn to_bits(self) -> u8 {
        self.flags(Self::ANY).into_iter().fold(0, |bits, differs| bits << 1 | u8::from(differs))
    }

    /// The same back.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            contexts_satisfy: bits >> 5 & 1 == 1,
            asserts_methods: bits >> 4 & 1 == 0,
            asserts_acr: bits >> 3 & 1 == 0,
            asserts_password_change: bits >> 2 & 1 == 0,
            asserts_terms: bits >> 1 & 1 == 0,
            asserts_custom_controls: bits & 1 == 0,
        }
    }

    /// Where it differs from another.
    const fn flags(self, other: Self) -> [bool; 6] {
        [
            self.contexts_satisfy != other.contexts_satisfy,
            self.asserts_methods != other.asserts_methods,
            self.asserts_acr != other.asserts_acr,
            self.asserts_password_change != other.asserts_password_change,
            self.asserts_terms != other.asserts_terms,
            self.asserts_custom_controls != other.asserts_custom_controls,
        ]
    }
}

impl Default for IssuerEvidence {
    fn default() -> Self {
        Self::ANY
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The app, by its position in [`PolicySet::apps`](crate::model::PolicySet::apps).
    pub app: AppIndex,
    /// The authentication context that the route asks for.
    pub context: Option<AuthenticationContext>,
}

/// The position of an app in its policy set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppIndex(pub u32);

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action<'r> {
    /// Method, upper case.
    pub method: &'r str,
    /// The path that the app will see.
    pub path: &'r str,
}

/// The circumstances of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientContext<'r> {
    /// The client's address; IPv4-mapped IPv6 addresses are IPv4 ones already.
    pub address: Fact<IpAddr>,
    /// The country of that address.
    pub country: Fact<CountryCode>,
    /// The platform.
    pub platform: Fact<Platform>,
    /// The kind of client; not known counts as [`ClientAppType::Other`].
    pub client_app: Fact<ClientAppType>,
    /// The device; [`Fact::Unknown`] is an unregistered device, of which nothing is known.
    pub device: Fact<Device<'r>>,
    /// Risk of this sign-in; not known counts as [`RiskLevel::None`].
    pub sign_in_risk: Fact<RiskLevel>,
    /// Risk of this user.
    pub user_risk: Fact<RiskLevel>,
    /// Insider risk.
    pub insider_risk: Fact<RiskLevel>,
    /// Risk of this service principal.
    pub service_principal_risk: Fact<RiskLevel>,
}

impl ClientContext<'_> {
    /// The same circumstances, the device left out.
    pub(crate) const fn unborrowed(&self) -> ClientContext<'static> {
        let Self { address, country, platform, client_app, .. } = *self;
        let Self { sign_in_risk, user_risk, insider_risk, service_principal_risk, .. } = *self;
        ClientContext {
            address,
            country,
            platform,
            client_app,
            device: Fact::Unknown,
            sign_in_risk,
            user_risk,
            insider_risk,
            service_principal_risk,
        }
    }

    /// Circumstances of which nothing is known.
    pub const UNKNOWN: Self = Self {
        address: Fact::Unknown,
        country: Fact::Unknown,
        platform: Fact::Unknown,
        client_app: Fact::Unknown,
        device: Fact::Unknown,
        sign_in_risk: Fact::Unknown,
        user_risk: Fact::Unknown,
        insider_risk: Fact::Unknown,
        service_principal_risk: Fact::Unknown,
    };
}

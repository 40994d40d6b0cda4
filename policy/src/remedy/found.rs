//! What a search finds: changes, each with exactly what was decided again for it.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::decision::PolicyIndex;
use crate::value::{AuthenticationContext, CountryCode};

/// The most changes that one alternative consists of.
pub const CHANGES_MAX: usize = 3;
/// How far ahead a later time is looked for, in seconds.
pub const AHEAD_SECS: i64 = 30 * 86_400;
/// How many steps a search takes at most, where nobody says otherwise: some hundred microseconds.
pub const STEPS_MAX: u32 = 20_000;

/// A change within the user's reach, and exactly what was decided again for it. The order is that of ease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Remedy {
    /// Sign in again: the sign-in is of the moment, and proves what it proves now.
    SignInAgain,
    /// Sign in again with a stronger method: the sign-in is of the moment, and proves this besides. Some way of signing in
    /// that tokens of this issuer can tell of does; not every one.
    StrongerSignIn {
        /// What it has to prove, the least that is enough.
        method: StrongerMethod,
    },
    /// Accept the terms of use that are asked for: decided as if done, each of them.
    AcceptTerms,
    /// Satisfy the external controls that are asked for: decided as if done, each of them.
    ExternalControl,
    /// Change the password, and sign in with the new one: decided as if done.
    ChangePassword,
    /// Sign in another way: not by a device code, and not by a transfer from another device.
    OtherSignInFlow,
    /// Use another network, or turn a VPN or proxy off: an address that no named network contains would be let in, in the
    /// country of now, or else in a country that no location names. Where both are refused it is not offered; whether it
    /// helps whoever lives in a country that locations name is for [`OtherCountry`](Self::OtherCountry) to say.
    LeaveNetwork,
    /// Connect from another country: an address that no named network contains would be let in there. Some country that
    /// locations name is meant, not every one.
    OtherCountry,
    /// Connect to a network that the organisation names: some address in one, which lies in the country that the source
    /// of countries says, would be let in, and no address outside of all named networks would.
    ApprovedNetwork,
    /// Open it in a client app that is approved.
    ApprovedClientApp,
    /// Open it in a client app that is under an app protection policy.
    ProtectedClientApp,
    /// Update the operating system of this device; all else of it stays.
    NewerOs,
    /// Use a device that is registered.
    RegisteredDevice,
    /// Use a device that is compliant: the present one, all else of it unchanged, or one of which nothing else is known.
    CompliantDevice,
    /// Use a device that is hybrid joined: the present one, all else of it unchanged, or one of which nothing else is known.
    HybridJoinedDevice,
    /// Use another device: some device with other attributes would be let in, and which is the organisation's to say.
    OtherDevice,
    /// Come back later.
    LaterTime {
        /// The first moment at which it would be let in, Unix seconds; at most [`AHEAD_SECS`] ahead.
        at: i64,
    },
}

/// What a stronger sign-in has to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StrongerMethod {
    /// Multifactor authentication.
    Mfa,
    /// An authentication strength, by its position in [`PolicySet::strengths`](crate::PolicySet::strengths).
    Strength(u32),
    /// The authentication context that the route asks for.
    Context(AuthenticationContext),
    /// Several of these at once.
    Several,
}

impl Remedy {
    /// The word in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignInAgain => "sign_in_again",
            Self::StrongerSignIn { .. } => "stronger_sign_in",
            Self::AcceptTerms => "accept_terms",
            Self::ExternalControl => "external_control",
            Self::ChangePassword => "change_password",
            Self::OtherSignInFlow => "other_sign_in",
            Self::LeaveNetwork => "leave_network",
            Self::OtherCountry => "other_country",
            Self::ApprovedNetwork => "approved_network",
            Self::ApprovedClientApp => "approved_client_app",
            Self::ProtectedClientApp => "protected_client_app",
            Self::NewerOs => "newer_os",
            Self::RegisteredDevice => "registered_device",
            Self::CompliantDevice => "compliant_device",
            Self::HybridJoinedDevice => "hybrid_joined_device",
            Self::OtherDevice => "other_device",
            Self::LaterTime { .. } => "later_time",
        }
    }
}

/// What would let a request in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedies {
    /// Each smallest set of changes, the fewest first, then the easiest. The changes of one are needed together.
    pub alternatives: Vec<Alternative>,
    /// What the search came to.
    pub finding: Finding,
    /// Whether everything was searched that there is to try. `false`: there may be more.
    pub is_exhaustive: bool,
    /// Where only an administrator can help: the policies that no change avoids. For help desks, never for the user.
    /// Empty when each can be avoided, but not all at once, or when no policy would speak.
    pub unavoidable: Vec<PolicyIndex>,
    /// The first moment at which the search may come to something else without anything changing, Unix seconds.
    pub valid_until: i64,
}

/// Changes that are needed together, and with what they were decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alternative {
    /// The changes, the easiest first.
    pub changes: Vec<Remedy>,
    /// With what it was let in. For help desks, and for users where policies are disclosed to them in full.
    pub tried: Tried,
}

/// The values with which an alternative was decided again; `None` is what did not change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// An address; `None` also for one that no named network contains.
    pub address: Option<IpAddr>,
    /// The country.
    pub country: Option<CountryCode>,
    /// The version of the operating system: the lowest that would do of those that rules tell apart.
    pub os_version: Option<String>,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// It is let in already.
    LetIn,
    /// An unavailable fact decided: waiting is the answer.
    Waiting,
    /// There are alternatives.
    Found,
    /// Nothing but another sign-in would help, and the issuer has never told how or when anybody signed in.
    SignInNotTold,
    /// Nothing that the user could change would help, in any combination, of however many changes: everything was searched.
    OnlyAdministrator,
    /// Nothing was found that can be offered: only more than three changes at once would help, or what a user agent claims,
    /// or the search was cut short.
    NotFound,
}

impl Remedies {
    /// What says nothing.
    pub const NONE: Self = Self {
        alternatives: Vec::new(),
        finding: Finding::NotFound,
        is_exhaustive: false,
        unavoidable: Vec::new(),
        valid_until: 0,
    };

    /// These changes, found by nobody: for examples.
    #[must_use]
    pub fn example(alternatives: impl IntoIterator<Item = Vec<Remedy>>) -> Self {
        let each = alternatives.into_iter().map(|changes| Alternative { changes, tried: Tried::default() });
        let alternatives: Vec<Alternative> = each.collect();
        let finding = if alternatives.is_empty() { Finding::NotFound } else { Finding::Found };
        Self { alternatives, finding, ..Self::NONE }
    }
}

impl Default for Remedies {
    fn default() -> Self {
        Self::NONE
    }
}

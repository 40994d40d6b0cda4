//! What a denial may tell the user about the user's own request.

use std::net::IpAddr;

use portcullis_policy::model::{ClientAppType, CountryCode, Platform};

/// The facts as they were evaluated. Whether they are shown is decided by the kind of refusal and
/// by disclosure, never by the caller: it is safe to hand over all of them always.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'r> {
    /// The request's id; shown as UUID.
    pub request_id: u128,
    /// The time of the decision, Unix milliseconds.
    pub now_unix_ms: i64,
    /// The app's id and name.
    pub app: Option<(&'r str, &'r str)>,
    /// The name of the user who signed in.
    pub user: Option<&'r str>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The country of that address.
    pub country: Option<CountryCode>,
    /// Whether the source of countries did not answer; no country is shown then.
    pub country_unavailable: bool,
    /// The platform.
    pub platform: Option<Platform>,
    /// The kind of client.
    pub client_app: Option<ClientAppType>,
    /// The device.
    pub device: DeviceState<'r>,
    /// The version that the device reports.
    pub os_version: Option<&'r str>,
    /// What would let this in, each verified against the policies, most likely first. Parts of one
    /// are needed together.
    pub remedies: &'r [&'r [RemedySuggestion]],
    /// Where to sign in: a path on this host, or an address that the configuration of an app names,
    /// with or without a query of ours. Anything else is left out.
    pub sign_in_url: Option<&'r str>,
    /// What a new sign-in must bring (RFC 9470).
    pub step_up: StepUp<'r>,
}

impl Facts<'_> {
    /// Facts of a request of which nothing else is known.
    #[must_use]
    pub const fn of_request(request_id: u128, now_unix_ms: i64) -> Self {
        Self {
            request_id,
            now_unix_ms,
            app: None,
            user: None,
            client: None,
            country: None,
            country_unavailable: false,
            platform: None,
            client_app: None,
            device: DeviceState::NotAvailable,
            os_version: None,
            remedies: &[],
            sign_in_url: None,
            step_up: StepUp { acr_values: &[], max_age_secs: None },
        }
    }

    pub(super) fn shown_country(&self) -> Option<&str> {
        self.country.as_ref().filter(|_| !self.country_unavailable).map(CountryCode::as_str)
    }
}

/// What a new sign-in must bring, for the challenge of RFC 9470, section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepUp<'r> {
    /// `acr` values of which one is enough, the preferred one first.
    pub acr_values: &'r [&'r str],
    /// How long ago the sign-in may be, in seconds.
    pub max_age_secs: Option<u64>,
}

/// What is known of the device, in the words of Entra's panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceState<'r> {
    /// The request carried no device identity.
    #[default]
    NotAvailable,
    /// The device is not registered.
    Unregistered,
    /// Registered, and nothing more is known.
    Registered {
        /// Device id.
        id: &'r str,
    },
    /// Registered and compliant.
    Compliant {
        /// Device id.
        id: &'r str,
    },
    /// Registered and not compliant.
    NotCompliant {
        /// Device id.
        id: &'r str,
    },
    /// Hybrid joined.
    HybridJoined {
        /// Device id.
        id: &'r str,
    },
}

impl<'r> DeviceState<'r> {
    pub(super) const fn id(&self) -> Option<&'r str> {
        match self {
            Self::NotAvailable | Self::Unregistered => None,
            Self::Registered { id }
            | Self::Compliant { id }
            | Self::NotCompliant { id }
            | Self::HybridJoined { id } => Some(id),
        }
    }

    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::NotAvailable => "Not available",
            Self::Unregistered => "Unregistered",
            Self::Registered { .. } => "Registered",
            Self::Compliant { .. } => "Compliant",
            Self::NotCompliant { .. } => "Not compliant",
            Self::HybridJoined { .. } => "Hybrid joined",
        }
    }
}

/// Something that the user can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemedySuggestion {
    /// Come from an approved network.
    OtherNetwork,
    /// Use a compliant device.
    CompliantDevice,
    /// Use a hybrid joined device.
    HybridJoinedDevice,
    /// Use a registered device.
    RegisteredDevice,
    /// Use the desktop or mobile app.
    DesktopOrMobileApp,
    /// Use a browser.
    Browser,
    /// Sign in with a stronger method.
    StrongerSignIn,
    /// Sign in again.
    SignInAgain,
    /// Update the operating system of this device.
    NewerOs,
    /// Come back later.
    LaterTime {
        /// The first moment at which it would be let in, Unix seconds.
        at: i64,
    },
}

impl RemedySuggestion {
    /// Every suggestion.
    pub const ALL: [Self; 10] = [
        Self::OtherNetwork,
        Self::CompliantDevice,
        Self::HybridJoinedDevice,
        Self::RegisteredDevice,
        Self::DesktopOrMobileApp,
        Self::Browser,
        Self::StrongerSignIn,
        Self::SignInAgain,
        Self::NewerOs,
        Self::LaterTime { at: 0 },
    ];

    /// The word in the twin.
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
            Self::NewerOs => "newer_os",
            Self::LaterTime { .. } => "later_time",
        }
    }
}

//! What a denial may show the user about the user's own request.

use std::time::Duration;

use std::net::IpAddr;

use portcullis_policy::decision::{PolicyIndex, PolicyResult};
use portcullis_policy::model::{ClientAppType, CountryCode, Platform};
use portcullis_policy::remedy::Remedies;
use portcullis_policy::signals::{AppIndex, Device};

use crate::decision_record::DecisionRecord;
use crate::limit::Quota;

/// The facts as they were evaluated. Whether they are shown is decided by the kind of refusal and
/// by disclosure, never by the caller: it is safe to hand over all of them always.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'r> {
    /// The request's id; shown as UUID.
    pub request_id: u128,
    /// The time of the decision, Unix milliseconds.
    pub now_unix_ms: i64,
    /// The id of the trace that the request belongs to (W3C Trace Context).
    pub trace_id: Option<u128>,
    /// The app's position in the configuration.
    pub app_index: Option<AppIndex>,
    /// The app's id and name.
    pub app: Option<(&'r str, &'r str)>,
    /// The methods that the app accepts, where its settings name them and the caller is known.
    pub methods: Option<&'r [String]>,
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
    /// The operating system that the device reports.
    pub device_os: Option<&'r str>,
    /// The version that the device reports.
    pub os_version: Option<&'r str>,
    /// What would let this in, each verified against the policies; `None` where nobody looked.
    pub remedies: Option<&'r Remedies>,
    /// Where to sign in: a path on this host, or an address that the configuration of an app names,
    /// with or without a query of ours. Anything else is left out.
    pub sign_in_url: Option<&'r str>,
    /// Where the app signs people in by us.
    pub own_sign_in: Option<OwnSignIn<'r>>,
    /// The exact `iss` of the token's issuer.
    pub issuer: Option<&'r str>,
    /// Whether the client that the token was issued to follows Microsoft's claims challenges.
    pub follows_claims_challenges: bool,
    /// Whether the user has just signed in anew for this very demand, and the sign-in service did not bring what it asked
    /// for: asking once more would change nothing.
    pub step_up_not_delivered: bool,
    /// What the help desk is told of this very refusal by; `None` where nothing takes it.
    pub report: Option<&'r str>,
    /// Policies that applied, with their results.
    pub applied: &'r [(PolicyIndex, PolicyResult)],
    /// How many such pages there were within the last minutes, this one included; see `Denials::count`.
    pub repeats: Option<u32>,
    /// Everything that was decided on, where `Denials::wants_record`: for the support code and for
    /// challenges.
    pub record: Option<&'r DecisionRecord>,
    /// What the page waits for, sealed, where it is to open itself.
    pub wait: Option<&'r str>,
    /// The rate that was exceeded, with its name, where that is why it is refused.
    pub exceeded: Option<(&'static str, Quota)>,
    /// How long the app's settings ask to wait.
    pub retry_after: Option<Duration>,
}

impl Facts<'_> {
    /// Facts of a request of which nothing else is known.
    #[must_use]
    pub const fn of_request(request_id: u128, now_unix_ms: i64) -> Self {
        Self {
            request_id,
            now_unix_ms,
            trace_id: None,
            app_index: None,
            app: None,
            methods: None,
            user: None,
            client: None,
            country: None,
            country_unavailable: false,
            platform: None,
            client_app: None,
            device: DeviceState::NotAvailable,
            device_os: None,
            os_version: None,
            remedies: None,
            sign_in_url: None,
            own_sign_in: None,
            issuer: None,
            follows_claims_challenges: false,
            step_up_not_delivered: false,
            report: None,
            applied: &[],
            repeats: None,
            record: None,
            exceeded: None,
            retry_after: None,
            wait: None,
        }
    }

    /// The system that the device reports; its version belongs to this name alone.
    pub(super) fn os_name(&self) -> Option<&str> {
        self.device_os.filter(|name| !name.is_empty())
    }

    pub(super) fn shown_country(&self) -> Option<&str> {
        self.country.as_ref().filter(|_| !self.country_unavailable).map(CountryCode::as_str)
    }
}

/// How the user of an app gets on that signs people in by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnSignIn<'r> {
    /// What was asked for, as received, where it may be asked for again. The page shows it percent-encoded, in links to
    /// our own sign-in alone, which lead nowhere but to an app of this host.
    pub return_to: Option<&'r [u8]>,
    /// Whether there is a session that can be ended.
    pub has_session: bool,
}

/// What is known of the device, in the words of Entra's panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceState<'r> {
    /// No device was shown: neither is it known, nor is it known to be unregistered.
    #[default]
    NotAvailable,
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
    /// The state of the device that a verified token names.
    #[must_use]
    pub fn of(device: Option<&Device<'r>>) -> Self {
        let Some(device) = device else { return Self::NotAvailable };
        let id = device.device_id.unwrap_or_default();
        match device.compliant {
            Some(true) => Self::Compliant { id },
            Some(false) => Self::NotCompliant { id },
            None if device.is_hybrid_joined() => Self::HybridJoined { id },
            None => Self::Registered { id },
        }
    }

    pub(crate) const fn id(&self) -> Option<&'r str> {
        match self {
            Self::NotAvailable => None,
            Self::Registered { id }
            | Self::Compliant { id }
            | Self::NotCompliant { id }
            | Self::HybridJoined { id } => Some(id),
        }
    }

    /// The state alone.
    pub(crate) const fn without_id(&self) -> DeviceState<'static> {
        match self {
            Self::NotAvailable => DeviceState::NotAvailable,
            Self::Registered { .. } => DeviceState::Registered { id: "" },
            Self::Compliant { .. } => DeviceState::Compliant { id: "" },
            Self::NotCompliant { .. } => DeviceState::NotCompliant { id: "" },
            Self::HybridJoined { .. } => DeviceState::HybridJoined { id: "" },
        }
    }

    /// The state in English, as Entra's panel has it, for programs and tickets.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::NotAvailable => "Not available",
            Self::Registered { .. } => "Registered",
            Self::Compliant { .. } => "Compliant",
            Self::NotCompliant { .. } => "Not compliant",
            Self::HybridJoined { .. } => "Hybrid joined",
        }
    }
}

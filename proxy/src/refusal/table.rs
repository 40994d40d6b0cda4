//! The table of errors: what each refusal is called, shown as and answered with.

use std::time::Duration;

use portcullis_policy::decision::ReasonCode;
use portcullis_policy::words;

use super::subcode::Subcode;

words! {
    /// What kind of fact failed, as shown to users.
    pub enum Class {
        /// Address, network, country.
        Location = "location",
        /// Device identity, compliance, join.
        Device = "device",
        /// Kind of client.
        ClientApp = "client_app",
        /// Platform or operating system version.
        Platform = "platform",
        /// Flow of the sign-in.
        Flow = "flow",
        /// Strength of the sign-in.
        Authentication = "authentication",
        /// Age or validity of token or session.
        Session = "session",
        /// Assignment to the app.
        Assignment = "assignment",
        /// A rule that is not explained (risk included).
        Policy = "policy",
        /// Something of ours does not answer.
        Unavailable = "unavailable",
        /// The request itself.
        Request = "request",
    }
}

words! {
    /// What would end the refusal.
    pub enum Resolution {
        /// Another network, device or client.
        ChangeContext = "change_context",
        /// Mend the device.
        Remediate = "remediate",
        /// Sign in again, or stronger.
        Reauthenticate = "reauthenticate",
        /// Sign in.
        SignIn = "sign_in",
        /// Only an administrator can.
        ContactAdmin = "contact_admin",
        /// It passes by itself.
        RetryLater = "retry_later",
        /// Send a proper request.
        FixRequest = "fix_request",
    }
}

/// How long a client is asked to wait when a refusal is temporary.
pub const RETRY_AFTER: Duration = Duration::from_secs(120);

/// What is said of an error: one row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// The word for logs and metrics; a closed set.
    pub reason: &'static str,
    /// The word for programs. Apart from `reason`, which names what clients are not shown.
    pub error: &'static str,
    /// The number shown; Microsoft's where the meaning is theirs. Zero: no code, plain HTTP.
    pub code: u32,
    /// Kind of fact.
    pub class: Class,
    /// What would end it.
    pub resolution: Resolution,
    /// HTTP status.
    pub status: u16,
    /// The name of the text that explains it, in the language files; empty where policies did not decide.
    pub text: &'static str,
}

/// The rows of the policies' reasons.
macro_rules! by_policies {
    ($reason:ident: $($($variant:ident)|+ => $error:literal $code:literal $class:ident $resolution:ident $status:literal $text:literal,)+) => {
        match $reason {
            $($(ReasonCode::$variant)|+ => ErrorInfo {
                reason: $reason.as_str(),
                error: $error,
                code: $code,
                class: Class::$class,
                resolution: Resolution::$resolution,
                status: $status,
                text: concat!("reason-", $text),
            },)+
        }
    };
}

impl ErrorInfo {
    /// The row of one reason of the policies.
    #[must_use]
    pub const fn of_reason(reason: ReasonCode) -> Self {
        by_policies! { reason:
            NotAssigned            => "not_assigned"              50105  Assignment     ContactAdmin   403 "assignment",
            BlockedByLocation      => "access_blocked"            53003  Location       ChangeContext  403 "location",
            BlockedByPlatform      => "platform_not_supported"    50005  Platform       Remediate      403 "platform",
            BlockedByClientApp     => "access_blocked"            53003  ClientApp      ChangeContext  403 "client-app",
            BlockedByDevice        => "access_blocked"            53003  Device         ChangeContext  403 "device",
            BlockedByFlow          => "flow_not_allowed"          530033 Flow           ChangeContext  403 "flow",
            // 53004 would tell the holder of a stolen token that it was noticed.
            BlockedByRisk | BlockedByRequest | Blocked | NoPolicy
                                   => "access_blocked"            53003  Policy         ContactAdmin   403 "policy",
            DeviceNotCompliant     => "device_not_compliant"      53000  Device         Remediate      403 "device-compliance",
            DeviceUnknown          => "device_identity_missing"   50097  Device         ChangeContext  403 "device-unknown",
            DeviceNotJoined        => "device_not_managed"        53001  Device         Remediate      403 "device-joined",
            ClientNotApproved      => "client_not_approved"       53002  ClientApp      ChangeContext  403 "client-approved",
            ClientNotProtected     => "client_not_protected"      53009  ClientApp      ChangeContext  403 "client-protected",
            NotProvable            => "sign_in_not_provable"      53003  Authentication ContactAdmin   403 "not-provable",
            MfaRequired            => "mfa_required"              50076  Authentication Reauthenticate 401 "authentication",
            StrengthRequired       => "stronger_sign_in_required" 50074  Authentication Reauthenticate 401 "authentication",
            SignInTooOld           => "sign_in_too_old"           70044  Session        Reauthenticate 401 "session",
            PasswordChangeRequired => "password_change_required"  50142  Authentication Reauthenticate 401 "password",
            TermsRequired | ExternalControlRequired
                                   => "interaction_required"      50158  Authentication Reauthenticate 401 "interaction",
            FactUnavailable        => "temporarily_unavailable"   90033  Unavailable    RetryLater     503 "unavailable",
        }
    }

    /// The row of a reason and its subcode.
    pub(super) const fn by_policies(reason: ReasonCode, subcode: Subcode) -> Self {
        let info = Self::of_reason(reason);
        match subcode {
            Subcode::None => info,
            Subcode::MfaExpired => Self { code: 50078, class: Class::Authentication, ..info },
            Subcode::DeviceClaimsMissing => Self { code: 50187, ..info },
            // Numbers from 880001 on are ours: Microsoft has none for what they mean.
            Subcode::GroupsMissing => Self {
                text: "reason-groups",
                ..Self::new(
                    "groups-not-told",
                    "groups_not_told",
                    880_001,
                    Class::Policy,
                    Resolution::ContactAdmin,
                    403,
                )
            },
        }
    }

    /// A row of what policies do not decide.
    pub(super) const fn new(
        reason: &'static str,
        error: &'static str,
        code: u32,
        class: Class,
        resolution: Resolution,
        status: u16,
    ) -> Self {
        Self { reason, error, code, class, resolution, status, text: "" }
    }

    /// Whether waiting helps.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self.resolution, Resolution::RetryLater)
    }
}

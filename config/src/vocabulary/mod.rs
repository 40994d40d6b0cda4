//! Words of Microsoft Graph, each beside ours; ours are those of the types. Files, questions, imports and claims
//! read them here.

pub(crate) mod countries;

use portcullis_policy::model::{ClientAppType, Control, Flow, GuestKind, Platform, RiskLevel};
use portcullis_policy::signals::DeviceAttribute;

/// Graph's words, each beside ours.
pub type GraphWords = &'static [(&'static str, &'static str)];

/// Kinds of guests and external users.
pub const GUEST_KINDS: GraphWords = &[
    ("internalGuest", GuestKind::InternalGuest.as_str()),
    ("b2bCollaborationGuest", GuestKind::B2bCollaborationGuest.as_str()),
    ("b2bCollaborationMember", GuestKind::B2bCollaborationMember.as_str()),
    ("b2bDirectConnectUser", GuestKind::B2bDirectConnectUser.as_str()),
    ("serviceProvider", GuestKind::ServiceProvider.as_str()),
    ("otherExternalUser", GuestKind::OtherExternalUser.as_str()),
];
/// Device platforms.
pub const PLATFORMS: GraphWords = &[
    ("android", Platform::Android.as_str()),
    ("iOS", Platform::Ios.as_str()),
    ("windows", Platform::Windows.as_str()),
    ("windowsPhone", Platform::WindowsPhone.as_str()),
    ("macOS", Platform::MacOs.as_str()),
    ("linux", Platform::Linux.as_str()),
];
/// Client app types.
pub const CLIENT_APPS: GraphWords = &[
    ("browser", ClientAppType::Browser.as_str()),
    ("mobileAppsAndDesktopClients", ClientAppType::MobileAndDesktop.as_str()),
    ("exchangeActiveSync", ClientAppType::ExchangeActiveSync.as_str()),
    ("other", ClientAppType::Other.as_str()),
];
/// Grant controls that are one word: Graph's, ours, and what it means.
pub(crate) const CONTROLS: [(&str, &str, Control); 6] = [
    ("mfa", "mfa", Control::Mfa),
    ("compliantDevice", "compliant-device", Control::CompliantDevice),
    ("domainJoinedDevice", "hybrid-joined-device", Control::HybridJoinedDevice),
    ("approvedApplication", "approved-client-app", Control::ApprovedClientApp),
    ("compliantApplication", "app-protection", Control::AppProtection),
    ("passwordChange", "password-change", Control::PasswordChange),
];
/// Risks of sign-ins, users and service principals.
pub const RISKS: GraphWords = &[
    ("none", RiskLevel::None.as_str()),
    ("low", RiskLevel::Low.as_str()),
    ("medium", RiskLevel::Medium.as_str()),
    ("high", RiskLevel::High.as_str()),
];
/// Insider risks.
pub const INSIDER_RISKS: GraphWords = &[
    ("none", RiskLevel::None.as_str()),
    ("minor", RiskLevel::Low.as_str()),
    ("moderate", RiskLevel::Medium.as_str()),
    ("elevated", RiskLevel::High.as_str()),
];
/// Authentication flows.
pub const FLOWS: GraphWords = &[
    ("deviceCodeFlow", Flow::DeviceCode.as_str()),
    ("authenticationTransfer", Flow::AuthenticationTransfer.as_str()),
];

/// Our word for one of Graph's, which compare without case.
#[must_use]
pub fn from_graph(words: GraphWords, theirs: &str) -> Option<&'static str> {
    words.iter().find(|(known, _)| known.eq_ignore_ascii_case(theirs)).map(|(_, ours)| *ours)
}

/// The keys of a device in a question, each with the attribute that it sets. `extension-attributes` are beside
/// them, by number.
pub const DEVICE_KEYS: [(&str, DeviceAttribute); 14] = [
    ("id", DeviceAttribute::DeviceId),
    ("name", DeviceAttribute::DisplayName),
    ("ownership", DeviceAttribute::DeviceOwnership),
    ("enrollment-profile", DeviceAttribute::EnrollmentProfileName),
    ("compliant", DeviceAttribute::IsCompliant),
    ("manufacturer", DeviceAttribute::Manufacturer),
    ("mdm-app-id", DeviceAttribute::MdmAppId),
    ("model", DeviceAttribute::Model),
    ("operating-system", DeviceAttribute::OperatingSystem),
    ("operating-system-version", DeviceAttribute::OperatingSystemVersion),
    ("physical-ids", DeviceAttribute::PhysicalIds),
    ("profile-type", DeviceAttribute::ProfileType),
    ("system-labels", DeviceAttribute::SystemLabels),
    ("trust-type", DeviceAttribute::TrustType),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_ours_has_a_word_of_graphs() {
        let lists: [(GraphWords, &[&str]); 6] = [
            (GUEST_KINDS, &GuestKind::WORDS),
            (PLATFORMS, &Platform::WORDS),
            (CLIENT_APPS, &ClientAppType::WORDS),
            (RISKS, &RiskLevel::WORDS),
            (INSIDER_RISKS, &RiskLevel::WORDS),
            (FLOWS, &Flow::WORDS),
        ];
        for (words, ours) in lists {
            let mut listed: Vec<&str> = words.iter().map(|(_, ours)| *ours).collect();
            let mut ours = ours.to_vec();
            listed.sort_unstable();
            ours.sort_unstable();
            assert_eq!(listed, ours);
        }
    }
}

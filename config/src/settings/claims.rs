//! Which claim of a token carries which fact. Issuers name and nest them as they like.

use portcullis_policy::signals::DeviceAttribute;
use portcullis_policy::words;

/// What stands before each name of a claim's path; no name that is configured holds it.
const MARK: char = '\0';

/// The path to a claim, name by name, as one text. Dots in these names are dots.
#[must_use]
pub fn claim_path(names: &[&str]) -> String {
    names.iter().flat_map(|name| [MARK].into_iter().chain(name.chars())).collect()
}

/// The names of a path, if a claim's name is one; see [`claim_path`].
#[must_use]
pub fn claim_path_names(claim: &str) -> Option<impl Iterator<Item = &str>> {
    claim.strip_prefix(MARK).map(|names| names.split(MARK))
}

/// A claim's name as rules and identity headers say it: the names of a path with dots between.
#[must_use]
pub fn claim_label(claim: &str) -> String {
    claim_path_names(claim).map_or_else(|| claim.to_owned(), |names| names.collect::<Vec<_>>().join("."))
}

/// Names of claims. A dotted name walks into objects; a literal name with dots or slashes is tried
/// first. A path written as a list is one text, too: see [`claim_path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user's id; policies name users by it.
    pub user_id: String,
    /// The name shown on the page.
    pub user_name: String,
    /// Groups.
    pub groups: String,
    /// Directory roles.
    pub roles: String,
    /// What stands between groups, or roles, where a token has them as one text. `None`: a text that could hold
    /// several cannot be read.
    pub list_separator: Option<ListSeparator>,
    /// Authentication methods.
    pub methods: String,
    /// Authentication context class.
    pub acr: String,
    /// Satisfied authentication contexts.
    pub contexts: String,
    /// Time of the sign-in.
    pub auth_time: String,
    /// Device id: its presence makes a device registered.
    pub device_id: String,
    /// Whether the device is compliant (boolean or `"true"`).
    pub device_compliant: String,
    /// The device's join type.
    pub device_trust_type: String,
    /// The device's operating system.
    pub device_os: String,
    /// The device's operating system version.
    pub device_os_version: String,
    /// Sign-in risk.
    pub sign_in_risk: Option<String>,
    /// User risk.
    pub user_risk: Option<String>,
    /// Insider risk.
    pub insider_risk: Option<String>,
    /// Service principal risk.
    pub service_principal_risk: Option<String>,
    /// When the user's risk was seen; a later password change answers it.
    pub risk_seen: Option<String>,
    /// The authentication flow: `deviceCodeFlow` or `authenticationTransfer`, as Graph writes them.
    pub flow: Option<String>,
    /// How a user is external, in Graph's words; `acct` and `userType` show B2B guests without it.
    pub guest_kind: Option<String>,
    /// The tenant that a user comes from.
    pub home_tenant: Option<String>,
    /// Attributes of the device that have no key of their own, each with the claim that has it.
    pub device_attributes: Vec<(DeviceAttribute, String)>,
    /// Terms of use that were accepted.
    pub terms: Option<String>,
    /// External controls that were satisfied.
    pub custom_controls: Option<String>,
    /// Time of the last password change.
    pub password_changed: Option<String>,
    /// Further claims that rules may ask for as `user.NAME`.
    pub extra: Vec<String>,
}

words! {
    /// What stands between the items of a list that is written as one text.
    pub enum ListSeparator {
        /// `,`
        Comma = "comma",
        /// `;`
        Semicolon = "semicolon",
        /// A space.
        Space = "space",
    }
}

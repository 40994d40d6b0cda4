//! The circumstances under which a policy speaks.

use alloc::string::String;
use alloc::vec::Vec;

use crate::rule::Rule;
use crate::words;
use crate::words::word_set;

/// The conditions of a policy. They are ANDed; an absent one matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// Client app types; `None` is any. A type that could not be told counts as
    /// [`ClientAppType::Other`].
    pub client_apps: Option<ClientAppSet>,
    /// Device platforms.
    pub platforms: Option<Platforms>,
    /// Named locations.
    pub locations: Option<Locations>,
    /// Sign-in risk levels.
    pub sign_in_risk: Option<RiskSet>,
    /// User risk levels.
    pub user_risk: Option<RiskSet>,
    /// Insider risk levels.
    pub insider_risk: Option<RiskSet>,
    /// Service principal risk levels.
    pub service_principal_risk: Option<RiskSet>,
    /// A rule over the device's attributes.
    pub device: Option<DeviceFilter>,
    /// Authentication flows.
    pub flows: Option<FlowSet>,
    /// Method and path.
    pub request: Option<RequestCondition>,
    /// Time of day, day of week, dates.
    pub time: Option<TimeCondition>,
    /// A rule over the token's claims (`user.*`), and over `request.*` and `app.*`.
    pub claims: Option<Rule>,
}

words! {
    /// Kinds of clients, in Entra's words.
    pub enum ClientAppType {
        /// A web browser.
        Browser = "browser",
        /// Mobile apps and desktop clients with modern authentication.
        MobileAndDesktop = "mobile-apps-and-desktop-clients",
        /// Exchange ActiveSync.
        ExchangeActiveSync = "exchange-active-sync",
        /// Anything else, and anything that could not be told.
        Other = "other",
    }
}

word_set! {
    /// Client app types.
    ClientAppSet of ClientAppType: u8
}

words! {
    /// Device platforms, in Entra's words.
    pub enum Platform {
        /// Android.
        Android = "android",
        /// iOS and iPadOS.
        Ios = "ios",
        /// Windows.
        Windows = "windows",
        /// macOS.
        MacOs = "macos",
        /// Linux, ChromeOS not included.
        Linux = "linux",
        /// Windows Phone.
        WindowsPhone = "windows-phone",
    }
}

/// Platforms included and excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Platforms {
    /// Any platform that one of these matches,
    pub include: Vec<PlatformSelector>,
    /// unless one of these matches.
    pub exclude: Vec<PlatformSelector>,
}

/// One way of naming platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlatformSelector {
    /// Any platform, an unknown one included.
    All,
    /// This platform. An unknown one does not match.
    Named(Platform),
}

/// Locations included and excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locations {
    /// Any place that one of these matches,
    pub include: Vec<LocationSelector>,
    /// unless one of these matches.
    pub exclude: Vec<LocationSelector>,
}

/// One way of naming places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LocationSelector {
    /// Anywhere.
    All,
    /// Any location that is marked trusted.
    AllTrusted,
    /// The named location.
    Named(String),
}

words! {
    /// How risky something is.
    pub enum RiskLevel {
        /// No risk was found.
        None = "none",
        /// Low; insider risk `minor`.
        Low = "low",
        /// Medium; insider risk `moderate`.
        Medium = "medium",
        /// High; insider risk `elevated`.
        High = "high",
    }
}

word_set! {
    /// Risk levels.
    RiskSet of RiskLevel: u8
}

/// A rule over the device's attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceFilter {
    /// Whether devices that match are meant, or all others.
    pub mode: FilterMode,
    /// The rule; every attribute of an unregistered device is null.
    pub rule: Rule,
}

/// How a filter is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterMode {
    /// The condition matches what the rule matches.
    Include,
    /// The condition matches what the rule does not match.
    Exclude,
}

words! {
    /// Ways of authenticating that policies can single out.
    pub enum Flow {
        /// Device code flow, RFC 8628.
        DeviceCode = "device-code-flow",
        /// Authentication transfer from one device to another.
        AuthenticationTransfer = "authentication-transfer",
    }
}

word_set! {
    /// Authentication flows.
    FlowSet of Flow: u8
}

/// What is being done, by method and path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestCondition {
    /// Methods, upper case; empty is any.
    pub methods: Vec<String>,
    /// Path patterns of which one must match; empty is any.
    pub paths: Vec<PathPattern>,
    /// Path patterns of which none may match.
    pub exclude_paths: Vec<PathPattern>,
}

/// A pattern over the path in normal form. How it compares: [`path`](crate::path).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// `/admin`: this path alone, with or without a slash at its end.
    Exact(String),
    /// `/admin/**`: this path (without a slash at its end) and everything below it.
    Subtree(String),
}

/// When a policy speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimeCondition {
    /// Where the clock on the wall hangs.
    pub zone: TimeZone,
    /// Weekly windows of which one must hold; empty is any time of the week.
    pub windows: Vec<WeekWindow>,
    /// First second (Unix) at which the condition can match.
    pub from: Option<i64>,
    /// First second (Unix) at which it no longer can.
    pub until: Option<i64>,
}

/// A span within each week, in minutes from Monday 00:00 local time; at most 10,080. A window
/// with `end <= start` runs over the end of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeekWindow {
    /// First minute inside.
    pub start_minute: u16,
    /// First minute outside.
    pub end_minute: u16,
}

/// The rules of a time zone, as data: this crate reads no time zone database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimeZone {
    /// Its IANA name.
    pub name: String,
    /// Seconds east of UTC before the first transition.
    pub first_offset_secs: i32,
    /// Changes of the offset, by time.
    pub transitions: Vec<Transition>,
}

/// From `at` (Unix seconds) on, local time is UTC plus `offset_secs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// Unix seconds.
    pub at: i64,
    /// Seconds east of UTC.
    pub offset_secs: i32,
}

//! The circumstances under which a policy speaks.

use alloc::string::String;
use alloc::vec::Vec;

use crate::path::{Compare, PathCase, is_below};
use crate::rule::Rule;
use crate::value::{ClientAppSet, FlowSet, Platform, RiskSet};

/// The conditions of a policy. They are ANDed; an absent one matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// Client app types; `None` is any. A type that is not known counts as
    /// [`ClientAppType::Other`](crate::value::ClientAppType::Other).
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

/// Platforms included and excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Platforms {
    /// Any platform that one of these matches,
    pub include: Vec<PlatformSelector>,
    /// unless one of these matches.
    pub exclude: Vec<PlatformSelector>,
}

/// A selector of platforms.
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

/// A selector of places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LocationSelector {
    /// Anywhere.
    All,
    /// Any location that is marked trusted.
    AllTrusted,
    /// The named location.
    Named(String),
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

impl PathPattern {
    /// Whether the pattern covers a path in normal form. No allocation.
    #[must_use]
    pub fn matches(&self, path: &str, compare: Compare) -> bool {
        match self {
            Self::Exact(wanted) => {
                let rest = compare.strip_prefix(path, wanted.strip_suffix('/').unwrap_or(wanted));
                rest.is_some_and(|rest| rest.is_empty() || rest == "/")
            }
            Self::Subtree(base) => is_below(path, base, compare),
        }
    }
}

impl RequestCondition {
    /// Whether a path is among those that the condition is about.
    pub(crate) fn covers(&self, path: &str, case: PathCase) -> bool {
        let (paths, exclude) = (&self.paths, &self.exclude_paths);
        (paths.is_empty() || paths.iter().any(|pattern| pattern.matches(path, case.stricter())))
            && !exclude.iter().any(|pattern| pattern.matches(path, case.sparing()))
    }
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

impl TimeCondition {
    /// Every moment after `after` and up to `until` at which the condition can change its answer, ascending: between two of
    /// them it does not.
    #[must_use]
    pub fn boundaries(&self, after: i64, until: i64) -> Vec<i64> {
        const WEEK_SECS: i64 = 7 * 86_400;
        let inside = |at: &i64| *at > after && *at <= until;
        let mut found: Vec<i64> = self.from.into_iter().chain(self.until).collect();
        // Within a span of one offset the week is as long as any.
        let changes = self.zone.transitions.iter().map(|transition| transition.at).filter(inside);
        let mut spans: Vec<i64> = core::iter::once(after).chain(changes).collect();
        spans.sort_unstable();
        found.extend(spans.iter().skip(1));
        let ends = spans.iter().skip(1).copied().chain([until.saturating_add(1)]);
        for (start, end) in spans.iter().copied().zip(ends) {
            let offset = i64::from(self.zone.offset_secs(start));
            // 1970-01-05 was a Monday.
            let week = start.saturating_add(offset).saturating_sub(4 * 86_400).div_euclid(WEEK_SECS);
            for edge in self.windows.iter().flat_map(|window| [window.start_minute, window.end_minute]) {
                let minute = i64::from(edge).rem_euclid(7 * 1_440);
                let first = week.saturating_mul(WEEK_SECS).saturating_add(4 * 86_400 + minute * 60 - offset);
                let weekly = (0..).map(|weeks: i64| first.saturating_add(weeks.saturating_mul(WEEK_SECS)));
                found.extend(weekly.take_while(|at| *at < end).filter(|at| *at >= start));
            }
        }
        found.retain(inside);
        found.sort_unstable();
        found.dedup();
        found
    }
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

impl TimeZone {
    /// Seconds east of UTC at a moment in Unix seconds.
    pub(crate) fn offset_secs(&self, at: i64) -> i32 {
        let past = self.transitions.partition_point(|transition| transition.at <= at);
        let last = past.checked_sub(1).and_then(|last| self.transitions.get(last));
        last.map_or(self.first_offset_secs, |transition| transition.offset_secs)
    }

    /// The minute of the week, from Monday 00:00 local time, at a moment in Unix seconds.
    pub(crate) fn minute_of_week(&self, at: i64) -> i64 {
        let local = at.saturating_add(i64::from(self.offset_secs(at)));
        // 1970-01-01 was a Thursday: three days into a week that begins on Monday.
        (local.div_euclid(60) + 3 * 1_440).rem_euclid(7 * 1_440)
    }
}

/// From `at` (Unix seconds) on, local time is UTC plus `offset_secs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// Unix seconds.
    pub at: i64,
    /// Seconds east of UTC.
    pub offset_secs: i32,
}

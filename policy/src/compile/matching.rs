//! What one condition says of one fact: the meaning of each condition, in one place. `compile` fills
//! its tables with these answers, so that a request only looks them up.

use crate::model::{
    ClientAppSet, ClientAppType, FlowSet, Platform, PlatformSelector, Platforms, RequestCondition, RiskLevel,
    RiskSet, TimeCondition, WeekWindow,
};
use crate::path::PathCase;
use crate::signals::{Action, Fact};
use crate::tri::Tri;

/// A client of an unknown type is judged as [`ClientAppType::Other`], the strictest reading.
pub(crate) const fn client_app(wanted: ClientAppSet, seen: Fact<ClientAppType>) -> Tri {
    match seen {
        Fact::Known(kind) => Tri::from_bool(wanted.contains(kind)),
        Fact::Unknown => Tri::from_bool(wanted.contains(ClientAppType::Other)),
        Fact::Unavailable => Tri::Maybe,
    }
}

/// `all` matches a platform that nobody knows; a name does not.
pub(crate) fn platform(wanted: &Platforms, seen: Fact<Platform>) -> Tri {
    let holds = |selector: &PlatformSelector| match (selector, seen) {
        (PlatformSelector::All, _) => Tri::Yes,
        (PlatformSelector::Named(wanted), Fact::Known(seen)) => Tri::from_bool(*wanted == seen),
        (PlatformSelector::Named(_), Fact::Unknown) => Tri::No,
        (PlatformSelector::Named(_), Fact::Unavailable) => Tri::Maybe,
    };
    Tri::any(&wanted.include, holds).unless(Tri::any(&wanted.exclude, holds))
}

/// A risk that nobody knows is none.
pub(crate) const fn risk(wanted: RiskSet, seen: Fact<RiskLevel>) -> Tri {
    match seen {
        Fact::Known(level) => Tri::from_bool(wanted.contains(level)),
        Fact::Unknown => Tri::from_bool(wanted.contains(RiskLevel::None)),
        Fact::Unavailable => Tri::Maybe,
    }
}

pub(crate) fn flow(wanted: FlowSet, seen: Option<crate::model::Flow>) -> Tri {
    Tri::from_bool(seen.is_some_and(|flow| wanted.contains(flow)))
}

pub(crate) fn request(condition: &RequestCondition, action: Action<'_>, case: PathCase) -> bool {
    (condition.methods.is_empty() || condition.methods.iter().any(|method| method == action.method))
        && condition.covers(action.path, case)
}

/// `now` is in Unix seconds.
pub(crate) fn time(condition: &TimeCondition, now: i64) -> bool {
    if condition.from.is_some_and(|from| now < from) || condition.until.is_some_and(|until| now >= until) {
        return false;
    }
    if condition.windows.is_empty() {
        return true;
    }
    let minute = condition.zone.minute_of_week(now);
    let inside = |window: &WeekWindow| {
        let (start, end) = (i64::from(window.start_minute), i64::from(window.end_minute));
        if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
    };
    condition.windows.iter().any(inside)
}

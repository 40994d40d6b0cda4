//! Weekly windows, dates and time zones. Zones come out as data, so that the engine needs no
//! database; it is bundled here, so that the machine's own cannot change what a policy means.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone as Zone;
use portcullis_policy::model::{TimeCondition, TimeZone, Transition, WeekWindow};

use super::context::Context;
use super::values::Flaw;
use crate::diagnose::Diagnostic;
use crate::schema::check::shortened;
use crate::schema::tree::{Kind, View};

/// Offsets are written down from 2000-01-01 …
const FIRST_SECOND: i64 = 946_684_800;
/// … to 2100-01-01.
const LAST_SECOND: i64 = 4_102_444_800;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 1_440;
const WEEK_MINUTES: u16 = 7 * DAY_MINUTES;

/// The time condition; `None` when a part of it has an error.
pub(super) fn condition(cx: &mut Context<'_>, view: View<'_>) -> Option<TimeCondition> {
    cx.not_empty(view, "windows", "leave it out to mean any time of the week");
    let windows = cx.parse_list(view, "windows", windows).into_iter().flatten().collect();
    let zone = cx.parse_key(view, "zone", zone)?;
    let mut read = |key: &str| -> Option<Option<i64>> {
        let Some(node) = view.get(key) else { return Some(None) };
        let text = match &node.kind {
            Kind::Text(text) | Kind::Date(text) => text,
            _ => return None,
        };
        cx.parse(text, node.at, |text| moment(text, &zone)).map(Some)
    };
    let (from, until) = (read("from"), read("until"));
    let (from, until) = (from?, until?);
    if let (Some(first), Some(end)) = (from, until)
        && first >= end
    {
        cx.push(
            Diagnostic::error("time/date", view.at_key("until"), "`until` is not after `from`")
                .why("the policy would never apply")
                .help("`until` is the first day on which the policy no longer speaks"),
        );
    }
    if ["windows", "from", "until"].iter().all(|key| view.get(key).is_none()) {
        cx.push(
            Diagnostic::error("value/empty", view.at(), "`time` is empty")
                .why("it would have no effect")
                .help("write `windows`, `from` or `until`, or leave `time` out"),
        );
    }
    Some(TimeCondition { zone: rules(view.text("zone")?, &zone), windows, from, until })
}

fn zone(text: &str) -> Result<Zone, Flaw> {
    let flaw = || {
        Flaw::new("time/zone", format!("no time zone `{}`", shortened(text)))
            .help("write an IANA name such as `Europe/Berlin`, or `UTC`")
    };
    let known = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
    known.then_some(()).ok_or_else(flaw)?;
    jiff::tz::TimeZoneDatabase::bundled().get(text).map_err(|_| flaw())
}

/// A zone's offsets as data.
fn rules(name: &str, zone: &Zone) -> TimeZone {
    let first = Timestamp::from_second(FIRST_SECOND).unwrap_or(Timestamp::UNIX_EPOCH);
    let following = zone.following(first).map(|transition| Transition {
        at: transition.timestamp().as_second(),
        offset_secs: transition.offset().seconds(),
    });
    TimeZone {
        name: name.to_owned(),
        first_offset_secs: zone.to_offset(first).seconds(),
        transitions: following.take_while(|transition| transition.at < LAST_SECOND).collect(),
    }
}

/// A date (its first second) or a local date and time, in Unix seconds.
fn moment(text: &str, zone: &Zone) -> Result<i64, Flaw> {
    let flaw = || {
        Flaw::new("time/date", format!("`{}` is no date", shortened(text)))
            .help("write `2026-01-31`, or `2026-01-31T08:00` in the zone's own time")
    };
    let local = match text.parse::<Date>() {
        // A date with a time parses as a date too, so only the bare form counts.
        Ok(date) if text.len() == 10 => date.to_datetime(jiff::civil::Time::midnight()),
        _ if text.ends_with(['Z', 'z']) || text.contains(['+', '[']) => return Err(flaw()),
        _ => text.parse::<DateTime>().map_err(|_| flaw())?,
    };
    zone.to_timestamp(local).map(|timestamp| timestamp.as_second()).map_err(|_| flaw())
}

/// `mon-fri 08:00-18:00`, `sat 22:00-02:00`, `sun`, `mon,wed 08:00-12:00`. One window a day; a
/// window that ends before it starts runs into the next day.
fn windows(text: &str) -> Result<Vec<WeekWindow>, Flaw> {
    let flaw = || {
        Flaw::new("time/window", format!("`{}` is no window of the week", shortened(text)))
            .help("write days and times: `mon-fri 08:00-18:00`, `sat,sun 22:00-02:00`, `sun`")
    };
    let lower = text.trim().to_ascii_lowercase();
    let (days, times) = match lower.split_once(' ') {
        Some((days, times)) => (days, Some(times.trim())),
        None => (lower.as_str(), None),
    };
    let (start, end) = match times {
        Some(times) => {
            let (start, end) = times.split_once('-').ok_or_else(flaw)?;
            (minute(start).ok_or_else(flaw)?, minute(end).ok_or_else(flaw)?)
        }
        None => (0, DAY_MINUTES),
    };
    if start == end || start == DAY_MINUTES {
        return Err(flaw());
    }
    let end = if end < start { end + DAY_MINUTES } else { end };
    let window = |day: u16| {
        let base = day * DAY_MINUTES;
        // The end of the week is minute 10,080; what runs over it starts anew.
        let last = base + end;
        let end_minute = if last > WEEK_MINUTES { last - WEEK_MINUTES } else { last };
        WeekWindow { start_minute: base + start, end_minute }
    };
    Ok(day_list(days).ok_or_else(flaw)?.into_iter().map(window).collect())
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let whole = hours * 60 + minutes;
    (minutes < 60 && whole <= DAY_MINUTES).then_some(whole)
}

fn day_list(text: &str) -> Option<Vec<u16>> {
    let day = |word: &str| DAYS.iter().zip(0u16..).find(|(name, _)| **name == word).map(|(_, day)| day);
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        let last = if last < first { last + 7 } else { last };
        days.extend((first..=last).map(|day| day % 7));
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(u16, u16)> {
        windows(text).unwrap().iter().map(|window| (window.start_minute, window.end_minute)).collect()
    }

    #[test]
    fn a_window_becomes_minutes_of_the_week_for_each_day() {
        assert_eq!(spans("mon 08:00-18:00"), [(480, 1080)]);
        assert_eq!(spans("mon-tue 08:00-09:00"), [(480, 540), (1920, 1980)]);
        assert_eq!(spans("sun"), [(8640, 10080)]);
        assert_eq!(spans("sun 22:00-02:00"), [(9960, 120)]);
        assert_eq!(spans("sat-mon 00:00-24:00"), [(0, 1440), (7200, 8640), (8640, 10080)]);
        for wrong in
            ["", "mon 8-18", "mon 08:00-08:00", "mon 24:00-08:00", "mo 08:00-09:00", "mon 25:00-26:00"]
        {
            assert!(windows(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_zone_brings_its_summer_times_of_this_century() {
        let zone = zone("Europe/Berlin").unwrap();
        let rules = rules("Europe/Berlin", &zone);
        assert_eq!(rules.first_offset_secs, 3_600);
        assert!(rules.transitions.len() > 190, "{}", rules.transitions.len());
        assert_eq!(moment("2026-07-01", &zone).unwrap(), 1_782_856_800);
        assert_eq!(moment("2026-01-01T08:00", &zone).unwrap(), 1_767_250_800);
    }

    #[test]
    fn what_is_no_zone_is_told() {
        assert!(zone("Europe/Munich").is_err());
        assert!(zone("../../etc/passwd").is_err());
    }
}

//! Times as people where the help desk sits read them: beside UTC, by the machine's own zone.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::timestamp;

/// The zone of this machine: `TZ`, or where `/etc/localtime` leads; `None` where it is UTC, or not known.
pub(super) fn local() -> Option<TimeZone> {
    let named = std::env::var("TZ").ok().map(|name| name.trim_start_matches(':').to_owned());
    let name = named.filter(|name| !name.is_empty()).or_else(|| linked(Path::new("/etc/localtime")))?;
    if matches!(name.as_str(), "UTC" | "Etc/UTC" | "UCT" | "Zulu") {
        return None;
    }
    TimeZone::get(&name).ok()
}

/// The zone's name in the database of zones that a link leads into.
fn linked(path: &Path) -> Option<String> {
    let to = std::fs::read_link(path).ok()?;
    let text = to.to_str()?;
    text.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
}

/// A time in UTC, and in `zone` beside it.
pub(super) fn both(unix_ms: i64, zone: Option<&TimeZone>) -> String {
    let utc = timestamp(unix_ms);
    let local = zone.zip(Timestamp::from_millisecond(unix_ms).ok()).map(|(zone, at)| {
        let zoned = at.to_zoned(zone.clone());
        zoned.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    });
    match local {
        Some(local) => format!("{utc} ({local})"),
        None => utc,
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::both;

    #[test]
    fn local_time_stands_beside_utc() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let shown = both(1_795_487_466_123, Some(&zone));
        assert_eq!(shown, "2026-11-24T02:31:06.123Z (Tue 2026-11-24 03:31:06 CET)");
        assert_eq!(both(1_795_487_466_123, None), "2026-11-24T02:31:06.123Z");
    }
}

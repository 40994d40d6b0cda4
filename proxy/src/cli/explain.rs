//! `portcullis explain`: what a caller reads out (a reference, a request's id, a support code) to the whole decision, for
//! the person at the help desk.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use portcullis_config::Config;
use portcullis_policy::CompiledPolicies;
use portcullis_policy::decision::Generation;
use portcullis_policy::remedy::{Installation, STEPS_MAX};
use serde_json::json;

use super::terminal::{self, Failure};
use crate::clock::{parse_timestamp, unix_now};
use crate::context::geo::{GeoDatabase, GeoState};
use crate::denial::Denials;
use crate::help_desk::{Desk, Lookup, look_up};
use crate::state::candidates;

/// How much of the logs is read for a reference where nobody says otherwise.
const BYTES_MAX: u64 = 4 << 30;

/// What to explain.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The reference (whole, or its first four characters and more), the request id or the support code, as the denial
    /// shows it.
    #[arg(value_name = "REFERENCE, REQUEST-ID or CODE", num_args = 1.., required = true)]
    what: Vec<String>,
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The decision log to look in, newest first; the configuration's own, with what it was rotated to, if left out. Can
    /// be given more than once.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// The id of the person who says to be the caller: says whether it is.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// How far back a reference is looked for: `7d`, `12h`, or a time such as `2026-11-24T08:00:00Z`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// For people or for programs.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, broken) = read(&arguments.config)?;
    let now = unix_now();
    let since = arguments.since.as_deref().map(|text| since(text, now)).transpose()?;
    let denials = Denials::new(&config, 0);
    let policies = CompiledPolicies::compile(config.policies.clone(), Generation(0))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let geo = match &config.geo {
        None => GeoState::NotConfigured,
        Some(geo) => GeoDatabase::open(&geo.database, &geo.country_path)
            .map_or(GeoState::Missing, |database| GeoState::Ready(Box::new(database))),
    };
    let candidates = candidates(&policies, &geo);
    let installation = Installation { candidates: &candidates, tells_sign_in: true, steps_max: STEPS_MAX };
    let desk = Desk {
        config: &config,
        policies: &policies,
        denials: &denials,
        installation,
        now,
        keys: None,
        broken,
    };
    // Said with spaces, it arrives as several.
    let what = arguments.what.join(" ");
    let lookup = Lookup {
        what: &what,
        user: arguments.user.as_deref(),
        logs: &arguments.log,
        since,
        bytes_max: BYTES_MAX,
    };
    let answer = look_up(&lookup, &desk)?;
    match arguments.format {
        Format::Text => terminal::print(answer.to_string().trim_end()),
        Format::Json => {
            let searched = answer.searched.as_ref().map(ToString::to_string);
            let answer = json!({ "found": answer.accounts, "more": answer.more, "searched": searched });
            terminal::print(&format!("{answer:#}"));
        }
    }
    Ok(())
}

/// The configuration; and why it is its settings alone, where the rest cannot be read. Somebody calls while a policy is being
/// mended, too: what the log says is told all the same.
fn read(path: &Path) -> Result<(Config, Option<&'static str>), Failure> {
    let problem = match crate::state::read(path) {
        Ok(config) => return Ok((config, None)),
        Err(problem) => problem,
    };
    let Some(config) = portcullis_config::load_settings(path) else { return Err(problem.into()) };
    terminal::error(&problem.to_string());
    Ok((config, Some("`portcullis check` says what is wrong")))
}

/// Unix milliseconds of a time, or of so long ago.
fn since(text: &str, now: i64) -> Result<i64, Failure> {
    if let Some(at) = parse_timestamp(text) {
        return Ok(at);
    }
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let span = units.into_iter().find_map(|(unit, secs)| {
        text.strip_suffix(unit)?.parse::<i64>().ok().filter(|count| *count >= 0)?.checked_mul(secs)
    });
    let ago = span.and_then(|span| now.saturating_sub(span).checked_mul(1_000));
    ago.ok_or_else(|| {
        "--since is a span such as `7d` or `12h`, or a time such as `2026-11-24T08:00:00Z`".into()
    })
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn how_far_back_is_a_span_or_a_time() {
        assert_eq!(since("7d", 1_000_000).unwrap(), (1_000_000 - 7 * 86_400) * 1_000);
        assert_eq!(since("90s", 100).unwrap(), 10_000);
        assert_eq!(since("1970-01-01T00:01:00Z", 0).unwrap(), 60_000);
        for odd in ["", "d", "7w", "-1d", "99999999999999999999d", "yesterday"] {
            assert!(since(odd, 0).is_err(), "{odd}");
        }
    }
}

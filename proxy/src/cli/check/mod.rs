//! `portcullis check`: every problem at once, each with its place and its mend; with `--online` also what issuers
//! and upstreams answer.

mod answer;
mod online;
mod opened;
mod provider;
mod register;
mod store;
mod ways_out;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use portcullis_config::diagnose::{Severity, render_json, render_text};
use portcullis_config::load;
use portcullis_policy::CompiledPolicies;
use portcullis_policy::decision::Generation;

use super::terminal;
use crate::clock::unix_now;

/// What to check and how to report it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For people, or for editors and CI.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Also ask every issuer for its keys and the time, every provider for what it can do, the session store, and
    /// connect to every upstream. Takes seconds; without it
    /// nothing leaves this machine.
    #[arg(long)]
    online: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Exit status 0 when the configuration could serve here, 1 when not.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = load(&arguments.config);
    let mut diagnostics = loaded.diagnostics.clone();
    let mut answers = Vec::new();
    let mut uncompiled = Vec::new();
    let mut unreadable = Vec::new();
    if let Some(config) = &loaded.config {
        let opened = opened::look(&loaded, config, unix_now());
        // Reported once, as an error.
        diagnostics.retain(|one| {
            one.code != "geo/missing" || opened.iter().all(|other| other.code != "geo/unreadable")
        });
        diagnostics.extend(opened);
        diagnostics.extend(ways_out::look(&loaded, config, unix_now()));
        if arguments.online {
            let (lines, found) = online::ask(&loaded, config, unix_now);
            answers = lines;
            diagnostics.extend(found);
        }
        unreadable = crate::upstream::unreadable_authorities(config);
        unreadable.extend(store::unusable(config));
        uncompiled =
            CompiledPolicies::compile(config.policies.clone(), Generation(1)).err().unwrap_or_default();
    }
    match arguments.format {
        Format::Json => terminal::print(&format!("{:#}", render_json(&diagnostics, &loaded.sources))),
        Format::Text => {
            terminal::error(&render_text(&diagnostics, &loaded.sources));
            answers.iter().for_each(|answer| terminal::print(answer));
        }
    }
    for problem in &uncompiled {
        terminal::error(&format!("error[policy/compile]: {problem}"));
    }
    for problem in &unreadable {
        terminal::error(problem.trim_end());
    }
    let count = |severity| diagnostics.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) =
        (count(Severity::Error) + uncompiled.len() + unreadable.len(), count(Severity::Warning));
    let Some(config) = loaded.config.filter(|_| errors == 0) else { return ExitCode::FAILURE };
    if arguments.format == Format::Text {
        register::lines(&config).iter().for_each(|line| terminal::print(line));
        let set = &config.policies;
        let warned = match warnings {
            0 => String::new(),
            _ => format!("; {} above", terminal::counted(warnings, "warning", "warnings")),
        };
        terminal::print(&format!(
            "{}: {}, {}, {}: configuration is valid{warned}",
            terminal::shown(&arguments.config),
            terminal::counted(set.apps.len(), "app", "apps"),
            terminal::counted(set.policies.len(), "policy", "policies"),
            terminal::counted(set.locations.len(), "named location", "named locations")
        ));
    }
    ExitCode::SUCCESS
}

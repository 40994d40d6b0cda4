//! `portcullis check`: every problem at once, each with its place and its mend.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use portcullis_config::diagnose::{render_json, render_text};
use portcullis_config::load;
use portcullis_policy::CompiledPolicies;
use portcullis_policy::decision::Generation;

use crate::preflight;

/// What to check and how to tell.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For people, or for editors and CI.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Exit status 0 when the configuration could serve, 1 when not.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = load(&arguments.config);
    match arguments.format {
        Format::Json => super::print(&format!("{:#}", render_json(&loaded.diagnostics, &loaded.sources))),
        Format::Text => super::error(&render_text(&loaded.diagnostics, &loaded.sources)),
    }
    let Some(config) = loaded.config else { return ExitCode::FAILURE };
    let stands_in_the_way = preflight::problems(&config);
    for problem in &stands_in_the_way {
        super::error(&format!("error[run/impossible]: {problem}"));
    }
    if !stands_in_the_way.is_empty() {
        return ExitCode::FAILURE;
    }
    match CompiledPolicies::compile(config.policies, Generation(1)) {
        Ok(compiled) => {
            if matches!(arguments.format, Format::Text) {
                let set = compiled.set();
                let summary = format!(
                    "{}: {} apps, {} policies, {} named locations: fit to serve",
                    super::shown(&arguments.config),
                    set.apps.len(),
                    set.policies.len(),
                    set.locations.len()
                );
                super::print(&summary);
            }
            ExitCode::SUCCESS
        }
        Err(problems) => {
            for problem in problems {
                super::error(&format!("error[policy/compile]: {problem}"));
            }
            ExitCode::FAILURE
        }
    }
}

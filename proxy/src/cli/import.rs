//! `portcullis import`: policies of another product as files of this one, with an account of what
//! became of every property.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use portcullis_config::diagnose::{Diagnostic, Severity, render_text};
use portcullis_config::import::entra::{Import, read};
use portcullis_config::load;
use portcullis_config::output;
use portcullis_policy::CompiledPolicies;
use portcullis_policy::decision::Generation;

use super::terminal::{self, Failure};

/// Where policies come from.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Conditional Access policies, named locations and strengths as Microsoft Graph JSON.
    Entra(Entra),
}

#[derive(Debug, Args)]
struct Entra {
    /// Exports: files, or folders whose `*.json` files are read, however deep.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The folder to write; it must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also write the account of every property as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Enforce policies without the parts that cannot be enforced, instead of disabling them. The
    /// files and the report say what is missing.
    #[arg(long)]
    partial: bool,
}

/// Exit status 0 when everything that was found is in the output, 1 when something is missing.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Source::Entra(arguments) = &arguments.source;
    let import = read::import(&arguments.paths, arguments.partial);
    let to = |path: &Path, error: io::Error| format!("cannot write `{}`: {error}", terminal::shown(path));
    // Nothing was found, a mistyped folder for one: what is written now would block the next attempt.
    let is_empty = import.report.policies.is_empty()
        && import.report.locations.is_empty()
        && import.report.is_incomplete();
    if !is_empty {
        read::write(&import, &arguments.out).map_err(|error| to(&arguments.out, error))?;
    }
    if let Some(path) = &arguments.report {
        let text = serde_json::to_string_pretty(&import.report.to_json())?;
        output::write(path, text + "\n").map_err(|error| to(path, error))?;
    }
    terminal::print(import.report.to_text().trim_end());
    if is_empty {
        terminal::print(&format!("\nnothing was written to {}", terminal::shown(&arguments.out)));
        return Ok(ExitCode::FAILURE);
    }
    check(&import, &arguments.out)?;
    Ok(if import.report.is_incomplete() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Loads what was written, as `portcullis check` would.
fn check(import: &Import, folder: &Path) -> Result<(), Failure> {
    let main = folder.join("portcullis.toml");
    let loaded = load(&main);
    let Some(config) = loaded.config else {
        let mut errors = loaded.diagnostics;
        errors.retain(|diagnostic| diagnostic.severity == Severity::Error);
        let problems = render_text(&errors, &loaded.sources);
        return Err(format!("what was written does not load; please report this:\n{problems}").into());
    };
    if let Err(problems) = CompiledPolicies::compile(config.policies, Generation(1)) {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(format!(
            "what was written does not compile; please report this:\n{}",
            problems.join("\n")
        )
        .into());
    }
    let warnings = loaded.diagnostics.len();
    let is_unproven = |diagnostic: &&Diagnostic| diagnostic.code == "policy/no-evidence";
    let unproven = loaded.diagnostics.iter().filter(is_unproven).count();
    let policies = terminal::counted(import.report.policies.len(), "policy", "policies");
    let warnings = terminal::counted(warnings, "warning", "warnings");
    terminal::print(&format!(
        "\nwritten to {}: {policies}; it loads, with {warnings}. What Entra does not know is \
         marked FILL IN; then: portcullis check --config {}",
        terminal::shown(folder),
        terminal::shown(&main)
    ));
    if unproven > 0 {
        terminal::print(&format!(
            "enabled policies require {unproven} controls that no token of Entra proves by itself, so these policies \
             would refuse everybody: map authentication contexts to these controls in `[evidence]` and `[[strength]]`, as \
             deploy/entra-id.md shows; `portcullis check` names each"
        ));
    }
    Ok(())
}

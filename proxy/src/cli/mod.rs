//! The command line: one file for each command. Exit status 0: done; 1: refused, with the reason
//! on standard error; 2: the arguments are wrong; 3: a process that served cut what was under way.

mod analyze;
mod ask;
mod check;
mod demo;
mod explain;
mod healthcheck;
mod import;
mod kinds;
mod own_pages;
mod page;
mod page_scenes;
mod run;
mod schema;
mod terminal;
mod test_cases;
mod what_if;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A conditional-access reverse proxy: identity is not enough, the context must be right too.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration.
    Run(run::Arguments),
    /// Say everything that is wrong with a configuration.
    Check(check::Arguments),
    /// Bring policies in from another product, with an account of every property.
    Import(import::Arguments),
    /// Ask a running proxy whether it is ready; exit status 0 or 1.
    Healthcheck(healthcheck::Arguments),
    /// Explain a decision, found by its support code, or by its request id in a log.
    Explain(explain::Arguments),
    /// Render every denial page into files, to look at them.
    Page(page::Arguments),
    /// Ask what the policies would say to a request, and why.
    WhatIf(Box<what_if::Arguments>),
    /// Run cases that say what must be let in and what must not.
    Test(test_cases::Arguments),
    /// Say which policies are dead, shadowed or contradictory, and whom none covers.
    Analyze(analyze::Arguments),
    /// Print the JSON Schema of the configuration format, for editors.
    Schema,
    /// Serve a complete demonstration on loopback: no set-up, no network.
    Demo(demo::Arguments),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(problem) => return usage(&problem),
    };
    let success = |()| ExitCode::SUCCESS;
    let done = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => Ok(check::run(&arguments)),
        Command::Import(arguments) => import::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments).map(success),
        Command::Explain(arguments) => explain::run(&arguments).map(success),
        Command::Page(arguments) => page::run(&arguments).map(success),
        Command::WhatIf(arguments) => what_if::run(&arguments).map(success),
        Command::Test(arguments) => Ok(test_cases::run(&arguments)),
        Command::Analyze(arguments) => Ok(analyze::run(&arguments)),
        Command::Schema => schema::run().map(success),
        Command::Demo(arguments) => demo::run(&arguments),
    };
    done.unwrap_or_else(|problem| {
        terminal::error(&format!("portcullis: {problem}"));
        ExitCode::FAILURE
    })
}

/// Help and version as they are; what is wrong with the arguments without any control character of theirs.
fn usage(problem: &clap::Error) -> ExitCode {
    if problem.use_stderr() {
        terminal::error(problem.to_string().trim_end());
    } else {
        terminal::print(problem.to_string().trim_end());
    }
    u8::try_from(problem.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

//! The agent's command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Owns one program's tree of processes (used by the agent itself).
    Keep {
        /// Where to write how it ended, as JSON.
        #[arg(long)]
        status: Option<PathBuf>,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().verb {
        Verb::Keep { status, program } => keep(status, program),
    }
}

fn keep(status: Option<PathBuf>, mut program: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let args = program.split_off(1);
    let program = program.pop().unwrap_or_default();
    let exit = mayfly_agent::keeper::run(status.as_deref(), &program, &args)?;
    Ok(if exit.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

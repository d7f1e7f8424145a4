//! The agent's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use mayfly_agent::supervise::become_subreaper;
use mayfly_agent::toolchain::{self, Request, Step};

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
    /// Finds or installs Java, Python and Spark, once.
    Toolchain {
        /// Where to install.
        #[arg(long)]
        cache: Option<PathBuf>,
        /// Version of Spark.
        #[arg(long, default_value = toolchain::SPARK_VERSION)]
        spark: String,
        /// Steps as JSON lines; the last line is the result.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().verb {
        Verb::Keep { status, program } => keep(status.as_deref(), program),
        Verb::Toolchain { cache, spark, json } => find_toolchain(cache, spark, json),
    }
}

fn keep(status: Option<&Path>, mut program: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let args = program.split_off(1);
    let program = program.pop().unwrap_or_default();
    let exit = mayfly_agent::keeper::run(status, &program, &args)?;
    Ok(if exit.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn find_toolchain(cache: Option<PathBuf>, spark: String, json: bool) -> anyhow::Result<ExitCode> {
    become_subreaper().context("become a subreaper")?;
    let keeper = std::env::current_exe().context("find the agent's executable")?;
    let request = Request {
        cache: cache.unwrap_or_else(toolchain::default_cache),
        spark,
        keeper,
    };
    let show = |step: Step| match serde_json::to_string(&step) {
        Ok(line) if json => println!("{line}"),
        _ => println!("{}: {}", step.name, step.detail),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let found = runtime.block_on(toolchain::ensure(&request, show))?;
    if json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        println!("Spark {} at {}", found.spark_version, found.spark_home.display());
        println!("Java {}, Python {}", found.java.display(), found.python.display());
    }
    Ok(ExitCode::SUCCESS)
}

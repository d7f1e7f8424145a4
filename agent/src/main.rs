//! The agent's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use mayfly_agent::config::NodeConfig;
use mayfly_agent::namespace;
use mayfly_agent::node::Why;
use mayfly_agent::run::Start;
use mayfly_agent::supervise::become_subreaper;
use mayfly_agent::toolchain::{self, Request, Step};
use tokio::runtime::Builder;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs this node from its enrolment to its end.
    Run {
        /// `node.json`: who this node is and whom it belongs to.
        #[arg(long)]
        config: PathBuf,
        /// Log as JSON.
        #[arg(long)]
        json: bool,
    },
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
        Verb::Run { config, json } => run(&config, json),
        Verb::Keep { status, program } => keep(status.as_deref(), program),
        Verb::Toolchain { cache, spark, json } => find_toolchain(cache, spark, json),
    }
}

/// Everything up to the runtime happens on the one thread that there is then; a namespace cannot be entered later.
fn run(config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let config = NodeConfig::load(config)?;
    let shared = config.folder.join("shared");
    let private_results = namespace::mount_own(&shared, &config.shared)?;
    let own = if private_results {
        shared
    } else {
        config.shared.clone()
    };
    become_subreaper().context("become a subreaper")?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let why = runtime.block_on(mayfly_agent::run::run(Start {
        config,
        private_results,
        own,
        json,
    }))?;
    // A thread that still reads a file must not hold the machine up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(match why {
        Why::Told => ExitCode::SUCCESS,
        Why::LeaseExpired => ExitCode::from(3),
        Why::DeadlinePassed => ExitCode::from(4),
        Why::Signal => ExitCode::from(130),
    })
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
    let runtime = Builder::new_current_thread()
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

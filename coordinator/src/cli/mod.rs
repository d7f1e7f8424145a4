//! The command line: one file per verb, [`view`] for what people see.
//!
//! A verb returns its exit code, or a [`failure::Failure`] with a sentence for standard error. Verbs that only read open
//! the store of the home folder and need no coordinator.

/// Flags and verbs.
pub(crate) mod args;
mod ask;
mod attach;
#[cfg(feature = "aws")]
mod aws;
mod browser;
mod cancel;
mod client;
mod config;
mod connect;
mod consul;
#[cfg(feature = "aws")]
mod control;
mod data;
mod doctor;
mod download;
mod engine;
mod estimate;
mod extend;
/// Failures.
pub(crate) mod failure;
mod follow;
mod gc;
mod history;
mod home;
mod import;
mod jobs;
mod launch;
mod leftovers;
mod list;
mod logs;
mod manual;
#[cfg(feature = "aws")]
mod network;
mod notify;
mod now;
mod out;
#[cfg(feature = "aws")]
mod placed;
/// Text of others, made safe.
pub(crate) mod plain;
/// The head of a file, for the page.
pub(crate) mod preview;
mod receipt;
mod remote;
mod results;
/// What the store says of runs.
pub(crate) mod runs;
mod secret;
mod serve;
mod settings;
mod shelf;
mod signals;
mod status;
mod storage;
mod store;
mod validate;
/// What people see.
pub mod view;
mod why;

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Parser as _;
use mayfly_kit::telemetry;

use args::{Cli, Color, Verb};
use failure::{Failure, USAGE};
use view::Paint;

/// How long tasks that nobody waits for may take to notice that the command is over.
const FAREWELL: Duration = Duration::from_millis(200);

/// Parses the command line of this process and does what it says; returns the exit code.
#[must_use]
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return told(&error),
    };
    let code = match run(&cli) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                out::note(&format!(
                    "error: {}",
                    failure.text().trim_start_matches("error: ")
                ));
            }
            failure.code
        }
    };
    out::flush();
    code
}

/// Help and version go to standard output, mistakes to standard error.
fn told(error: &clap::Error) -> u8 {
    // Nobody there to read it: the exit code still tells.
    let _ = error.print();
    if error.use_stderr() { USAGE } else { 0 }
}

fn run(cli: &Cli) -> Result<u8, Failure> {
    let options = telemetry::Options {
        json: false,
        // Whoever serves wants to know what is refused and lost; beside a live view it would be in the way.
        default_filter: if cli.verb.serves() { "warn" } else { "error" },
        tee: None,
    };
    telemetry::init(&options).map_err(|e| Failure::usage(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::chain("start threads", &e))?;
    let result = runtime.block_on(verb(cli));
    runtime.shutdown_timeout(FAREWELL);
    result
}

async fn verb(cli: &Cli) -> Result<u8, Failure> {
    let home = home::find(cli.global.home.as_deref())?;
    let out = paint(cli.global.color, std::io::stdout().is_terminal());
    let err = paint(cli.global.color, std::io::stderr().is_terminal());
    match &cli.verb {
        Verb::Launch(flags) => launch::run(flags, &home, err).await,
        Verb::Connect(flags) => connect::run(flags, &home, err).await,
        Verb::Validate(flags) => validate::run(flags),
        Verb::Engine(flags) => engine::run(flags),
        Verb::Import(flags) => import::run(flags),
        Verb::List(flags) => list::run(flags, &home, out).await,
        Verb::Status(flags) => status::run(flags, &home, out).await,
        Verb::Logs(flags) => logs::run(flags, &home).await,
        Verb::Results(flags) => results::run(flags, &home).await,
        Verb::Receipt(flags) => receipt::run(flags, &home, out).await,
        Verb::History(flags) => history::run(flags, &home).await,
        Verb::Estimate(flags) => estimate::run(flags, &home, out).await,
        Verb::Why(flags) => why::run(flags, &home, out).await,
        Verb::Attach(flags) => attach::run(flags, &home, err).await,
        Verb::Cancel(flags) => cancel::run(flags, &home).await,
        Verb::Extend(flags) => extend::run(flags, &home).await,
        Verb::Gc(flags) => gc::run(flags, &home, out).await,
        Verb::Serve(flags) => serve::run(flags, cli.global.home.as_deref(), &home).await,
        Verb::Config(flags) => config::run(flags, out).await,
        #[cfg(feature = "aws")]
        Verb::Network(flags) => network::run(flags).await,
        #[cfg(feature = "aws")]
        Verb::Control(flags) => control::run(flags).await,
        #[cfg(feature = "aws")]
        Verb::OnMaster { file } => placed::on_master(file).await,
        #[cfg(feature = "aws")]
        Verb::OnControl { file } => control::on_control(file).await,
        Verb::Preview => preview::run(),
        Verb::Completions(flags) => manual::completions(flags),
        Verb::Man(flags) => manual::man(flags),
        Verb::Doctor(flags) => doctor::run(flags, &home, out).await,
        Verb::Data(flags) => data::run(flags, &home).await,
        Verb::Store(flags) => store::run(flags, &home).await,
    }
}

fn paint(color: Color, terminal: bool) -> Paint {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    let on = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && wanted,
    };
    Paint { on }
}

//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    attach, cancel, config, connect, data, doctor, engine, estimate, extend, gc, history, import, launch,
    list, logs, manual, receipt, results, serve, status, store, validate, why,
};
#[cfg(feature = "aws")]
use super::{control, network};

const EXAMPLES: &str = "\
Examples:
  coordinator launch log-reg-iris                    the job of that name in configs/jobs, to its receipt
  coordinator launch jobs.yml daily --set workers.count=8
  coordinator launch --repo https://github.com/me/code --entry main.py --workers 4
  coordinator status last                            the newest run
  coordinator results last --to out                  download what it left

Exit codes of launch: 0 succeeded, 1 the job failed, 2 usage or configuration, 3 infrastructure,
4 deadline, 5 budget, 130 cancelled.";

/// Runs a job on a cluster that lives for that job only: provision, run, save the results, destroy.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of the store and the local nodes [default: the nearest .mayfly above, else ./.mayfly]
    #[arg(long, global = true, env = "MAYFLY_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Colours (NO_COLOR turns them off too)
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a job, to its receipt
    Launch(Box<launch::Flags>),
    /// Hold a cluster for a notebook or a shell here, until it is told or idle
    Connect(Box<connect::Flags>),
    /// Check job files without running anything
    Validate(validate::Flags),
    /// The engines: list them, show one, check one of your own
    Engine(engine::Flags),
    /// Make a job file out of one of the older system (spark.yml)
    Import(import::Flags),
    /// List the runs of the store, newest first
    List(list::Flags),
    /// Show how far a run is
    Status(status::Flags),
    /// Show the output of a run
    Logs(logs::Flags),
    /// List or download the results of a run
    Results(results::Flags),
    /// Show what a run took
    Receipt(receipt::Flags),
    /// Look at a run of the past in Spark's History Server
    History(history::Flags),
    /// Estimate what the next run of a job takes, from earlier ones
    Estimate(estimate::Flags),
    /// Say why a run failed, from what it left, and what to change
    Why(why::Flags),
    /// Come back to the live view of a run
    Attach(attach::Flags),
    /// Cancel a run; a second time is faster
    Cancel(cancel::Flags),
    /// Move the end of a run
    Extend(extend::Flags),
    /// Look whether a launch would work here, and what to do where it would not
    Doctor(Box<doctor::Flags>),
    /// Find what should not exist any more, and remove it
    Gc(gc::Flags),
    /// Run the coordinator for several people or runs, in the foreground
    Serve(serve::Flags),
    /// The jobs that a team keeps in Consul
    Config(config::Flags),
    /// The network on AWS that fleets are launched in
    #[cfg(feature = "aws")]
    Network(network::Flags),
    /// The server of a team on AWS: one machine in such a network
    #[cfg(feature = "aws")]
    Control(control::Flags),
    /// The coordinator beside the agent of a master (used by the agent itself)
    #[cfg(feature = "aws")]
    #[command(hide = true)]
    OnMaster {
        /// What it is told
        file: PathBuf,
    },
    /// The coordinator on the machine of a team's server (used by the agent itself)
    #[cfg(feature = "aws")]
    #[command(hide = true)]
    OnControl {
        /// What it is told
        file: PathBuf,
    },
    /// Put files into the store for jobs to read
    Data(data::Flags),
    /// The embedded S3 store by itself
    Store(store::Flags),
    /// The head of a Parquet file, within limits (used by the page itself)
    #[command(hide = true)]
    Preview,
    /// Print what completes these commands in a shell
    Completions(manual::Completions),
    /// Write the manual pages
    Man(manual::Man),
}

impl Verb {
    /// Whether it goes on for others, who may want to know what it refuses and loses.
    pub(crate) fn serves(&self) -> bool {
        #[cfg(feature = "aws")]
        if matches!(self, Self::OnMaster { .. } | Self::OnControl { .. }) {
            return true;
        }
        matches!(self, Self::Serve(_))
    }
}

/// Names a run.
#[derive(Debug, Args)]
pub(crate) struct RunArg {
    /// Run id, the beginning of one, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

/// Where to listen.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Address to listen on [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

impl Listen {
    /// The address given, or a free port of this machine alone.
    #[must_use]
    pub(crate) fn or_free(&self) -> SocketAddr {
        self.listen
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_verb_has_two_arguments_of_one_name() {
        Cli::command().debug_assert();
    }

    /// The commands below this one that do something.
    fn leaves(command: &clap::Command, name: &str, found: &mut Vec<(String, bool)>) {
        let mut below = command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .peekable();
        if below.peek().is_none() {
            let json = command.get_arguments().any(|arg| arg.get_id() == "json");
            found.push((name.to_owned(), json));
        }
        below.for_each(|verb| leaves(verb, format!("{name} {}", verb.get_name()).trim(), found));
    }

    #[test]
    fn programs_can_read_what_every_verb_says() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        let without: Vec<_> = found
            .iter()
            .filter(|(_, json)| !json)
            .map(|(name, _)| name.as_str())
            .collect();
        // What these print is for programs already.
        assert_eq!(without, ["completions", "man"]);
    }
}

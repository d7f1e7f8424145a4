//! The agent's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use mayfly_agent::again::Keep;
use mayfly_agent::beside::Beside;
use mayfly_agent::boot::{self, Found};
use mayfly_agent::config::NodeConfig;
use mayfly_agent::control;
use mayfly_agent::guard;
use mayfly_agent::keeper::Ids;
use mayfly_agent::namespace;
use mayfly_agent::node::{SALVAGE_MAX, Why};
use mayfly_agent::run::Start;
use mayfly_agent::supervise::become_subreaper;
use mayfly_agent::toolchain::{self, Step};
use mayfly_kit::error::chain;
use mayfly_kit::imds::Imds;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getuid;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

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
    /// Is the node that the metadata of this EC2 instance describes, to its end, and then powers the machine off.
    Boot {
        #[command(flatten)]
        boot: Booting,
    },
    /// The same without powering off (used by `agent boot` itself).
    #[command(hide = true)]
    BootNode {
        #[command(flatten)]
        boot: Booting,
    },
    /// Owns one program's tree of processes (used by the agent itself).
    Keep {
        /// Where to write how it ended, as JSON.
        #[arg(long)]
        status: Option<PathBuf>,
        /// Whom it runs as, by numbers: UID:GID.
        #[arg(long)]
        user: Option<Ids>,
        /// In a control group of its own, where there can be one.
        #[arg(long)]
        grouped: bool,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
    Toolchain(toolchain::Flags),
}

#[derive(Args)]
struct Booting {
    /// Seconds from the start within which the node must be taken in.
    #[arg(long, default_value_t = 300)]
    within_secs: u32,
    /// Log as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().verb {
        Verb::Run { config, json } => run(&config, json),
        Verb::Boot { boot } => boot_machine(&boot),
        Verb::BootNode { boot } => boot_node(&boot),
        Verb::Keep {
            status,
            user,
            grouped,
            program,
        } => keep(status.as_deref(), user, grouped, program),
        Verb::Toolchain(flags) => find_toolchain(flags),
    }
}

fn run(config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let config = NodeConfig::load(config)?;
    let (private_results, own) = results(&config)?;
    live(Start {
        beside: None,
        config,
        private_results,
        own,
        spot: None,
        // They stay in the node's folder, which the next command names.
        salvage: Duration::ZERO,
        marker: None,
        keep: None,
        json,
    })
}

/// Whether the results folder is this node's own, and where it is. To be called while there is one thread: a namespace
/// cannot be entered later.
fn results(config: &NodeConfig) -> anyhow::Result<(bool, PathBuf)> {
    let own = config.folder.join("shared");
    Ok(if namespace::mount_own(&own, &config.shared)? {
        (true, own)
    } else {
        (false, config.shared.clone())
    })
}

/// Of a process that is the parent of all that is orphaned below it.
fn runtime() -> anyhow::Result<Runtime> {
    become_subreaper().context("become a subreaper")?;
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")
}

fn live(start: Start) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    let ended = runtime.block_on(mayfly_agent::run::run(start));
    // A thread that still reads a file must not hold the machine up.
    runtime.shutdown_timeout(mayfly_agent::run::THREADS_MAX);
    match ended {
        Ok(Why::Told) => Ok(ExitCode::SUCCESS),
        Ok(Why::LeaseExpired) => Ok(ExitCode::from(3)),
        Ok(Why::DeadlinePassed) => Ok(ExitCode::from(4)),
        Ok(Why::Signal) => Ok(ExitCode::from(130)),
        // One line among those before it.
        Err(error) if tracing::dispatcher::has_been_set() => {
            tracing::error!(error = %chain(&*error), "this node cannot take part");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error),
    }
}

fn boot_machine(boot: &Booting) -> anyhow::Result<ExitCode> {
    let mut args = vec![
        "boot-node".to_owned(),
        format!("--within-secs={}", boot.within_secs),
    ];
    if boot.json {
        args.push("--json".to_owned());
    }
    let within = Duration::from_secs(boot.within_secs.into());
    one_thread()?.block_on(boot::supervise(&args, within))?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "there are no logs yet")]
fn boot_node(boot: &Booting) -> anyhow::Result<ExitCode> {
    // Nobody would power the machine off after it. At once: what it has noted for the next one is as it was.
    set_pdeathsig(Signal::SIGKILL).context("follow the outer process")?;
    let began = Instant::now();
    let until = began + Duration::from_secs(boot.within_secs.into());
    let imds = Imds::from_environment()?;
    let found = one_thread()?.block_on(boot::discover(&boot::site_file(), &imds, began, until))?;
    let (config, spot, package_key) = match found {
        Found::Node {
            config,
            spot,
            package_key,
        } => (*config, spot, package_key),
        Found::Control(found) => {
            let runtime = boot::runtime_folder();
            return serve_team(control::Start {
                control: *found,
                marker: runtime.join(boot::ENROLLED),
                runtime,
                json: boot.json,
            });
        }
        Found::NotOurs(why) => {
            eprintln!("{why}: nothing is done here, and the boot timer will power it off");
            return Ok(ExitCode::from(boot::NOT_OURS));
        }
    };
    close_metadata(&config, &imds)?;
    // A machine of its own shares no disk with another node, whether it may mount or not.
    let (_, own) = results(&config)?;
    let beside = package_key.map(|key| Beside::new(&config, &key, &boot::runtime_folder()));
    live(Start {
        beside: beside.transpose().context("prepare the run's coordinator")?,
        config,
        private_results: true,
        own,
        spot: spot.then_some(imds),
        salvage: SALVAGE_MAX,
        marker: Some(boot::runtime_folder().join(boot::ENROLLED)),
        keep: Some(Keep::new(&boot::runtime_folder())),
        json: boot.json,
    })
}

/// The machine of a team's server. It ends with the machine: the outer process powers that off after it, and AWS makes
/// another.
fn serve_team(start: control::Start) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    runtime.block_on(control::run(start))?;
    Ok(ExitCode::SUCCESS)
}

/// Where jobs run as another user.
fn close_metadata(config: &NodeConfig, imds: &Imds) -> anyhow::Result<()> {
    match &config.job_user {
        Some(user) if getuid().is_root() => Ok(guard::close(user.uid, imds.address())?),
        Some(_) | None => Ok(()),
    }
}

fn one_thread() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("start the runtime")
}

fn keep(
    status: Option<&Path>,
    user: Option<Ids>,
    grouped: bool,
    mut program: Vec<OsString>,
) -> anyhow::Result<ExitCode> {
    let args = program.split_off(1);
    let program = program.pop().unwrap_or_default();
    let exit = mayfly_agent::keeper::run(status, user, grouped, &program, &args)?;
    Ok(if exit.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what the command is for"
)]
fn find_toolchain(flags: toolchain::Flags) -> anyhow::Result<ExitCode> {
    become_subreaper().context("become a subreaper")?;
    let keeper = std::env::current_exe().context("find the agent's executable")?;
    let (json, look) = (flags.json, flags.look);
    let request = flags.request(keeper.into());
    if look {
        for part in one_thread()?.block_on(toolchain::look(&request)) {
            match serde_json::to_string(&part) {
                Ok(line) if json => println!("{line}"),
                _ => println!("{}: {:?}, {}", part.name, part.state, part.detail),
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let show = |step: Step| match serde_json::to_string(&step) {
        Ok(line) if json => println!("{line}"),
        _ => println!("{}: {}", step.name, step.detail),
    };
    let found = match one_thread()?.block_on(toolchain::ensure(&request, show)) {
        Ok(found) => found,
        // One sentence, whatever the environment says of backtraces: a launch shows it as it is.
        Err(error) => {
            eprintln!("{}", chain(&error));
            return Ok(ExitCode::FAILURE);
        }
    };
    if json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        println!("{found}");
    }
    Ok(ExitCode::SUCCESS)
}

//! `launch`: from a job to its receipt.

mod bring;
/// What is about to happen, for people.
pub(crate) mod plan;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_configs::{AdHoc, Job, RelPath, Repo};
use mayfly_kit::layout;
use mayfly_kit::shutdown::{self, Level};
use mayfly_proto::v1::LaunchRequest;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::client::{self, Client};
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::follow::{self, Manner};
use super::jobs::{self, Found};
use super::remote::Remote;
use super::view::{Mode, Paint, Screen};
use super::{config, home, leftovers, out, signals};
use crate::embedded::{Embedded, Life, Options};
use crate::home::random_base32;
use crate::record::{Outcome, SCHEMA};
use crate::source::{self, Source};
use crate::transport::Listen;
use crate::upload;

/// How long a request is made again to a coordinator that is being started again.
const RETRY_FOR: Duration = Duration::from_secs(30);
const RETRY_WAIT: Duration = Duration::from_millis(300);
/// Longest wait for the record's last words.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Flags of `launch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator launch log-reg-iris                      a job of configs/jobs/*.yml or *.yml, here or above
  coordinator launch jobs.yml                          the only job of a file
  coordinator launch jobs.yml daily --set workers.count=8 --set limits.deadline=2h
  coordinator launch daily --from consul               a job that the team keeps in Consul
  coordinator launch --repo https://github.com/me/code --ref v1.2 --entry main.py --workers 4
  coordinator launch --entry main.py --dirty           this folder, uncommitted work too

Exit codes: 0 succeeded, 1 the job failed, 2 usage or configuration, 3 infrastructure, 4 deadline,
5 budget, 130 cancelled. Ctrl-C once cancels and saves, twice is faster, three times exits at once.")]
pub(crate) struct Flags {
    /// A job file, a job, or both
    #[arg(num_args = 0..=2, value_names = ["FILE", "JOB"])]
    named: Vec<String>,
    /// Take the job from what the team keeps there, not from a file
    #[arg(long, value_enum, conflicts_with = "entry", value_name = "WHERE")]
    from: Option<Holder>,
    /// Without a file: the program to run (.py or .jar), relative to the job's folder
    #[arg(long, conflicts_with = "named", value_name = "PATH")]
    entry: Option<String>,
    /// Without a file: an https or ssh URL, or a folder [default: the working folder]
    #[arg(long, requires = "entry", value_name = "URL|DIR")]
    repo: Option<String>,
    /// Without a file: branch, tag or commit [default: HEAD]
    #[arg(long = "ref", requires = "entry", value_name = "REF")]
    git_ref: Option<String>,
    /// Without a file: folder inside the repository [default: the folder given, or the top]
    #[arg(long, requires = "entry", value_name = "PATH")]
    path: Option<String>,
    /// Without a file: main class of a .jar
    #[arg(long, requires = "entry", value_name = "CLASS")]
    class: Option<String>,
    /// Without a file: an argument of the program; may be repeated
    #[arg(
        long = "arg",
        requires = "entry",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    args: Vec<String>,
    /// Without a file: Python requirements, relative to the job's folder
    #[arg(long, requires = "entry", value_name = "PATH")]
    requirements: Option<String>,
    /// Without a file: how many workers
    #[arg(long, requires = "entry", value_name = "N")]
    workers: Option<u32>,
    /// Without a file: name of the job [default: that of the entry]
    #[arg(long, requires = "entry", value_name = "JOB")]
    name: Option<String>,
    /// Lay a value over the job, such as workers.count=8; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// Take the uncommitted work of the folder along
    #[arg(long)]
    dirty: bool,
    /// Where to run [default: this machine, or what the coordinator has first]
    #[arg(long, value_enum, value_name = "CLOUD")]
    on: Option<Cloud>,
    /// Ask nothing, even when it costs money
    #[arg(long, short)]
    yes: bool,
    /// One JSON object for each event; the last one is the receipt
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
    /// Print the run's id and leave it to the coordinator
    #[arg(long, requires = "coordinator")]
    detach: bool,
    #[command(flatten)]
    consul: ConsulArgs,
    /// Id of this request: the same id, job and commit are the same run [default: a new one]
    #[arg(long, value_name = "ID", value_parser = request_id)]
    request_id: Option<String>,
}

/// What holds jobs, other than files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Holder {
    /// Consul's KV; see `coordinator config`.
    Consul,
}

/// Where machines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Cloud {
    /// The machine of the coordinator.
    Local,
    /// EC2 instances.
    Aws,
}

impl Cloud {
    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write KEY=VALUE, such as workers.count=8")?;
    if key.is_empty() {
        return Err("there is no key before the `=`".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn request_id(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > 128 || text.starts_with('-') || !text.chars().all(plain) {
        return Err("use 1 to 128 letters, digits, `.`, `_` and `-`, no `-` first".to_owned());
    }
    Ok(text.to_owned())
}

impl Flags {
    async fn found(&self, cwd: &Path) -> Result<Found, Failure> {
        if self.from == Some(Holder::Consul) {
            return jobs::of_consul(&config::open(&self.consul)?, &self.named, &self.sets, cwd).await;
        }
        let Some(entry) = &self.entry else {
            return jobs::of_file(&self.named, &self.sets, cwd);
        };
        let flags = AdHoc {
            name: self.name.clone(),
            repo: self.repo.clone(),
            git_ref: self.git_ref.clone(),
            path: self.path.clone(),
            entry: entry.clone(),
            class: self.class.clone(),
            args: self.args.clone(),
            requirements: self.requirements.clone(),
            workers: self.workers,
            sets: self.sets.clone(),
        };
        jobs::of_flags(&flags, cwd)
    }
}

/// What runs the job: a coordinator in this command, or one elsewhere.
struct Coordinator {
    embedded: Option<Embedded>,
    client: Client,
}

/// Launches a job and follows it.
///
/// # Errors
/// Whatever keeps the run from being made; how a run that was made ended is the exit code.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    let cwd = home::current()?;
    let found = flags.found(&cwd).await?;
    let mut screen = Screen::new(Mode::choose(flags.json), paint);
    let mut signals = signals::counting()?;
    let begun = tokio::select! {
        begun = begin(flags, found, home, &screen) => begun?,
        () = shutdown::reached(&mut signals.level, 1) => {
            screen.clear();
            return Err(Failure { code: Outcome::Cancelled.exit_code(), message: "stopped: nothing has been launched".into() });
        }
    };
    if flags.detach {
        return detached(flags, &begun.run);
    }
    let manner = match begun.coordinator.embedded {
        Some(_) => Manner::Own,
        None => Manner::Guest,
    };
    let client = begun.coordinator.client.clone();
    let ended = follow::to_the_end(client, &begun.run, &mut screen, &mut signals.level, manner).await;
    screen.clear();
    let code = follow::finish(ended?, flags.json, paint)?;
    close(begun.coordinator, &mut signals.level).await;
    Ok(code)
}

struct Begun {
    coordinator: Coordinator,
    run: String,
}

async fn begin(flags: &Flags, found: Found, home: &Path, screen: &Screen) -> Result<Begun, Failure> {
    let Found {
        mut job,
        base,
        path_from,
        holder,
        warnings,
    } = found;
    let scratch = tempfile::Builder::new().prefix("mayfly-").tempdir();
    let scratch =
        scratch.map_err(|e| Failure::usage(format!("cannot make a folder for temporary files: {e}")))?;
    screen.doing("resolving the code")?;
    let options = source::Options {
        base: &base,
        path_from,
        dirty: flags.dirty,
        scratch: scratch.path(),
    };
    let code = source::resolve(&job.code, options).await?;
    place(&mut job, &base, &code)?;
    for line in plan::lines(
        &job,
        &code,
        holder.as_deref(),
        flags.dirty,
        flags.on == Some(Cloud::Aws),
    ) {
        screen.note(&line)?;
    }
    let warnings = warnings.iter().map(ToString::to_string);
    for warning in warnings.chain(code.warnings.iter().cloned()) {
        screen.note(&format!("warning: {warning}"))?;
    }
    let mut coordinator = open(flags, &job, home, screen).await?;
    let bundle_key = store_bundle(&mut coordinator, &code).await?;
    let run = request(flags, &mut coordinator.client, &job, &code, bundle_key).await?;
    Ok(Begun { coordinator, run })
}

/// The job as it will be in the record: its folder from the top of the repository, the repository in full.
fn place(job: &mut Job, base: &Path, code: &Source) -> Result<(), Failure> {
    let path = if code.path.is_empty() { "." } else { &code.path };
    job.code.path =
        RelPath::new(path).map_err(|e| Failure::usage(format!("the job's folder {}", e.message)))?;
    if let Repo::Folder(folder) = &job.code.repo {
        let folder: PathBuf = base.join(folder);
        job.code.repo = Repo::Folder(folder.canonicalize().unwrap_or(folder));
    }
    Ok(())
}

async fn open(flags: &Flags, job: &Job, home: &Path, screen: &Screen) -> Result<Coordinator, Failure> {
    if let Some(client) = flags.remote.connect(&flags.consul).await? {
        return Ok(Coordinator {
            embedded: None,
            client,
        });
    }
    let options = Options {
        home: home.to_owned(),
        listen: Listen::default(),
        runs_max: 1,
        admin: None,
        spark: job.spark.version.clone(),
        consul: flags.consul.sides()?.map(|sides| sides.nodes),
        store: None,
        aws: None,
        life: Life::Command,
    };
    let progress = |step: crate::toolchain::Step| {
        // When the screen cannot be written, the next line that matters fails too.
        let _ = screen.doing(&format!("{} {}", step.name, step.detail));
    };
    let embedded = Embedded::start(options, progress).await?;
    for note in leftovers::notes(home, &embedded.store).await? {
        screen.note(&note)?;
    }
    let client = client::connect(&embedded.url, &embedded.token, None).await?;
    Ok(Coordinator {
        embedded: Some(embedded),
        client,
    })
}

/// Puts the bundle where the nodes will find it; the same commit is stored once.
async fn store_bundle(coordinator: &mut Coordinator, code: &Source) -> Result<String, Failure> {
    let Some(bundle) = &code.bundle else {
        return Ok(String::new());
    };
    let key = layout::bundle(&code.commit);
    match &coordinator.embedded {
        None => return bring::bundle(&mut coordinator.client, bundle, &code.commit).await,
        Some(embedded) if embedded.store.store.size(&key).await?.is_none() => {
            upload::file(&embedded.store.store, bundle, &key).await?;
        }
        Some(_) => {}
    }
    Ok(key)
}

/// Who launches, by the system's list of users where the environment does not say.
fn owner() -> String {
    let listed = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let named = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
    named
        .or_else(|| listed().map(|user| user.name))
        .unwrap_or_else(|| "unknown".to_owned())
}

async fn request(
    flags: &Flags,
    client: &mut Client,
    job: &Job,
    code: &Source,
    bundle_key: String,
) -> Result<String, Failure> {
    let fresh = || random_base32(10).map_err(|e| Failure::chain("draw an id for the request", &e));
    let request_id = flags.request_id.clone().map_or_else(fresh, Ok)?;
    let job_json = serde_json::to_string(job).map_err(|e| Failure::chain("write the job as JSON", &e))?;
    let owner = owner().chars().filter(|c| !c.is_control()).take(60).collect();
    let request = LaunchRequest {
        request_id,
        job_json,
        commit: code.commit.clone(),
        bundle_key,
        owner,
        cloud: flags.on.map(Cloud::name).unwrap_or_default().to_owned(),
    };
    let began = Instant::now();
    loop {
        match client.launch(request.clone()).await {
            Ok(reply) => return Ok(reply.into_inner().run_id),
            // The same request is the same run, whether the first one arrived or not.
            Err(status) if client::may_pass(&status) && began.elapsed() < RETRY_FOR => {
                tokio::time::sleep(RETRY_WAIT).await;
            }
            Err(status) => return Err(client::refused("launch", &status)),
        }
    }
}

fn detached(flags: &Flags, run: &str) -> Result<u8, Failure> {
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "event": "launched", "run": run }))?;
    } else {
        out::line(run)?;
    }
    Ok(0)
}

/// Lets the coordinator write the end of the run into its record, and ends it.
async fn close(coordinator: Coordinator, level: &mut watch::Receiver<Level>) {
    drop(coordinator.client);
    let Some(embedded) = coordinator.embedded else {
        return;
    };
    let end = async {
        // Whatever keeps it: the receipt is there, and the next `gc` closes the record.
        let _ = tokio::time::timeout(CLOSE_LIMIT, embedded.drained()).await;
        embedded.stop().await;
    };
    tokio::select! {
        () = end => {}
        () = shutdown::reached(level, shutdown::LEVEL_MAX) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_flags_are_checked() {
        assert_eq!(key_value("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(key_value("a").is_err() && key_value("=a").is_err());
        for bad in ["", "../../x", "-x", "é", "a b", "a\n", &"x".repeat(10_240)] {
            assert!(request_id(bad).is_err(), "{bad:?}");
        }
        assert!(request_id("ci-1234.5_a").is_ok());
    }
}

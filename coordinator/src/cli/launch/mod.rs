//! `launch`: from a job to its receipt.

mod again;
mod bring;
mod inputs;
/// What is about to happen, for people.
pub(crate) mod plan;
mod secrets;
mod without_file;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_configs::{Job, RelPath, Repo};
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::shutdown::{self, Level};
use mayfly_proto::v1::{GetRequest, GetStoreRequest, LaunchRequest, NodeView, Phase, PlanReply, Role};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::client::{self, Client};
use super::connect::{Door, Way};
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::follow::{self, Followed, Manner};
use super::jobs::{self, Found};
use super::remote::Remote;
use super::view::{Mode, Paint, Screen};
use super::{ask, browser, config, home, leftovers, notify, out, signals, storage};
use crate::embedded::{Embedded, Life, Options};
use crate::home::random_base32;
use crate::record::{Outcome, SCHEMA};
use crate::source::{self, Source};
use crate::transport::Listen;
use crate::upload;

pub(crate) use without_file::WithoutFile;

/// How long a request is made again to a coordinator that is being started again.
const RETRY_FOR: Duration = Duration::from_secs(30);
const RETRY_WAIT: Duration = Duration::from_millis(300);
/// How long a master has to boot and to take its run over, where somebody waits to leave.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(900);
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
    #[command(flatten)]
    without_file: WithoutFile,
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
    /// Show the run's page in a browser
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    remote: Remote,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: super::placed::Placed,
    /// Print the run's id and leave it to its coordinator: a server, or the one on its own master
    #[arg(long)]
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
pub(crate) enum Cloud {
    /// The machine of the coordinator.
    Local,
    /// EC2 instances.
    Aws,
}

impl Cloud {
    /// As requests have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}

pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
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
    /// What stands in place of a file.
    pub(crate) fn without_file(&self) -> &WithoutFile {
        &self.without_file
    }

    /// Where nothing says which job it is.
    pub(crate) fn names_nothing(&self) -> bool {
        self.named.is_empty() && self.from.is_none()
    }

    /// The values that lie over the job.
    pub(crate) fn sets(&self) -> &[(String, String)] {
        &self.sets
    }

    /// Whether the run's coordinator will live on its own master.
    ///
    /// # Errors
    /// The client's settings are wrong.
    pub(crate) fn is_placed(&self) -> Result<bool, Failure> {
        Ok(self.on == Some(Cloud::Aws) && !self.remote.is_named()?)
    }

    /// Whether the run is left as soon as it is launched.
    pub(crate) fn detaches(&self) -> bool {
        self.detach
    }

    /// The job that is meant.
    ///
    /// # Errors
    /// There is none, or something is wrong with it.
    pub(crate) async fn found(&self, cwd: &Path) -> Result<Found, Failure> {
        if self.from == Some(Holder::Consul) {
            return jobs::of_consul(&config::open(&self.consul)?, &self.named, &self.sets, cwd).await;
        }
        match self.without_file.job(&self.sets, cwd)? {
            Some(flags) => jobs::of_flags(&flags, cwd),
            None => jobs::of_file(&self.named, &self.sets, cwd),
        }
    }
}

/// What runs the job: a coordinator in this command, or one elsewhere.
struct Coordinator {
    embedded: Option<Embedded>,
    client: Client,
    manner: Manner,
}

/// Launches a job and follows it.
///
/// # Errors
/// Whatever keeps the run from being made; how a run that was made ended is the exit code.
pub(crate) async fn run(flags: &Flags, home: &Path, paint: Paint) -> Result<u8, Failure> {
    if flags.detach && flags.on != Some(Cloud::Aws) && !flags.remote.is_named()? {
        return Err(Failure::usage(
            "--detach leaves the run to its coordinator, and this one would live in this command: name one with \
             --coordinator, or launch --on aws",
        ));
    }
    let found = flags.found(&home::current()?).await?;
    found_job(flags, found, None, home, paint).await
}

/// The same for a job that was found, and is a session where there is one.
///
/// # Errors
/// As above.
pub(crate) async fn found_job(
    flags: &Flags,
    found: Found,
    session: Option<Door>,
    home: &Path,
    paint: Paint,
) -> Result<u8, Failure> {
    let mut screen = Screen::new(Mode::choose(flags.json), paint);
    let mut signals = signals::counting()?;
    let begun = tokio::select! {
        begun = begin(flags, found, home, &mut screen) => begun?,
        () = shutdown::reached(&mut signals.level, 1) => {
            screen.clear();
            return Err(Failure { code: Outcome::Cancelled.exit_code(), message: "stopped: nothing has been launched".into() });
        }
    };
    let manner = begun.coordinator.manner;
    let client = begun.coordinator.client.clone();
    if !flags.detach
        && !begun.is_new
        && let Some(receipt) = again::receipt(&begun.coordinator, &begun.run).await?
    {
        screen.note(&again::sentence(&begun.run))?;
        screen.clear();
        let code = follow::finish(Followed::Closed(Box::new(receipt)), flags.json, paint);
        close(begun.coordinator, &mut signals.level).await;
        return code;
    }
    if flags.detach {
        if begun.coordinator.embedded.is_some() {
            handed_over(client, &begun.run, &screen).await?;
        }
        return detached(flags, &begun.run);
    }
    let mut way = session.map(|door| Way::to(client.clone(), &begun.run, door));
    let ended = follow::to_the_end(
        client,
        &begun.run,
        &mut screen,
        &mut signals,
        manner,
        way.as_mut(),
    )
    .await;
    drop(way);
    screen.clear();
    let ended = ended?;
    let left = matches!(ended, Followed::Detached);
    let code = follow::finish(ended, flags.json, paint);
    if !left {
        close(begun.coordinator, &mut signals.level).await;
    }
    code
}

struct Begun {
    coordinator: Coordinator,
    run: String,
    /// Whether this request made it; the same one may have done so before.
    is_new: bool,
}

async fn begin(flags: &Flags, found: Found, home: &Path, screen: &mut Screen) -> Result<Begun, Failure> {
    let Found {
        mut job,
        base,
        path_from,
        holder,
        warnings,
    } = found;
    let scratch = home::scratch("mayfly-")?;
    screen.doing("resolving the code")?;
    let options = source::Options {
        base: &base,
        path_from,
        dirty: flags.dirty,
        scratch: scratch.path(),
    };
    secrets::resolve(&mut job, &base, &flags.consul).await?;
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
    let store = coordinator
        .embedded
        .as_ref()
        .map(|embedded| &embedded.store.store);
    inputs::bring(&mut job, &base, store).await?;
    let mut request = request(flags, &job, &code)?;
    if coordinator.manner == Manner::Guest {
        let plan = planned(&coordinator.client, &request).await?;
        agree(flags, plan.as_ref(), screen).await?;
    }
    request.bundle_key = store_bundle(&mut coordinator, &code).await?;
    let (run, is_new) = launch(&coordinator.client, &request).await?;
    if let Some(embedded) = &coordinator.embedded {
        show_page(flags, embedded, &run, home, screen)?;
    }
    Ok(Begun {
        coordinator,
        run,
        is_new,
    })
}

/// Says where the run's page is as long as this command lives.
fn show_page(
    flags: &Flags,
    embedded: &Embedded,
    run: &str,
    home: &Path,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let address = embedded.entrance(&format!("/runs/{run}"));
    if flags.open {
        browser::show(home, &address);
    }
    screen.note(&format!("page     {address}"))
}

/// Shows what a launch costs, and asks whether it shall be where there is somebody to ask.
async fn agree(flags: &Flags, plan: Option<&PlanReply>, screen: &mut Screen) -> Result<(), Failure> {
    let Some(plan) = plan else {
        return screen.note("price    not known: this coordinator is older and does not tell");
    };
    let lines = plan::price(plan);
    for line in &lines {
        screen.note(line)?;
    }
    if lines.is_empty() || flags.yes || flags.json || !ask::somebody() {
        return Ok(());
    }
    screen.pause();
    let agreed = ask::yes("launch it?").await;
    screen.resume();
    if agreed {
        return Ok(());
    }
    Err(Failure {
        code: Outcome::Cancelled.exit_code(),
        message: "nothing has been launched".to_owned(),
    })
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
    let kept = job.results.as_ref().map(ToString::to_string);
    if let Some(mut client) = flags.remote.connect(&flags.consul).await? {
        if let Some(kept) = &kept {
            kept_there(&mut client, kept).await?;
        }
        return Ok(Coordinator {
            embedded: None,
            client,
            manner: Manner::Guest,
        });
    }
    #[cfg(feature = "aws")]
    if flags.on == Some(Cloud::Aws) {
        let consul = flags.consul.sides()?.map(|sides| sides.nodes);
        screen.doing("looking for the network")?;
        let embedded = super::placed::open(&flags.aws, home, consul, kept.as_deref()).await?;
        screen.note(&store_line(&embedded))?;
        return Ok(Coordinator {
            client: client::connect(&embedded.url, &embedded.token, None).await?,
            embedded: Some(embedded),
            manner: Manner::Guest,
        });
    }
    let store = match &kept {
        Some(kept) => Some(storage::at(kept).await?),
        None => None,
    };
    let options = Options {
        home: home.to_owned(),
        listen: Listen::default(),
        runs_max: 1,
        admin: None,
        spark: job.spark.version.clone(),
        consul: flags.consul.sides()?,
        store,
        aws: None,
        life: Life::Command,
        notify: notify::of_command()?,
    };
    let progress = |step: crate::toolchain::Step| {
        // When the screen cannot be written, the next line that matters fails too.
        let _ = screen.doing(&format!("{} {}", step.name, step.detail));
    };
    let embedded = Embedded::start(options, progress).await?;
    if kept.is_some() {
        screen.note(&store_line(&embedded))?;
    }
    for note in leftovers::notes(home, &embedded.store).await? {
        screen.note(&note)?;
    }
    let client = client::connect(&embedded.url, &embedded.token, None).await?;
    Ok(Coordinator {
        embedded: Some(embedded),
        client,
        manner: Manner::Own,
    })
}

/// Where the run is kept, for whoever wants to read it later.
fn store_line(embedded: &Embedded) -> String {
    let store = embedded.store.store.s3_url("");
    let store = store.trim_end_matches('/');
    format!("store    {store}  (the verbs that read want MAYFLY_STORE={store})")
}

/// Whether a coordinator elsewhere keeps its runs where the job wants to be kept.
async fn kept_there(client: &mut Client, kept: &str) -> Result<(), Failure> {
    let reply = client.get_store(GetStoreRequest {}).await;
    let place = reply
        .map_err(|status| client::refused("find the store", &status))?
        .into_inner();
    let there = format!("s3://{}/{}", place.bucket, place.prefix);
    if there.trim_end_matches('/') == kept.trim_end_matches('/') {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the job says `results: {kept}`, and this coordinator keeps its runs in {}: take that line out, or launch without \
         the coordinator",
        there.trim_end_matches('/')
    )))
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
            crash::around(
                Point::BundlePut,
                upload::file(&embedded.store.store, bundle, &key),
            )
            .await?;
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

/// The request, as long as no bundle is in the store.
fn request(flags: &Flags, job: &Job, code: &Source) -> Result<LaunchRequest, Failure> {
    let fresh = || random_base32(10).map_err(|e| Failure::chain("draw an id for the request", &e));
    let request_id = flags.request_id.clone().map_or_else(fresh, Ok)?;
    let job_json = serde_json::to_string(job).map_err(|e| Failure::chain("write the job as JSON", &e))?;
    let owner = owner().chars().filter(|c| !c.is_control()).take(60).collect();
    Ok(LaunchRequest {
        request_id,
        job_json,
        commit: code.commit.clone(),
        bundle_key: String::new(),
        owner,
        cloud: flags.on.map(Cloud::name).unwrap_or_default().to_owned(),
    })
}

/// What the launch takes and costs; `None` where the coordinator is too old to tell.
async fn planned(client: &Client, request: &LaunchRequest) -> Result<Option<PlanReply>, Failure> {
    let asked = patiently(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.plan(request).await }
    });
    match asked.await {
        Ok(reply) => Ok(Some(reply.into_inner())),
        Err(status) if status.code() == Code::Unimplemented => Ok(None),
        Err(status) => Err(client::refused("launch", &status)),
    }
}

/// The run of a request, and whether it was made now.
async fn launch(client: &Client, request: &LaunchRequest) -> Result<(String, bool), Failure> {
    // The same request is the same run, whether the first one arrived or not.
    let asked = patiently(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.launch(request).await }
    });
    let reply = asked.await.map_err(|status| client::refused("launch", &status))?;
    let reply = reply.into_inner();
    Ok((reply.run_id, reply.created))
}

/// Calls until it is answered, for a while: the coordinator may be being started again.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let began = Instant::now();
    loop {
        match call().await {
            Err(status) if client::may_pass(&status) && began.elapsed() < RETRY_FOR => {
                tokio::time::sleep(RETRY_WAIT).await;
            }
            answered => return answered,
        }
    }
}

/// Waits until the coordinator on the run's own master has taken it over: until then only this command sees to it.
async fn handed_over(mut client: Client, run: &str, screen: &Screen) -> Result<(), Failure> {
    screen.doing("waiting for the master to take the run over")?;
    let began = Instant::now();
    while began.elapsed() < HAND_OVER_LIMIT {
        let request = GetRequest {
            run_id: run.to_owned(),
        };
        let view = client.get(request).await;
        let view = view
            .map_err(|status| client::refused("look at the run", &status))?
            .into_inner();
        let there = |node: &NodeView| node.role() == Role::Master && node.cores > 0;
        if view.nodes.iter().any(there) || view.phase() == Phase::Closed {
            return Ok(());
        }
        tokio::time::sleep(RETRY_WAIT).await;
    }
    Err(Failure::infra(format!(
        "the master of {run} has not come up within {} minutes: AWS ends its machines by itself; \
         `coordinator attach {run}` sees to it",
        HAND_OVER_LIMIT.as_secs() / 60
    )))
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

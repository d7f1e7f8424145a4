//! `agent boot`: the whole life of an EC2 instance that carries a node, from its metadata to its power.
//!
//! Two processes. The outer one is small and has little that can go wrong: it starts the inner one, which finds out who it
//! is ([`discover`]) and is the node ([`crate::run`]), and when that ends, by whatever death, it powers the machine off
//! ([`power`]). The metadata says that this terminates the instance.
//!
//! ```text
//! agent boot ── agent boot-node ── metadata ─ enrol ─ …the node's life… ─ end
//!     └ not taken in in time ────────────────────┘                        └─ poweroff, until the machine is gone
//! ```
//!
//! * Taken in, the node writes [`ENROLLED`] into the folder for what lasts until the next boot. The image's own timer looks
//!   for it; and an agent that is started where it is already there had a life on this machine before, whose job cannot be
//!   taken up again: it powers off. So the unit needs `RuntimeDirectoryPreserve=yes` and may be restarted.
//! * A node that dies once its job has ended leaves something to be saved ([`crate::again`]): then another inner process
//!   follows it, a few times.
//! * An instance without our tags is somebody else's idea: nothing is done there but to say so. The image's timer has the
//!   last word.
//! * The outer process passes signals on; the end that follows from them is an end like any other.

mod control;
mod facts;
mod machine;
mod power;
mod site;
mod tags;
mod userdata;

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mayfly_kit::imds::{Imds, ImdsError, InstanceProfile};
use mayfly_kit::shutdown::{Level, Signals, reached};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::again::Keep;
use crate::cgroup;
use crate::config::{Access, NodeConfig, StoreConfig};
use crate::jobuser::{JobUser, UserError};
use crate::supervise::{become_subreaper, sweep};
pub use control::Control;
use facts::Facts;
use machine::Offer;
use site::Site;
use tags::{Purpose, TagError, Tags};
use userdata::UserData;

/// Written once a node is taken in.
pub const ENROLLED: &str = "enrolled";
/// Exit code of `agent boot-node` on an instance that carries no node.
pub const NOT_OURS: u8 = 78;
/// Exit code of a Rust program that has panicked.
const PANICKED: i32 = 101;
/// How many inner processes there may be; what kills them all is not chance.
const LIVES_MAX: u32 = 4;
/// Of the time to be taken in, the part that tags may be late.
const TAGS_SHARE: u32 = 5;

/// Why no node comes of this instance.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Metadata does not answer, or with nothing that can be used.
    #[error("find out who this instance is")]
    Metadata(#[from] ImdsError),
    /// A tag is missing or cannot be used.
    #[error("read the tags of this instance")]
    Tags(#[from] TagError),
    /// What the image says cannot be used.
    #[error("read what is installed on this machine")]
    Site(#[from] site::SiteError),
    /// Jobs cannot run as the user that the image names.
    #[error("find the user that jobs run as")]
    User(#[from] UserError),
    /// The system does not say what the machine has.
    #[error("find out what this machine has")]
    Machine(#[from] sysinfo::Error),
    /// The run's time is up.
    #[error("the deadline of the run passed at {0}")]
    DeadlinePassed(jiff::Timestamp),
}

/// What an instance turns out to be.
pub enum Found {
    /// A node of ours.
    Node {
        /// Which one.
        config: Box<NodeConfig>,
        /// Whether the machine may be taken away at any time.
        spot: bool,
        /// Opens the package of the run's coordinator, which is to live on this machine.
        package_key: Option<String>,
    },
    /// The server of a team.
    Control(Box<Control>),
    /// Somebody started the image for something else; why we think so.
    NotOurs(String),
}

/// Finds out who this instance is, with what the image's file `site` says, until `until` at the latest.
///
/// # Errors
/// See [`BootError`].
pub async fn discover(site: &Path, imds: &Imds, began: Instant, until: Instant) -> Result<Found, BootError> {
    let site = Site::load(site)?;
    let facts = Imds::patiently(until, || Facts::read(imds)).await?;
    let tags_until = began + until.saturating_duration_since(began) / TAGS_SHARE;
    let purpose = match Imds::patiently(tags_until.min(until), || Purpose::read(imds)).await {
        Ok(purpose) => purpose,
        Err(error @ TagError::NotOurs { .. }) => return Ok(Found::NotOurs(error.to_string())),
        Err(_) => Imds::patiently(until, || Purpose::read(imds)).await?,
    };
    let tags = match purpose {
        Purpose::Node(tags) => tags,
        Purpose::Control(tags) => {
            let found = Imds::patiently(until, || control::Settings::read(imds)).await?;
            return Ok(Found::Control(Box::new(Control::new(site, facts, tags, found))));
        }
    };
    let user_data = Imds::patiently(until, || UserData::read(imds)).await?;
    let left = facts
        .left_until(tags.deadline)
        .ok_or(BootError::DeadlinePassed(tags.deadline))?;
    let patience = until.saturating_duration_since(Instant::now());
    let spot = facts.spot;
    let package_key = user_data.package_key.clone();
    let job_user = site.job_user.as_deref().map(JobUser::named).transpose()?;
    let config = NodeConfig {
        deadline_secs: Some(left.as_secs()),
        job_user,
        alone_secs: patience.as_secs().max(1),
        ..config(site, facts, tags, user_data, imds, machine::offer()?)
    };
    Ok(Found::Node {
        config: Box::new(config),
        spot,
        package_key,
    })
}

fn config(
    site: Site,
    facts: Facts,
    tags: Tags,
    user_data: UserData,
    imds: &Imds,
    offer: Offer,
) -> NodeConfig {
    NodeConfig {
        run: tags.run,
        role: tags.role,
        machine_id: facts.instance_id,
        coordinator: tags.coordinator,
        fingerprint: user_data.fingerprint,
        join_token: user_data.join_token,
        address: facts.address.into(),
        cores: offer.cores,
        memory_bytes: offer.memory_bytes,
        folder: site.folder,
        shared: site.shared,
        store: StoreConfig {
            endpoint: user_data.store_endpoint,
            bucket: tags.bucket,
            prefix: tags.prefix,
            region: facts.region,
            access: Access::InstanceProfile(InstanceProfile::new(imds.clone())),
        },
        toolchain: site.toolchain,
        consul: user_data.consul.or(site.consul),
        job_role: user_data.job_role,
        alone_secs: 0,
        deadline_secs: None,
        job_user: None,
    }
}

/// What the image says of itself: a file that is baked in, or the one that `MAYFLY_SITE` names.
#[must_use]
pub fn site_file() -> PathBuf {
    site::path()
}

/// Where [`ENROLLED`] is: what a service manager gives, or what it would give.
#[must_use]
pub fn runtime_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("MAYFLY_RUNTIME_DIR")
        .or_else(|| set("RUNTIME_DIRECTORY"))
        .map_or_else(|| PathBuf::from("/run/mayfly"), PathBuf::from)
}

/// How the outer process ends, if it does before the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The machine is being shut down, by us or by somebody else.
    PoweredOff,
    /// The instance is not ours, and keeps its power.
    NotOurs,
}

/// Starts the inner process with `args`, waits for its end, and powers the machine off.
///
/// # Errors
/// Signals cannot be listened for, or the system knows no subreapers. Everything else ends in powering off.
#[expect(
    clippy::print_stderr,
    reason = "the outer process has no logs but the service manager's"
)]
pub async fn supervise(args: &[String], within: Duration) -> io::Result<Outcome> {
    let (signals, mut level) = Signals::listen()?;
    let mut counting = JoinSet::new();
    counting.spawn(signals.count());
    cgroup::settle();
    // What a dead inner process had started becomes ours, and is ended before another one follows.
    become_subreaper()?;
    let marker = runtime_folder().join(ENROLLED);
    let keep = Keep::new(&runtime_folder());
    let mut lives = 0;
    let why = loop {
        if marker.exists() && keep.unsaved().is_none() {
            break "an agent that was taken in has ended here before".to_owned();
        }
        lives += 1;
        let end = match start(args) {
            Ok(mut inner) => attend(&mut inner, &marker, within, &mut level).await,
            Err(error) => break format!("the node cannot be started: {error}"),
        };
        match end {
            End::Exited(status) if status.code() == Some(i32::from(NOT_OURS)) => return Ok(Outcome::NotOurs),
            End::Exited(status) if has_died(status) && lives < LIVES_MAX && keep.unsaved().is_some() => {
                eprintln!("the node has died: {status}; what it left is saved by another process");
                sweep().await;
            }
            End::Exited(status) => break format!("the node has ended: {status}"),
            End::NotEnrolled => break format!("the node was not taken in within {} s", within.as_secs()),
            End::Lost(error) => break format!("the node cannot be waited for: {error}"),
        }
    };
    power::off(&why, &mut level).await;
    Ok(Outcome::PoweredOff)
}

/// Whether it did not end as it had chosen to.
fn has_died(status: ExitStatus) -> bool {
    status.signal().is_some() || status.code() == Some(PANICKED)
}

fn start(args: &[String]) -> io::Result<Child> {
    let folder = runtime_folder();
    std::fs::create_dir_all(&folder)?;
    Command::new(std::env::current_exe()?)
        .args(args)
        // The watchdog is fed by the inner process: it is the one that may be stuck.
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

enum End {
    Exited(ExitStatus),
    NotEnrolled,
    Lost(io::Error),
}

/// Waits for the inner process; one that is not taken in in time is killed, and takes with it what it had started.
async fn attend(
    inner: &mut Child,
    marker: &Path,
    within: Duration,
    level: &mut watch::Receiver<Level>,
) -> End {
    let mut due = Some(Instant::now() + within);
    let mut told = 0;
    loop {
        let timer = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = inner.wait() => return ended.map_or_else(End::Lost, End::Exited),
            () = reached(level, told + 1) => {
                told = *level.borrow();
                pass_on(inner);
            }
            () = timer => {
                due = None;
                if !marker.exists() {
                    return inner.kill().await.map_or_else(End::Lost, |()| End::NotEnrolled);
                }
            }
        }
    }
}

fn pass_on(inner: &Child) {
    let pid = inner.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid {
        // It may have ended since: then there is nobody to tell.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

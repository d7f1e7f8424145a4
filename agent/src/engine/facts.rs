//! What templates may name on this node.

use std::path::{Path, PathBuf};

use mayfly_proto::engine::facts::{SECRET, SHORT, SHORT_ROOT, short_prefix};
use mayfly_proto::engine::{Facts, JobKind, Peer};

use super::{Context, Job, Role, entry, events, runners};
use crate::prepare::PrepareError;

const MIB: u64 = 1024 * 1024;

/// The engine's own folder on this node.
pub(super) fn folder(context: &Context) -> PathBuf {
    context.folder.join("engine")
}

/// A folder of this run and node whose path is short.
pub(super) fn short(context: &Context) -> PathBuf {
    Path::new(SHORT_ROOT).join(format!(
        "{}{}",
        short_prefix(&context.fleet.run),
        context.fleet.node
    ))
}

/// What an engine leaves for later looks; nodes with files of the same name do not meet there.
pub(super) fn own_events(context: &Context) -> PathBuf {
    events(&context.folder).join(&context.fleet.node)
}

/// Of a daemon or a file.
pub(super) fn of_node(context: &Context, role: &Role, python: &Path) -> Facts {
    let fleet = &context.fleet;
    let folder = folder(context);
    let mut facts = Facts::default();
    let own = context.address.to_string();
    let master = match role {
        Role::Master => own.clone(),
        Role::Worker { master } => master
            .rsplit_once(':')
            .map_or(master.as_str(), |(host, _)| host)
            .to_owned(),
    };
    for (name, number) in [
        ("node.cores", u64::from(context.cores)),
        ("node.memory_mib", context.memory_bytes / MIB),
        ("node.memory_bytes", context.memory_bytes),
        ("workers.count", fleet.workers.into()),
        ("workers.min", fleet.min_workers.into()),
        ("workers.cores", fleet.worker_cores.into()),
        ("workers.memory_mib", fleet.worker_memory_bytes / MIB),
        ("attempt", fleet.attempt.into()),
    ] {
        facts.one(name, number);
    }
    for (name, text) in [
        ("node.name", &fleet.node),
        ("node.address", &own),
        ("master.address", &master),
        ("run", &fleet.run),
        (SECRET, &context.secret),
    ] {
        facts.one(name, text);
    }
    for (name, path) in [
        ("python", python.to_owned()),
        ("folder", folder.clone()),
        ("tmp", context.temporary.clone()),
        (SHORT, short(context)),
        ("results", fleet.results.clone()),
        ("code", fleet.code.clone()),
        ("events", own_events(context)),
    ] {
        facts.one(name, path.display());
    }
    for (name, port) in &fleet.definition.ports {
        facts.one(format!("ports.{name}"), port);
    }
    for name in fleet.definition.files.keys() {
        facts.one(format!("files.{name}"), folder.join(name).display());
    }
    for (name, path) in runners::facts(&folder) {
        facts.one(name, path.display());
    }
    facts
}

/// The master as the others see it.
pub(super) fn own_peer(context: &Context) -> Peer {
    Peer {
        name: context.fleet.node.clone(),
        address: context.address.to_string(),
        cores: context.cores,
    }
}

/// A job that is about to run.
pub(super) struct Submission {
    /// The folder it runs in.
    pub(super) folder: PathBuf,
    /// What it runs; nothing where that is a command line.
    pub(super) entry: Option<PathBuf>,
    /// Its command line.
    pub(super) words: Vec<String>,
    /// The facts that it was made of.
    pub(super) facts: Facts,
}

/// The job's command line, out of its kind's.
pub(super) fn submission(context: &Context, job: &Job) -> Result<Submission, PrepareError> {
    let kind = kind(context, job)?;
    let (folder, entry) = entry::locate(job)?;
    let mut facts = of_node(context, &Role::Master, &job.python);
    facts.one("code", folder.display());
    facts.one("entry", entry.as_deref().unwrap_or(&folder).display());
    facts.one("class", &job.class);
    facts.many("args", job.args.iter().cloned());
    facts.many("command", job.command.iter().cloned());
    facts.peers(&own_peer(context), &job.workers);
    let words = facts.command_line(&kind.run).map_err(PrepareError::infra)?;
    Ok(Submission {
        folder,
        entry,
        words,
        facts,
    })
}

fn kind<'c>(context: &'c Context, job: &Job) -> Result<&'c JobKind, PrepareError> {
    let definition = &context.fleet.definition;
    let kind = definition.kind_of(&job.entry).ok_or_else(|| {
        let ends: Vec<&str> = definition.jobs.keys().map(String::as_str).collect();
        let (name, entry) = (&definition.name, &job.entry);
        PrepareError::job(format!(
            "the engine `{name}` cannot run {entry:?}: it runs {}",
            ends.join(", ")
        ))
    })?;
    if kind.class && job.class.is_empty() {
        return Err(PrepareError::job(format!(
            "entry {} needs `class`, its main class",
            job.entry
        )));
    }
    Ok(kind)
}

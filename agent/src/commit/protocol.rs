//! The steps to the one commit of a run, without the store: what to ask it next, and what follows from its answer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mayfly_kit::layout;
use mayfly_kit::records::{Commit, Decision, FileEntry, Manifest, SCHEMA, StepEntry};
use mayfly_proto::{Attempt, NodeId, RunId};

/// Characters of a path that an error shows.
const PATH_SHOWN: usize = 120;

/// What is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: Attempt,
    /// Nodes whose manifests count.
    pub nodes: Vec<NodeId>,
    /// The job's own exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// Why the job failed, in one sentence; empty when it did not.
    pub cause: String,
    /// How each step ended, where the job is several.
    pub steps: Vec<StepEntry>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// The commit is ours.
    Ours,
    /// Another one was there first.
    Lost(Attempt),
    /// The attempt was given up before.
    GivenUp,
}

/// What keeps a commit from being made, however often it is tried.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// A node that counts has not said what it uploaded.
    #[error("{node} has uploaded no manifest")]
    NoManifest {
        /// The node.
        node: NodeId,
    },
    /// An object is not what it should be.
    #[error("{key} is not a {what} of this run")]
    Foreign {
        /// Its key.
        key: String,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it, when it does not parse.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// A manifest names what cannot be a file of results.
    #[error(
        "{key} names {path:?}, which cannot be a file of results: a path below its folder with its SHA-256 is wanted"
    )]
    Unsound {
        /// The manifest's key.
        key: String,
        /// What it names.
        path: String,
    },
    /// A manifest names a file more than once.
    #[error("{key} names {path:?} twice: a file has one size and one SHA-256")]
    Twice {
        /// The manifest's key.
        key: String,
        /// What it names.
        path: String,
    },
    /// Two nodes hold different files of one name.
    #[error("two nodes hold different files of one name: {path} ({first}, {second})")]
    Conflict {
        /// The name.
        path: String,
        /// One node.
        first: NodeId,
        /// The other.
        second: NodeId,
    },
    /// A manifest names a file that the store does not hold with that size.
    #[error("{path} is in a manifest but not in the store with its size")]
    Missing {
        /// The name.
        path: String,
    },
    /// The record cannot be written as JSON.
    #[error("write the commit as JSON")]
    Json(#[source] serde_json::Error),
}

impl Obstacle {
    /// True when the job's own files are the cause.
    #[must_use]
    pub fn is_jobs_doing(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// What the store is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// For this object.
    Get(String),
    /// For all objects below this key; each is told to [`Protocol::listed`].
    List(String),
    /// To keep this object, if there is none of this key.
    PutNew(String, Vec<u8>),
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// The object, if there is one.
    Got(Option<Vec<u8>>),
    /// The listing has ended.
    Listed,
    /// It is kept; or false, because one was there.
    Put(bool),
}

/// What follows.
pub(super) enum Next {
    /// Another question.
    Ask(Protocol, Call),
    /// The end.
    Done(Committed),
}

/// How far a commit is.
pub(super) struct Protocol {
    request: Request,
    now: Timestamp,
    stage: Stage,
}

enum Stage {
    /// The manifests so far, in the order of the nodes.
    Reading(Vec<Manifest>),
    /// Every file that is committed must be in the store with its size: those that were not seen yet.
    Checking {
        files: Vec<FileEntry>,
        unseen: BTreeMap<String, u64>,
    },
    /// That the attempt has committed is being decided.
    Deciding(Commit),
    /// Something was decided before: this, in an earlier try, or that the attempt is given up.
    Judging(Commit),
    /// The commit is being written.
    Writing(Commit),
    /// A commit was there: ours from an earlier try, or another's.
    Comparing(Commit),
}

impl Protocol {
    /// Begins: a commit of `now`.
    pub(super) fn begin(request: Request, now: Timestamp) -> Result<Next, Obstacle> {
        let stage = Stage::Reading(Vec::new());
        Self { request, now, stage }.read_on(Vec::new())
    }

    /// An entry of the listing that was asked for.
    pub(super) fn listed(&mut self, key: &str, size: u64) {
        let prefix = layout::results(&self.request.run, self.request.attempt);
        let path = key.strip_prefix(&prefix).unwrap_or_default();
        if let Stage::Checking { unseen, .. } = &mut self.stage
            && unseen.get(path) == Some(&size)
        {
            unseen.remove(path);
        }
    }

    /// The answer to what was asked last.
    pub(super) fn take(mut self, reply: Reply) -> Result<Next, Obstacle> {
        let stage = std::mem::replace(&mut self.stage, Stage::Reading(Vec::new()));
        match (stage, reply) {
            (Stage::Reading(mut manifests), Reply::Got(object)) => {
                manifests.push(self.manifest(manifests.len(), object)?);
                self.read_on(manifests)
            }
            (Stage::Checking { files, unseen }, Reply::Listed) => match unseen.into_keys().next() {
                Some(path) => Err(Obstacle::Missing { path }),
                None => self.write(files),
            },
            (Stage::Deciding(commit), Reply::Put(true)) => self.publish(commit),
            (Stage::Deciding(commit), Reply::Put(false)) => {
                self.stage = Stage::Judging(commit);
                let key = layout::decision(&self.request.run, self.request.attempt);
                Ok(Next::Ask(self, Call::Get(key)))
            }
            (Stage::Judging(ours), Reply::Got(object)) => self.judge(&ours, object),
            (Stage::Writing(_), Reply::Put(true)) => Ok(Next::Done(Committed::Ours)),
            (Stage::Writing(commit), Reply::Put(false)) => {
                self.stage = Stage::Comparing(commit);
                let key = layout::commit(&self.request.run);
                Ok(Next::Ask(self, Call::Get(key)))
            }
            (Stage::Comparing(ours), Reply::Got(object)) => Ok(Next::Done(compare(&ours, object)?)),
            (_, _) => Err(foreign(layout::commit(&self.request.run), "answer", None)),
        }
    }

    /// The manifest of the next node, or all of them together.
    fn read_on(mut self, manifests: Vec<Manifest>) -> Result<Next, Obstacle> {
        let Some(node) = self.request.nodes.get(manifests.len()) else {
            return self.check(merge(manifests)?);
        };
        let key = layout::manifest(&self.request.run, self.request.attempt, node);
        self.stage = Stage::Reading(manifests);
        Ok(Next::Ask(self, Call::Get(key)))
    }

    fn manifest(&self, number: usize, object: Option<Vec<u8>>) -> Result<Manifest, Obstacle> {
        let Request {
            run, attempt, nodes, ..
        } = &self.request;
        let Some(node) = nodes.get(number) else {
            return Err(foreign(layout::commit(run), "commit", None));
        };
        let key = layout::manifest(run, *attempt, node);
        let object = object.ok_or_else(|| Obstacle::NoManifest { node: node.clone() })?;
        match serde_json::from_slice::<Manifest>(&object) {
            Ok(m) if m.schema == SCHEMA && m.node == *node && m.attempt == *attempt => sound(key, m),
            Ok(_) => Err(foreign(key, "manifest", None)),
            Err(error) => Err(foreign(key, "manifest", Some(error))),
        }
    }

    fn check(mut self, files: Vec<FileEntry>) -> Result<Next, Obstacle> {
        let unseen = files.iter().map(|file| (file.path.clone(), file.size)).collect();
        self.stage = Stage::Checking { files, unseen };
        let prefix = layout::results(&self.request.run, self.request.attempt);
        Ok(Next::Ask(self, Call::List(prefix)))
    }

    fn write(self, files: Vec<FileEntry>) -> Result<Next, Obstacle> {
        let request = &self.request;
        let commit = Commit {
            schema: SCHEMA,
            run: request.run.clone(),
            attempt: request.attempt,
            exit_code: request.exit_code,
            cause: request.cause.clone(),
            steps: request.steps.clone(),
            committed_at: self.now,
            nodes: request.nodes.clone(),
            total_files: files.len() as u64,
            total_bytes: files.iter().map(|file| file.size).sum(),
            files,
        };
        self.decide(commit)
    }

    fn decide(mut self, commit: Commit) -> Result<Next, Obstacle> {
        let decision = Decision::Committed(commit);
        let bytes = serde_json::to_vec(&decision).map_err(Obstacle::Json)?;
        let key = layout::decision(&self.request.run, self.request.attempt);
        if let Decision::Committed(commit) = decision {
            self.stage = Stage::Deciding(commit);
        }
        Ok(Next::Ask(self, Call::PutNew(key, bytes)))
    }

    /// What was decided before this try.
    fn judge(self, ours: &Commit, object: Option<Vec<u8>>) -> Result<Next, Obstacle> {
        let key = layout::decision(&self.request.run, self.request.attempt);
        let Some(object) = object else {
            return Err(foreign(key, "decision", None));
        };
        match serde_json::from_slice::<Decision>(&object) {
            Ok(Decision::GivenUp { .. }) => Ok(Next::Done(Committed::GivenUp)),
            Ok(Decision::Committed(there)) if same(&there, ours) => self.publish(there),
            Ok(Decision::Committed(there)) => Ok(Next::Done(Committed::Lost(there.attempt))),
            Err(error) => Err(foreign(key, "decision", Some(error))),
        }
    }

    fn publish(mut self, commit: Commit) -> Result<Next, Obstacle> {
        let bytes = serde_json::to_vec(&commit).map_err(Obstacle::Json)?;
        let key = layout::commit(&self.request.run);
        self.stage = Stage::Writing(commit);
        Ok(Next::Ask(self, Call::PutNew(key, bytes)))
    }
}

/// But for the time when they were made.
fn same(there: &Commit, ours: &Commit) -> bool {
    Commit {
        committed_at: ours.committed_at,
        ..there.clone()
    } == *ours
}

fn foreign(key: String, what: &'static str, source: Option<serde_json::Error>) -> Obstacle {
    Obstacle::Foreign { key, what, source }
}

/// Whoever may write into the run's folder may have written it.
fn sound(key: String, manifest: Manifest) -> Result<Manifest, Obstacle> {
    let shown = |file: &FileEntry| file.path.chars().take(PATH_SHOWN).collect();
    if let Some(odd) = manifest.files.iter().find(|file| !file.is_sound()) {
        let path = shown(odd);
        return Err(Obstacle::Unsound { key, path });
    }
    let mut paths = BTreeSet::new();
    match manifest
        .files
        .iter()
        .find(|file| !paths.insert(file.path.as_str()))
    {
        None => Ok(manifest),
        Some(again) => {
            let path = shown(again);
            Err(Obstacle::Twice { key, path })
        }
    }
}

/// One list of files by path. The same file on two nodes (the mark `_SUCCESS`) is one file.
fn merge(manifests: Vec<Manifest>) -> Result<Vec<FileEntry>, Obstacle> {
    let mut merged: BTreeMap<String, (NodeId, FileEntry)> = BTreeMap::new();
    for Manifest { node, files, .. } in manifests {
        for file in files {
            match merged.get(&file.path) {
                Some((first, other)) if *other != file => {
                    let first = first.clone();
                    return Err(Obstacle::Conflict {
                        path: file.path,
                        first,
                        second: node,
                    });
                }
                Some(_) => {}
                None => {
                    merged.insert(file.path.clone(), (node.clone(), file));
                }
            }
        }
    }
    Ok(merged.into_values().map(|(_, file)| file).collect())
}

/// The commit that is there: ours, but for the time when it was made, or not.
fn compare(ours: &Commit, object: Option<Vec<u8>>) -> Result<Committed, Obstacle> {
    let key = layout::commit(&ours.run);
    let Some(object) = object else {
        return Err(foreign(key, "commit", None));
    };
    let there: Commit = match serde_json::from_slice(&object) {
        Ok(there) => there,
        Err(error) => return Err(foreign(key, "commit", Some(error))),
    };
    if there.schema != SCHEMA || there.run != ours.run {
        return Err(foreign(key, "commit", None));
    }
    Ok(if same(&there, ours) {
        Committed::Ours
    } else {
        Committed::Lost(there.attempt)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(node: NodeId, files: &[(&str, &str)]) -> Manifest {
        let files = files.iter().map(|(path, sha256)| FileEntry {
            path: (*path).into(),
            size: 3,
            sha256: (*sha256).into(),
        });
        Manifest {
            schema: SCHEMA,
            node,
            attempt: Attempt::FIRST,
            files: files.collect(),
            skipped: vec![],
        }
    }

    #[test]
    fn one_name_may_be_on_two_nodes_only_with_the_same_bytes() {
        let master = manifest(NodeId::master(1), &[("x/_SUCCESS", "aa")]);
        let worker = manifest(NodeId::worker(1), &[("x/_SUCCESS", "aa"), ("x/part-0", "bb")]);
        let merged = merge(vec![master, worker.clone()]).unwrap();
        let paths: Vec<&str> = merged.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["x/_SUCCESS", "x/part-0"]);

        let other = manifest(NodeId::worker(2), &[("x/part-0", "cc")]);
        let error = merge(vec![worker, other]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "two nodes hold different files of one name: x/part-0 (worker-1, worker-2)"
        );
        assert!(error.is_jobs_doing());
    }
}

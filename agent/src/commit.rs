//! The one commit of a run: manifests of the nodes merged, checked against the store, and written if nobody else has.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mayfly_kit::layout;
use mayfly_kit::records::{Commit, FileEntry, Manifest, SCHEMA};
use mayfly_kit::store::{Created, Store, StoreError};
use mayfly_proto::{Attempt, NodeId, RunId};

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
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// The commit is ours.
    Ours,
    /// Another one was there first.
    Lost(Attempt),
}

/// Why there is no commit.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store failed.
    #[error("commit")]
    Store(#[from] StoreError),
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

impl CommitError {
    /// True when the job's own files are the cause.
    #[must_use]
    pub fn is_jobs_doing(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// True when trying again cannot help.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Store(e) => e.is_permanent(),
            Self::NoManifest { .. }
            | Self::Foreign { .. }
            | Self::Conflict { .. }
            | Self::Missing { .. }
            | Self::Json(_) => true,
        }
    }
}

/// Writes the manifest of one node.
///
/// # Errors
/// The store failed.
pub async fn write_manifest(store: &Store, run: &RunId, manifest: &Manifest) -> Result<(), CommitError> {
    let bytes = serde_json::to_vec(manifest).map_err(CommitError::Json)?;
    Ok(store
        .put(&layout::manifest(run, manifest.attempt, &manifest.node), bytes)
        .await?)
}

/// Merges, checks and writes. Repeating it after success is [`Committed::Ours`] again.
///
/// # Errors
/// See [`CommitError`].
pub async fn commit(store: &Store, request: &Request) -> Result<Committed, CommitError> {
    let mut manifests = Vec::new();
    for node in &request.nodes {
        manifests.push(read_manifest(store, request, node).await?);
    }
    let files = merge(manifests)?;
    check_stored(store, request, &files).await?;
    let commit = Commit {
        schema: SCHEMA,
        run: request.run.clone(),
        attempt: request.attempt,
        exit_code: request.exit_code,
        cause: request.cause.clone(),
        committed_at: Timestamp::now(),
        nodes: request.nodes.clone(),
        total_files: files.len() as u64,
        total_bytes: files.iter().map(|f| f.size).sum(),
        files,
    };
    let bytes = serde_json::to_vec(&commit).map_err(CommitError::Json)?;
    match store.put_new(&layout::commit(&request.run), bytes).await? {
        Created::Yes(_) => Ok(Committed::Ours),
        Created::Exists => compare(store, &commit).await,
    }
}

async fn read_manifest(store: &Store, request: &Request, node: &NodeId) -> Result<Manifest, CommitError> {
    let key = layout::manifest(&request.run, request.attempt, node);
    let object = store
        .get(&key)
        .await?
        .ok_or_else(|| CommitError::NoManifest { node: node.clone() })?;
    match serde_json::from_slice::<Manifest>(&object.bytes) {
        Ok(m) if m.schema == SCHEMA && m.node == *node && m.attempt == request.attempt => Ok(m),
        Ok(_) => Err(CommitError::Foreign {
            key,
            what: "manifest",
            source: None,
        }),
        Err(e) => Err(CommitError::Foreign {
            key,
            what: "manifest",
            source: Some(e),
        }),
    }
}

/// One list of files by path. The same file on two nodes (Spark's `_SUCCESS`) is one file.
fn merge(manifests: Vec<Manifest>) -> Result<Vec<FileEntry>, CommitError> {
    let mut merged: BTreeMap<String, (NodeId, FileEntry)> = BTreeMap::new();
    for Manifest { node, files, .. } in manifests {
        for file in files {
            match merged.get(&file.path) {
                Some((first, other)) if *other != file => {
                    let first = first.clone();
                    return Err(CommitError::Conflict {
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

/// Lists the results once: every file that is committed must be there with its size.
async fn check_stored(store: &Store, request: &Request, files: &[FileEntry]) -> Result<(), CommitError> {
    let prefix = layout::results(&request.run, request.attempt);
    let mut wanted: BTreeMap<&str, u64> = files.iter().map(|f| (f.path.as_str(), f.size)).collect();
    let mut stored = std::pin::pin!(store.list(&prefix));
    while let Some(entry) = stored.try_next().await? {
        let path = entry.key.strip_prefix(&prefix).unwrap_or_default();
        if wanted.get(path) == Some(&entry.size) {
            wanted.remove(path);
        }
    }
    match wanted.first_key_value() {
        None => Ok(()),
        Some((path, _)) => Err(CommitError::Missing {
            path: (*path).to_owned(),
        }),
    }
}

/// A commit is there: ours from an earlier try, or another's.
async fn compare(store: &Store, ours: &Commit) -> Result<Committed, CommitError> {
    let key = layout::commit(&ours.run);
    let foreign = |source| CommitError::Foreign {
        key: key.clone(),
        what: "commit",
        source,
    };
    let object = store.get(&key).await?.ok_or_else(|| foreign(None))?;
    let there: Commit = serde_json::from_slice(&object.bytes).map_err(|e| foreign(Some(e)))?;
    if there.schema != SCHEMA || there.run != ours.run {
        return Err(foreign(None));
    }
    let same = Commit {
        committed_at: ours.committed_at,
        ..there.clone()
    } == *ours;
    Ok(if same {
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

//! The one commit of a run: manifests of the nodes merged, checked against the store, and written if nobody else has.

mod protocol;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::records::Manifest;
use mayfly_kit::store::{Created, Store, StoreError};
use mayfly_proto::RunId;

use protocol::{Call, Next, Protocol, Reply};
pub use protocol::{Committed, Obstacle, Request};

/// Why there is no commit.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store failed.
    #[error("commit")]
    Store(#[from] StoreError),
    /// What is to be committed is not right.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
}

impl CommitError {
    /// True when the job's own files are the cause.
    #[must_use]
    pub fn is_jobs_doing(&self) -> bool {
        match self {
            Self::Store(_) => false,
            Self::Obstacle(obstacle) => obstacle.is_jobs_doing(),
        }
    }

    /// True when trying again cannot help.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Store(error) => error.is_permanent(),
            Self::Obstacle(_) => true,
        }
    }
}

/// Writes the manifest of one node.
///
/// # Errors
/// The store failed.
pub async fn write_manifest(store: &Store, run: &RunId, manifest: &Manifest) -> Result<(), CommitError> {
    let bytes = serde_json::to_vec(manifest).map_err(Obstacle::Json)?;
    let key = layout::manifest(run, manifest.attempt, &manifest.node);
    Ok(crash::around(Point::ManifestPut, store.put(&key, bytes)).await?)
}

/// Merges, checks and writes. Repeating it after success is [`Committed::Ours`] again.
///
/// # Errors
/// See [`CommitError`].
pub async fn commit(store: &Store, request: &Request) -> Result<Committed, CommitError> {
    let mut next = Protocol::begin(request.clone(), Timestamp::now())?;
    loop {
        next = match next {
            Next::Done(committed) => return Ok(committed),
            Next::Ask(mut protocol, call) => {
                let reply = ask(store, &mut protocol, call).await?;
                protocol.take(reply)?
            }
        };
    }
}

async fn ask(store: &Store, protocol: &mut Protocol, call: Call) -> Result<Reply, CommitError> {
    Ok(match call {
        Call::Get(key) => Reply::Got(store.get(&key).await?.map(|object| object.bytes.into())),
        Call::List(prefix) => {
            let mut entries = std::pin::pin!(store.list(&prefix));
            while let Some(entry) = entries.try_next().await? {
                protocol.listed(&entry.key, entry.size);
            }
            Reply::Listed
        }
        Call::PutNew(key, bytes) => match crash::around(point(&key), store.put_new(&key, bytes)).await? {
            Created::Yes(_) => Reply::Put(true),
            Created::Exists => Reply::Put(false),
        },
    })
}

fn point(key: &str) -> Point {
    if key.ends_with("/_COMMIT.json") {
        Point::CommitPut
    } else {
        Point::DecisionPut
    }
}

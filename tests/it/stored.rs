//! What S3 may answer, hold and be given that is not as it should be: nothing of it is taken for right.

mod answers;
mod canned;
mod changes;
mod commits;
mod names;
mod runs;
mod tap;

use std::path::Path;
use std::sync::Arc;

use mayfly_agent::upload::{self, Progress, Target, UploadError, Uploaded};
use mayfly_kit::layout;
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, RunId};
use mayfly_s3::Server;
use mayfly_tests::embedded;
use tempfile::TempDir;
use tokio::sync::watch;

/// The embedded server over a folder, and a client of it.
struct Rig {
    server: Server,
    folder: TempDir,
    store: Store,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, url) = embedded::serve(&folder.path().join("store")).await;
        let store = open(&url);
        store.ensure_bucket().await.unwrap();
        Self {
            server,
            folder,
            store,
        }
    }

    /// A folder for results.
    fn results(&self, name: &str) -> std::path::PathBuf {
        let results = self.folder.path().join(name);
        std::fs::create_dir_all(&results).unwrap();
        results
    }
}

fn open(endpoint: &str) -> Store {
    embedded::client(endpoint, "stored", "team/")
}

fn run_id() -> RunId {
    "flights-abcdefgh".parse().unwrap()
}

/// Uploads a folder as the results of a run.
async fn send(store: &Store, folder: impl Into<upload::Source>) -> Result<Uploaded, UploadError> {
    let target = Target {
        store: store.clone(),
        prefix: layout::results(&run_id(), Attempt::FIRST),
        only_new: true,
        selection: Arc::default(),
    };
    upload::folder(folder, &target, &watch::Sender::new(Progress::default())).await
}

/// The same for a folder that has a name in the results.
fn named(root: &Path, below: &str, name: &str) -> upload::Source {
    upload::Source {
        root: root.to_owned(),
        below: below.into(),
        name: name.to_owned(),
    }
}

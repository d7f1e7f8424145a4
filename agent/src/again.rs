//! What is kept for the next process of a node's agent, where one may follow on the same machine.
//!
//! An agent that dies takes along everything that it had started, so what its attempt still ran is lost with it. But once
//! nothing of the attempt changes any more (its job has ended, or is being ended), what it left is only to be uploaded: the
//! next process is the same node to its coordinator ([`Papers`]), in the same attempt ([`Unsaved`]).
//!
//! The files are root's alone, and do not outlive the boot.

use std::io;
use std::path::{Path, PathBuf};

use mayfly_kit::crash::{self, Point};
use mayfly_kit::error::chain;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::beside::write_private;
use crate::node::Unsaved;

const PAPERS: &str = "papers.json";
const UNSAVED: &str = "unsaved.json";

/// What a node shows to its coordinator. No `Debug`: all of it is secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct Papers {
    /// The process that was taken in.
    pub(crate) boot_id: String,
    /// Its session.
    pub(crate) token: String,
    /// Its key (PKCS#8); `None` in plaintext.
    pub(crate) key: Option<Vec<u8>>,
    /// The certificate of the key.
    pub(crate) certificate: Vec<u8>,
}

/// The folder that they are in.
#[derive(Debug, Clone)]
pub struct Keep {
    folder: PathBuf,
}

impl Keep {
    /// In the folder for what lasts until the next boot.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// What an earlier process has left to be saved, if it has.
    #[must_use]
    pub fn unsaved(&self) -> Option<Unsaved> {
        self.read(UNSAVED)
    }

    /// Notes what is left to be saved from now on.
    pub(crate) fn set_unsaved(&self, unsaved: Option<&Unsaved>) {
        let path = self.folder.join(UNSAVED);
        crash::before(Point::AgentKeep);
        let done = match unsaved {
            Some(unsaved) => write(&path, unsaved),
            None => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        };
        crash::after(Point::AgentKeep);
        told(&path, done);
    }

    pub(crate) fn papers(&self) -> Option<Papers> {
        self.read(PAPERS)
    }

    pub(crate) fn set_papers(&self, papers: &Papers) {
        let path = self.folder.join(PAPERS);
        told(&path, write(&path, papers));
    }

    /// What was cut off in the middle is as good as nothing.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.folder.join(name)).ok()?).ok()
    }
}

fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_private(path, &serde_json::to_vec(value)?)
}

/// The node goes on without: only who dies needs it.
fn told(path: &Path, done: io::Result<()>) {
    if let Err(error) = done {
        tracing::warn!(error = %chain(&error), "{} is not kept for a process after this one", path.display());
    }
}

#[cfg(test)]
mod tests {
    use mayfly_proto::Attempt;

    use super::*;
    use crate::node::JobEnd;

    #[test]
    fn what_is_left_is_read_again_and_half_of_it_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep::new(folder.path());
        assert_eq!(keep.unsaved(), None);
        keep.set_unsaved(None);
        let end = JobEnd {
            exit_code: Some(0),
            ..JobEnd::default()
        };
        let unsaved = Unsaved {
            attempt: Attempt::FIRST,
            end: Some(end),
        };
        keep.set_unsaved(Some(&unsaved));
        assert_eq!(keep.unsaved(), Some(unsaved.clone()));
        let path = folder.path().join(UNSAVED);
        let text = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert_eq!(keep.unsaved(), None);
        keep.set_unsaved(Some(&unsaved));
        keep.set_unsaved(None);
        assert_eq!(keep.unsaved(), None);
    }
}

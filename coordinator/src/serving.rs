//! What a serving coordinator keeps between its lives: its addresses, which nodes of open runs know.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::home::{Home, write_private};

/// Where it listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// gRPC.
    pub listen: Option<SocketAddr>,
    /// The embedded store.
    pub store: Option<SocketAddr>,
    /// How nodes reach it.
    #[serde(default)]
    pub url: String,
}

impl Addresses {
    /// Those of the coordinator that serves, or served, with this home; nothing where none ever did.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        let read = std::fs::read(path(home)).ok();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }
}

fn path(home: &Home) -> PathBuf {
    home.path().join("serve.json")
}

/// Held by the one serving coordinator of a home; the system lets go of it when the process dies.
#[derive(Debug)]
pub struct Serving {
    home: Home,
    _lock: File,
}

impl Serving {
    /// Takes the place; `None` when another process has it.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn claim(home: &Home) -> io::Result<Option<Self>> {
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(home.path().join("serve.lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                home: home.clone(),
                _lock: lock,
            })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Where the life before this one was.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses::of(&self.home)
    }

    /// Keeps the addresses for the next life. Those that are kept already need no room.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember(&self, addresses: &Addresses) -> io::Result<()> {
        if self.addresses() == *addresses {
            return Ok(());
        }
        write_private(&path(&self.home), &serde_json::to_vec(addresses)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_serves_and_the_next_one_knows_where() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let first = Serving::claim(&home).unwrap().unwrap();
        assert!(Serving::claim(&home).unwrap().is_none());
        assert_eq!(first.addresses(), Addresses::default());
        let here = Addresses {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 7070))),
            store: None,
            url: "http://127.0.0.1:7070".into(),
        };
        first.remember(&here).unwrap();
        drop(first);
        assert_eq!(Serving::claim(&home).unwrap().unwrap().addresses(), here);
    }
}

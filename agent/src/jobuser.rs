//! The user that a job runs as, where it is another than the agent's.
//!
//! Everything that runs the job's code, or fetches what it asks for, is started as that user: Git, pip, the engine's daemons,
//! the driver, and what they start. Of the node's folder it may read what the engine is told and write what is its own;
//! the logs, and what is the agent's alone, are closed to it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::User;
use serde::{Deserialize, Serialize};

use crate::supervise::Keeper;

/// Everybody in the group may add to the folder, and nobody may touch what another added.
const FOLDER_MODE: u32 = 0o1770;
const AGENTS_MODE: u32 = 0o700;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobUser {
    /// Login name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its home.
    pub home: PathBuf,
}

/// Why jobs cannot run as a user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none of that name.
    #[error("there is no user {name:?} on this machine; jobs are to run as it")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Everything is allowed to it.
    #[error("jobs are not run as {name:?}: it is root")]
    Root {
        /// The name.
        name: String,
    },
    /// The system does not say.
    #[error("look for user {name:?}")]
    System {
        /// The name.
        name: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl JobUser {
    /// The user of this name.
    ///
    /// # Errors
    /// There is none, or it is root.
    pub fn named(name: &str) -> Result<Self, UserError> {
        let name = name.to_owned();
        let found = User::from_name(&name).map_err(|source| UserError::System {
            name: name.clone(),
            source: source.into(),
        })?;
        let Some(user) = found else {
            return Err(UserError::Unknown { name });
        };
        if user.uid.is_root() {
            return Err(UserError::Root { name });
        }
        Ok(Self {
            name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir,
        })
    }
}

impl Keeper {
    /// Makes the node's folder one in which the job's user may have its own things.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_folder(&self, folder: &Path) -> io::Result<()> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        std::fs::set_permissions(&logs, Permissions::from_mode(AGENTS_MODE))?;
        chown(folder, None, Some(user.gid))?;
        std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
    }

    /// Gives a file or folder to the job's user; nothing without one.
    ///
    /// # Errors
    /// What the system says.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        match &self.user {
            Some(user) => lchown(path, Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    }

    /// Lets the job's user read a file or folder of the agent's; nothing without one. For what lies in folders of the
    /// agent's only.
    ///
    /// # Errors
    /// What the system says.
    pub fn show(&self, path: &Path) -> io::Result<()> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        chown(path, None, Some(user.gid))?;
        let mode = if path.is_dir() { 0o750 } else { 0o440 };
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_run_as_nobody_but_users_who_are_not_root() {
        assert!(matches!(JobUser::named("root"), Err(UserError::Root { .. })));
        assert!(matches!(
            JobUser::named("no-such-user"),
            Err(UserError::Unknown { .. })
        ));
        assert!(JobUser::named("nobody").unwrap().uid > 0);
    }
}

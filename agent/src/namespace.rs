//! A mount namespace of the node's own, so that one path is a folder of this node's own on every node of a machine.
//!
//! To be called before the process has a second thread: a user namespace cannot be entered after that.

use std::fs;
use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

/// Why the shared path cannot be set up at all.
#[derive(Debug, thiserror::Error)]
#[error("create {path}")]
pub struct NamespaceError {
    path: std::path::PathBuf,
    #[source]
    source: io::Error,
}

/// Makes `shared` show `own`; both are created. Returns false where the system does not allow it: then `shared` is a
/// plain folder that all nodes of this machine have in common.
///
/// # Errors
/// A folder cannot be created.
pub fn mount_own(own: &Path, shared: &Path) -> Result<bool, NamespaceError> {
    for path in [own, shared] {
        fs::create_dir_all(path).map_err(|source| NamespaceError {
            path: path.into(),
            source,
        })?;
    }
    if enter().is_err() {
        return Ok(false);
    }
    Ok(bind(own, shared).is_ok())
}

/// As root a mount namespace is enough; others need a user namespace in which they are root over their own mounts.
fn enter() -> io::Result<()> {
    if unshare(CloneFlags::CLONE_NEWNS).is_ok() {
        return Ok(());
    }
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn bind(own: &Path, shared: &Path) -> nix::Result<()> {
    const NONE: Option<&str> = None;
    // What is mounted here must not appear outside.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some(own), shared, NONE, MsFlags::MS_BIND, NONE)
}

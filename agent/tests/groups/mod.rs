//! Control groups as tests see them from outside.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not count as such"
)]

use std::fs;
use std::path::{Path, PathBuf};

use mayfly_agent::cgroup::Group;

/// Whether keepers can make groups here: they are where this process is.
pub(crate) fn can_be_made() -> bool {
    Group::make().is_some()
}

/// The folder of the group that a process is in, on a machine that mounts them all.
pub(crate) fn of(pid: i32) -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    Path::new(mount.split(' ').nth(4).unwrap()).join(own)
}

/// Whether it is one that a keeper has made.
pub(crate) fn is_keepers(group: &Path) -> bool {
    let name = group.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("mayfly-program.")
}

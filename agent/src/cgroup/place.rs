//! Where this process may make groups.

use std::fs;
use std::path::{Path, PathBuf};

/// What the agent calls its own part of a group that it has divided.
pub(super) const AGENT: &str = "mayfly-agent";

/// The folder of the group that a process is in, and that of those which it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) home: PathBuf,
    pub(super) parent: PathBuf,
}

impl Place {
    /// That of this process; `None` where there are no groups of version 2, or not in reach.
    pub(super) fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        Some(Self::of(folder(&mounts, &groups)?))
    }

    pub(super) fn of(home: PathBuf) -> Self {
        let divided = home.parent().filter(|_| home.ends_with(AGENT));
        let parent = divided.map_or_else(|| home.clone(), Path::to_owned);
        Self { home, parent }
    }
}

/// Of `/proc/self/mountinfo` and `/proc/self/cgroup`, as proc(5) and cgroups(7) have them.
fn folder(mounts: &str, groups: &str) -> Option<PathBuf> {
    // The others have a number and names: they are of version 1.
    let own = Path::new(groups.lines().find_map(|line| line.strip_prefix("0::"))?);
    let mounts = mounts.lines().filter_map(mount);
    let within = mounts.filter_map(|(root, at)| Some((root, at, own.strip_prefix(root).ok()?)));
    // Of several, the closest.
    let (_, at, below) = within.max_by_key(|(root, ..)| root.len())?;
    Some(Path::new(at).join(below))
}

/// The group that a mount shows, and where, if it is one of groups of version 2:
/// `36 31 0:38 ROOT AT rw,relatime shared:4 - cgroup2 cgroup rw`.
fn mount(line: &str) -> Option<(&str, &str)> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let found = (fields.next()?, fields.next()?);
    kind.starts_with("cgroup2 ").then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const WHOLE: &str = "24 30 0:22 / /proc rw,nosuid shared:12 - proc proc rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
    /// One unit's folder may be written to, the others not.
    const UNIT: &str = "30 24 0:26 / /sys/fs/cgroup ro shared:9 - cgroup2 cgroup2 rw
51 30 0:26 /system.slice/a.service /sys/fs/cgroup/system.slice/a.service rw master:9 - cgroup2 cgroup2 rw";
    /// A container that shows its own group only.
    const PART: &str = "30 24 0:26 /docker/4f /sys/fs/cgroup rw - cgroup2 cgroup rw";
    const OLD: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";

    #[test]
    fn the_folder_of_a_process_is_found_in_every_arrangement() {
        let session = "0::/user.slice/user-1000.slice/session-3.scope\n";
        let unit = "0::/system.slice/a.service\n";
        for (mounts, groups, expected) in [
            (
                HYBRID,
                "4:memory:/a\n0::/b c\n",
                Some("/sys/fs/cgroup/unified/b c"),
            ),
            (HYBRID, "0::/\n", Some("/sys/fs/cgroup/unified")),
            (
                WHOLE,
                session,
                Some("/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope"),
            ),
            (UNIT, unit, Some("/sys/fs/cgroup/system.slice/a.service")),
            (PART, "0::/docker/4f/x\n", Some("/sys/fs/cgroup/x")),
            // Beside what its container shows, of a name that only begins alike, and without version 2.
            (PART, "0::/docker/5a\n", None),
            (PART, "0::/docker/4fa\n", None),
            (PART, "0::/../4f\n", None),
            (OLD, "4:memory:/a\n0::/a\n", None),
            (HYBRID, "4:memory:/a\n", None),
            ("", "", None),
        ] {
            assert_eq!(
                folder(mounts, groups),
                expected.map(PathBuf::from),
                "{groups}{mounts}"
            );
        }
    }

    #[test]
    fn a_part_that_is_the_agents_own_has_groups_beside_it() {
        let place = |home: &str| Place::of(home.into()).parent;
        assert_eq!(place("/g/mayfly-agent"), Path::new("/g"));
        assert_eq!(place("/g/a.service"), Path::new("/g/a.service"));
        assert_eq!(place("/"), Path::new("/"));
    }
}

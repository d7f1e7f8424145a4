//! Control groups: what a program and all that it starts can be ended by at once, however it forks and whoever its parents
//! are.
//!
//! Where a process may make groups below the one that it is in (version 2 of them), a keeper makes one for its program, and
//! ends it and removes it when the program has ended. A folder that is removed is proof that nothing runs in it. Where it
//! may not, which is so for most users of a machine, nothing is missing but that proof: the tree of processes is ended all
//! the same.
//!
//! ```text
//! a group that others are in too       a unit's own ([`settle`])
//! ├ (agent, keepers)                   ├ mayfly-agent             agent, keepers
//! └ mayfly-program.xxxxxx              └ mayfly-program.xxxxxx    whose memory and tasks are counted
//! ```
//!
//! Who has made a group holds a lock on its folder for as long as it lives. A group that nobody holds is what a killed keeper
//! has left, and is ended by whoever finds it ([`sweep`]).

mod place;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::proctree::kill_all;
use place::Place;

const PROGRAM: &str = "mayfly-program.";
const PROCS: &str = "cgroup.procs";
/// How often a group is made that the sweep of another process takes away before it is locked.
const TRIES: u32 = 3;
/// Of a unit's tasks, the part that one program leaves to the agent and to others.
const TASKS_LEFT: u64 = 8;

/// A group of its own for one program. Dropping it ends what is in it.
pub struct Group {
    path: PathBuf,
    /// Where its keeper is.
    home: PathBuf,
    /// Its folder, locked.
    _held: File,
}

impl Group {
    /// A new one without processes; `None` where none can be made.
    #[must_use]
    pub fn make() -> Option<Self> {
        let place = Place::find()?;
        (0..TRIES).find_map(|_| Self::make_at(&place))
    }

    fn make_at(place: &Place) -> Option<Self> {
        // With names that never come again: who looks at one by its name does not see another one.
        let made = tempfile::Builder::new()
            .prefix(PROGRAM)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&place.parent);
        let path = made.ok()?.keep();
        // A sweep that saw it before it was locked has it, or has removed it.
        let group = Self::hold(path, place).filter(|group| group.path.exists())?;
        group.leave_tasks(&place.parent);
        Some(group)
    }

    /// One that nobody else holds.
    fn hold(path: PathBuf, place: &Place) -> Option<Self> {
        let held = File::open(&path).ok()?;
        held.try_lock().ok()?;
        Some(Self {
            path,
            home: place.home.clone(),
            _held: held,
        })
    }

    /// Bounds the tasks of the group, where they are counted: a program that forks without end leaves its agent some.
    fn leave_tasks(&self, parent: &Path) {
        let most = fs::read_to_string(parent.join("pids.max")).unwrap_or_default();
        if let Ok(most) = most.trim().parse::<u64>() {
            // Only there where the unit's own group counts for those below it.
            let _uncounted = put(&self.path.join("pids.max"), most - most / TASKS_LEFT);
        }
    }

    /// Does something from inside the group: what it starts is in it from its first moment.
    ///
    /// # Errors
    /// This process may not go there; nothing was done.
    pub fn inside<T>(&self, start: impl FnOnce() -> T) -> io::Result<T> {
        put(&self.path.join(PROCS), 0)?;
        let started = start();
        if put(&self.home.join(PROCS), 0).is_err() {
            // Who stays ends with what it keeps; the agent is told by that.
            self.kill();
        }
        Ok(started)
    }

    /// SIGKILL to all that is in it, at once.
    pub fn kill(&self) {
        if put(&self.path.join("cgroup.kill"), 1).is_err() {
            self.kill_each();
        }
    }

    /// The same for Linux before 5.14; what was forked meanwhile is left for the next time. What stands still does not fork.
    fn kill_each(&self) {
        let _running = put(&self.path.join("cgroup.freeze"), 1);
        for folder in tree(&self.path) {
            kill_all(&pids(&folder));
        }
    }

    /// Kills what is in it and removes it; false while there is something left.
    #[must_use]
    pub fn end(&self) -> bool {
        self.kill();
        self.remove()
    }

    fn remove(&self) -> bool {
        // A program may have made groups of its own below.
        for folder in tree(&self.path).iter().rev() {
            // The system removes none in which something runs.
            let _in_use = fs::remove_dir(folder);
        }
        !self.path.exists()
    }

    /// How many of its processes the kernel has killed because memory ran out; 0 where that is not counted by group.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is left after all is for whoever sweeps next.
        let _left = self.end();
    }
}

/// Ends the groups that nobody holds. True while there is something left in one of them.
#[must_use]
pub fn sweep() -> bool {
    let Some(place) = Place::find() else {
        return false;
    };
    let beside = fs::read_dir(&place.parent).into_iter().flatten().flatten();
    let left = beside
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(PROGRAM.as_bytes())
        })
        .filter_map(|entry| Group::hold(entry.path(), &place));
    left.filter(|group| !group.end()).count() > 0
}

/// Has memory and tasks of this process's programs counted by group, where it is given a group of its own for that: the
/// kernel wants no processes in a group that counts so for those below it, so this one goes below too.
///
/// To be called before anything is started.
pub fn settle() {
    if let Some(place) = Place::find() {
        settle_in(&place.home);
    }
}

fn settle_in(unit: &Path) {
    let offered = fs::read_to_string(unit.join("cgroup.controllers")).unwrap_or_default();
    let wanted = ["memory", "pids"].into_iter();
    let wanted: Vec<&str> = wanted
        .filter(|name| offered.split_whitespace().any(|offered| offered == *name))
        .collect();
    let alone = pids(unit) == [nix::unistd::getpid().as_raw()];
    let below = unit.join(place::AGENT);
    if wanted.is_empty() || !alone {
        return;
    }
    let _there = fs::create_dir(&below);
    if put(&below.join(PROCS), 0).is_err() {
        let _none = fs::remove_dir(&below);
        return;
    }
    for name in wanted {
        // It is not counted then.
        let _refused = put(&unit.join("cgroup.subtree_control"), format_args!("+{name}"));
    }
}

/// Writes to a file of a group; none is made where there is no such file.
fn put(file: &Path, value: impl std::fmt::Display) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(value.to_string().as_bytes())
}

/// Processes of this very group.
fn pids(group: &Path) -> Vec<i32> {
    let listed = fs::read_to_string(group.join(PROCS)).unwrap_or_default();
    listed.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// A group and all below it, each before those that are below it.
fn tree(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.to_owned()];
    let mut next = 0;
    while let Some(folder) = found.get(next) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let below: Vec<PathBuf> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        found.extend(below);
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests;

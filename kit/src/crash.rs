//! Points at which a process can be made to die, to show that whoever follows goes on from there.
//!
//! Every step that makes something durable or does something to the world outside has a point: just before it and just
//! after it a test may end the process, as a power cut would. Only programs with debug assertions can be made to: in a
//! release build the functions of this module are empty, and nothing reads the variables.
//!
//! A new point is a new line of [`Point`]; the runs that end at each (`make chaos`) fail when no run reaches it.

/// Names the point, and the side of it, at which the process dies: `record.save.before`, or `record.save.after@3` for the
/// third time that it is passed.
pub const AT: &str = "MAYFLY_CRASH_AT";
/// Names a file that is made at the death. A process that finds it lives on: whoever follows is not killed too.
pub const ONCE: &str = "MAYFLY_CRASH_ONCE";
/// The variables, as far as this build reads them: what is started with a cleared environment gets them all the same.
pub const VARIABLES: &[&str] = if cfg!(debug_assertions) { &[AT, ONCE] } else { &[] };

macro_rules! points {
    ($($(#[$what:meta])* $point:ident = $name:literal,)+) => {
        /// A step that outlives the process that does it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $($(#[$what])* $point,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// A command puts the code of a launch into the store.
    BundlePut = "bundle.put",
    /// The coordinator keeps what was asked for in a private file.
    RequestKeep = "request.keep",
    /// It makes the record of a run.
    RecordCreate = "record.create",
    /// It tells other commands where the run's coordinator is.
    ControlWrite = "control.write",
    /// It seals what a coordinator on the master begins with.
    PackagePut = "package.put",
    /// It makes the record durable.
    RecordSave = "record.save",
    /// It gives an attempt up, or publishes its commit.
    AttemptDecide = "attempt.decide",
    /// It makes groups, with their killer.
    GroupsArm = "groups.arm",
    /// It moves the killer on.
    LeasePut = "lease.put",
    /// It sets the size of a group.
    GroupScale = "group.scale",
    /// It starts a process as a machine.
    MachineStart = "machine.start",
    /// It ends a machine that hangs.
    MachineEnd = "machine.end",
    /// It gives the groups back.
    GroupsRelease = "groups.release",
    /// It tells processes that are machines to leave.
    MachinesLeave = "machines.leave",
    /// It kills what outlives them.
    ProcessesSweep = "processes.sweep",
    /// It drops uploads that nobody will finish.
    UploadsAbort = "uploads.abort",
    /// It writes the receipt.
    ReceiptPut = "receipt.put",
    /// It removes the folder of a closed run.
    FolderRemove = "folder.remove",
    /// `gc` kills what is left of a run.
    SweepKill = "sweep.kill",
    /// `gc` writes the receipt of a run that nobody drives.
    SweepReceipt = "sweep.receipt",
    /// `gc` closes the record of such a run.
    SweepRecord = "sweep.record",
    /// An agent asks to be taken in.
    AgentEnrol = "agent.enrol",
    /// It tells the machine's boot timer that it was.
    AgentMark = "agent.mark",
    /// It notes what the next process would have to save in its place.
    AgentKeep = "agent.keep",
    /// It gets code and requirements.
    AgentPrepare = "agent.prepare",
    /// It starts the engine.
    EngineStart = "engine.start",
    /// It starts the job.
    JobStart = "job.start",
    /// It ends the job.
    JobStop = "job.stop",
    /// It moves what a given-up attempt left out of the way.
    ResultsAside = "results.aside",
    /// It puts a file of results into the store.
    ResultPut = "result.put",
    /// It puts a part of a large one into the store.
    PartPut = "part.put",
    /// It makes one file of the parts.
    PartsComplete = "parts.complete",
    /// It puts lines of logs into the store.
    LogPut = "log.put",
    /// It says what it has uploaded.
    ManifestPut = "manifest.put",
    /// The master decides that its attempt has committed.
    DecisionPut = "decision.put",
    /// It tells everybody.
    CommitPut = "commit.put",
    /// It powers its machine off.
    PowerOff = "power.off",
    /// The keeper of a program starts it.
    KeeperStart = "keeper.start",
}

/// The step comes now.
#[inline(always)]
pub fn before(point: Point) {
    #[cfg(debug_assertions)]
    armed::pass(point, "before");
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// The step is done, or has failed.
#[inline(always)]
pub fn after(point: Point) {
    #[cfg(debug_assertions)]
    armed::pass(point, "after");
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// The step is done by this.
#[inline(always)]
pub async fn around<F: Future>(point: Point, step: F) -> F::Output {
    before(point);
    let done = step.await;
    after(point);
    done
}

#[cfg(debug_assertions)]
mod armed {
    use std::fs::File;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{AT, ONCE, Point};

    struct Armed {
        at: String,
        once: PathBuf,
        left: AtomicU32,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    fn read() -> Option<Armed> {
        let at = std::env::var(AT).ok()?;
        let (at, times) = at.split_once('@').unwrap_or((&at, "1"));
        Some(Armed {
            at: at.to_owned(),
            once: std::env::var_os(ONCE)?.into(),
            left: AtomicU32::new(times.parse().ok()?),
        })
    }

    pub(super) fn pass(point: Point, side: &str) {
        let Some(armed) = ARMED.get_or_init(read) else {
            return;
        };
        let here = armed
            .at
            .strip_prefix(point.name())
            .and_then(|rest| rest.strip_prefix('.'));
        if here != Some(side) || armed.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        // Of all processes only the one that makes the file dies.
        if File::create_new(&armed.once).is_ok() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn points_have_names_of_their_own() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        for name in names {
            assert!(name.split('.').count() == 2 && !name.contains('@'), "{name}");
        }
    }
}

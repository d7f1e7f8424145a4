//! What is looked at on this machine.

use std::path::Path;

use mayfly_configs::{Job, PythonName, display_size};
use nix::sys::statvfs::statvfs;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::check::{self, Check, Checks, Verdict};
use crate::cli::storage;
use crate::cloud::local::address;
use crate::embedded::{OpenStore, agent_program, open_store};
use crate::home::Home;
use crate::run::Role;
use crate::source;
use crate::toolchain::{self, State};

/// Spark, the job's environment and its results want so much.
const DISK_ENOUGH: u64 = 5 << 30;
/// With less than this not even Spark can be installed.
const DISK_LEAST: u64 = 1 << 30;

pub(super) async fn git() -> Check {
    const NAME: &str = "git";
    match source::git_version().await {
        Ok(version) => Check::ok(NAME, version),
        Err(error) => {
            let found = format!("git cannot be used: {error}");
            Check::of(
                NAME,
                Verdict::Problem,
                found,
                "install it, as with `apt install git`",
            )
        }
    }
}

/// Everything that a launch on this machine needs.
pub(super) async fn machine(job: &Job, home: &Path, checks: &mut Checks) {
    let agent = agent_program().map_err(|error| format!("{error:#}"));
    let advice = "build both programs (`make build`), and keep them together";
    let agent = checks.take("agent", agent, |path| path.display().to_string(), advice);
    match agent {
        Some(agent) => tools(&agent, home, job, checks).await,
        None => checks.skip_all(
            &["python", "spark", "java"],
            "it is the agent that looks for them",
        ),
    }
    checks.0.push(memory(job));
    checks.0.push(disk(home));
    let address = address::probe();
    let advice = "on Linux all of 127.0.0.0/8 is this machine: `ip addr show lo` says whether it is";
    checks.take(
        "addresses",
        address,
        |last| format!("nodes may have their own, up to {last}"),
        advice,
    );
    checks.0.push(store(home).await);
}

async fn tools(agent: &Path, home: &Path, job: &Job, checks: &mut Checks) {
    let python = job.code.python.as_ref().map(PythonName::as_str);
    let parts = match toolchain::look(agent, home, &job.spark.version, python).await {
        Ok(parts) => parts,
        Err(error) => {
            checks
                .0
                .push(Check::of("tools", Verdict::Problem, format!("{error:#}"), ""));
            return;
        }
    };
    checks.0.extend(parts.into_iter().map(|part| {
        let verdict = match part.state {
            State::Found | State::Install => Verdict::Ok,
            State::Missing => Verdict::Problem,
        };
        Check {
            name: part.name.into(),
            ..Check::of("", verdict, part.detail, "")
        }
    }));
}

/// The memory of all nodes against that of this machine.
fn memory(job: &Job) -> Check {
    let known = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    match System::new_with_specifics(known) {
        Ok(system) => fits(job, system.total_memory(), system.available_memory()),
        Err(error) => Check::skipped("memory", error),
    }
}

fn fits(job: &Job, total: u64, free: u64) -> Check {
    const NAME: &str = "memory";
    let workers = Role::Worker
        .size(job)
        .1
        .saturating_mul(u64::from(job.workers.count));
    let needed = workers.saturating_add(Role::Master.size(job).1);
    let found = format!(
        "the nodes want {}, {} of {} are free",
        display_size(needed),
        display_size(free),
        display_size(total)
    );
    let verdict = match needed {
        needed if needed > total => Verdict::Problem,
        needed if needed > free => Verdict::Warning,
        _ => return Check::ok(NAME, found),
    };
    Check::of(
        NAME,
        verdict,
        found,
        "fewer or smaller nodes: --set workers.count=1 --set workers.memory=1GiB",
    )
}

/// The space of the folder, or of the one that it will be made in.
fn disk(home: &Path) -> Check {
    const NAME: &str = "disk";
    let there = home.ancestors().find(|folder| folder.is_dir()).unwrap_or(home);
    match statvfs(there) {
        Ok(stat) => room(home, stat.blocks_available().saturating_mul(stat.fragment_size())),
        Err(error) => Check::skipped(NAME, format!("{}: {error}", there.display())),
    }
}

fn room(home: &Path, free: u64) -> Check {
    const NAME: &str = "disk";
    let found = format!("{} free for {}", display_size(free), home.display());
    let verdict = match free {
        free if free < DISK_LEAST => Verdict::Problem,
        free if free < DISK_ENOUGH => Verdict::Warning,
        _ => return Check::ok(NAME, found),
    };
    Check::of(
        NAME,
        verdict,
        found,
        "make room, or choose another folder with --home",
    )
}

/// The store that runs would be recorded in.
async fn store(home: &Path) -> Check {
    match open(home).await {
        Ok(open) => {
            let check = check::store(&open.store).await;
            open.close().await;
            check
        }
        Err(found) => Check::of("store", Verdict::Problem, found, "see MAYFLY_STORE, or --home"),
    }
}

async fn open(home: &Path) -> Result<OpenStore, String> {
    let named = storage::named().await.map_err(|failure| failure.text())?;
    let opened = match named {
        Some(config) => OpenStore::elsewhere(config).await,
        // As a launch does: it is made where it is not there.
        None => match Home::open(home) {
            Ok(home) => open_store(home.path()).await,
            Err(error) => Err(error.into()),
        },
    };
    opened.map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use mayfly_configs::{AdHoc, ad_hoc};

    use super::*;

    #[test]
    fn nodes_that_want_more_than_is_free_are_warned_of_and_more_than_there_is_refused() {
        let flags = AdHoc {
            entry: "main.py".to_owned(),
            workers: Some(2),
            sets: vec![
                ("workers.memory".into(), "2GiB".into()),
                ("master.memory".into(), "1GiB".into()),
            ],
            ..AdHoc::default()
        };
        let job = ad_hoc(&flags, &|_| None).unwrap();
        let verdict = |total: u64, free: u64| fits(&job, total << 30, free << 30).verdict;
        assert_eq!(verdict(8, 5), Verdict::Ok);
        assert_eq!(verdict(8, 4), Verdict::Warning);
        assert_eq!(verdict(4, 4), Verdict::Problem);
        let space = |free| room(Path::new("/x"), free).verdict;
        assert_eq!(space(DISK_ENOUGH), Verdict::Ok);
        assert_eq!(space(DISK_ENOUGH - 1), Verdict::Warning);
        assert_eq!(space(DISK_LEAST - 1), Verdict::Problem);
    }
}

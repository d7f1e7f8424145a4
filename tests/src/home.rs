//! A home of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mayfly_proto::RunId;
use tempfile::TempDir;

use crate::{Ended, Job, Launch, Repo, Run, light, procs, programs, terminal, wait};

/// Longest that a verb which runs nothing may take.
const VERB_LIMIT: Duration = Duration::from_secs(60);
/// Lines of a log that are shown when a test fails.
const SHOWN: usize = 40;
/// Set to keep the folders of failed tests.
const KEEP: &str = "MAYFLY_TEST_KEEP";

/// A temporary folder with `.mayfly`, job files, the output of every command, and a gate where jobs meet the test. When
/// it is dropped nothing of its runs is left, and when the test failed it says what there was.
#[derive(Debug)]
pub struct Home {
    dir: Option<TempDir>,
    commands: AtomicU32,
    environment: Vec<(String, String)>,
    /// Where its commands complain, if not in a file of their own.
    complaints: Option<PathBuf>,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("mayfly-it-").tempdir().unwrap();
        fs::create_dir(dir.path().join("gate")).unwrap();
        Self {
            dir: Some(dir),
            commands: AtomicU32::new(0),
            environment: Vec::new(),
            complaints: None,
        }
    }

    /// One whose nodes start in no time: Spark is a stand-in ([`light`]).
    #[must_use]
    pub fn light() -> Self {
        let mut home = Self::new();
        home.set_environment(&[("MAYFLY_CACHE", &light::cache().display().to_string())]);
        home
    }

    /// Another folder of somebody who has the same environment.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        let mut other = Self::new();
        other.environment.clone_from(&self.environment);
        other
    }

    /// Sets more of the environment of its commands.
    pub fn set_environment(&mut self, environment: &[(&str, &str)]) {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        self.environment.extend(environment.iter().map(own));
    }

    /// Has its commands write their standard error there.
    pub fn complain_to(&mut self, place: &Path) {
        self.complaints = Some(place.to_owned());
    }

    fn root(&self) -> &Path {
        self.dir.as_ref().map(TempDir::path).unwrap()
    }

    /// A path for a file of the test's own.
    #[must_use]
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// The folder `.mayfly`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.scratch("home")
    }

    /// Where jobs and the test leave word for each other.
    #[must_use]
    pub fn gate(&self) -> PathBuf {
        self.scratch("gate")
    }

    /// Says something to the job.
    pub fn tell(&self, name: &str) {
        fs::write(self.gate().join(name), "").unwrap();
    }

    /// What the job has said under this name.
    #[must_use]
    pub fn heard(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.gate().join(name)).ok()
    }

    /// A command of the coordinator with this home; the caller may add to it.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(programs::path("coordinator"));
        command
            .args(args)
            .arg("--home")
            .arg(self.path())
            .current_dir(self.root());
        for name in [
            "MAYFLY_HOME",
            "MAYFLY_TOKEN",
            "MAYFLY_COORDINATOR",
            "MAYFLY_TOKEN_FILE",
            "MAYFLY_FINGERPRINT",
            "MAYFLY_CA",
            "MAYFLY_RUN",
            "MAYFLY_NODE",
            "MAYFLY_LOG",
            "CONSUL_HTTP_ADDR",
            "CONSUL_HTTP_TOKEN_FILE",
            "CONSUL_NODE_TOKEN_FILE",
            "CONSUL_CACERT",
            "CONSUL_DATACENTER",
        ] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Starts a command.
    #[must_use]
    pub fn start(&self, command: &mut Command) -> Launch {
        Launch::start(command, self.next_output(), self.complaints.as_deref())
    }

    /// Starts a command at a terminal, at which the test presses keys; what it shows there is its standard output.
    #[must_use]
    pub fn start_at_terminal(&self, command: &Command) -> Launch {
        let mut typed = terminal::typed(command);
        Launch::start_with(&mut typed, Stdio::piped(), self.next_output())
    }

    /// The same at a terminal of this size, which may be resized and closed.
    #[must_use]
    pub fn start_on_screen(&self, command: &Command, columns: u16, rows: u16) -> Launch {
        let mut sized = terminal::sized(command, columns, rows);
        Launch::start_with(&mut sized, Stdio::piped(), self.next_output())
    }

    fn next_output(&self) -> PathBuf {
        let number = self.commands.fetch_add(1, Ordering::SeqCst);
        self.scratch(&format!("command-{number}"))
    }

    /// Runs a verb to its end.
    pub fn verb(&self, args: &[&str]) -> Ended {
        self.start(&mut self.command(args)).wait(VERB_LIMIT)
    }

    /// Launches a job.
    #[must_use]
    pub fn launch(&self, job: &Job) -> Launch {
        self.launch_with(job, &[])
    }

    /// Launches a job, with more flags.
    #[must_use]
    pub fn launch_with(&self, job: &Job, flags: &[&str]) -> Launch {
        let mut command = self.command(&["launch"]);
        command.arg(job.write(self)).args(flags);
        self.start(&mut command)
    }

    /// The runs that this home knows.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        let folders = [self.path().join("nodes"), self.path().join("store/mayfly/runs")];
        let entries = folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flat_map(Iterator::flatten);
        let mut runs: Vec<RunId> = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        runs.sort();
        runs.dedup();
        runs
    }

    /// A run of this home.
    #[must_use]
    pub fn run(&self, id: &RunId) -> Run<'_> {
        Run::new(self, id.clone())
    }

    /// The run of a job, once it has a record.
    #[must_use]
    pub fn run_of(&self, job: &Job, launch: &mut Launch) -> Run<'_> {
        let find = || {
            let run = self.runs().into_iter().find(|run| run.job() == job.name())?;
            Some(Run::new(self, run)).filter(|run| run.record().is_some())
        };
        launch.until("a run with a record", wait::secs(120), find)
    }

    /// Launches a job that has written something and holds at its gate.
    ///
    /// # Panics
    /// It does not come so far.
    #[must_use]
    pub fn holding(&self, repo: &Repo) -> (Launch, Run<'_>) {
        let job = Job::at_gate("held", self, repo, "holds.py");
        let mut launch = self.launch(&job);
        let run = self.run_of(&job, &mut launch);
        launch.until("the job", wait::secs(120), || self.heard("holds"));
        (launch, run)
    }

    /// Nothing of any run: refused before anything started.
    ///
    /// # Panics
    /// There is a run.
    pub fn assert_no_run(&self) {
        assert!(self.runs().is_empty(), "there are runs: {:?}", self.runs());
    }

    fn evidence(&self) {
        for number in 0..self.commands.load(Ordering::SeqCst) {
            for kind in ["out", "err"] {
                show(&self.scratch(&format!("command-{number}.{kind}")));
            }
        }
        for run in self.runs() {
            eprintln!("processes of {run}: {:#?}", procs::of(&run));
            show(
                &self
                    .path()
                    .join("store/mayfly/runs")
                    .join(run.as_str())
                    .join("run.json"),
            );
            let nodes = fs::read_dir(self.path().join("nodes").join(run.as_str()))
                .into_iter()
                .flatten();
            nodes
                .flatten()
                .for_each(|node| show(&node.path().join("agent.log")));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.evidence();
        }
        self.runs().iter().for_each(procs::kill_all);
        if std::thread::panicking() && std::env::var_os(KEEP).is_some() {
            let kept = self.dir.take().map(TempDir::keep);
            eprintln!("kept: {kept:?}");
        }
    }
}

fn show(path: &Path) {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default();
    if !last.is_empty() {
        eprintln!(
            "---- {} (last {} of {} lines)\n{}",
            path.display(),
            last.len(),
            lines.len(),
            last.join("\n")
        );
    }
}

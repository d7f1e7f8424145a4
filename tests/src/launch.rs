//! A command of the coordinator.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::{terminal, wait};

/// A command that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct Launch {
    child: Child,
    name: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// Its standard output as one JSON object.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// Asserts the exit code.
    ///
    /// # Panics
    /// It is another one.
    #[track_caller]
    pub fn exited(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; it said {}{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that it said this on standard error.
    ///
    /// # Panics
    /// It did not.
    #[track_caller]
    pub fn said(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {}", self.stderr);
        self
    }
}

impl Launch {
    /// Starts a command whose output goes to files of this name, or its standard error elsewhere.
    pub(crate) fn start(command: &mut Command, output: PathBuf, errors: Option<&Path>) -> Self {
        let errors = errors.map_or_else(|| output.with_extension("err"), Path::to_owned);
        Self::start_on(command, Stdio::null(), output.with_extension("out"), errors)
    }

    /// The same, with this as its standard input.
    pub(crate) fn start_with(command: &mut Command, stdin: Stdio, output: PathBuf) -> Self {
        let (stdout, stderr) = (output.with_extension("out"), output.with_extension("err"));
        Self::start_on(command, stdin, stdout, stderr)
    }

    fn start_on(command: &mut Command, stdin: Stdio, stdout: PathBuf, stderr: PathBuf) -> Self {
        let to = |path: &PathBuf| File::create(path).unwrap();
        command.stdin(stdin).stdout(to(&stdout)).stderr(to(&stderr));
        let name = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            name,
            stdout,
            stderr,
        }
    }

    /// Presses keys, of a command that was started at a terminal.
    ///
    /// # Panics
    /// There is none, or it has ended.
    pub fn press(&mut self, keys: &str) {
        let terminal = self.child.stdin.as_mut().expect("a terminal");
        terminal.write_all(keys.as_bytes()).unwrap();
        terminal.flush().unwrap();
    }

    /// Gives its terminal another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.press(&terminal::size(columns, rows));
    }

    /// Closes its terminal, as somebody does who closes the window.
    pub fn close_terminal(&mut self) {
        drop(self.child.stdin.take().expect("a terminal"));
    }

    /// All that its terminal has been sent so far.
    #[must_use]
    pub fn shown(&self) -> Vec<u8> {
        fs::read(&self.stdout).unwrap_or_default()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// The file that it prints to.
    #[must_use]
    pub fn stdout_file(&self) -> PathBuf {
        self.stdout.clone()
    }

    /// What it has complained of so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Ended {
        let child = &mut self.child;
        let status: ExitStatus = wait::until(&format!("the end of {}", self.name), limit, || {
            child.try_wait().unwrap()
        });
        Ended {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Waits for a fact while the command runs.
    ///
    /// # Panics
    /// The command ends before, or `limit` passes.
    pub fn until<T>(&mut self, what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
        wait::until(what, limit, || {
            let ended = self.child.try_wait().unwrap();
            let answer = ask();
            let early = ended.filter(|_| answer.is_none());
            assert!(
                early.is_none(),
                "{} ended ({early:?}) before there was {what}",
                self.name
            );
            answer
        })
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// The system does not say.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends a signal to the command alone.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Kills it and waits until it is dead.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        // It has ended in most tests.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn text(path: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

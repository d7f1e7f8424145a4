//! `coordinator serve`, which a test may kill and start again.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::wait::{self, secs};
use crate::{Ended, Home, Job, Launch};

/// A serving coordinator; it is killed when this is dropped.
#[derive(Debug)]
pub struct Serve {
    command: Launch,
    /// Where it listens: the same in each of its lives.
    pub url: String,
    /// What people show: the same in each of its lives.
    pub token: String,
    /// `sha256:…` of its authority, over TLS: the same in each of its lives.
    pub fingerprint: Option<String>,
    /// Its admin pages: others in each life.
    pub admin: String,
    flags: Vec<String>,
}

impl Serve {
    /// Starts it and waits until it listens.
    #[must_use]
    pub fn start(home: &Home) -> Self {
        Self::start_with(home, &[])
    }

    /// The same with more flags.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_with(home: &Home, flags: &[&str]) -> Self {
        let mut args = vec!["serve", "--json"];
        args.extend(flags);
        let mut command = home.start(&mut home.command(&args));
        let stdout = command.stdout_file();
        let told: Value = command.until("the coordinator's address", secs(120), || {
            serde_json::from_slice(&std::fs::read(&stdout).ok()?).ok()
        });
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        Self {
            command,
            url: text("url"),
            token: text("token"),
            fingerprint: told["fingerprint"].as_str().map(str::to_owned),
            admin: text("admin"),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        }
    }

    /// A command of somebody who uses it, with a home of their own.
    #[must_use]
    pub fn command(&self, home: &Home, args: &[&str]) -> Command {
        let mut command = home.command(args);
        command
            .env("MAYFLY_COORDINATOR", &self.url)
            .env("MAYFLY_TOKEN", &self.token)
            .envs(
                self.fingerprint
                    .as_ref()
                    .map(|print| ("MAYFLY_FINGERPRINT", print)),
            );
        command
    }

    /// Launches a job there.
    #[must_use]
    pub fn launch(&self, home: &Home, job: &Job, flags: &[&str]) -> Launch {
        let mut command = self.command(home, &["launch"]);
        home.start(command.arg(job.write(home)).args(flags))
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.command.kill();
    }

    /// Kills it and starts the next one, which must be where it was.
    ///
    /// # Panics
    /// It is not.
    pub fn again(&mut self, home: &Home) {
        self.kill();
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let next = Self::start_with(home, &flags);
        assert_eq!(
            (&next.url, &next.token, &next.fingerprint),
            (&self.url, &self.token, &self.fingerprint),
            "the next life is elsewhere"
        );
        *self = next;
    }

    /// Lets it live for so long: a moment of the test's choice, not a wait for anything.
    pub fn live_for(&mut self, time: Duration) {
        let end = std::time::Instant::now() + time;
        self.command.until("the moment", time + secs(1), || {
            (std::time::Instant::now() >= end).then_some(())
        });
    }

    /// What it has complained of in this life.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.command.stderr()
    }

    /// Whether it has died.
    pub fn has_ended(&mut self) -> bool {
        self.command.has_ended()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.command.pid()
    }

    /// Tells it to stop and waits for its end.
    #[must_use]
    pub fn stop(mut self) -> Ended {
        self.command.signal(Signal::SIGTERM);
        self.command.wait(secs(30))
    }

    /// Waits for a fact while it runs.
    pub fn until<T>(&mut self, what: &str, limit: Duration, ask: impl FnMut() -> Option<T>) -> T {
        self.command.until(what, limit, ask)
    }
}

/// Lets time pass with nobody there: what is tested is that nothing happens in it.
pub fn nobody_for(time: Duration) {
    let end = std::time::Instant::now() + time;
    wait::until("the time to pass", time + secs(1), || {
        (std::time::Instant::now() >= end).then_some(())
    });
}

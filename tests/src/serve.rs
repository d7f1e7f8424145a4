//! `coordinator serve`, which a test may kill and start again.

use std::process::Command;
use std::time::{Duration, Instant};

use mayfly_kit::tls::{Dialer, Trust};
use mayfly_proto::v1;
use mayfly_proto::v1::run_service_client::RunServiceClient;
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
    spawned: Instant,
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
        let spawned = Instant::now();
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
            spawned,
        }
    }

    /// Asks it for the runs that it drives.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn runs(&self) -> Vec<v1::RunView> {
        // The test may have a runtime of its own, which must not be blocked in.
        let answer = std::thread::scope(|scope| scope.spawn(|| self.list()).join());
        answer.expect("the coordinator answers").unwrap()
    }

    fn list(&self) -> anyhow::Result<Vec<v1::RunView>> {
        let pin = self.fingerprint.as_deref().map(str::parse).transpose()?;
        let mut request = tonic::Request::new(v1::ListRequest {});
        let bearer = format!("Bearer {}", self.token).parse()?;
        request.metadata_mut().insert("authorization", bearer);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let dialer = Dialer::new(&self.url, pin.map(Trust::Pinned))?;
            let channel = dialer.connect(|endpoint| endpoint).await;
            let channel = channel.map_err(|error| anyhow::anyhow!(error))?;
            let reply = RunServiceClient::new(channel).list(request).await?;
            Ok(reply.into_inner().runs)
        })
    }

    /// How long ago this life of it was spawned.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.spawned.elapsed()
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
        let end = Instant::now() + time;
        self.command.until("the moment", time + secs(1), || {
            (Instant::now() >= end).then_some(())
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
    let end = Instant::now() + time;
    wait::until("the time to pass", time + secs(1), || {
        (Instant::now() >= end).then_some(())
    });
}

//! The rig of the whole-path tests: real programs, real Git, real Spark, and nothing of theirs left when a test ends.
//!
//! * [`Home`]: a folder `.mayfly` of a test's own; says what happened when the test fails, and ends whatever still runs.
//! * [`Job`], [`Repo`], [`GitServer`]: what is launched. [`Launch`]: a command that runs. [`Run`]: what the store and the
//!   process table know of a run.
//! * [`chaos`]: runs in which one thing goes wrong. [`clock`]: a command whose clock is wrong.
//! * [`Disk`]: a small file system, which is full when the test says so.
//! * [`sshd`]: a real SSH server.
//! * [`Consul`], [`Cluster`]: a real Consul, or three with ACLs.
//! * [`Browser`]: a real Chromium.
//! * [`prometheus`]: a real Prometheus. [`http`]: pages.
//! * [`Ec2`]: EC2 on this machine: moto, mended, whose instances boot for real. [`ec2`]: how they boot, and their metadata.
//! * [`embedded`]: our own S3 server in the test's process.
//! * [`loopback`]: addresses that nobody has.
//! * [`wait`]: every wait is for a fact and has an end. [`slots`]: how many clusters there are at one time.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a rig that cannot go on says so and ends the test"
)]

pub mod account;
mod browser;
mod bucket;
mod chance;
pub mod chaos;
pub mod clock;
mod consul;
mod cut;
mod disk;
pub mod ec2;
pub mod embedded;
mod git_server;
mod home;
pub mod http;
mod job;
mod launch;
pub mod light;
pub mod loopback;
pub mod procs;
pub mod programs;
pub mod prometheus;
mod proxy;
pub mod region;
mod repo;
mod run;
pub mod serve;
pub mod slots;
pub mod sshd;
pub mod terminal;
pub mod wait;

pub use account::Account;
pub use browser::{Browser, Seen};
pub use bucket::Bucket;
pub use chance::Chance;
pub use consul::{Cluster, Consul};
pub use cut::Cut;
pub use disk::Disk;
pub use ec2::Ec2;
pub use git_server::GitServer;
pub use home::Home;
pub use job::{Job, quick};
pub use launch::{Ended, Launch};
pub use repo::Repo;
pub use run::Run;
pub use serve::Serve;

//! The coordinator of Mayfly: control plane and command line.
//!
//! ```text
//! cli ──► embedded ──► grpc ──► server ──► driver ──► run (pure)
//!  │          │                              ├──► cloud (trait) ──► cloud::local ──► plan (pure)
//!  │          └─► the store over a folder    └──► store: run.json, receipt.json
//!  └─► source: a ref becomes a commit before anything starts
//! ```
//!
//! * [`run`]: the state machine of one run; [`plan`]: what a group of machines does next. No I/O in either.
//! * [`driver`]: the task that owns a run; [`server`]: all runs of a process; [`grpc`]: the wire.
//! * [`record`]: what the store holds of a run. [`gc`]: what a dead coordinator left over.
//! * [`check`]: what is looked at before a launch; [`price`]: what it costs.
//! * `web`: the page for people.
//! * [`authority`]: certificates; [`tokens`]: what is shown; [`transport`]: connections and their limits.
//! * [`shelf`]: the store of a coordinator, for people elsewhere.
//! * [`consul`]: a server that others find; [`shared`]: the jobs that a team keeps there.
//! * [`placed`]: the coordinator of a run on the fleet's own master, and whoever follows it from elsewhere.
//! * `control`: the server of a team on a machine of its own in AWS, which goes on when that machine is replaced.
//! * [`account`]: what a run adds up to; [`why`]: the cause of a run's end; [`spark`]: Spark's own numbers of it.
//! * Webhooks: [`notify`].
//! * [`embedded`]: all of it inside one command. [`home`]: the folder `.mayfly`.

pub mod account;
pub mod authority;
pub mod check;
pub mod cli;
pub mod cloud;
pub mod consul;
#[cfg(feature = "aws")]
pub mod control;
pub mod driver;
pub mod embedded;
pub mod gc;
pub mod grpc;
mod history;
pub mod home;
pub mod incoming;
pub mod logs;
pub mod metrics;
pub mod notify;
pub mod placed;
pub mod plan;
pub mod price;
pub mod record;
pub mod run;
pub mod server;
pub mod serving;
pub mod shared;
pub mod shelf;
pub mod source;
pub mod spark;
pub mod tokens;
pub mod toolchain;
pub mod transport;
pub mod upload;
mod web;
pub mod why;

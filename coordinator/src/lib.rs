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
//! * [`authority`]: certificates; [`tokens`]: what is shown; [`transport`]: connections and their limits.
//! * [`consul`]: a server that others find; [`shared`]: the jobs that a team keeps there.
//! * [`embedded`]: all of it inside one command. [`home`]: the folder `.mayfly`.

pub mod authority;
pub mod cli;
pub mod cloud;
pub mod consul;
pub mod driver;
pub mod embedded;
pub mod gc;
pub mod grpc;
pub mod home;
pub mod incoming;
pub mod logs;
pub mod metrics;
pub mod plan;
pub mod record;
pub mod run;
pub mod server;
pub mod serving;
pub mod shared;
pub mod source;
pub mod tokens;
pub mod toolchain;
pub mod transport;
pub mod upload;

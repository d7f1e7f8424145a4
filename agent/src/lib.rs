//! The agent: the program on every node.
//!
//! The side that decides and reports: [`run`] wires it all up; [`node`] is the node's life as a pure state machine and
//! [`driver`] the one task that owns it; [`attempt`] runs what one attempt needs, [`collect`] uploads what it left;
//! [`sync`], [`logs`], [`usage`], [`written`], [`carry`] and [`consul`] are the loops beside it.
//!
//! On EC2: [`again`] is what a process that follows a dead one goes on from; [`beside`] keeps the run's coordinator where it lives on its master; [`boot`] finds out who this machine is, and powers it off at the end; [`notice`] looks whether it is taken away;
//! [`control`] is not a node, but keeps the server of a team;
//! [`access`] gives the job its keys to the store; [`jobuser`] and [`guard`] keep the job apart from the agent and from the
//! machine's metadata; [`watchdog`] tells the service manager that all is well.
//!
//! The side that executes: [`keeper`] owns one tree of processes and cannot leave any of it behind, with a [`cgroup`] where
//! there can be one; [`supervise`] starts
//! keepers and turns output into lines and ends into values; [`toolchain`] finds or installs what jobs run on;
//! [`git`] and [`python`] bring the job's code and its requirements, [`staged`] counts its inputs; [`engine`] forms the cluster and submits the job.

pub mod access;
pub mod again;
pub mod attempt;
pub mod beside;
pub mod boot;
pub mod carry;
pub mod cgroup;
pub mod collect;
pub mod command;
pub mod commit;
pub mod config;
pub mod consul;
pub mod control;
pub mod driver;
pub mod engine;
pub mod environment;
pub mod git;
pub mod guard;
pub mod identity;
pub mod jobuser;
pub mod keeper;
pub mod logs;
pub mod metrics;
pub mod namespace;
pub mod node;
pub mod notice;
pub mod prepare;
pub mod proctree;
pub mod python;
pub mod run;
pub mod staged;
pub mod supervise;
pub mod sync;
pub mod toolchain;
pub mod upload;
pub mod usage;
pub mod visits;
pub mod watchdog;
pub mod written;

//! The agent: the program on every node.
//!
//! The side that executes: [`keeper`] owns one tree of processes and cannot leave any of it behind; [`supervise`] starts
//! keepers and turns output into lines and ends into values; [`toolchain`] finds or installs Java, Python and Spark;
//! [`git`] and [`python`] bring the job's code and its requirements; [`engine`] forms the cluster and submits the job.

pub mod command;
pub mod commit;
pub mod config;
pub mod engine;
pub mod git;
pub mod identity;
pub mod keeper;
pub mod logs;
pub mod metrics;
pub mod namespace;
pub mod node;
pub mod prepare;
pub mod proctree;
pub mod python;
pub mod supervise;
pub mod sync;
pub mod toolchain;
pub mod upload;
pub mod usage;

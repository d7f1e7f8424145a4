//! The command line as a user meets it: the built program, real Git, real Git over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod bounded;
mod folder;
mod git_http;
mod older;
mod programs;
mod refusals;
mod remote;
mod repo;
mod results;
mod settings;
mod verbs;

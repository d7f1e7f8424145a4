//! The command line as a user meets it: the built program, real Git, real Git over HTTP.

mod folder;
mod git_http;
mod refusals;
mod remote;
mod repo;
mod verbs;

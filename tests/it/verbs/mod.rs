//! Verbs that concern a run of another command, and what a launch is asked for beside its job.

mod again;
mod cancel;
mod dirty;
mod fewer;
mod hold;
mod logs;

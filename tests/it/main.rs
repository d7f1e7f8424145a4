//! The whole path, with real processes: one module for each part of the story.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod aws;
mod consul;
mod coordinator_dies;
mod ec2;
mod examples;
mod failures;
mod interrupts;
mod older;
mod parts_die;
mod refusals;
mod results;
mod scrape;
mod serve;
mod server;
mod settings;
mod shared_jobs;
mod transport;
mod twice;
mod wire;

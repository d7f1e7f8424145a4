//! The whole path, with real processes: one module for each part of the story.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod a_new_machine;
mod admin;
mod advice;
mod aws;
mod bounds;
mod chaos;
mod conform;
mod connect;
mod consul;
mod coordinator_dies;
mod ec2;
mod engines;
mod examples;
mod failures;
mod flood;
mod interrupts;
mod kinds;
mod notify;
mod older;
mod own_disk;
mod page;
mod parts_die;
mod past;
mod pictures;
mod readme;
mod refusals;
mod remotes;
mod results;
mod safety;
mod scrape;
mod serve;
mod server;
mod settings;
mod shared_jobs;
mod sockets;
mod staged;
mod stored;
mod surroundings;
mod terminal;
mod transport;
mod twice;
mod verbs;
mod versions;
mod why;
mod wire;

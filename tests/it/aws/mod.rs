//! The whole path on AWS: the real coordinator through the real SDK, machines that boot the real agent.

mod leases;
mod troubles;
mod whole;

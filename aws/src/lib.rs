//! Mayfly's AWS: the calls that a fleet of EC2 instances takes, and the network it lives in.
//!
//! * [`fleet`]: a run's groups: made at zero with their killer armed, scaled, kept, looked at, released;
//! * [`network`]: the long-lived VPC, its roles and its bucket;
//! * [`catalog`]: images, instance types, prices: what is asked before anything is made;
//! * [`error`]: what AWS refused, told apart by what to do about it.
//!
//! Nothing here decides when a run begins or ends. Every call may be repeated, also after a crash between any two.

pub mod account;
pub mod catalog;
pub mod error;
pub mod fleet;
pub mod network;
pub mod tags;

pub use account::{Account, Place};
pub use error::{AwsError, Kind};

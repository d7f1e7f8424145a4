//! Mayfly's AWS: the calls that a fleet of EC2 instances takes, and the network it lives in.
//!
//! * [`fleet`]: a run's groups: made at zero with their killer armed, scaled, kept, looked at, released;
//! * [`network`]: the long-lived VPC, its roles and its bucket;
//! * [`control`]: the machine of a team's server in such a network;
//! * [`catalog`]: images, instance types, prices: what is asked before anything is made;
//! * [`clock`]: the time, as AWS has it;
//! * [`error`]: what AWS refused, told apart by what to do about it.
//!
//! Nothing here decides when a run begins or ends. Every call may be repeated, also after a crash between any two.

pub mod account;
pub mod catalog;
pub mod clock;
pub mod control;
pub mod error;
pub mod fleet;
mod kind;
pub mod network;
pub mod secrets;
pub mod tags;

pub use account::{Account, Place};
pub use error::{AwsError, Kind};

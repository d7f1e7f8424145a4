//! The coordinator of a run on the fleet's own master: no server is needed, no port is opened, and the laptop may leave.
//!
//! ```text
//! launch ── record, package ─► store ◄── run.json, view.pb ── on-master (beside the master's agent)
//!   │                            ▲ │                              ▲
//!   ├── arms, sets capacity      │ └── run.json: where ───► agents of workers
//!   └── follows: view, logs, ────┘
//!       asks: wish.json
//! ```
//!
//! `launch` makes the record and seals what a coordinator needs into the [`package`]; its key is in the user data of the
//! master alone. It begins the run as any coordinator does, until the master's has taken it over by writing the record
//! ([`host`]); from then on it [`follow`]s what that one [`publish`]es, and asks by [`wish`]es. The last thing that the
//! master's coordinator does is to write the receipt and to give its own machine back: whoever looks next, with
//! credentials of AWS, sees that nothing is left and closes the run.

pub(crate) mod follow;
#[cfg(feature = "aws")]
pub mod host;
#[cfg(feature = "aws")]
mod listen;
pub mod package;
#[cfg(feature = "aws")]
mod publish;
pub(crate) mod wish;

use std::time::Duration;

/// How long nothing may be heard of a run before it is taken over: longer than AWS lets machines live that nobody keeps.
pub(crate) const SILENCE: Duration = Duration::from_secs(540);
#[cfg(feature = "aws")]
/// Between two views of a run that its coordinator writes while something changes, which time itself does.
pub(crate) const PUBLISH_EVERY: Duration = Duration::from_secs(3);

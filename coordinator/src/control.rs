//! The server of a team on a machine of its own in AWS: `coordinator serve` in a group of one, which AWS replaces.
//!
//! ```text
//! control create ── group of one ─► machine ── agent ── on-control ── the runs of the team
//!                                                           │ ▲
//!                                        store: control/NETWORK/  identity.json, server.json, runs/…
//! ```
//!
//! Nothing that matters is on the machine. What makes the server the same one everywhere is in the store ([`identity`]), made
//! there by whichever machine is first; so are the requests of its open runs. The next machine lays the first down, goes on
//! with the others, and says where it is ([`whereabouts`]). Beside it runs a Consul of its own, which it sets up. Nodes find it again by the records of their runs.

mod consul;
pub mod host;
pub mod identity;
pub mod whereabouts;

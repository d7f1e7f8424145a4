//! The models of the simulation held against what they are models of: the same random calls, and the same answers.
//!
//! Known differences, and why they may be:
//!
//! | model | real | difference |
//! |---|---|---|
//! | S3 | both servers | our client takes a write that is refused for done when the very bytes are there: the simulated programs look themselves |
//! | S3 | both servers | no uploads in parts: one request in the model |
//! | Auto Scaling | the rig | machines have other ids, and end and start at other moments: what is compared is at rest |
//! | Auto Scaling | the rig | which member goes when a group gets smaller |
//! | Consul | Consul | a freed lock cannot be taken for a second (its delay): the model frees it at once |

mod consul;
mod groups;
mod objects;

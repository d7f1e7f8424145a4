//! The server over a real socket, with the client that the product uses.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in helpers too")]

mod auth;
mod checksums;
mod conditions;
mod folder;
mod listing;
mod multipart;
mod objects;
mod rig;

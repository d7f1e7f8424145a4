//! An S3 server over a plain folder: bucket = folder, key = path, object = file, so that what a job wrote can be
//! looked at with any file manager. It is the local stand-in for S3, embedded in the coordinator.
//!
//! The `s3s` crate speaks the protocol (signatures, XML, chunked bodies); the storage is ours. Several servers, also
//! of several processes, may serve one folder at the same time.
//!
//! ```text
//! server    sockets, limits, stopping
//! service   the S3 trait of s3s: one line per operation, into ops/
//! range     what a Range header that is none does
//! ops/      decode, call the store, encode
//! store     the folder    commit  the moment a write counts    walk, page  listings
//!           place  key -> path    dirs  folders by descriptor  receive  bodies, verified
//!           uploads, slots  multipart uploads under way
//!           meta, attr  metadata  scratch  temporary files     locks  between processes
//! ```
//!
//! What holds: an object appears whole, with its metadata, or not at all; of many writers with `If-None-Match: *`
//! exactly one wins; a body that fails a checksum leaves nothing; no symbolic link in the folder is ever followed.
//!
//! What it does not do: versions, ACLs and encryption; lifecycle rules are kept but not carried out.

mod attr;
mod buckets;
mod commit;
mod conditions;
mod digest;
mod dirs;
mod locks;
mod meta;
mod ops;
mod page;
mod place;
mod range;
mod receive;
mod scratch;
mod server;
mod service;
mod slots;
mod store;
mod uploads;
mod walk;

pub use server::{Config, Error, Server};

//! The operations of S3 in terms of the store: decode, call, encode.

pub(crate) mod bucket;
pub(crate) mod complete;
pub(crate) mod copy;
pub(crate) mod join;
pub(crate) mod list;
pub(crate) mod multipart;
pub(crate) mod put;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod shared;
pub(crate) mod tags;

//! The S3 client of both programs: whole objects with compare-and-swap, listings, downloads and multipart uploads.
//!
//! Keys given and returned here are relative to the store's prefix; [`crate::layout`] builds them.

mod bucket;
mod client;
mod error;
mod get;
mod list;
mod multipart;
mod put;
mod ranges;
mod sums;

use aws_credential_types::provider::SharedCredentialsProvider;
use serde::{Deserialize, Serialize};

use crate::imds::InstanceProfile;

pub(crate) use client::{http, timeouts};
pub use error::{StoreError, StoreFault};
pub use get::Object;
pub use multipart::{Multipart, PART_MAX_COUNT, Part};
pub use put::{Created, Replaced};

/// Largest object that [`Store::get`] reads into memory, in bytes.
pub const GET_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where the store is and how to open it. No `Debug`: it holds a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `http://host:port`; `None` for AWS itself.
    pub endpoint: Option<String>,
    /// Bucket.
    pub bucket: String,
    /// Prefix before every key, empty or ending in `/`.
    pub prefix: String,
    /// Region.
    pub region: String,
    /// What it is opened with.
    pub access: Access,
}

/// What a store is opened with. No `Debug`: it holds a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Access {
    /// Keys that last.
    Keys {
        /// Access key id.
        access_key: String,
        /// Secret access key.
        secret_key: String,
    },
    /// The role of the EC2 instance that this program runs on. No file says so: whoever runs there finds out.
    #[serde(skip)]
    InstanceProfile(InstanceProfile),
    /// What the AWS CLI would use on this machine. No file says so: whoever runs there finds out.
    #[serde(skip)]
    Chain(SharedCredentialsProvider),
}

impl Access {
    /// Keys that last.
    pub fn keys(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self::Keys {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
        }
    }
}

/// A bucket and a prefix. Cloning is cheap; all clones share one connection pool.
#[derive(Clone)]
pub struct Store {
    client: aws_sdk_s3::Client,
    bucket: String,
    prefix: String,
    endpoint: Option<String>,
    region: String,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key, relative to the store's prefix.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Entity tag, as the server gave it. Not a checksum.
    pub etag: String,
}

impl Store {
    /// Opens a store. No request is made.
    #[must_use]
    pub fn open(config: &StoreConfig) -> Self {
        Self {
            client: client::build(config),
            bucket: config.bucket.clone(),
            prefix: config.prefix.clone(),
            endpoint: config.endpoint.clone(),
            region: config.region.clone(),
        }
    }

    /// `s3://bucket/prefix/key`.
    #[must_use]
    pub fn s3_url(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }

    /// The prefix before every key, empty or ending in `/`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Context of an error: what was being done to which key.
    fn at<'a>(&'a self, doing: &'static str, key: &'a str) -> error::At<'a> {
        error::At {
            doing,
            key,
            bucket: &self.bucket,
            endpoint: self.endpoint.as_deref(),
            region: &self.region,
        }
    }
}

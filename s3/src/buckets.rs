//! Buckets: folders in the root, and the few settings that S3 keeps for them.

use std::io::{self, ErrorKind, Read, Write};

use s3s::dto::{BucketLifecycleConfiguration, PublicAccessBlockConfiguration, Tag};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use crate::dirs::{self, Kind};
use crate::page::Query;
use crate::store::{Store, gone_or, internal, no_such_bucket};
use crate::walk::After;

/// The lock of a bucket's settings: no key is empty.
const WHOLE_BUCKET: &str = "";
const SETTINGS_MAX: u64 = 4 << 20;

/// What was set for a bucket. Lifecycle rules are kept and shown, not carried out.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) location: Option<String>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) lifecycle: Option<BucketLifecycleConfiguration>,
    pub(crate) public_access: Option<PublicAccessBlockConfiguration>,
}

impl Store {
    /// Makes a bucket.
    pub(crate) fn create_bucket(&self, bucket: &str, location: Option<String>) -> S3Result<()> {
        let _held = self.locks.lock(bucket, WHOLE_BUCKET).map_err(internal)?;
        match rustix::fs::mkdirat(&self.root, bucket, rustix::fs::Mode::from_raw_mode(0o777)) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => {
                return Err(s3_error!(
                    BucketAlreadyOwnedByYou,
                    "the bucket {bucket:?} exists and is yours"
                ));
            }
            Err(error) => return Err(internal(error.into())),
        }
        self.write_settings(
            bucket,
            &Settings {
                location,
                ..Settings::default()
            },
        )
        .map_err(internal)
    }

    /// Deletes a bucket without objects, with the uploads under way in it.
    pub(crate) fn delete_bucket(&self, bucket: &str) -> S3Result<()> {
        let _held = self.locks.lock(bucket, WHOLE_BUCKET).map_err(internal)?;
        let query = Query {
            bucket,
            prefix: "",
            delimiter: None,
            after: After::Start,
            max: 1,
        };
        let not_empty = || s3_error!(BucketNotEmpty, "the bucket {bucket:?} is not empty");
        if !self.page(&query)?.rows.is_empty() {
            return Err(not_empty());
        }
        // Where a file appeared meanwhile, or one that is no object lies there, the folder cannot be removed.
        dirs::remove_empty_tree(&self.root, bucket).map_err(|error| {
            if error.kind() == ErrorKind::DirectoryNotEmpty {
                not_empty()
            } else {
                gone_or(error, || no_such_bucket(bucket))
            }
        })?;
        for folder in [&self.odd, &self.uploads] {
            dirs::remove_tree(folder, bucket).map_err(internal)?;
        }
        dirs::remove_file(&self.settings, bucket).map_err(internal)
    }

    /// All buckets in order, with their creation times in seconds since 1970.
    pub(crate) fn list_buckets(&self) -> S3Result<Vec<(String, i64)>> {
        let mut names = Vec::new();
        dirs::for_each(&self.root, |name, kind| {
            if kind == Kind::Folder && s3s::path::check_bucket_name(name) {
                names.push(name.to_owned());
            }
        })
        .map_err(internal)?;
        names.sort_unstable();
        Ok(names
            .into_iter()
            .filter_map(|name| self.created(&name).ok().map(|at| (name, at)))
            .collect())
    }

    fn created(&self, bucket: &str) -> io::Result<i64> {
        let folder = std::fs::File::from(dirs::open_dir(&self.root, bucket)?);
        let stat = folder.metadata()?;
        // Not every file system knows when a folder was made.
        let at = stat.created().or_else(|_| stat.modified())?;
        let since = at
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    /// Reads the settings of a bucket that exists; a folder made by hand has none.
    pub(crate) fn settings(&self, bucket: &str) -> S3Result<Settings> {
        self.bucket(bucket)?;
        match dirs::open_file(&self.settings, bucket) {
            Ok(file) => {
                let mut raw = Vec::new();
                file.take(SETTINGS_MAX).read_to_end(&mut raw).map_err(internal)?;
                serde_json::from_slice(&raw).map_err(|error| internal(error.into()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => Err(internal(error)),
        }
    }

    /// Changes the settings of a bucket that exists.
    pub(crate) fn change_settings(&self, bucket: &str, change: impl FnOnce(&mut Settings)) -> S3Result<()> {
        let _held = self.locks.lock(bucket, WHOLE_BUCKET).map_err(internal)?;
        let mut settings = self.settings(bucket)?;
        change(&mut settings);
        self.write_settings(bucket, &settings).map_err(internal)
    }

    fn write_settings(&self, bucket: &str, settings: &Settings) -> io::Result<()> {
        let mut file = self.scratch.create()?;
        let mut out = file.file();
        out.write_all(&serde_json::to_vec(settings)?)?;
        file.replace(&self.settings, bucket)
    }
}

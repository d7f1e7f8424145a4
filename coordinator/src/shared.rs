//! Jobs that a team keeps in Consul's KV: one key for each job, `<prefix>/jobs/<job>`, whose value is a job file of that
//! job alone.
//!
//! One key, so that a reader never sees half of a job. Several jobs change at once, with compare-and-swap for each: all or
//! none, as far as they fit in one transaction of Consul. Only what has been checked is written, and what is read is checked again by whoever reads it.

use mayfly_configs::JobName;
use mayfly_kit::consul::{Cas, Consul, ConsulError, ConsulSettings, Put, SettingsError};

/// Where they are, below the prefix.
const FOLDER: &str = "jobs/";

/// The jobs in one Consul.
pub struct SharedJobs {
    consul: Consul,
    prefix: String,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its value, as anybody may have written it.
    pub bytes: Vec<u8>,
    /// Grows with every change of the key.
    pub index: u64,
}

impl SharedJobs {
    /// Opens them; makes no request.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn open(settings: &ConsulSettings) -> Result<Self, SettingsError> {
        Ok(Self {
            consul: Consul::open(settings)?,
            prefix: settings.prefix.clone(),
        })
    }

    /// `http://host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.consul.address()
    }

    /// The whole key of a job, as other programs see it.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}/{FOLDER}{name}", self.prefix)
    }

    /// Names of all keys that are there, sorted. They need not be names of jobs.
    ///
    /// # Errors
    /// Consul cannot be asked, or its answer cannot be believed.
    pub async fn names(&self) -> Result<Vec<String>, ConsulError> {
        let keys = self.consul.list(FOLDER).await?;
        Ok(keys
            .iter()
            .filter_map(|key| key.strip_prefix(FOLDER))
            .map(str::to_owned)
            .collect())
    }

    /// Reads one; `None` when it is not there.
    ///
    /// # Errors
    /// As [`SharedJobs::names`].
    pub async fn get(&self, name: &JobName) -> Result<Option<Kept>, ConsulError> {
        let value = self.consul.get(&format!("{FOLDER}{name}")).await?;
        Ok(value.map(|value| Kept {
            bytes: value.bytes,
            index: value.modify_index,
        }))
    }

    /// Writes the jobs of one of [`parts`], if all of them still are as they were read; writes none, and returns false,
    /// when somebody has changed one since.
    ///
    /// # Errors
    /// As [`SharedJobs::names`].
    ///
    /// [`parts`]: mayfly_kit::consul::parts
    pub async fn put_all(&self, part: &[Put]) -> Result<bool, ConsulError> {
        self.consul.put_all(part).await
    }
}

/// What to write so that a job has this text, where `was` was read.
#[must_use]
pub fn put(name: &JobName, text: &str, was: Option<&Kept>) -> Put {
    Put {
        key: format!("{FOLDER}{name}"),
        value: text.as_bytes().to_vec(),
        cas: was.map_or(Cas::New, |kept| Cas::Unchanged(kept.index)),
    }
}

//! Jobs that a team keeps in Consul's KV: one key for each job, `<prefix>/jobs/<job>`, whose value is a job file of that
//! job alone.
//!
//! One key, because that is what compare-and-swap protects: a job changes whole or not at all, and a reader never sees
//! half of it. Only what has been checked is written, and what is read is checked again by whoever reads it.

use mayfly_configs::JobName;
use mayfly_kit::consul::{Cas, Consul, ConsulError, ConsulSettings, SettingsError};

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

    /// Writes one, if it still is what `was` says; false when somebody has changed it since.
    ///
    /// # Errors
    /// As [`SharedJobs::names`].
    pub async fn put(&self, name: &JobName, text: &str, was: Option<&Kept>) -> Result<bool, ConsulError> {
        let cas = was.map_or(Cas::New, |kept| Cas::Unchanged(kept.index));
        let key = format!("{FOLDER}{name}");
        self.consul.put(&key, text.as_bytes().to_vec(), cas).await
    }
}

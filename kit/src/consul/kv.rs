//! Keys and values. Keys given and returned are relative to the prefix of the settings.

use super::error::{At, ConsulError};
use super::{Consul, SessionId, names};

/// Largest value that Consul takes, in bytes.
pub const KV_MAX_BYTES: usize = 512 * 1024;

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// For [`Cas::Unchanged`].
    pub modify_index: u64,
    /// Who holds the lock.
    pub session: Option<SessionId>,
}

/// On what condition a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cas {
    /// There is no such key.
    New,
    /// Nobody has written it since it had this [`Value::modify_index`].
    Unchanged(u64),
}

/// One key as it came, its value decoded.
pub(super) struct RawPair {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) modify_index: u64,
    pub(super) session: Option<String>,
}

/// How a key is written.
#[derive(Default)]
pub(super) struct Write<'a> {
    pub(super) cas: Option<u64>,
    pub(super) acquire: Option<&'a str>,
    pub(super) release: Option<&'a str>,
}

impl Cas {
    pub(super) fn index(self) -> u64 {
        match self {
            Self::New => 0,
            Self::Unchanged(index) => index,
        }
    }
}

impl Consul {
    /// Reads a key; `None` when there is none.
    ///
    /// # Errors
    /// Consul cannot be asked, or its answer cannot be believed.
    pub async fn get(&self, key: &str) -> Result<Option<Value>, ConsulError> {
        let (at, full) = self.at_key("read", key, "read")?;
        let Some(pair) = self.wire.read_key(&at, &full).await? else {
            return Ok(None);
        };
        if pair.key != full || pair.value.len() > KV_MAX_BYTES {
            return Err(at.not_consul("another key, or a value that is too large"));
        }
        Ok(Some(Value {
            bytes: pair.value,
            modify_index: pair.modify_index,
            session: pair.session.and_then(|id| SessionId::checked(&id)),
        }))
    }

    /// Keys of a folder, all the way down, sorted; the folder is empty or ends in `/`. Keys that we would not write
    /// ourselves are left out, with a warning.
    ///
    /// # Errors
    /// As [`Consul::get`]; the folder is not one.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, ConsulError> {
        let at = self.at(
            format!("list keys of {}/{folder}", self.prefix),
            self.key_rule("key_prefix", folder, "list"),
        );
        if !names::is_folder(folder) {
            return Err(at.unsendable(format!("{folder:?} is not a folder of keys")));
        }
        let all = self
            .wire
            .list_keys(&at, &format!("{}/{folder}", self.prefix))
            .await?;
        let found = all.len();
        let own = format!("{}/", self.prefix);
        let mut keys: Vec<String> = all
            .iter()
            .filter_map(|key| key.strip_prefix(&own))
            .filter(|key| key.starts_with(folder) && names::is_key(key))
            .map(str::to_owned)
            .collect();
        keys.sort();
        keys.dedup();
        if keys.len() < found {
            tracing::warn!(
                folder,
                "{} keys in Consul have names that are not ours",
                found - keys.len()
            );
        }
        Ok(keys)
    }

    /// Writes a key if the condition holds; false when it does not.
    ///
    /// # Errors
    /// As [`Consul::get`]; the value is too large.
    pub async fn put(&self, key: &str, value: Vec<u8>, cas: Cas) -> Result<bool, ConsulError> {
        let how = Write {
            cas: Some(cas.index()),
            ..Write::default()
        };
        self.write("write", key, value, how).await
    }

    /// Deletes a key if nobody has written it since it had this index; false when somebody has.
    ///
    /// # Errors
    /// As [`Consul::get`].
    pub async fn delete(&self, key: &str, modify_index: u64) -> Result<bool, ConsulError> {
        let (at, full) = self.at_key("delete", key, "write")?;
        self.wire.delete_key(&at, &full, Some(modify_index)).await
    }

    /// Takes the lock of a key for a session, and writes it; false when another session has it. Advice, not a fence:
    /// read the key back, and let something else decide.
    ///
    /// # Errors
    /// As [`Consul::put`].
    pub async fn acquire(&self, key: &str, value: Vec<u8>, session: &SessionId) -> Result<bool, ConsulError> {
        let how = Write {
            acquire: Some(session.as_str()),
            ..Write::default()
        };
        self.write("take the lock", key, value, how).await
    }

    /// Gives the lock of a key back; false when this session had it not.
    ///
    /// # Errors
    /// As [`Consul::put`].
    pub async fn release(&self, key: &str, value: Vec<u8>, session: &SessionId) -> Result<bool, ConsulError> {
        let how = Write {
            release: Some(session.as_str()),
            ..Write::default()
        };
        self.write("give the lock back", key, value, how).await
    }

    async fn write(
        &self,
        doing: &str,
        key: &str,
        value: Vec<u8>,
        how: Write<'_>,
    ) -> Result<bool, ConsulError> {
        let (at, full) = self.at_key(doing, key, "write")?;
        if value.len() > KV_MAX_BYTES {
            let size = value.len();
            return Err(at.unsendable(format!(
                "the value has {size} bytes, Consul takes at most {KV_MAX_BYTES}"
            )));
        }
        self.wire.write_key(&at, &full, value, how).await
    }

    fn at_key(&self, doing: &str, key: &str, policy: &str) -> Result<(At<'_>, String), ConsulError> {
        let full = format!("{}/{key}", self.prefix);
        let at = self.at(format!("{doing} {full:?}"), self.key_rule("key", key, policy));
        if names::is_key(key) {
            return Ok((at, full));
        }
        Err(at.unsendable(
            "this is not a key that we use: letters, digits, `-`, `_`, `.`, `~`, with `/` between, at most 512",
        ))
    }

    pub(super) fn key_rule(&self, kind: &str, key: &str, policy: &str) -> String {
        format!("{kind} \"{}/{key}\" {{ policy = \"{policy}\" }}", self.prefix)
    }

    pub(super) fn at(&self, doing: String, rule: String) -> At<'_> {
        At {
            doing,
            rule,
            address: self.address(),
            datacenter: self.wire.datacenter(),
        }
    }
}

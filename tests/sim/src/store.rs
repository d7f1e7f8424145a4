//! A model of S3: whole objects with conditional writes. As in S3, an entity tag is that of the bytes, so that the same
//! bytes written again are the same version.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

use crate::call::{If, Res};

/// All objects.
#[derive(Debug, Default)]
pub struct Store {
    objects: BTreeMap<String, Rc<[u8]>>,
}

/// The entity tag of these bytes.
#[must_use]
pub fn etag(bytes: &[u8]) -> u64 {
    // With fixed keys: the same in every process.
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl Store {
    /// An object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Rc<[u8]>> {
        self.objects.get(key)
    }

    /// Reads.
    #[must_use]
    pub fn read(&self, key: &str) -> Res {
        Res::Got(self.get(key).map(|bytes| (Rc::clone(bytes), etag(bytes))))
    }

    /// Writes.
    pub fn put(&mut self, key: String, bytes: Rc<[u8]>, condition: If) -> Res {
        let there = self.get(&key).map(|bytes| etag(bytes));
        let holds = match condition {
            If::Any => true,
            If::Absent => there.is_none(),
            If::Match(version) => there == Some(version),
        };
        if !holds {
            return Res::Refused;
        }
        let version = etag(&bytes);
        self.objects.insert(key, bytes);
        Res::Stored(version)
    }

    /// Lists.
    #[must_use]
    pub fn list(&self, prefix: &str) -> Res {
        let from = self.objects.range(prefix.to_owned()..);
        let below = from.take_while(|(key, _)| key.starts_with(prefix));
        Res::Listed(
            below
                .map(|(key, bytes)| (key.clone(), bytes.len() as u64))
                .collect(),
        )
    }
}

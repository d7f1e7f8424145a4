//! Several keys at once: all of them are written, or none.

use data_encoding::BASE64;

use super::error::ConsulError;
use super::{Cas, Consul, KV_MAX_BYTES, names};

/// Most keys that Consul writes at once.
const KEYS_MAX: usize = 64;
/// Consul takes so much in one request; what is around the values is counted generously.
const BYTES_MAX: usize = KV_MAX_BYTES;
const AROUND: usize = 1024;

/// One key to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Relative to the prefix of the settings.
    pub key: String,
    /// The bytes.
    pub value: Vec<u8>,
    /// Nothing is written unless this holds.
    pub cas: Cas,
}

/// One key as it is sent, its value in base64.
pub(super) struct RawPut {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) cas: u64,
}

/// Cuts a list into parts that Consul takes at once, in its order. One of these may be a single key that is too large to
/// be written with others.
#[must_use]
pub fn parts(puts: &[Put]) -> Vec<&[Put]> {
    let (mut parts, mut rest) = (Vec::new(), puts);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |put: &&Put| {
            bytes += size(put);
            bytes <= BYTES_MAX
        };
        let count = rest.iter().take(KEYS_MAX).take_while(fits).count().max(1);
        let (part, after) = rest.split_at(count);
        parts.push(part);
        rest = after;
    }
    parts
}

fn size(put: &Put) -> usize {
    BASE64.encode_len(put.value.len()) + put.key.len() + AROUND
}

impl Consul {
    /// Writes all of these keys if every condition holds, and none if one does not; false then.
    ///
    /// # Errors
    /// As [`Consul::put`]; these are more than one of [`parts`].
    pub async fn put_all(&self, puts: &[Put]) -> Result<bool, ConsulError> {
        if let [put] = puts {
            return self.put(&put.key, put.value.clone(), put.cas).await;
        }
        let key = puts.first().map_or("", |put| put.key.as_str());
        let at = self.at(
            format!("write {} keys of {} at once", puts.len(), self.prefix),
            self.key_rule("key", key, "write"),
        );
        if puts.iter().any(|put| !names::is_key(&put.key)) {
            return Err(at.unsendable("one of these is not a key that we use"));
        }
        if puts.len() > KEYS_MAX || puts.iter().map(size).sum::<usize>() > BYTES_MAX {
            return Err(at.unsendable("these are too many, or too large, to be written at once"));
        }
        let raw = puts.iter().map(|put| RawPut {
            key: format!("{}/{}", self.prefix, put.key),
            value: BASE64.encode(&put.value),
            cas: put.cas.index(),
        });
        self.wire.write_keys(&at, raw.collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puts(count: usize, bytes: usize) -> Vec<Put> {
        let put = |n| Put {
            key: format!("jobs/{n}"),
            value: vec![0; bytes],
            cas: Cas::New,
        };
        (0..count).map(put).collect()
    }

    fn lengths(puts: &[Put]) -> Vec<usize> {
        parts(puts).iter().map(|part| part.len()).collect()
    }

    #[test]
    fn parts_have_64_keys_and_half_a_mebibyte_at_most() {
        assert_eq!(lengths(&puts(0, 0)), [0; 0]);
        assert_eq!(lengths(&puts(64, 10)), [64]);
        assert_eq!(lengths(&puts(130, 10)), [64, 64, 2]);
        assert_eq!(lengths(&puts(5, 150_000)), [2, 2, 1]);
        assert_eq!(lengths(&puts(2, KV_MAX_BYTES)), [1, 1]);
        let all = puts(130, 10);
        assert_eq!(parts(&all).concat(), all);
    }
}

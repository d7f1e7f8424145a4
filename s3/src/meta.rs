//! What S3 knows about an object beyond its bytes, in a form small enough for an inode.
//!
//! The metadata travels with the file itself, as an extended attribute: one rename publishes both, so they can never
//! be torn apart, and deleting a file by hand leaves nothing behind. The usual object needs 64 bytes at most, which ext4 keeps
//! inside a 256-byte inode; whatever is unusual follows as JSON.
//!
//! It names the size and the modification time of the bytes it was written for. A file edited by hand no longer
//! fits, which is how we notice.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use s3s::dto::{ETag, Timestamp};
use serde::{Deserialize, Serialize};

use crate::digest::{Algo, Sum, hex};

const VERSION: u8 = 1;
/// Version, modification time, size, MD5, number of parts, content type, checksum algorithm, checksum length.
const HEAD_LEN: usize = 1 + 8 + 8 + 16 + 2 + 1 + 1 + 1;

/// What the AWS SDKs send when they know no better: worth one byte instead of a JSON tail.
const COMMON_TYPE: &str = "application/octet-stream";

/// Which bytes the metadata belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) mtime_ns: i64,
    pub(crate) size: u64,
}

impl Stamp {
    pub(crate) fn of(stat: &Metadata) -> Self {
        let mtime_ns = stat
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(stat.mtime_nsec());
        Self {
            mtime_ns,
            size: stat.len(),
        }
    }
}

/// The metadata of one object, or of one part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) md5: [u8; 16],
    /// Number of parts of a multipart object; 0 for an object put in one piece, whose ETag is its MD5.
    pub(crate) part_count: u16,
    pub(crate) sum: Option<Sum>,
    pub(crate) extra: Extra,
}

impl Meta {
    /// The ETag without quotes.
    pub(crate) fn etag(&self) -> String {
        match self.part_count {
            0 => hex(&self.md5),
            count => format!("{}-{count}", hex(&self.md5)),
        }
    }

    pub(crate) fn dto_etag(&self) -> ETag {
        ETag::Strong(self.etag())
    }
}

/// The headers that S3 keeps with an object and gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Headers {
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(rename = "cc", skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(rename = "cd", skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(rename = "ce", skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(rename = "cl", skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(rename = "ex", skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(rename = "wr", skip_serializing_if = "Option::is_none")]
    pub(crate) website_redirect: Option<String>,
    #[serde(rename = "sc", skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    #[serde(rename = "m", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) user: BTreeMap<String, String>,
}

/// Everything that most objects have not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Extra {
    #[serde(flatten)]
    pub(crate) headers: Headers,
    #[serde(rename = "tg", skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<(String, String)>,
    #[serde(rename = "p", skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<PartInfo>,
    /// The upload that made the object, so that a repeated Complete is answered and not refused.
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub(crate) upload_id: Option<String>,
}

/// One part of a completed multipart object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartInfo {
    #[serde(rename = "n")]
    pub(crate) number: u16,
    #[serde(rename = "s")]
    pub(crate) size: u64,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<String>,
}

/// Writes the metadata of a file with this stamp.
pub(crate) fn encode(meta: &Meta, stamp: Stamp) -> Result<Vec<u8>, serde_json::Error> {
    let mut extra = meta.extra.clone();
    let common = extra.headers.content_type.as_deref() == Some(COMMON_TYPE);
    if common {
        extra.headers.content_type = None;
    }
    let sum = meta.sum.as_ref().map_or("", |sum| sum.value.as_str());
    let algo = meta
        .sum
        .as_ref()
        .and_then(|sum| Algo::ALL.iter().position(|algo| *algo == sum.algo));
    let mut out = Vec::with_capacity(HEAD_LEN + sum.len());
    out.push(VERSION);
    out.extend(stamp.mtime_ns.to_le_bytes());
    out.extend(stamp.size.to_le_bytes());
    out.extend(meta.md5);
    out.extend(meta.part_count.to_le_bytes());
    out.push(u8::from(common));
    out.push(algo.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX));
    out.push(u8::try_from(sum.len()).unwrap_or(0));
    out.extend(sum.as_bytes());
    if extra != Extra::default() {
        serde_json::to_writer(&mut out, &extra)?;
    }
    Ok(out)
}

/// Reads metadata. `None` if it is of another version, damaged, or of other bytes than those the file has now.
pub(crate) fn decode(raw: &[u8], stamp: Stamp) -> Option<Meta> {
    let mut rest = raw;
    if take::<1>(&mut rest)? != [VERSION] {
        return None;
    }
    let written = Stamp {
        mtime_ns: i64::from_le_bytes(take(&mut rest)?),
        size: u64::from_le_bytes(take(&mut rest)?),
    };
    if written != stamp {
        return None;
    }
    let md5 = take(&mut rest)?;
    let part_count = u16::from_le_bytes(take(&mut rest)?);
    let [common, algo, sum_len] = take(&mut rest)?;
    let (sum, tail) = rest.split_at_checked(usize::from(sum_len))?;
    let sum = match Algo::ALL.get(usize::from(algo)) {
        Some(algo) => Some(Sum {
            algo: *algo,
            value: String::from_utf8(sum.to_vec()).ok()?,
        }),
        None => None,
    };
    let mut extra: Extra = if tail.is_empty() {
        Extra::default()
    } else {
        serde_json::from_slice(tail).ok()?
    };
    if common == 1 {
        extra.headers.content_type = Some(COMMON_TYPE.to_owned());
    }
    Some(Meta {
        md5,
        part_count,
        sum,
        extra,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        mtime_ns: 1_700_000_000_123_456_789,
        size: 1024,
    };

    fn usual() -> Meta {
        let headers = Headers {
            content_type: Some(COMMON_TYPE.to_owned()),
            ..Headers::default()
        };
        Meta {
            md5: [7; 16],
            part_count: 0,
            sum: Some(Sum {
                algo: Algo::Crc64Nvme,
                value: "AAAAAAAAAAA=".to_owned(),
            }),
            extra: Extra {
                headers,
                ..Extra::default()
            },
        }
    }

    #[test]
    fn the_usual_object_fits_into_an_inode() {
        assert!(encode(&usual(), STAMP).unwrap().len() <= 64);
    }

    #[test]
    fn reads_back() {
        let mut rich = usual();
        rich.part_count = 2;
        rich.extra.headers.content_type = Some("text/plain".to_owned());
        rich.extra.headers.user.insert("k".to_owned(), "ü".to_owned());
        rich.extra.headers.expires = Some(Timestamp::default());
        rich.extra.tags.push(("a".to_owned(), String::new()));
        rich.extra.parts.push(PartInfo {
            number: 1,
            size: 5,
            sum: None,
        });
        for meta in [usual(), rich, Meta { sum: None, ..usual() }] {
            assert_eq!(decode(&encode(&meta, STAMP).unwrap(), STAMP), Some(meta));
        }
    }

    #[test]
    fn other_bytes_and_damage_are_noticed() {
        let raw = encode(&usual(), STAMP).unwrap();
        assert_eq!(decode(&raw, Stamp { size: 1025, ..STAMP }), None);
        assert_eq!(decode(&raw, Stamp { mtime_ns: 0, ..STAMP }), None);
        for len in 0..raw.len() {
            assert_eq!(decode(&raw[..len], STAMP), None);
        }
    }
}

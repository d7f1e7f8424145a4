//! What a store says that an object hashes to, compared with the bytes that came. S3 gives every object a checksum: of all
//! of it, or of an upload in parts a composite one, the hash of the checksums of its parts.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use crc_fast::{CrcAlgorithm, checksum_combine};
use data_encoding::BASE64;
use futures::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use super::error::{At, status};
use super::ranges::{Came, Version};
use super::{PART_MAX_COUNT, Store, StoreError, StoreFault};

/// Parts whose size is asked for at the same time.
const ASKED_AT_ONCE: usize = 16;
/// Bytes that are read at once.
const READ: usize = 256 << 10;

/// How it is hashed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Algo {
    /// One whose values of neighbours combine to that of both.
    Crc(CrcAlgorithm),
    Sha256,
}

/// What an object hashes to, by its store.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    algo: Algo,
    /// In base64.
    value: String,
    /// Of a composite one: how many parts there are.
    parts: Option<u64>,
}

impl Claim {
    /// `None` where the store says nothing that this program knows how to compute.
    pub(super) fn of(reply: &GetObjectOutput) -> Option<Self> {
        let said = [
            (Algo::Crc(CrcAlgorithm::Crc64Nvme), reply.checksum_crc64_nvme()),
            (Algo::Crc(CrcAlgorithm::Crc32IsoHdlc), reply.checksum_crc32()),
            (Algo::Crc(CrcAlgorithm::Crc32Iscsi), reply.checksum_crc32_c()),
            (Algo::Sha256, reply.checksum_sha256()),
        ];
        said.into_iter().find_map(|(algo, said)| Self::read(algo, said?))
    }

    fn read(algo: Algo, said: &str) -> Option<Self> {
        let (value, parts) = match said.split_once('-') {
            Some((value, parts)) => (value, Some(parts.parse().ok()?)),
            None => (said, None),
        };
        Some(Self {
            algo,
            value: value.to_owned(),
            parts,
        })
    }

    /// For the bytes of a range, where what ranges hash to combines to what the whole does.
    pub(super) fn digest(&self) -> Option<crc_fast::Digest> {
        match (self.algo, self.parts) {
            (Algo::Crc(crc), None) => Some(crc_fast::Digest::new(crc)),
            (Algo::Crc(_), Some(_)) | (Algo::Sha256, _) => None,
        }
    }

    fn is(&self, hash: &[u8]) -> bool {
        BASE64.encode(hash) == self.value
    }
}

impl Store {
    /// Compares what came with what the store says of it.
    pub(super) async fn compare(
        &self,
        version: Version<'_>,
        came: &[Came],
        file: &Path,
    ) -> Result<(), StoreError> {
        let Some(claim) = version.claim else {
            return Ok(());
        };
        let same = match (claim.parts, claim.algo) {
            (None, Algo::Crc(crc)) => claim.is(&raw(crc, combined(crc, came))),
            (None, Algo::Sha256) => {
                let hashes = hashes(version.at, claim.algo, file, vec![version.size]).await?;
                claim.is(&hashes.concat())
            }
            (Some(count), _) => self.compare_parts(version, claim, count, file).await?,
        };
        if same {
            return Ok(());
        }
        Err(version.at.fault(StoreFault::Corrupt {
            what: "its bytes are not those of its checksum",
        }))
    }

    /// Parts are mostly of one size, the last one excepted. Where that does not fit, each of them says how large it is.
    async fn compare_parts(
        &self,
        version: Version<'_>,
        claim: &Claim,
        count: u64,
        file: &Path,
    ) -> Result<bool, StoreError> {
        let first = self.size_of_part(version, 1).await?;
        let even = even(version.size, first);
        if even.len() as u64 == count
            && claim.is(&composite(version.at, claim.algo, file, even.clone()).await?)
        {
            return Ok(true);
        }
        let numbers = 1..=count.min(PART_MAX_COUNT);
        let asked = numbers.map(|number| self.size_of_part(version, number));
        let sizes: Vec<u64> = futures::stream::iter(asked)
            .buffered(ASKED_AT_ONCE)
            .try_collect()
            .await?;
        if sizes.iter().fold(0, |all: u64, size| all.saturating_add(*size)) != version.size {
            tracing::debug!(key = version.at.key, "its store does not say where its parts end");
            return Ok(true);
        }
        Ok(sizes != even && claim.is(&composite(version.at, claim.algo, file, sizes).await?))
    }

    async fn size_of_part(&self, version: Version<'_>, number: u64) -> Result<u64, StoreError> {
        let at = version.at;
        let request = self.client.head_object().bucket(&self.bucket).key(at.key);
        let request = request
            .if_match(version.etag)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX));
        match request.send().await {
            Ok(reply) => Ok(super::get::length(reply.content_length())),
            Err(e) if status(&e) == 412 => Err(at.changed()),
            Err(e) => Err(at.sdk(e)),
        }
    }
}

/// The CRC of all of it, out of those of its ranges.
fn combined(crc: CrcAlgorithm, came: &[Came]) -> u64 {
    let mut ranges = came.iter();
    let first = ranges
        .next()
        .map_or(crc_fast::checksum(crc, b""), |range| range.crc);
    ranges.fold(first, |before, range| {
        checksum_combine(crc, before, range.crc, range.size)
    })
}

/// As many bytes as it has, the highest first.
fn raw(crc: CrcAlgorithm, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let width = if crc == CrcAlgorithm::Crc64Nvme { 8 } else { 4 };
    bytes.get(bytes.len() - width..).unwrap_or_default().to_vec()
}

fn even(size: u64, part: u64) -> Vec<u64> {
    let part = part.max(1);
    let count = size.div_ceil(part).min(PART_MAX_COUNT + 1);
    (0..count).map(|n| part.min(size - n * part)).collect()
}

async fn composite(at: At<'_>, algo: Algo, file: &Path, sizes: Vec<u64>) -> Result<Vec<u8>, StoreError> {
    let mut all = Hash::new(algo);
    let hashes = hashes(at, algo, file, sizes).await?;
    hashes.iter().for_each(|hash| all.update(hash));
    Ok(all.finish())
}

/// What consecutive pieces of a file hash to.
async fn hashes(at: At<'_>, algo: Algo, file: &Path, sizes: Vec<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
    let file = file.to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash_pieces(&file, algo, &sizes));
    let hashed = hashed.await.map_err(|e| at.file(std::io::Error::other(e)))?;
    hashed.map_err(|e| at.file(e))
}

fn hash_pieces(file: &PathBuf, algo: Algo, sizes: &[u64]) -> std::io::Result<Vec<Vec<u8>>> {
    let mut file = File::open(file)?;
    let mut bytes = vec![0; READ];
    let piece = |size: &u64| {
        let (mut hash, mut left) = (Hash::new(algo), *size);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(READ).min(READ);
            let buffer = bytes.get_mut(..most).unwrap_or_default();
            file.read_exact(buffer)?;
            hash.update(buffer);
            left -= buffer.len() as u64;
        }
        Ok(hash.finish())
    };
    sizes.iter().map(piece).collect()
}

/// A hash under way.
enum Hash {
    Crc(CrcAlgorithm, crc_fast::Digest),
    Sha256(Sha256),
}

impl Hash {
    fn new(algo: Algo) -> Self {
        match algo {
            Algo::Crc(crc) => Self::Crc(crc, crc_fast::Digest::new(crc)),
            Algo::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, digest) => digest.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc(crc, digest) => raw(crc, digest.finalize()),
            Self::Sha256(hash) => hash.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_says_is_read() {
        let crc = Algo::Crc(CrcAlgorithm::Crc32IsoHdlc);
        let claim = Claim::read(crc, "y/Q5Jg==").unwrap();
        assert!(claim.parts.is_none() && claim.is(&raw(CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926)));
        assert_eq!(Claim::read(crc, "y/Q5Jg==-12").unwrap().parts, Some(12));
        assert_eq!(Claim::read(crc, "y/Q5Jg==-x"), None);
    }

    #[test]
    fn ranges_combine_to_the_whole() {
        let bytes: Vec<u8> = (0..100_003u32).map(|n| (n % 251) as u8).collect();
        for crc in [
            CrcAlgorithm::Crc32IsoHdlc,
            CrcAlgorithm::Crc32Iscsi,
            CrcAlgorithm::Crc64Nvme,
        ] {
            let came: Vec<Came> = bytes
                .chunks(30_000)
                .map(|range| Came {
                    size: range.len() as u64,
                    crc: crc_fast::checksum(crc, range),
                })
                .collect();
            assert_eq!(combined(crc, &came), crc_fast::checksum(crc, &bytes));
            assert_eq!(combined(crc, &[]), crc_fast::checksum(crc, b""));
        }
    }

    #[test]
    fn parts_of_one_size_are_all_of_it() {
        assert_eq!(even(10, 4), [4, 4, 2]);
        assert_eq!(even(8, 4), [4, 4]);
        assert_eq!(even(3, 4), [3]);
        assert!(even(0, 4).is_empty() && even(u64::MAX, 0).len() as u64 > PART_MAX_COUNT);
    }
}

//! MD5 and the five S3 checksums: computing, comparing and combining them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use s3s::S3Result;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::s3_error;
use serde::{Deserialize, Serialize};

/// A checksum algorithm of S3. CRC64NVME is what S3 itself computes when a client names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algo {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algo {
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The name as it stands in the `x-amz-checksum-algorithm` header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Reads a name, in either case: SDKs send both.
    pub(crate) fn parse(name: &str) -> S3Result<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|algo| algo.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| s3_error!(InvalidRequest, "unknown checksum algorithm {name:?}"))
    }

    /// The header, or trailer, that carries a value of this algorithm.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Length of the raw digest in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Whether checksums of parts can be combined into one of the whole object.
    pub(crate) fn combines(self) -> bool {
        self.crc().is_some()
    }
}

/// A checksum value: base64, for a composite one with `-<parts>` behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) algo: Algo,
    pub(crate) value: String,
}

/// What all bytes of a body hash to.
#[derive(Clone, Debug)]
pub(crate) struct Digests {
    /// The MD5, or the tag that was given instead.
    pub(crate) md5: [u8; 16],
    pub(crate) size: u64,
    pub(crate) sums: Vec<Sum>,
}

impl Digests {
    pub(crate) fn sum(&self, algo: Algo) -> Option<&Sum> {
        self.sums.iter().find(|sum| sum.algo == algo)
    }
}

/// What the ETag is made of.
enum Tag {
    Md5(Md5),
    Given([u8; 16]),
}

/// Hashes a body as it streams by.
pub(crate) struct Hasher {
    tag: Tag,
    sums: ChecksumHasher,
    size: u64,
}

impl Hasher {
    pub(crate) fn new(algos: &[Algo]) -> Self {
        let mut sums = ChecksumHasher::default();
        for algo in algos {
            match algo {
                Algo::Crc32 => sums.crc32 = Some(Crc32::new()),
                Algo::Crc32c => sums.crc32c = Some(Crc32c::new()),
                Algo::Crc64Nvme => sums.crc64nvme = Some(Crc64Nvme::new()),
                Algo::Sha1 => sums.sha1 = Some(Sha1::new()),
                Algo::Sha256 => sums.sha256 = Some(Sha256::new()),
            }
        }
        Self {
            tag: Tag::Md5(Md5::new()),
            sums,
            size: 0,
        }
    }

    /// With this tag instead of an MD5, which takes longer than all the rest.
    pub(crate) fn tagged(self, tag: Option<[u8; 16]>) -> Self {
        let tag = tag.map_or(self.tag, Tag::Given);
        Self { tag, ..self }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        if let Tag::Md5(md5) = &mut self.tag {
            md5.update(data);
        }
        self.sums.update(data);
        self.size += data.len() as u64;
    }

    pub(crate) fn finish(self) -> Digests {
        let found = self.sums.finalize();
        let values = [
            (Algo::Crc32, found.checksum_crc32),
            (Algo::Crc32c, found.checksum_crc32c),
            (Algo::Crc64Nvme, found.checksum_crc64nvme),
            (Algo::Sha1, found.checksum_sha1),
            (Algo::Sha256, found.checksum_sha256),
        ];
        let sums = values
            .into_iter()
            .filter_map(|(algo, value)| Some(Sum { algo, value: value? }));
        Digests {
            md5: match self.tag {
                Tag::Md5(md5) => md5.finalize(),
                Tag::Given(tag) => tag,
            },
            size: self.size,
            sums: sums.collect(),
        }
    }
}

/// MD5 over the MD5s of the parts: the first half of a multipart ETag.
pub(crate) fn md5_of_md5s(parts: impl Iterator<Item = [u8; 16]>) -> [u8; 16] {
    let mut hasher = Md5::new();
    for md5 in parts {
        hasher.update(&md5);
    }
    hasher.finalize()
}

/// The composite checksum of S3: the hash over the raw checksums of the parts, then `-<parts>`.
/// `None` if a part's value is not base64.
pub(crate) fn composite(algo: Algo, parts: &[String]) -> Option<String> {
    let mut hasher = Hasher::new(&[algo]);
    for part in parts {
        hasher.update(&BASE64.decode(part).ok()?);
    }
    let sum = hasher.finish().sums.pop()?;
    Some(format!("{}-{}", sum.value, parts.len()))
}

/// The checksum of the whole from those of its parts, without reading a byte. `None` for the SHA family, where
/// that is impossible, and for values that are not base64 of the right length.
pub(crate) fn combine(algo: Algo, parts: &[(String, u64)]) -> Option<String> {
    let crc = algo.crc()?;
    let mut whole: Option<u64> = None;
    for (value, len) in parts {
        let next = decode_crc(algo, value)?;
        whole = Some(match whole {
            Some(before) => crc_fast::checksum_combine(crc, before, next, *len),
            None => next,
        });
    }
    let bytes = whole?.to_be_bytes();
    Some(BASE64.encode(bytes.get(bytes.len() - algo.len()..)?))
}

fn decode_crc(algo: Algo, value: &str) -> Option<u64> {
    let raw = BASE64.decode(value).ok()?;
    if raw.len() != algo.len() {
        return None;
    }
    Some(raw.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

/// Whether `value` can be a checksum of this algorithm at all.
pub(crate) fn is_well_formed(algo: Algo, value: &str) -> bool {
    BASE64.decode(value).is_ok_and(|raw| raw.len() == algo.len())
}

/// Decodes a Content-MD5 header.
pub(crate) fn parse_content_md5(value: &str) -> S3Result<[u8; 16]> {
    let raw = BASE64
        .decode(value)
        .ok()
        .and_then(|raw| <[u8; 16]>::try_from(raw).ok());
    raw.ok_or_else(|| {
        s3_error!(
            InvalidDigest,
            "the Content-MD5 you specified is not base64 of 16 bytes"
        )
    })
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    bytes
        .iter()
        .flat_map(|byte| [char::from(digit(byte >> 4)), char::from(digit(byte & 15))])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(algo: Algo, data: &[u8]) -> String {
        let mut hasher = Hasher::new(&[algo]);
        hasher.update(data);
        hasher.finish().sums[0].value.clone()
    }

    #[test]
    fn parts_combine_to_the_whole() {
        let (a, b, c) = (vec![1_u8; 100_003], vec![2_u8; 65_536], vec![3_u8; 7]);
        let whole = [a.clone(), b.clone(), c.clone()].concat();
        for algo in Algo::ALL {
            let parts: Vec<_> = [&a, &b, &c]
                .iter()
                .map(|p| (sum_of(algo, p), p.len() as u64))
                .collect();
            let expected = algo.combines().then(|| sum_of(algo, &whole));
            assert_eq!(combine(algo, &parts), expected, "{algo:?}");
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(sum_of(Algo::Crc32, b"123456789"), "y/Q5Jg==");
        assert_eq!(sum_of(Algo::Crc32c, b"123456789"), "4waSgw==");
        assert_eq!(
            hex(&Hasher::new(&[]).finish().md5),
            "d41d8cd98f00b204e9800998ecf8427e"
        );
    }

    #[test]
    fn malformed_values_are_refused() {
        assert!(!is_well_formed(Algo::Crc32, "AAAA"));
        assert!(!is_well_formed(Algo::Crc32, "not base64"));
        assert!(is_well_formed(Algo::Crc32, "y/Q5Jg=="));
        assert!(parse_content_md5("AAAA").is_err());
    }
}

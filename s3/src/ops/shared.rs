//! What several operations need: checksums and headers in and out of the generated types.

use std::sync::Arc;

use s3s::dto::{ChecksumAlgorithm, ChecksumType, Owner, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use crate::digest::{Algo, Sum};
use crate::meta::{Headers, Meta};
use crate::store::Store;

/// S3 allows 2 KB of user metadata: the names and values together.
const USER_META_MAX: usize = 2048;

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T, F>(store: &Arc<Store>, work: F) -> S3Result<T>
where
    T: Send + 'static,
    F: FnOnce(&Store) -> S3Result<T> + Send + 'static,
{
    let store = store.clone();
    tokio::task::spawn_blocking(move || work(&store))
        .await
        .map_err(S3Error::internal_error)?
}

/// Reads the five checksum fields of an input.
macro_rules! claimed_sums {
    ($input:expr) => {{
        use $crate::digest::Algo;
        let values = [
            (Algo::Crc32, &$input.checksum_crc32),
            (Algo::Crc32c, &$input.checksum_crc32c),
            (Algo::Crc64Nvme, &$input.checksum_crc64nvme),
            (Algo::Sha1, &$input.checksum_sha1),
            (Algo::Sha256, &$input.checksum_sha256),
        ];
        let sums = values
            .into_iter()
            .filter_map(|(algo, value)| Some((algo, value.clone()?)));
        sums.collect::<Vec<(Algo, String)>>()
    }};
}

/// Sets the one of the five checksum fields of an output that a checksum belongs to.
macro_rules! set_sum {
    ($output:expr, $sum:expr) => {
        if let Some(sum) = $sum {
            use $crate::digest::Algo;
            let value = Some(sum.value.clone());
            match sum.algo {
                Algo::Crc32 => $output.checksum_crc32 = value,
                Algo::Crc32c => $output.checksum_crc32c = value,
                Algo::Crc64Nvme => $output.checksum_crc64nvme = value,
                Algo::Sha1 => $output.checksum_sha1 = value,
                Algo::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}

/// Reads the headers that are kept with an object from the input of a put, copy or multipart upload.
macro_rules! kept_headers {
    ($input:expr) => {
        $crate::ops::shared::checked($crate::meta::Headers {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            website_redirect: $input.website_redirect_location.take(),
            storage_class: $input.storage_class.take().map(|class| class.as_str().to_owned()),
            user: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        })
    };
}

pub(crate) use {claimed_sums, kept_headers, set_sum};

/// Checks the headers to keep, and drops `aws-chunked`, which was about the request and not about the object.
pub(crate) fn checked(mut headers: Headers) -> S3Result<Headers> {
    let size: usize = headers
        .user
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > USER_META_MAX {
        return Err(s3_error!(
            MetadataTooLarge,
            "user metadata of {size} bytes exceeds {USER_META_MAX}"
        ));
    }
    headers.content_encoding = headers.content_encoding.and_then(|encodings| {
        let kept = encodings
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty() && *one != "aws-chunked");
        let kept = kept.collect::<Vec<_>>().join(",");
        (!kept.is_empty()).then_some(kept)
    });
    headers.storage_class = headers.storage_class.filter(|class| class != "STANDARD");
    Ok(headers)
}

/// The algorithms to hash a body with: those claimed or announced; CRC64NVME, as S3 does, if there are none.
pub(crate) fn wanted_algos(
    claimed: &[(Algo, String)],
    named: Option<&ChecksumAlgorithm>,
    headers: &hyper::HeaderMap,
) -> S3Result<Vec<Algo>> {
    if claimed.len() > 1 {
        return Err(s3_error!(
            InvalidRequest,
            "expecting a single x-amz-checksum- header"
        ));
    }
    if let Some((algo, _)) = claimed.first() {
        return Ok(vec![*algo]);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(trailer) = text("x-amz-trailer")
        && let Some(algo) = Algo::ALL
            .into_iter()
            .find(|algo| algo.header().eq_ignore_ascii_case(trailer.trim()))
    {
        return Ok(vec![algo]);
    }
    match named
        .map(ChecksumAlgorithm::as_str)
        .or_else(|| text("x-amz-sdk-checksum-algorithm"))
    {
        Some(name) => Ok(vec![Algo::parse(name)?]),
        None => Ok(vec![Algo::Crc64Nvme]),
    }
}

/// The checksum type of a stored checksum: a composite one says of how many parts it is made.
pub(crate) fn sum_type(sum: &Sum) -> ChecksumType {
    let kind = if sum.value.contains('-') {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    };
    ChecksumType::from_static(kind)
}

/// The checksum algorithm as the generated types have it.
pub(crate) fn dto_algo(algo: Algo) -> ChecksumAlgorithm {
    ChecksumAlgorithm::from_static(algo.name())
}

/// The content type that S3 gives an object that came without one.
pub(crate) fn content_type(meta: &Meta) -> String {
    meta.extra
        .headers
        .content_type
        .clone()
        .unwrap_or_else(|| "binary/octet-stream".to_owned())
}

/// There is one owner of all: the user of this machine.
pub(crate) fn owner() -> Owner {
    Owner {
        display_name: Some("mayfly".to_owned()),
        id: Some("mayfly".to_owned()),
    }
}

/// A stamp's time as S3 shows it.
pub(crate) fn stamp_time(stamp: crate::meta::Stamp) -> Timestamp {
    crate::conditions::whole_second(stamp.mtime_ns.div_euclid(1_000_000_000))
}

/// Reads the number of a part.
pub(crate) fn part_number(number: i32) -> S3Result<u16> {
    let number = u16::try_from(number)
        .ok()
        .filter(|number| (1..=crate::uploads::PARTS_MAX).contains(number));
    number.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "part number must be an integer between 1 and 10000, inclusive"
        )
    })
}

/// Lengths in the generated types are signed.
pub(crate) fn signed(len: u64) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

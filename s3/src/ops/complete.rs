//! CompleteMultipartUpload: checks the parts against what the client lists, takes the body that they lie in, or else
//! joins them inside the kernel, and publishes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::commit::{Condition, Durable};
use crate::digest::{self, Algo, Sum};
use crate::meta::{Extra, Meta, PartInfo};
use crate::ops::join::join;
use crate::ops::shared::{blocking, claimed_sums, set_sum, sum_type};
use crate::store::Store;
use crate::uploads::{Begun, PARTS_MAX, Part, SumKind, no_such_upload};

/// Every part but the last one must have as much: 5 MiB, as in S3.
const PART_MIN: u64 = 5 << 20;

/// What the client asks for.
struct Wanted {
    bucket: String,
    key: String,
    id: String,
    parts: Vec<CompletedPart>,
    /// Checksums of the whole.
    sums: Vec<(Algo, String)>,
    size: Option<i64>,
    condition: Condition,
    durable: Durable,
}

/// A part that was found and fits.
pub(crate) struct Checked {
    pub(crate) number: u16,
    pub(crate) md5: [u8; 16],
    pub(crate) size: u64,
    sum: Option<Sum>,
}

pub(crate) async fn complete(
    store: &Arc<Store>,
    req: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = req.input;
    let condition = Condition::of_put(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let wanted = Wanted {
        durable: Durable::of(&condition, &req.headers),
        condition,
        sums: claimed_sums!(input),
        size: input.mpu_object_size,
        parts: input
            .multipart_upload
            .and_then(|upload| upload.parts)
            .unwrap_or_default(),
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        id: input.upload_id,
    };
    let meta = blocking(store, move |store| run(store, &wanted)).await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(meta.dto_etag()),
        checksum_type: meta.sum.as_ref().map(sum_type),
        ..CompleteMultipartUploadOutput::default()
    };
    set_sum!(output, meta.sum.as_ref());
    Ok(S3Response::new(output))
}

fn run(store: &Store, wanted: &Wanted) -> S3Result<Meta> {
    let Wanted { bucket, key, id, .. } = wanted;
    let (folder, begun) = match store.upload(bucket, key, id) {
        Err(error) if *error.code() == s3s::S3ErrorCode::NoSuchUpload => {
            return completed_before(store, wanted);
        }
        upload => upload?,
    };
    let parts = check_parts(store, &folder, &wanted.parts)?;
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if wanted.size.is_some_and(|said| u64::try_from(said) != Ok(size)) {
        return Err(s3_error!(
            InvalidRequest,
            "the object has {size} bytes, not what x-amz-mp-object-size says"
        ));
    }
    let meta = join_meta(&begun, &parts, id)?;
    check_whole(&meta, &wanted.sums)?;
    // Refuse before copying what can be refused; what counts is looked at again under the lock.
    let bucket_folder = store.bucket(bucket)?;
    if wanted.condition != Condition::None {
        wanted
            .condition
            .check(store.find(&bucket_folder, bucket, key)?.as_ref())?;
    }
    let Some(joined) = join(store, &folder, &parts)? else {
        let meta = completed_before(store, wanted)?;
        store.end_upload(bucket, id, &folder)?;
        return Ok(meta);
    };
    let (condition, durable) = (&wanted.condition, wanted.durable);
    store.publish(bucket, key, joined.file, &meta, condition, durable)?;
    store.end_upload(bucket, id, &folder)?;
    drop(joined.held);
    Ok(meta)
}

/// A repeated Complete, whose first answer was lost, gets that answer again.
fn completed_before(store: &Store, wanted: &Wanted) -> S3Result<Meta> {
    let folder = store.bucket(&wanted.bucket)?;
    let object = store.find(&folder, &wanted.bucket, &wanted.key)?;
    let same = object.filter(|object| object.meta.extra.upload_id.as_deref() == Some(&wanted.id));
    same.map(|object| object.meta)
        .ok_or_else(|| no_such_upload(&wanted.id))
}

fn check_parts(store: &Store, folder: &OwnedFd, listed: &[CompletedPart]) -> S3Result<Vec<Checked>> {
    if listed.is_empty() || listed.len() > usize::from(PARTS_MAX) {
        return Err(s3_error!(MalformedXML, "you must list 1 to {PARTS_MAX} parts"));
    }
    let mut checked: Vec<Checked> = Vec::with_capacity(listed.len());
    for one in listed {
        let invalid = || {
            let number = one.part_number.unwrap_or_default();
            s3_error!(
                InvalidPart,
                "part {number} was not found, or its ETag or checksum is another one"
            )
        };
        let number = one
            .part_number
            .and_then(|number| u16::try_from(number).ok())
            .ok_or_else(invalid)?;
        if checked.last().is_some_and(|before| before.number >= number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "the parts are not listed in ascending order"
            ));
        }
        let part = store
            .part(folder, number)?
            .filter(|part| fits(part, one))
            .ok_or_else(invalid)?;
        checked.push(Checked {
            number,
            md5: part.meta.md5,
            size: part.size,
            sum: part.meta.sum,
        });
    }
    if let Some((_, all_but_last)) = checked.split_last()
        && let Some(small) = all_but_last.iter().find(|part| part.size < PART_MIN)
    {
        let (number, size) = (small.number, small.size);
        return Err(s3_error!(
            EntityTooSmall,
            "part {number} has {size} bytes, less than the {PART_MIN} required"
        ));
    }
    Ok(checked)
}

fn fits(part: &Part, listed: &CompletedPart) -> bool {
    let etag = listed
        .e_tag
        .as_ref()
        .is_some_and(|etag| etag.value() == part.meta.etag());
    let differs = |(algo, value): &(Algo, String)| {
        part.meta
            .sum
            .as_ref()
            .is_some_and(|sum| sum.algo == *algo && sum.value != *value)
    };
    etag && !claimed_sums!(listed).iter().any(differs)
}

fn join_meta(begun: &Begun, parts: &[Checked], id: &str) -> S3Result<Meta> {
    let too_many = |_| s3_error!(InvalidRequest, "too many parts");
    let infos = parts.iter().map(|part| PartInfo {
        number: part.number,
        size: part.size,
        sum: part.sum.as_ref().map(|sum| sum.value.clone()),
    });
    let extra = Extra {
        headers: begun.headers.clone(),
        tags: begun.tags.clone(),
        parts: infos.collect(),
        upload_id: Some(id.to_owned()),
    };
    Ok(Meta {
        md5: digest::md5_of_md5s(parts.iter().map(|part| part.md5)),
        part_count: u16::try_from(parts.len()).map_err(too_many)?,
        sum: join_sums(begun, parts),
        extra,
    })
}

/// The checksum of the whole, if the parts agree on an algorithm, as they do unless a client mixes them.
fn join_sums(begun: &Begun, parts: &[Checked]) -> Option<Sum> {
    let algo = begun
        .algo
        .or_else(|| parts.first()?.sum.as_ref().map(|sum| sum.algo))?;
    let sums: Option<Vec<(String, u64)>> = parts
        .iter()
        .map(|part| {
            let sum = part.sum.as_ref().filter(|sum| sum.algo == algo)?;
            Some((sum.value.clone(), part.size))
        })
        .collect();
    let sums = sums?;
    let value = if begun.kind == SumKind::FullObject && algo.combines() {
        digest::combine(algo, &sums)?
    } else {
        digest::composite(
            algo,
            &sums.into_iter().map(|(value, _)| value).collect::<Vec<_>>(),
        )?
    };
    Some(Sum { algo, value })
}

fn check_whole(meta: &Meta, said: &[(Algo, String)]) -> S3Result<()> {
    for (algo, value) in said {
        let Some(sum) = meta.sum.as_ref().filter(|sum| sum.algo == *algo) else {
            let name = algo.name();
            return Err(s3_error!(
                InvalidRequest,
                "the upload was not made with {name} checksums"
            ));
        };
        // Some clients leave the number of parts away.
        let bare = sum.value.split('-').next().unwrap_or_default();
        if *value != sum.value && *value != bare {
            let name = algo.name();
            return Err(s3_error!(
                BadDigest,
                "the {name} you specified did not match the calculated checksum"
            ));
        }
    }
    Ok(())
}

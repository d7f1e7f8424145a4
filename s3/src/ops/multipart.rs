//! Multipart uploads: begin, upload and list parts, list, abort. Completing has a file of its own.

use std::sync::Arc;

use hyper::HeaderMap;
use s3s::dto::{
    AbortMultipartUploadInput, ChecksumType, CommonPrefix, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListPartsInput, ListPartsOutput, MultipartUpload, Part, StorageClass, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::conditions::whole_second;
use crate::digest::Algo;
use crate::meta::{Extra, Meta};
use crate::ops::list::{Names, limit};
use crate::ops::put::PUT_MAX;
use crate::ops::shared::{
    blocking, claimed_sums, dto_algo, kept_headers, owner, part_number, set_sum, signed, wanted_algos,
};
use crate::ops::tags;
use crate::page::common_prefix;
use crate::receive::{Claims, Target, receive};
use crate::store::Store;
use crate::uploads::{Begun, Listed, SumKind};

/// A header of our own, which S3 does not look at: `any`.
const ETAG: &str = "x-mayfly-etag";

pub(crate) async fn create(
    store: &Arc<Store>,
    mut input: CreateMultipartUploadInput,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let algo = input
        .checksum_algorithm
        .as_ref()
        .map(|algo| Algo::parse(algo.as_str()))
        .transpose()?;
    let kind = sum_kind(algo, input.checksum_type.as_ref())?;
    let headers = kept_headers!(input)?;
    let tags = input
        .tagging
        .as_deref()
        .map(tags::parse_header)
        .transpose()?
        .unwrap_or_default();
    let begun = Begun {
        key: input.key.clone(),
        headers,
        tags,
        algo,
        kind,
    };
    let bucket = input.bucket.clone();
    let id = blocking(store, move |store| store.begin_upload(&bucket, &begun)).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: algo.map(dto_algo),
        checksum_type: algo.map(|_| dto_kind(kind)),
        ..CreateMultipartUploadOutput::default()
    }))
}

/// As S3 has it: the CRCs may be either, CRC64NVME only of the whole, the SHAs only composite.
fn sum_kind(algo: Option<Algo>, asked: Option<&ChecksumType>) -> S3Result<SumKind> {
    let composite_only = algo.is_some_and(|algo| !algo.combines());
    let full_only = matches!(algo, None | Some(Algo::Crc64Nvme));
    match asked.map(ChecksumType::as_str) {
        Some(ChecksumType::FULL_OBJECT) if !composite_only => Ok(SumKind::FullObject),
        Some(ChecksumType::COMPOSITE) if !full_only => Ok(SumKind::Composite),
        Some(other) => Err(s3_error!(
            InvalidRequest,
            "the checksum type {other} does not go with the algorithm"
        )),
        None if full_only => Ok(SumKind::FullObject),
        None => Ok(SumKind::Composite),
    }
}

pub(crate) fn dto_kind(kind: SumKind) -> ChecksumType {
    ChecksumType::from_static(match kind {
        SumKind::FullObject => ChecksumType::FULL_OBJECT,
        SumKind::Composite => ChecksumType::COMPOSITE,
    })
}

pub(crate) async fn upload_part(
    store: &Arc<Store>,
    req: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let mut input = req.input;
    let number = part_number(input.part_number)?;
    if input.content_length.is_some_and(|length| length > PUT_MAX) {
        return Err(s3_error!(EntityTooLarge, "a part may carry up to 5 GiB"));
    }
    let (bucket, key, id) = (input.bucket, input.key, input.upload_id);
    let length = input.content_length.and_then(|length| u64::try_from(length).ok());
    let (folder, begun, slot) = blocking(store, move |store| {
        let (folder, begun) = store.upload(&bucket, &key, &id)?;
        let claimed = length.map(|length| store.claim_slot(&folder, number, length));
        Ok((folder, begun, claimed.transpose()?.flatten()))
    })
    .await?;
    let sums = claimed_sums!(input);
    let mut algos = wanted_algos(&sums, input.checksum_algorithm.as_ref(), &req.headers)?;
    // What the upload was begun with is what its parts are kept with; a client may still send another one to check.
    let kept = begun.algo.or(algos.first().copied()).unwrap_or(Algo::Crc64Nvme);
    if !algos.contains(&kept) {
        algos.push(kept);
    }
    let claims = Claims {
        tag: any_tag(&req.headers, &sums, input.content_md5.as_deref())?,
        sums,
        algos,
        content_md5: input.content_md5.take(),
        length: input.content_length,
        trailers: req.trailing_headers,
    };
    let staged = receive(store, input.body.take(), &claims, slot).await?;
    let meta = Meta {
        md5: staged.digests.md5,
        part_count: 0,
        sum: staged.digests.sum(kept).cloned(),
        extra: Extra::default(),
    };
    let mut output = UploadPartOutput {
        e_tag: Some(meta.dto_etag()),
        ..UploadPartOutput::default()
    };
    for sum in &staged.digests.sums {
        set_sum!(output, Some(sum));
    }
    blocking(store, move |store| match staged.settle(store)? {
        Target::File(file) => store.put_part(&folder, number, file, &meta),
        Target::Slot(slot) => store.put_slot(&folder, &slot, &meta),
    })
    .await?;
    Ok(S3Response::new(output))
}

/// A tag of no meaning, for a client that says that any will do and has the part verified by another checksum. S3 itself
/// promises of the ETag of a part no more than that it is another one for other bytes.
fn any_tag(
    headers: &HeaderMap,
    sums: &[(Algo, String)],
    content_md5: Option<&str>,
) -> S3Result<Option<[u8; 16]>> {
    let any = headers.get(ETAG).is_some_and(|value| value == "any");
    if !any || sums.is_empty() || content_md5.is_some() {
        return Ok(None);
    }
    let mut tag = [0; 16];
    getrandom::fill(&mut tag).map_err(|_| s3_error!(InternalError, "no random bytes"))?;
    Ok(Some(tag))
}

pub(crate) async fn abort(store: &Arc<Store>, input: AbortMultipartUploadInput) -> S3Result<()> {
    blocking(store, move |store| {
        let (folder, _) = store.upload(&input.bucket, &input.key, &input.upload_id)?;
        store.end_upload(&input.bucket, &input.upload_id, &folder)
    })
    .await
}

pub(crate) async fn list_parts(
    store: &Arc<Store>,
    input: ListPartsInput,
) -> S3Result<S3Response<ListPartsOutput>> {
    let max = limit(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
    let (begun, parts, truncated) = blocking(store, move |store| {
        let (folder, begun) = store.upload(&bucket, &key, &id)?;
        let mut numbers = store.part_numbers(&folder)?;
        numbers.retain(|number| i32::from(*number) > marker);
        let truncated = numbers.len() > max;
        numbers.truncate(max);
        let mut parts = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(found) = store.part(&folder, number)? else {
                continue;
            };
            let mut part = Part {
                part_number: Some(i32::from(number)),
                size: Some(signed(found.size)),
                last_modified: Some(whole_second(found.stored_secs)),
                e_tag: Some(found.meta.dto_etag()),
                ..Part::default()
            };
            set_sum!(part, found.meta.sum.as_ref());
            parts.push(part);
        }
        Ok((begun, parts, truncated))
    })
    .await?;
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        max_parts: i32::try_from(max).ok(),
        is_truncated: Some(truncated),
        parts: Some(parts),
        checksum_algorithm: begun.algo.map(dto_algo),
        checksum_type: begun.algo.map(|_| dto_kind(begun.kind)),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(storage_class(&begun)),
        ..ListPartsOutput::default()
    }))
}

fn initiator() -> Initiator {
    Initiator {
        display_name: owner().display_name,
        id: owner().id,
    }
}

fn storage_class(begun: &Begun) -> StorageClass {
    StorageClass::from(
        begun
            .headers
            .storage_class
            .clone()
            .unwrap_or_else(|| "STANDARD".to_owned()),
    )
}

pub(crate) async fn list_uploads(
    store: &Arc<Store>,
    input: ListMultipartUploadsInput,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let names = Names::of(input.encoding_type.as_ref())?;
    let max = limit(input.max_uploads, "max-uploads")?;
    let bucket = input.bucket.clone();
    let all = blocking(store, move |store| store.list_uploads(&bucket)).await?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().filter(|_| !key_marker.is_empty());
    let wanted = all.into_iter().filter(|one| {
        let key = one.begun.key.as_str();
        let behind = key > key_marker.as_str()
            || (key == key_marker && id_marker.as_ref().is_some_and(|marker| one.id > *marker));
        key.starts_with(&prefix) && behind
    });
    let mut answer = ListMultipartUploadsOutput {
        prefix: Some(names.write(&prefix)),
        key_marker: Some(names.write(&key_marker)),
        upload_id_marker: Some(input.upload_id_marker.clone().unwrap_or_default()),
        max_uploads: i32::try_from(max).ok(),
        is_truncated: Some(false),
        encoding_type: names.dto(),
        bucket: Some(input.bucket),
        ..ListMultipartUploadsOutput::default()
    };
    collect_uploads(
        wanted,
        &prefix,
        input.delimiter.as_deref(),
        &key_marker,
        max,
        names,
        &mut answer,
    );
    answer.delimiter = input.delimiter.map(|text| names.write(&text));
    Ok(S3Response::new(answer))
}

fn collect_uploads(
    wanted: impl Iterator<Item = Listed>,
    prefix: &str,
    delimiter: Option<&str>,
    key_marker: &str,
    max: usize,
    names: Names,
    answer: &mut ListMultipartUploadsOutput,
) {
    let (mut uploads, mut prefixes) = (Vec::new(), Vec::<String>::new());
    for one in wanted {
        let common = common_prefix(&one.begun.key, prefix, delimiter);
        if common
            .is_some_and(|common| prefixes.last().is_some_and(|last| last == common) || common == key_marker)
        {
            continue;
        }
        if uploads.len() + prefixes.len() >= max {
            answer.is_truncated = Some(max > 0);
            break;
        }
        answer.next_key_marker = Some(names.write(common.unwrap_or(&one.begun.key)));
        answer.next_upload_id_marker = common.is_none().then(|| one.id.clone());
        match common {
            Some(common) => prefixes.push(common.to_owned()),
            None => uploads.push(MultipartUpload {
                key: Some(names.write(&one.begun.key)),
                initiated: Some(whole_second(one.begun_secs)),
                checksum_algorithm: one.begun.algo.map(dto_algo),
                checksum_type: one.begun.algo.map(|_| dto_kind(one.begun.kind)),
                storage_class: Some(storage_class(&one.begun)),
                upload_id: Some(one.id),
                owner: Some(owner()),
                initiator: Some(initiator()),
            }),
        }
    }
    let common = |prefix: String| CommonPrefix {
        prefix: Some(names.write(&prefix)),
    };
    answer.common_prefixes = Some(prefixes.into_iter().map(common).collect());
    answer.uploads = Some(uploads);
}

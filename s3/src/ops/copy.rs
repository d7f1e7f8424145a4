//! CopyObject and UploadPartCopy.

use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range as Span;
use std::sync::Arc;

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, MetadataDirective,
    Range, TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Response, S3Result, s3_error};

use crate::commit::{Condition, Durable};
use crate::conditions::{ReadConditions, Verdict};
use crate::digest::{Algo, Hasher, Sum};
use crate::meta::{Extra, Headers, Meta, Stamp};
use crate::ops::shared::{blocking, kept_headers, part_number, set_sum, stamp_time, sum_type};
use crate::ops::tags;
use crate::scratch::Temporary;
use crate::store::{Object, Store, internal};

/// Bytes read at once where a copy has to be hashed.
const BLOCK: usize = 256 * 1024;

/// Where a copy comes from, and on what conditions.
struct Source {
    bucket: String,
    key: String,
    conditions: ReadConditions,
}

macro_rules! source {
    ($input:expr) => {{
        let (bucket, key) = source_key(&$input.copy_source)?;
        Source {
            bucket,
            key,
            conditions: ReadConditions {
                if_match: $input.copy_source_if_match.take(),
                if_none_match: $input.copy_source_if_none_match.take(),
                if_modified_since: $input.copy_source_if_modified_since.take(),
                if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
            },
        }
    }};
}

fn source_key(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok((bucket.to_string(), key.to_string())),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(s3_error!(
            NotImplemented,
            "a copy source must be a bucket and a key"
        )),
    }
}

impl Source {
    fn open(&self, store: &Store) -> S3Result<Object> {
        let object = store.object(&self.bucket, &self.key)?;
        match self.conditions.decide(&object)? {
            Verdict::Proceed => Ok(object),
            Verdict::NotModified => Err(s3_error!(
                PreconditionFailed,
                "at least one of the preconditions you specified did not hold"
            )),
        }
    }
}

/// What a copy gets instead of what its source has.
struct Change {
    headers: Option<Headers>,
    tags: Option<Vec<(String, String)>>,
    algo: Option<Algo>,
    storage_class: Option<String>,
}

pub(crate) async fn copy_object(
    store: &Arc<Store>,
    mut input: CopyObjectInput,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let source = source!(input);
    let replace = |directive: Option<&str>| directive == Some(MetadataDirective::REPLACE);
    let own_headers = replace(input.metadata_directive.as_ref().map(MetadataDirective::as_str));
    let own_tags = replace(input.tagging_directive.as_ref().map(TaggingDirective::as_str));
    let tagging = input.tagging.take();
    let headers = kept_headers!(input)?;
    let change = Change {
        algo: input
            .checksum_algorithm
            .as_ref()
            .map(|algo| Algo::parse(algo.as_str()))
            .transpose()?,
        storage_class: headers.storage_class.clone(),
        headers: own_headers.then_some(headers),
        tags: own_tags
            .then(|| tags::parse_header(tagging.as_deref().unwrap_or_default()))
            .transpose()?,
    };
    let (bucket, key) = (input.bucket, input.key);
    let (meta, stamp) = blocking(store, move |store| {
        store.bucket(&bucket)?;
        let object = source.open(store)?;
        let changes = change.headers.is_some() || change.storage_class != object.meta.extra.headers.storage_class;
        if !changes && source.bucket == bucket && source.key == key {
            return Err(s3_error!(
                InvalidRequest,
                "this copy request is illegal because it is trying to copy an object to itself without changing \
                 the object's metadata, storage class, website redirect location or encryption attributes"
            ));
        }
        let (file, meta) = copy_whole(store, &object, change)?;
        let stamp = store.publish(&bucket, &key, file, &meta, &Condition::None, Durable::Later)?;
        Ok((meta, stamp))
    })
    .await?;
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(copy_result(&meta, stamp)),
        ..CopyObjectOutput::default()
    }))
}

fn copy_result(meta: &Meta, stamp: Stamp) -> CopyObjectResult {
    let mut result = CopyObjectResult {
        e_tag: Some(meta.dto_etag()),
        last_modified: Some(stamp_time(stamp)),
        checksum_type: meta.sum.as_ref().map(sum_type),
        ..CopyObjectResult::default()
    };
    set_sum!(result, meta.sum.as_ref());
    result
}

fn copy_whole(store: &Store, object: &Object, change: Change) -> S3Result<(Temporary, Meta)> {
    let before = &object.meta;
    let mut headers = change.headers.unwrap_or_else(|| before.extra.headers.clone());
    headers.storage_class = change.storage_class;
    let tags = change.tags.unwrap_or_else(|| before.extra.tags.clone());
    let algo = change
        .algo
        .or(before.sum.as_ref().map(|sum| sum.algo))
        .unwrap_or(Algo::Crc64Nvme);
    let file = store.scratch.create().map_err(internal)?;
    // Hashes of an object in one piece stay true; those of a multipart object are not of its bytes alone.
    let keeps_hashes = before.part_count == 0 && before.sum.as_ref().is_some_and(|sum| sum.algo == algo);
    let (md5, sum) = if keeps_hashes {
        std::io::copy(&mut &object.file, &mut file.file()).map_err(internal)?;
        (before.md5, before.sum.clone())
    } else {
        hash_span(object, 0..object.stat.len(), algo, &file).map_err(internal)?
    };
    // The source may be a file that somebody is editing right now.
    if Stamp::of(&object.file.metadata().map_err(internal)?) != Stamp::of(&object.stat) {
        return Err(s3_error!(
            OperationAborted,
            "the source changed while it was copied"
        ));
    }
    let meta = Meta {
        md5,
        part_count: 0,
        sum,
        extra: Extra {
            headers,
            tags,
            ..Extra::default()
        },
    };
    Ok((file, meta))
}

fn hash_span(
    object: &Object,
    span: Span<u64>,
    algo: Algo,
    into: &Temporary,
) -> std::io::Result<([u8; 16], Option<Sum>)> {
    let mut hasher = Hasher::new(&[algo]);
    let mut from = &object.file;
    from.seek(SeekFrom::Start(span.start))?;
    let mut from = from.take(span.end - span.start);
    let mut buffer = vec![0; BLOCK];
    loop {
        let len = from.read(&mut buffer)?;
        let Some(read) = buffer.get(..len).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
        into.file().write_all(read)?;
    }
    let mut digests = hasher.finish();
    if digests.size != span.end - span.start {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok((digests.md5, digests.sums.pop()))
}

pub(crate) async fn upload_part_copy(
    store: &Arc<Store>,
    mut input: UploadPartCopyInput,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let source = source!(input);
    let number = part_number(input.part_number)?;
    let range = input.copy_source_range.take();
    let (meta, stamp) = blocking(store, move |store| {
        let (folder, begun) = store.upload(&input.bucket, &input.key, &input.upload_id)?;
        let object = source.open(store)?;
        let span = span(range.as_deref(), object.stat.len())?;
        let file = store.scratch.create().map_err(internal)?;
        let (md5, sum) = hash_span(&object, span, begun.part_algo(), &file).map_err(internal)?;
        let meta = Meta {
            md5,
            part_count: 0,
            sum,
            extra: Extra::default(),
        };
        let stamp = Stamp::of(&file.file().metadata().map_err(internal)?);
        store.put_part(&folder, number, file, &meta)?;
        Ok((meta, stamp))
    })
    .await?;
    let mut result = CopyPartResult {
        e_tag: Some(meta.dto_etag()),
        last_modified: Some(stamp_time(stamp)),
        ..CopyPartResult::default()
    };
    set_sum!(result, meta.sum.as_ref());
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    }))
}

/// Reads `bytes=first-last`. Here, unlike in a GET, both ends must be named and must lie in the source.
fn span(range: Option<&str>, len: u64) -> S3Result<Span<u64>> {
    let Some(text) = range else { return Ok(0..len) };
    match Range::parse(text) {
        Ok(Range::Int {
            first,
            last: Some(last),
        }) if last < len => Ok(first..last + 1),
        Ok(Range::Int { last: Some(_), .. }) => Err(s3_error!(
            InvalidRange,
            "range {text:?} is not valid for a source of {len} bytes"
        )),
        Ok(Range::Int { last: None, .. } | Range::Suffix { .. }) | Err(_) => Err(s3_error!(
            InvalidArgument,
            "the x-amz-copy-source-range {text:?} must be bytes=first-last"
        )),
    }
}

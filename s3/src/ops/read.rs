//! GetObject, HeadObject and GetObjectAttributes.

use std::io::{Seek, SeekFrom};
use std::ops::Range as Span;
use std::sync::Arc;

use hyper::{HeaderMap, StatusCode};
use s3s::dto::{
    Checksum, ChecksumMode, ETag, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ObjectAttributes, ObjectPart, Range, StorageClass, StreamingBlob, TimestampFormat,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::conditions::{ReadConditions, Verdict, modified};
use crate::digest::Sum;
use crate::ops::shared::{blocking, content_type, part_number, set_sum, signed, sum_type};
use crate::store::{Object, Store, custom, internal};

/// Bytes read from the disk at once for a response.
const READ: usize = 256 * 1024;

/// What of an object a request is about.
struct Selected {
    object: Object,
    span: Span<u64>,
    /// Whether the request asked for less than the whole.
    partial: bool,
    parts_count: Option<i32>,
}

/// What was asked for, of a GET or a HEAD.
struct Wanted {
    bucket: String,
    key: String,
    conditions: ReadConditions,
    range: Option<Range>,
    part: Option<i32>,
}

macro_rules! wanted {
    ($input:expr) => {
        Wanted {
            bucket: $input.bucket.clone(),
            key: $input.key.clone(),
            conditions: ReadConditions {
                if_match: $input.if_match.clone(),
                if_none_match: $input.if_none_match.clone(),
                if_modified_since: $input.if_modified_since.clone(),
                if_unmodified_since: $input.if_unmodified_since.clone(),
            },
            range: $input.range,
            part: $input.part_number,
        }
    };
}

/// Fills what GetObject and HeadObject have in common.
macro_rules! describe {
    ($output:expr, $selected:expr, $with_sum:expr) => {
        let (object, extra) = (&$selected.object, &$selected.object.meta.extra);
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = Some(signed($selected.span.end - $selected.span.start));
        $output.content_range = $selected.partial.then(|| content_range(&$selected));
        $output.parts_count = $selected.parts_count;
        $output.e_tag = Some(object.meta.dto_etag());
        $output.last_modified = Some(modified(object));
        $output.content_type = Some(content_type(&object.meta));
        $output.cache_control.clone_from(&extra.headers.cache_control);
        $output
            .content_disposition
            .clone_from(&extra.headers.content_disposition);
        $output
            .content_encoding
            .clone_from(&extra.headers.content_encoding);
        $output
            .content_language
            .clone_from(&extra.headers.content_language);
        $output.expires.clone_from(&extra.headers.expires);
        $output
            .website_redirect_location
            .clone_from(&extra.headers.website_redirect);
        $output.storage_class = extra.headers.storage_class.clone().map(StorageClass::from);
        $output.metadata = Some(extra.headers.user.clone().into_iter().collect());
        if $with_sum && let Some(sum) = &object.meta.sum {
            set_sum!($output, Some(sum));
            $output.checksum_type = Some(sum_type(sum));
        }
    };
}

pub(crate) async fn get_object(
    store: &Arc<Store>,
    req: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let wanted = wanted!(req.input);
    let mut output = GetObjectOutput::default();
    let mut selected = blocking(store, move |store| answer(store, &wanted)).await?;
    // The checksum is that of the whole; a client would compare it with the part that it asked for.
    let with_sum = checksum_enabled(req.input.checksum_mode.as_ref()) && !selected.partial;
    describe!(output, selected, with_sum);
    output.tag_count = i32::try_from(selected.object.meta.extra.tags.len())
        .ok()
        .filter(|count| *count > 0);
    selected
        .object
        .file
        .seek(SeekFrom::Start(selected.span.start))
        .map_err(internal)?;
    let len = selected.span.end - selected.span.start;
    let file = tokio::fs::File::from_std(selected.object.file).take(len);
    let capacity = usize::try_from(len).map_or(READ, |len| len.clamp(1, READ));
    output.body = Some(StreamingBlob::wrap(ReaderStream::with_capacity(file, capacity)));
    Ok(with_partial_status(output, selected.partial))
}

pub(crate) async fn head_object(
    store: &Arc<Store>,
    req: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let wanted = wanted!(req.input);
    let mut output = HeadObjectOutput::default();
    let selected = blocking(store, move |store| answer(store, &wanted)).await?;
    let with_sum = checksum_enabled(req.input.checksum_mode.as_ref()) && !selected.partial;
    describe!(output, selected, with_sum);
    Ok(with_partial_status(output, selected.partial))
}

fn with_partial_status<T>(output: T, partial: bool) -> S3Response<T> {
    let status = if partial {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    S3Response::with_status(output, status)
}

fn checksum_enabled(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(ChecksumMode::ENABLED))
}

fn content_range(selected: &Selected) -> String {
    let Span { start, end } = selected.span;
    format!(
        "bytes {start}-{}/{}",
        end.saturating_sub(1),
        selected.object.stat.len()
    )
}

fn answer(store: &Store, wanted: &Wanted) -> S3Result<Selected> {
    let object = store.object(&wanted.bucket, &wanted.key)?;
    match wanted.conditions.decide(&object)? {
        Verdict::NotModified => Err(not_modified(&object)),
        Verdict::Proceed => select(object, wanted.range, wanted.part),
    }
}

/// 304 is an error in the eyes of `s3s`, which gives GetObject no other way to choose its status.
fn not_modified(object: &Object) -> S3Error {
    let mut error = s3_error!(NotModified);
    let date = httpdate(object);
    let fields = [
        (hyper::header::ETAG, format!("\"{}\"", object.meta.etag())),
        (hyper::header::LAST_MODIFIED, date),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)));
    error.set_headers(fields.collect::<HeaderMap>());
    error
}

fn httpdate(object: &Object) -> String {
    let mut text = Vec::new();
    // Writing into memory cannot fail; an empty header would be left out by clients.
    let _ = modified(object).format(TimestampFormat::HttpDate, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

fn select(object: Object, range: Option<Range>, part: Option<i32>) -> S3Result<Selected> {
    let len = object.stat.len();
    match (range, part) {
        (None, None) => Ok(Selected {
            object,
            span: 0..len,
            partial: false,
            parts_count: None,
        }),
        (Some(range), None) => match range.check(len) {
            Ok(span) => Ok(Selected {
                object,
                span,
                partial: true,
                parts_count: None,
            }),
            Err(_) => Err(unsatisfiable(len)),
        },
        (None, Some(number)) => select_part(object, part_number(number)?),
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "cannot specify both Range and partNumber"
        )),
    }
}

fn select_part(object: Object, number: u16) -> S3Result<Selected> {
    let parts = &object.meta.extra.parts;
    let len = object.stat.len();
    let span = if parts.is_empty() {
        (number == 1).then_some(0..len)
    } else {
        let index = usize::from(number) - 1;
        let start: u64 = parts.iter().take(index).map(|part| part.size).sum();
        parts.get(index).map(|part| start..start + part.size)
    };
    let count = i32::from(object.meta.part_count);
    let span = span.ok_or_else(|| {
        custom(
            "InvalidPartNumber",
            StatusCode::RANGE_NOT_SATISFIABLE,
            "the requested part number is not satisfiable",
        )
    })?;
    Ok(Selected {
        object,
        span,
        partial: true,
        parts_count: (count > 0).then_some(count),
    })
}

fn unsatisfiable(len: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange, "the requested range is not satisfiable");
    let mut headers = HeaderMap::new();
    if let Ok(value) = format!("bytes */{len}").parse() {
        headers.insert(hyper::header::CONTENT_RANGE, value);
    }
    error.set_headers(headers);
    error
}

pub(crate) async fn get_object_attributes(
    store: &Arc<Store>,
    input: GetObjectAttributesInput,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let (bucket, key) = (input.bucket, input.key);
    let object = blocking(store, move |store| store.object(&bucket, &key)).await?;
    // Clients send either one header per attribute or one with commas.
    let asked = input
        .object_attributes
        .iter()
        .flat_map(|one| one.as_str().split(','));
    let asked: Vec<&str> = asked.map(str::trim).collect();
    let wants = |name: &str| asked.contains(&name);
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(modified(&object)),
        ..GetObjectAttributesOutput::default()
    };
    let meta = &object.meta;
    output.e_tag = wants(ObjectAttributes::ETAG).then(|| ETag::Strong(meta.etag()));
    output.object_size = wants(ObjectAttributes::OBJECT_SIZE).then(|| signed(object.stat.len()));
    if wants(ObjectAttributes::STORAGE_CLASS) {
        let class = meta.extra.headers.storage_class.clone();
        output.storage_class = Some(StorageClass::from(class.unwrap_or_else(|| "STANDARD".to_owned())));
    }
    if let Some(sum) = meta.sum.as_ref().filter(|_| wants(ObjectAttributes::CHECKSUM)) {
        let mut checksum = Checksum {
            checksum_type: Some(sum_type(sum)),
            ..Checksum::default()
        };
        set_sum!(checksum, Some(sum));
        output.checksum = Some(checksum);
    }
    if wants(ObjectAttributes::OBJECT_PARTS) && meta.part_count > 0 {
        output.object_parts = Some(object_parts(&object, input.part_number_marker, input.max_parts));
    }
    Ok(S3Response::new(output))
}

fn object_parts(object: &Object, marker: Option<i32>, max: Option<i32>) -> GetObjectAttributesParts {
    let max = max.unwrap_or(1000).clamp(0, 1000);
    let marker = marker.unwrap_or(0);
    let algo = object.meta.sum.as_ref().map(|sum| sum.algo);
    let behind = object
        .meta
        .extra
        .parts
        .iter()
        .filter(|part| i32::from(part.number) > marker);
    let mut parts: Vec<ObjectPart> = behind
        .map(|info| {
            let mut part = ObjectPart {
                part_number: Some(i32::from(info.number)),
                size: Some(signed(info.size)),
                ..ObjectPart::default()
            };
            let sum = algo
                .zip(info.sum.clone())
                .map(|(algo, value)| Sum { algo, value });
            set_sum!(part, sum.as_ref());
            part
        })
        .collect();
    let all = parts.len();
    parts.truncate(usize::try_from(max).unwrap_or(0));
    GetObjectAttributesParts {
        is_truncated: Some(parts.len() < all),
        max_parts: Some(max),
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        part_number_marker: Some(marker),
        total_parts_count: Some(i32::from(object.meta.part_count)),
        parts: Some(parts),
    }
}

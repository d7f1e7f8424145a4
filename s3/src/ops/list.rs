//! ListObjects and ListObjectsV2.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object, ObjectStorageClass,
};
use s3s::{S3Response, S3Result, s3_error};

use crate::conditions::whole_second;
use crate::ops::shared::{blocking, dto_algo, owner, signed, sum_type};
use crate::page::{PAGE_MAX, Page, Query, Row, from_token, to_token};
use crate::place::percent_encode;
use crate::store::Store;
use crate::walk::After;

/// How names are written into the answer: as they are, or percent-encoded, since XML cannot carry every character.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    url: bool,
}

impl Names {
    pub(crate) fn of(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(other) => Err(s3_error!(InvalidArgument, "invalid encoding method {other:?}")),
        }
    }

    pub(crate) fn write(self, name: &str) -> String {
        if self.url {
            percent_encode(name, b"-_.~/*")
        } else {
            name.to_owned()
        }
    }

    pub(crate) fn dto(self) -> Option<EncodingType> {
        self.url.then(|| EncodingType::from_static(EncodingType::URL))
    }
}

/// Reads a limit: absent is the largest; S3 caps what is above.
pub(crate) fn limit(max: Option<i32>, name: &str) -> S3Result<usize> {
    let wanted = usize::try_from(max.unwrap_or(1000));
    let wanted =
        wanted.map_err(|_| s3_error!(InvalidArgument, "{name} must be an integer from 0 to 2147483647"))?;
    Ok(wanted.min(PAGE_MAX))
}

pub(crate) async fn v2(
    store: &Arc<Store>,
    input: ListObjectsV2Input,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let names = Names::of(input.encoding_type.as_ref())?;
    let max = limit(input.max_keys, "max-keys")?;
    let after = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => from_token(token)?,
        (None, Some(key)) if !key.is_empty() => After::Key(key.clone()),
        (None, _) => After::Start,
    };
    let page = read(
        store,
        &input.bucket,
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        after,
        max,
    )
    .await?;
    let next = page
        .rows
        .last()
        .filter(|_| page.truncated)
        .and_then(|row| to_token(&row.mark()));
    let count = i32::try_from(page.rows.len()).ok();
    let truncated = page.truncated;
    let (contents, prefixes) = encode(page, names, input.fetch_owner.unwrap_or(false));
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(names.write(input.prefix.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(max).ok(),
        key_count: count,
        continuation_token: input.continuation_token,
        is_truncated: Some(truncated),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        delimiter: input.delimiter.map(|text| names.write(&text)),
        encoding_type: names.dto(),
        start_after: input.start_after.map(|text| names.write(&text)),
        ..ListObjectsV2Output::default()
    }))
}

pub(crate) async fn v1(
    store: &Arc<Store>,
    input: ListObjectsInput,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let names = Names::of(input.encoding_type.as_ref())?;
    let max = limit(input.max_keys, "max-keys")?;
    let after = match &input.marker {
        Some(marker) if !marker.is_empty() => After::Key(marker.clone()),
        Some(_) | None => After::Start,
    };
    let page = read(
        store,
        &input.bucket,
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        after,
        max,
    )
    .await?;
    let next = page.rows.last().filter(|_| page.truncated).map(|row| match row {
        Row::Object(object) => names.write(&object.key),
        Row::Prefix(prefix) => names.write(prefix),
    });
    let truncated = page.truncated;
    let (contents, prefixes) = encode(page, names, true);
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(names.write(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(names.write(input.marker.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(max).ok(),
        is_truncated: Some(truncated),
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        // S3 gives it only with a delimiter: without one, the last key is the next marker.
        next_marker: next.filter(|_| input.delimiter.is_some()),
        delimiter: input.delimiter.map(|text| names.write(&text)),
        encoding_type: names.dto(),
        ..ListObjectsOutput::default()
    }))
}

async fn read(
    store: &Arc<Store>,
    bucket: &str,
    prefix: Option<&str>,
    delimiter: Option<&str>,
    after: After,
    max: usize,
) -> S3Result<Page> {
    let bucket = bucket.to_owned();
    let prefix = prefix.unwrap_or_default().to_owned();
    let delimiter = delimiter.map(str::to_owned);
    blocking(store, move |store| {
        let delimiter = delimiter.as_deref();
        store.page(&Query {
            bucket: &bucket,
            prefix: &prefix,
            delimiter,
            after,
            max,
        })
    })
    .await
}

fn encode(page: Page, names: Names, with_owner: bool) -> (Vec<Object>, Vec<CommonPrefix>) {
    let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
    for row in page.rows {
        match row {
            Row::Prefix(prefix) => prefixes.push(CommonPrefix {
                prefix: Some(names.write(&prefix)),
            }),
            Row::Object(object) => {
                let (key, stat, meta) = (&object.key, &object.stat, &object.meta);
                let class = meta
                    .extra
                    .headers
                    .storage_class
                    .clone()
                    .unwrap_or_else(|| "STANDARD".to_owned());
                contents.push(Object {
                    key: Some(names.write(key)),
                    size: Some(signed(stat.len())),
                    last_modified: Some(whole_second(stat.mtime())),
                    e_tag: Some(meta.dto_etag()),
                    checksum_algorithm: meta.sum.as_ref().map(|sum| vec![dto_algo(sum.algo)]),
                    checksum_type: meta.sum.as_ref().map(sum_type),
                    storage_class: Some(ObjectStorageClass::from(class)),
                    owner: with_owner.then(owner),
                    ..Object::default()
                });
            }
        }
    }
    (contents, prefixes)
}

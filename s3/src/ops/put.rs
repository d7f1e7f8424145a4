//! PutObject.

use std::sync::Arc;

use s3s::dto::{ChecksumType, PutObjectInput, PutObjectOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::commit::{Condition, Durable};
use crate::meta::{Extra, Meta};
use crate::ops::shared::{blocking, claimed_sums, kept_headers, set_sum, wanted_algos};
use crate::ops::tags;
use crate::receive::{Claims, Target, receive};
use crate::store::Store;

/// Largest object in one put: 5 GiB, as in S3.
pub(crate) const PUT_MAX: i64 = 5 << 30;

pub(crate) async fn put_object(
    store: &Arc<Store>,
    req: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let mut input = req.input;
    if input.content_length.is_some_and(|length| length > PUT_MAX) {
        return Err(s3_error!(
            EntityTooLarge,
            "one put may carry up to 5 GiB: use a multipart upload"
        ));
    }
    let condition = Condition::of_put(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let durable = Durable::of(&condition, &req.headers);
    let headers = kept_headers!(input)?;
    let tags = input
        .tagging
        .as_deref()
        .map(tags::parse_header)
        .transpose()?
        .unwrap_or_default();
    let sums = claimed_sums!(input);
    let claims = Claims {
        algos: wanted_algos(&sums, input.checksum_algorithm.as_ref(), &req.headers)?,
        sums,
        content_md5: input.content_md5.take(),
        length: input.content_length,
        trailers: req.trailing_headers,
        tag: None,
    };
    let (bucket, key) = (input.bucket, input.key);
    let staged = receive(store, input.body.take(), &claims, None).await?;
    let meta = Meta {
        md5: staged.digests.md5,
        part_count: 0,
        sum: staged.digests.sums.first().cloned(),
        extra: Extra {
            headers,
            tags,
            ..Extra::default()
        },
    };
    let mut output = PutObjectOutput {
        e_tag: Some(meta.dto_etag()),
        ..PutObjectOutput::default()
    };
    set_sum!(output, meta.sum.as_ref());
    output.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
    blocking(store, move |store| {
        store.bucket(&bucket)?;
        match staged.settle(store)? {
            Target::File(file) => store.publish(&bucket, &key, file, &meta, &condition, durable),
            Target::Slot(_) => Err(s3_error!(InternalError, "the object came as a part")),
        }
    })
    .await?;
    Ok(S3Response::new(output))
}
